//! What a folder says of a run: its `run.toml`, or `[package.metadata.sprat]` of a package.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sprat_switch::port::PortSpec;

use super::blocks::BlockSpec;
use super::ports::{InputSpec, OutputSpec};
use super::settings::{ClockChoice, FileGrant, ReportGroup, Settings, publication};

/// What a folder says of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunFile {
    /// What is run: a configuration or an image. A package is what is built of it.
    pub(super) config: Option<PathBuf>,
    #[serde(default)]
    clock: Option<ClockChoice>,
    #[serde(default, rename = "in")]
    inputs: toml::Table,
    #[serde(default, rename = "out")]
    outputs: toml::Table,
    #[serde(default, rename = "port")]
    ports: toml::Table,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default, rename = "block")]
    blocks: toml::Table,
    #[serde(default)]
    parameters: toml::Table,
    #[serde(default)]
    files: toml::Table,
    #[serde(default)]
    report: toml::Table,
}

impl RunFile {
    /// Adds it to a run's settings; names of files are relative to `folder`. Or what is wrong with it.
    pub(super) fn add_to(self, settings: &mut Settings, folder: &Path) -> Result<(), String> {
        for (name, value) in texts("in", self.inputs)? {
            let input =
                InputSpec::parse(&value, folder).map_err(|what| format!("in.{name}: {what}"))?;
            settings.inputs.push((name, input));
        }
        for (name, value) in texts("out", self.outputs)? {
            let output = OutputSpec::parse(&value, folder);
            settings.outputs.push((name, output));
        }
        for (name, value) in texts("port", self.ports)? {
            let port = PortSpec::parse(&value).map_err(|what| format!("port.{name}: {what}"))?;
            settings.ports.push((name, port));
        }
        for text in self.publish {
            settings.publish.push(publication(&text)?);
        }
        for (name, value) in texts("block", self.blocks)? {
            let block =
                BlockSpec::parse(&value, folder).map_err(|what| format!("block.{name}: {what}"))?;
            settings.blocks.push((name, block));
        }
        settings.parameters = texts("parameters", self.parameters)?;
        for (name, access) in texts("files", self.files)? {
            let write = match access.as_str() {
                "read" => false,
                "write" => true,
                _ => return Err(format!("files.{name}: expected \"read\" or \"write\"")),
            };
            settings.files.push(FileGrant { name, write });
        }
        for (title, lines) in self.report {
            let toml::Value::Table(lines) = lines else {
                return Err(format!(
                    "report.{title}: expected a table of names and handlers"
                ));
            };
            let lines = texts(&format!("report.{title}"), lines)?;
            settings.report.push(ReportGroup { title, lines });
        }
        settings.playback = self.clock == Some(ClockChoice::Capture);
        Ok(())
    }
}

/// The entries of a table of texts, in the file's order.
fn texts(section: &str, table: toml::Table) -> Result<Vec<(String, String)>, String> {
    table
        .into_iter()
        .map(|(name, value)| match value {
            toml::Value::String(text) => Ok((name, text)),
            toml::Value::Integer(number) => Ok((name, number.to_string())),
            toml::Value::Boolean(flag) => Ok((name, flag.to_string())),
            other => Err(format!(
                "{section}.{name}: expected a text, found {}",
                other.type_str()
            )),
        })
        .collect()
}
