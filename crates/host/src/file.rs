//! The file in which a person says what is to run.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sprat_monitor::{Image, ImageError, build_id_text};

use crate::desired::{
    Boot, Bridge, Chain, Desired, Function, Limits, Mistake, Part, Program, Restart, Vlans,
};
use crate::flows::FlowRule;

/// Why a file says nothing that could run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read, or a file that it names.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no TOML, or not with the keys that there are.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// What it says cannot be.
    #[error("{}: {mistake}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        mistake: Mistake,
    },
    /// A program is neither a configuration nor an image.
    #[error("{}: {source}", path.display())]
    Image {
        /// The program's file.
        path: PathBuf,
        /// What is wrong.
        source: ImageError,
    },
    /// A program is neither text nor an image.
    #[error("{} is neither text nor an image", .0.display())]
    NotText(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    ports: BTreeMap<String, String>,
    #[serde(default)]
    functions: BTreeMap<String, FileFunction>,
    #[serde(default)]
    chains: Vec<FileChain>,
    #[serde(default)]
    bridges: BTreeMap<String, FileBridge>,
    #[serde(default)]
    flows: Vec<FlowRule>,
    #[serde(default)]
    tenants: BTreeMap<String, FileLimits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLimits {
    memory: Option<Size>,
    processors: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileFunction {
    run: PathBuf,
    #[serde(default = "two_devices")]
    devices: Vec<String>,
    #[serde(default)]
    parameters: toml::Table,
    memory: Option<Size>,
    #[serde(default = "default_tenant")]
    tenant: String,
    lane: Option<String>,
    #[serde(default)]
    dedicated: bool,
    #[serde(default = "one")]
    replicas: u32,
    #[serde(default)]
    restart: Restart,
    #[serde(default)]
    boot: Boot,
    #[serde(default = "Function::usual_idle")]
    idle: u32,
    #[serde(default = "Function::carries")]
    carry_state: bool,
}

fn two_devices() -> Vec<String> {
    vec!["eth0".into(), "eth1".into()]
}

fn default_tenant() -> String {
    "default".into()
}

fn one() -> u32 {
    1
}

/// A number of bytes, or one with K, M or G behind it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Bytes(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileChain {
    path: Vec<Step>,
    #[serde(default)]
    any_source: BTreeSet<String>,
}

/// A place in a chain.
enum Step {
    One(String),
    Shared(BTreeMap<String, Part>),
}

/// Reads a name or a table; an untagged type would not say what is wrong with the table.
struct StepReader;

impl<'de> Visitor<'de> for StepReader {
    type Value = Step;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a table of functions and their shares")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Step, E> {
        Ok(Step::One(name.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Step, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Step::Shared)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StepReader)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileBridge {
    members: Vec<String>,
    #[serde(default)]
    vlans: BTreeMap<String, Vlans>,
    #[serde(default)]
    any_source: BTreeSet<String>,
}

/// First bytes of an ELF file.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Reads a file, and the programs that it names. Their names are relative to its folder.
///
/// # Errors
/// What is wrong with it.
pub fn read(path: &Path) -> Result<Desired, FileError> {
    let text = fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let file: File = toml::from_str(&text).map_err(|source| FileError::Toml {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let wrong = |mistake| FileError::Mistake {
        path: path.to_owned(),
        mistake,
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut desired = Desired {
        ports: file.ports,
        flows: file.flows,
        ..Desired::default()
    };
    for (name, function) in file.functions {
        let place = |key: &str| format!("functions.{name}.{key}");
        let parameters = function.parameters.into_iter().map(|(key, value)| {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                other => {
                    return Err(wrong(Mistake {
                        place: place(&format!("parameters.{key}")),
                        what: format!("expected a text, found {}", other.type_str()),
                    }));
                }
            };
            Ok((key, text))
        });
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let memory = function.memory.map(bytes).transpose();
        let memory = memory.map_err(|what| {
            wrong(Mistake {
                place: place("memory"),
                what,
            })
        })?;
        let declared = Function {
            program: program(&folder.join(&function.run))?,
            devices: function.devices,
            parameters,
            memory,
            tenant: function.tenant,
            lane: function.lane.or(function.dedicated.then(|| name.clone())),
            dedicated: function.dedicated,
            replicas: function.replicas,
            restart: function.restart,
            boot: function.boot,
            idle: function.idle,
            carry_state: function.carry_state,
        };
        desired.functions.insert(name, declared);
    }
    for (number, chain) in (1..).zip(file.chains) {
        desired
            .chains
            .push(self::chain(number, chain).map_err(wrong)?);
    }
    for (name, bridge) in file.bridges {
        let bridge = Bridge {
            members: bridge.members,
            vlans: bridge.vlans,
            any_source: bridge.any_source,
        };
        desired.bridges.insert(name, bridge);
    }
    for (name, limits) in file.tenants {
        let limits = self::limits(&name, limits).map_err(wrong)?;
        desired.tenants.insert(name, limits);
    }
    desired.check().map_err(wrong)?;
    Ok(desired)
}

fn limits(name: &str, limits: FileLimits) -> Result<Limits, Mistake> {
    let wrong = |key: &str, what: String| Mistake {
        place: format!("tenants.{name}.{key}"),
        what,
    };
    let memory = limits.memory.map(bytes).transpose();
    let processors = limits.processors.map(|processors| {
        // Below that the kernel deals out no time.
        if !(0.05..=1024.0).contains(&processors) {
            return Err(format!("expected 0.05 or more, found {processors}"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between the two"
        )]
        Ok((processors * 1000.0).round() as u32)
    });
    Ok(Limits {
        memory: memory.map_err(|what| wrong("memory", what))?,
        processors: processors
            .transpose()
            .map_err(|what| wrong("processors", what))?,
    })
}

fn chain(number: usize, chain: FileChain) -> Result<Chain, Mistake> {
    let wrong = || Mistake {
        place: format!("chain {number}"),
        what: "expected a path of two ports and what is between them, such as \
               [\"wan\", \"firewall\", \"lan\"]"
            .into(),
    };
    let mut path = chain.path;
    if path.len() < 2 {
        return Err(wrong());
    }
    let (Some(Step::One(to)), Step::One(from)) = (path.pop(), path.remove(0)) else {
        return Err(wrong());
    };
    let through = path.into_iter().map(|step| match step {
        Step::One(name) => BTreeMap::from([(name, 1.into())]),
        Step::Shared(shares) => shares,
    });
    Ok(Chain {
        from,
        through: through.collect(),
        to,
        any_source: chain.any_source,
    })
}

fn bytes(size: Size) -> Result<u64, String> {
    let bytes = match size {
        Size::Bytes(bytes) => Some(bytes),
        Size::Text(text) => {
            let units = [('K', 10), ('M', 20), ('G', 30)];
            let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
            let (digits, shift) = match unit {
                Some((_, shift)) => (&text[..text.len() - 1], *shift),
                None => (&text[..], 0),
            };
            let number: Option<u64> = digits.parse().ok();
            number.and_then(|number| number.checked_mul(1 << shift))
        }
    };
    bytes
        .filter(|bytes| *bytes >= 1 << 16)
        .ok_or_else(|| "expected 64K or more, such as 512K or 8M".into())
}

fn program(path: &Path) -> Result<Program, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(failed)?;
    if bytes.starts_with(ELF_MAGIC) {
        let image = Image::load(&bytes).map_err(|source| FileError::Image {
            path: path.to_owned(),
            source,
        })?;
        let path = path.canonicalize().map_err(failed)?;
        return Ok(Program::Image {
            path: path.to_string_lossy().into_owned(),
            build: build_id_text(image.build_id()),
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
    Ok(Program::Click {
        name: path.display().to_string(),
        text,
    })
}
