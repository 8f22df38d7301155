//! A conversation with an instance, from the side that asks.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::address;

/// How long an instance may take to answer. One that uses up its time is ended long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest line of an answer, in bytes.
const LINE_LIMIT: u64 = 64 << 10;

/// Most bytes of a value.
const VALUE_LIMIT: usize = 16 << 20;

/// How Click's protocol says that there is no such element, and no such handler.
const NO_ELEMENT: u32 = 510;
const NO_HANDLER: u32 = 511;

/// What the other side begins with.
const GREETING: &str = "Click::ControlSocket/1.";

/// Why an instance could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no instance {name} runs")]
    Unknown {
        name: String,
        /// The ones that do.
        others: Vec<String>,
    },
    #[error("{}: {source}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("{} speaks no Click::ControlSocket/1", .0.display())]
    Stranger(PathBuf),
    #[error("the connection to the instance: {0}")]
    Connection(#[source] io::Error),
    /// The instance has come to its end.
    #[error("the instance has ended")]
    Ended,
    #[error("the answer is not understood: {0}")]
    Nonsense(String),
    #[error("{text}")]
    Refused {
        code: u32,
        text: String,
        /// What was to be read or written.
        handler: String,
    },
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
}

impl ClientError {
    /// What to do about it.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::Unknown { others, .. } if others.is_empty() => Some(
                "start one with sprat run: with --port it says its name, or give it one by --name"
                    .into(),
            ),
            Self::Unknown { others, .. } => Some(format!("these run: {}", others.join(", "))),
            _ => None,
        }
    }

    /// Which command shows what the instance has, where what was asked for is not there.
    pub(crate) fn help_with(&self, instance: &str) -> Option<String> {
        let Self::Refused { code, handler, .. } = self else {
            return None;
        };
        if ![NO_ELEMENT, NO_HANDLER].contains(code) {
            return None;
        }
        // Routers alone have it.
        let lists = |client: &mut Client| client.read("list", "").is_ok();
        if !Client::connect(instance).is_ok_and(|mut client| lists(&mut client)) {
            return Some(format!(
                "a service has os.tasks, os.heap, os.log and os.metrics: sprat read {instance} os.tasks"
            ));
        }
        Some(match handler.rsplit_once('.') {
            Some((element, _)) if *code == NO_HANDLER => {
                format!("sprat read {instance} {element}.handlers names those that are there")
            }
            _ => format!("sprat read {instance} list names the elements"),
        })
    }
}

/// A connection to an instance.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to an instance, by its name or the path of its socket.
    pub(crate) fn connect(instance: &str) -> Result<Self, ClientError> {
        let path = address::find(instance);
        let stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => unknown(instance, &path),
            _ => ClientError::Connect {
                path: path.clone(),
                source,
            },
        })?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(ClientError::Connection)?;
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        match client.line()?.starts_with(GREETING) {
            true => Ok(client),
            false => Err(ClientError::Stranger(path)),
        }
    }

    /// Reads a handler.
    pub(crate) fn read(&mut self, handler: &str, parameters: &str) -> Result<Vec<u8>, ClientError> {
        self.ask("READDATA", handler, parameters)?;
        let line = self.line()?;
        let length = line
            .strip_prefix("DATA ")
            .and_then(|length| length.parse().ok())
            .filter(|length| *length <= VALUE_LIMIT)
            .ok_or(ClientError::Nonsense(line))?;
        let mut value = vec![0; length];
        self.stream
            .read_exact(&mut value)
            .map_err(ClientError::Connection)?;
        Ok(value)
    }

    /// Writes a handler.
    pub(crate) fn write(&mut self, handler: &str, value: &str) -> Result<(), ClientError> {
        self.ask("WRITEDATA", handler, value)
    }

    /// Gives a command with data, and reads what became of it.
    fn ask(&mut self, command: &str, handler: &str, data: &str) -> Result<(), ClientError> {
        // Else it would be several words of a command, or several commands.
        if handler.is_empty() || handler.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ClientError::Refused {
                code: NO_HANDLER,
                text: format!("No handler named '{}'", handler.escape_debug()),
                // Nothing that could be part of a command.
                handler: String::new(),
            });
        }
        let command = format!("{command} {handler} {}\r\n{data}", data.len());
        self.stream
            .get_mut()
            .write_all(command.as_bytes())
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => ClientError::Ended,
                _ => ClientError::Connection(error),
            })?;
        // The first line of a refusal by the handler itself only repeats its name.
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let (code, text) = line.split_at_checked(4).unwrap_or((&line, ""));
            let last = !code.ends_with('-');
            let Ok(code) = code.trim_end_matches(['-', ' ']).parse::<u32>() else {
                return Err(ClientError::Nonsense(line));
            };
            lines.push(text.to_string());
            match code {
                _ if !last => {}
                200..300 => return Ok(()),
                _ => {
                    let skipped = usize::from(lines.len() > 1);
                    return Err(ClientError::Refused {
                        code,
                        text: lines.split_off(skipped).join("\n"),
                        handler: handler.to_string(),
                    });
                }
            }
            if lines.len() > 1000 {
                return Err(ClientError::Nonsense(line));
            }
        }
    }

    fn line(&mut self) -> Result<String, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => {
                Ok(String::from_utf8_lossy(&line).trim_end().to_string())
            }
            Ok(0) => Err(ClientError::Ended),
            Ok(_) => Err(ClientError::Nonsense(
                String::from_utf8_lossy(&line).chars().take(80).collect(),
            )),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(ClientError::Ended),
            Err(error) => Err(ClientError::Connection(error)),
        }
    }
}

/// There is no such instance; which ones there are.
fn unknown(instance: &str, path: &std::path::Path) -> ClientError {
    let folder = path.parent().unwrap_or(path);
    let mut others = address::names(folder);
    // What is left of an instance that was killed has nobody behind it.
    others.retain(|name| UnixStream::connect(address::socket(folder, name)).is_ok());
    ClientError::Unknown {
        name: instance.into(),
        others,
    }
}
