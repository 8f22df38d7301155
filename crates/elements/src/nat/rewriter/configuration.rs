//! How a rewriter comes out of its configuration.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use sprat_click::arguments::{Annotation, Argument, NoNames, Raw};
use sprat_click::{Arguments, Configuration, Configure, ElementId, Rejected};

use super::{Kind, Rewriter};
use crate::nat::flow_table::{FlowTable, Share};
use crate::nat::input_spec::InputSpec;

/// Flows a table holds unless MAPPING_CAPACITY says otherwise: enough for any link, and a bound on
/// what a flood of new flows can take.
const DEFAULT_CAPACITY: usize = 1 << 20;

/// How often flows that have lived out their time are looked for.
const DEFAULT_REAP_INTERVAL: Duration = Duration::from_mins(15);

impl Configure for Rewriter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let Some(kind) = Kind::of(class) else {
            return Err(arguments.error("not a rewriter"));
        };
        let lifetimes = kind.lifetimes(arguments);
        let sets_destination = arguments.keyword("DST_ANNO").unwrap_or(true);
        let reply_annotation = reply_annotation(arguments);
        let (capacity, shares_with) = capacity(arguments, configuration)?;
        let reap_interval = arguments
            .keyword("REAP_INTERVAL")
            .or(arguments.keyword("REAP_TIME"))
            .unwrap_or(DEFAULT_REAP_INTERVAL);
        // Of older Clicks; they change nothing.
        for old in ["REAP_TCP", "REAP_TCP_DONE", "REAP_UDP"] {
            arguments.keyword::<Raw>(old);
        }
        let specs = specs(arguments, configuration);
        arguments.finish()?;
        let seed = configuration.environment().random_seed();
        Ok(Self {
            kind,
            specs,
            table: Rc::new(RefCell::new(FlowTable::new(capacity, seed))),
            share: Share::default(),
            lifetimes,
            shares_with,
            reap_interval,
            reply_annotation,
            sets_destination,
        })
    }
}

/// REPLY_ANNO: one byte of the annotations.
pub(in crate::nat) fn reply_annotation(arguments: &mut Arguments<'_>) -> Option<usize> {
    let annotation = arguments.keyword::<Annotation>("REPLY_ANNO")?;
    match annotation.sized(1) {
        Ok(offset) => Some(offset),
        Err(error) => {
            arguments.error(format!("REPLY_ANNO: {error}"));
            None
        }
    }
}

/// MAPPING_CAPACITY: a number, or the rewriter whose capacity is shared.
fn capacity(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<(usize, Option<ElementId>), Rejected> {
    let default = DEFAULT_CAPACITY;
    let text = arguments.keyword::<Raw>("CAPACITY");
    let Some(Raw(text)) = arguments.keyword::<Raw>("MAPPING_CAPACITY").or(text) else {
        return Ok((default, None));
    };
    if let Ok(capacity) = usize::parse(&text, &NoNames) {
        return Ok((capacity, None));
    }
    let other = configuration
        .find(&text)
        .filter(|id| Kind::of(configuration.class_of(*id).name).is_some());
    if other.is_none() {
        return Err(arguments.error("bad MAPPING_CAPACITY"));
    }
    let other = other.filter(|other| *other != configuration.id());
    Ok((default, other))
}

/// Reads the input specifications, one for each input.
fn specs(arguments: &mut Arguments<'_>, configuration: &Configuration<'_>) -> Vec<InputSpec> {
    let texts = arguments.rest();
    if texts.len() != configuration.inputs() {
        let message = format!(
            "need {} arguments, one per input port",
            configuration.inputs()
        );
        arguments.error(message);
        return Vec::new();
    }
    let mut specs = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let surroundings = (arguments.names(), configuration);
        match InputSpec::parse(text, &surroundings, configuration.outputs()) {
            Ok(spec) => specs.push(spec),
            Err(message) => {
                arguments.error(format!("input spec {number}: {message}"));
            }
        }
    }
    specs
}
