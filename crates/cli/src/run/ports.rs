//! What stands behind `--in NAME=…` and `--out NAME=…`.

use std::path::{Path, PathBuf};

use sprat_switch::port::{
    CaptureInput, CaptureOutput, Generator, GeneratorOptions, GiveUp, Port, PortError, Resolution,
    Sink,
};

/// Where a device's frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InputSpec {
    /// A capture file.
    Capture(PathBuf),
    /// Made on the spot.
    Generate(GeneratorOptions),
}

/// Where a device's frames go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OutputSpec {
    /// A capture file.
    Capture(PathBuf),
    /// Counted and dropped.
    Sink,
}

/// Splits `NAME=VALUE`.
pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.into(), value.into()))
        }
        _ => Err("expected NAME=VALUE, such as eth0=trace.pcap".into()),
    }
}

impl InputSpec {
    /// Reads a specification; file names are relative to `folder`.
    pub(super) fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        match text.strip_prefix("generate") {
            Some("") => Ok(Self::Generate(GeneratorOptions::default())),
            Some(options) if options.starts_with(':') => {
                generator(&options[1..]).map(Self::Generate)
            }
            _ => Ok(Self::Capture(relative(text, folder))),
        }
    }

    /// Opens the port.
    pub(super) fn open(&self, give_up: &GiveUp) -> Result<(Box<dyn Port>, Resolution), PortError> {
        match self {
            Self::Capture(path) => {
                let input = CaptureInput::open(path, give_up)?;
                let resolution = input.resolution();
                Ok((Box::new(input), resolution))
            }
            Self::Generate(options) => {
                Ok((Box::new(Generator::new(*options)), Resolution::Microseconds))
            }
        }
    }

    /// Whether frames carry times of their own.
    pub(super) fn plays_back(&self) -> bool {
        matches!(self, Self::Capture(_))
    }
}

impl OutputSpec {
    /// Reads a specification; file names are relative to `folder`.
    pub(super) fn parse(text: &str, folder: &Path) -> Self {
        if text == "sink" {
            Self::Sink
        } else {
            Self::Capture(relative(text, folder))
        }
    }

    /// Opens the port.
    pub(super) fn open(
        &self,
        resolution: Resolution,
        give_up: &GiveUp,
    ) -> Result<Box<dyn Port>, PortError> {
        match self {
            Self::Capture(path) => Ok(Box::new(CaptureOutput::create(path, resolution, give_up)?)),
            Self::Sink => Ok(Box::new(Sink::default())),
        }
    }
}

pub(super) fn relative(text: &str, folder: &Path) -> PathBuf {
    if text == "-" {
        PathBuf::from("-")
    } else {
        folder.join(text)
    }
}

/// Reads `size=64,count=1000000,flows=100`.
fn generator(text: &str) -> Result<GeneratorOptions, String> {
    let mut options = GeneratorOptions::default();
    for setting in text.split(',') {
        let (name, value) = name_and_value(setting)?;
        let number: u64 = value
            .replace('_', "")
            .parse()
            .map_err(|_| format!("{name}={value}: not a number"))?;
        let bounded = |least: u64, most: u64| {
            if (least..=most).contains(&number) {
                Ok(number)
            } else {
                Err(format!("{name}={value}: expected {least} to {most}"))
            }
        };
        match name.as_str() {
            "size" => options.size = usize::try_from(bounded(60, 9000)?).unwrap_or(60),
            "count" => options.count = Some(number),
            "flows" => options.flows = u32::try_from(bounded(1, 1 << 20)?).unwrap_or(1),
            _ => return Err(format!("`{name}` is none of size, count and flows")),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_captures_or_generators() {
        let folder = Path::new("/example");
        assert_eq!(
            InputSpec::parse("a.pcap", folder),
            Ok(InputSpec::Capture("/example/a.pcap".into()))
        );
        assert_eq!(
            InputSpec::parse("/b.pcap", folder),
            Ok(InputSpec::Capture("/b.pcap".into()))
        );
        let options = GeneratorOptions {
            size: 1500,
            count: Some(1_000_000),
            flows: 8,
        };
        let text = "generate:size=1500,count=1_000_000,flows=8";
        assert_eq!(
            InputSpec::parse(text, folder),
            Ok(InputSpec::Generate(options))
        );
        assert_eq!(
            InputSpec::parse("generate", folder),
            Ok(InputSpec::Generate(GeneratorOptions::default()))
        );
    }

    #[test]
    fn a_wrong_generator_setting_is_named() {
        let wrong = |text| InputSpec::parse(text, Path::new("")).unwrap_err();
        assert_eq!(wrong("generate:size=59"), "size=59: expected 60 to 9000");
        assert_eq!(
            wrong("generate:speed=1"),
            "`speed` is none of size, count and flows"
        );
        assert_eq!(wrong("generate:count=many"), "count=many: not a number");
    }
}
