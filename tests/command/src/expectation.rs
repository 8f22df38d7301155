//! What `expected/expected.json` of an example says.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What must come of an example; see `examples/tools/frames.py`.
#[derive(Debug)]
pub struct Expectation {
    /// Frames that arrive, by device.
    pub frames_in: BTreeMap<String, u64>,
    /// Captures of what leaves, relative to the example's folder, by device.
    pub out: BTreeMap<String, String>,
    /// Handlers and what they must read.
    pub handlers: BTreeMap<String, u64>,
    /// Handlers and the least and most they may read.
    pub between: BTreeMap<String, (u64, u64)>,
    /// tcpdump filters that match nothing that leaves, by device.
    pub never: BTreeMap<String, Vec<String>>,
    /// What the router itself says by ICMP, by device.
    pub made: BTreeMap<String, Vec<Value>>,
    /// Addresses that the router must ask for by ARP, by device.
    pub asked: BTreeMap<String, Vec<String>>,
}

impl Expectation {
    /// Reads what an example expects.
    ///
    /// # Panics
    /// When the file is missing or has another shape.
    #[must_use]
    pub fn of(example: &Path) -> Self {
        let path = example.join("expected/expected.json");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let all: Value = serde_json::from_str(&text).expect("JSON");
        Self {
            frames_in: table(&all["frames_in"], number),
            out: table(&all["out"], text_of),
            handlers: table(&all["handlers"], number),
            between: table(&all["between"], |pair| (number(&pair[0]), number(&pair[1]))),
            never: table(&all["never"], texts),
            made: table(&all["made"], |list| {
                list.as_array().cloned().expect("an array")
            }),
            asked: table(&all["asked"], texts),
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .expect("an array")
        .iter()
        .map(text_of)
        .collect()
}

fn table<T>(value: &Value, each: impl Fn(&Value) -> T) -> BTreeMap<String, T> {
    value
        .as_object()
        .map(|object| {
            object
                .iter()
                .map(|(key, value)| (key.clone(), each(value)))
                .collect()
        })
        .unwrap_or_default()
}
