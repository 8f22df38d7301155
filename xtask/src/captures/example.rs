//! The examples, as their `run.toml` describe them.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use super::pcap::Capture;

/// A folder with a `run.toml`.
pub(super) struct Example {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Devices that captures are played to, and the frames in those captures.
    inputs: Vec<(String, u64)>,
    /// Devices whose frames are recorded.
    pub(super) outputs: Vec<String>,
}

impl Example {
    /// All examples in a folder, by name.
    ///
    /// # Errors
    /// A file cannot be read, or a `run.toml` is none.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut examples = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let folder = entry?.path();
            if folder.join("run.toml").is_file() {
                examples.push(Self::read(folder)?);
            }
        }
        examples.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(examples)
    }

    fn read(folder: PathBuf) -> Result<Self> {
        let path = folder.join("run.toml");
        let text = std::fs::read_to_string(&path)?;
        let wrong = |what: &str| Error::other(format!("{}: {what}", path.display()));
        let run: toml::Table = text.parse().map_err(|error| wrong(&format!("{error}")))?;
        let table = |name: &str| {
            run.get(name)
                .and_then(toml::Value::as_table)
                .ok_or_else(|| wrong(&format!("no [{name}]")))
        };
        let mut inputs = Vec::new();
        for (device, file) in table("in")? {
            let file = file.as_str().ok_or_else(|| wrong("an input is no text"))?;
            let own = Capture::read(&folder.join(file))?;
            inputs.push((device.clone(), own.frames));
        }
        Ok(Self {
            name: folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            inputs,
            outputs: table("out")?.keys().cloned().collect(),
            folder,
        })
    }

    /// Which devices a capture is fed to, run by run: each alone, and all.
    pub(super) fn feeds(&self) -> Vec<Vec<&str>> {
        let all: Vec<&str> = self.inputs.iter().map(|(device, _)| &**device).collect();
        let mut feeds: Vec<Vec<&str>> = all.iter().map(|device| vec![*device]).collect();
        if all.len() > 1 {
            feeds.push(all);
        }
        feeds
    }

    /// Frames that come in where the devices `fed` are fed a capture of `frames` frames.
    pub(super) fn frames_in(&self, fed: &[&str], frames: u64) -> u64 {
        let of = |(device, own): &(String, u64)| match fed.contains(&&**device) {
            true => frames,
            false => *own,
        };
        self.inputs.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_is_fed_alone_and_all_at_once() {
        let example = Example {
            name: "two".into(),
            folder: PathBuf::new(),
            inputs: vec![("a".into(), 5), ("b".into(), 7)],
            outputs: vec![],
        };
        assert_eq!(example.feeds(), [vec!["a"], vec!["b"], vec!["a", "b"]]);
        assert_eq!(example.frames_in(&["a"], 100), 107);
        assert_eq!(example.frames_in(&["a", "b"], 100), 200);
    }
}
