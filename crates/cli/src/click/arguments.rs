//! The command line of `sprat click`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use sprat_click::Timestamp;
use sprat_click::arguments::{Argument, NoNames};
use sprat_userlevel::ControlAddress;

use crate::output::complain;

/// Runs a Click router as an ordinary process, as Click's user-level driver does
#[derive(Args, Debug)]
#[command(disable_help_flag = true, args_override_self = true)]
pub(crate) struct ClickCommand {
    /// The configuration's file (`-` for the standard input), and NAME=VALUE to define $NAME
    #[arg(value_name = "FILE | NAME=VALUE")]
    words: Vec<String>,

    /// Read the configuration from FILE; the standard input by default
    #[arg(short, long = "file", value_name = "FILE", action = ArgAction::Append)]
    files: Vec<String>,

    /// Take EXPR as the configuration
    #[arg(
        short,
        long = "expression",
        value_name = "EXPR",
        allow_hyphen_values = true,
        action = ArgAction::Append
    )]
    expressions: Vec<String>,

    /// Print a handler's value when the router has run; may hold * and ?
    #[arg(short = 'h', long = "handler", value_name = "ELEMENT.HANDLER")]
    handlers: Vec<String>,

    /// Take the exit status from a handler: a number, or true for 0 and false for 1
    #[arg(short = 'x', long = "exit-handler", value_name = "ELEMENT.HANDLER", action = ArgAction::Append)]
    exit_handlers: Vec<String>,

    /// Write the configuration with all compounds expanded to FILE
    #[arg(short, long = "output", value_name = "FILE", action = ArgAction::Append)]
    output_files: Vec<String>,

    /// Print the router's graph
    #[arg(long, value_name = "FORM")]
    dump: Option<Form>,

    /// Do not run the router: only set it up and read handlers
    #[arg(short, long)]
    quit: bool,

    /// Print the time it took to run
    #[arg(short, long)]
    time: bool,

    /// Do not print warnings
    #[arg(short = 'w', long, overrides_with = "warnings")]
    no_warnings: bool,

    /// Print warnings
    #[arg(long)]
    warnings: bool,

    /// Provide the handler `hotconfig`, which replaces the configuration
    #[arg(short = 'R', long)]
    allow_reconfigure: bool,

    /// Look for libraries along PATH
    #[arg(short = 'C', long, value_name = "PATH", env = "CLICKPATH")]
    clickpath: Option<String>,

    /// Accepted for Click's sake; a router runs in one thread
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<usize>,

    /// Accepted for Click's sake: where threads run is the system's matter
    #[arg(short, long, value_name = "CPU", num_args = 0..=1, require_equals = true)]
    affinity: Option<Option<usize>>,

    /// Open a control socket on TCP port PORT; `PORT+` takes the next free one
    #[arg(short, long = "port", value_name = "PORT")]
    ports: Vec<String>,

    /// Open a control socket on Unix socket FILE
    #[arg(short, long = "unix-socket", value_name = "FILE")]
    unix_sockets: Vec<String>,

    /// Take the socket that is open at descriptor FD for a control connection
    #[arg(long = "socket", value_name = "FD", action = ArgAction::Append)]
    sockets: Vec<i32>,

    /// Run in simulated time, which starts at START and jumps to the next timer
    #[arg(
        long,
        value_name = "START",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1000000000"
    )]
    simtime: Option<String>,

    /// Have the frames of a capture arrive at a device
    #[arg(long = "in", value_name = "DEVICE=FILE")]
    inputs: Vec<String>,

    /// Write the frames sent on a device to a capture
    #[arg(long = "out", value_name = "DEVICE=FILE")]
    outputs: Vec<String>,

    /// Print the version of Click whose language this is, and of the command
    #[arg(short, long)]
    pub(crate) version: bool,

    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A JSON object with elements and connections
    Json,
    /// A graph for Graphviz
    Dot,
    /// A picture
    Svg,
    /// A Click configuration without compounds
    Flat,
}

/// Where the configuration comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    StandardInput,
    File(String),
    Expression(String),
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) configuration: Configuration,
    pub(crate) definitions: Vec<(String, String)>,
    pub(crate) handlers: Vec<String>,
    pub(crate) exit_handler: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) dump: Option<Form>,
    pub(crate) drive: bool,
    pub(crate) times: bool,
    pub(crate) warnings: bool,
    pub(crate) hot_swap: bool,
    pub(crate) click_path: Option<String>,
    pub(crate) control_sockets: Vec<ControlAddress>,
    pub(crate) simulated_time: Option<Timestamp>,
    pub(crate) inputs: Vec<(String, PathBuf)>,
    pub(crate) outputs: Vec<(String, PathBuf)>,
}

impl Request {
    /// Whether the configuration is only to be written without compounds, which takes no router.
    pub(crate) fn flattens_only(&self) -> bool {
        self.dump == Some(Form::Flat) && self.handlers.is_empty() && self.output.is_none()
    }
}

impl ClickCommand {
    /// What the command line comes to, or what is wrong with it.
    pub(crate) fn request(self) -> Result<Request, String> {
        let mut definitions = Vec::new();
        let mut configurations = Vec::new();
        configurations.extend(self.files.into_iter().map(file));
        let expressions = self.expressions.into_iter();
        configurations.extend(expressions.map(Configuration::Expression));
        for word in self.words {
            match definition(&word) {
                // The first stays.
                Some((name, _)) if definitions.iter().any(|(known, _)| *known == name) => {
                    complain!("parameter '{name}' multiply defined");
                }
                Some(definition) => definitions.push(definition),
                None => configurations.push(file(word)),
            }
        }
        if configurations.len() > 1 {
            return Err("router configuration specified twice".into());
        }
        let exit_handler = at_most_one("--exit-handler", self.exit_handlers)?;
        let output = at_most_one("output file", self.output_files)?;
        let ports = self.ports.into_iter().map(port);
        let ports = ports.collect::<Result<Vec<_>, _>>()?.into_iter();
        let unix_sockets = self.unix_sockets.into_iter().map(ControlAddress::Unix);
        let sockets = self.sockets.into_iter().map(ControlAddress::Descriptor);
        Ok(Request {
            configuration: configurations.pop().unwrap_or(Configuration::StandardInput),
            definitions,
            handlers: self.handlers,
            exit_handler,
            output,
            drive: !self.quit && self.dump.is_none(),
            dump: self.dump,
            times: self.time,
            warnings: !self.no_warnings,
            hot_swap: self.allow_reconfigure,
            click_path: self.clickpath,
            control_sockets: ports.chain(unix_sockets).chain(sockets).collect(),
            simulated_time: self.simtime.as_deref().map(start).transpose()?,
            inputs: devices("--in", self.inputs)?,
            outputs: devices("--out", self.outputs)?,
        })
    }
}

fn at_most_one(what: &str, mut given: Vec<String>) -> Result<Option<String>, String> {
    match given.len() {
        0 | 1 => Ok(given.pop()),
        _ => Err(format!("{what} specified twice")),
    }
}

fn file(name: String) -> Configuration {
    match name.as_str() {
        "-" => Configuration::StandardInput,
        _ => Configuration::File(name),
    }
}

/// `NAME=VALUE`.
fn definition(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let sound = !name.is_empty() && name.bytes().all(letter);
    sound.then(|| (name.into(), value.into()))
}

/// The moment that simulated time starts at.
fn start(text: &str) -> Result<Timestamp, String> {
    let parsed = sprat_click::arguments::Timestamp::parse(text, &NoNames);
    match parsed {
        Ok(start) => Ok(Timestamp(start.0)),
        Err(_) => Err(format!(
            "click: '--simtime' expects a real number, not '{text}'"
        )),
    }
}

/// A TCP port to listen on, or with a `+` the first of those that will do.
fn port(text: String) -> Result<ControlAddress, String> {
    let number = text.strip_suffix('+').unwrap_or(&text);
    match number.parse::<u16>() {
        Ok(number) if number > 0 || !text.ends_with('+') => Ok(ControlAddress::Port(text)),
        _ => Err(format!(
            "click: '-p' expects a TCP port number, not '{text}'"
        )),
    }
}

fn devices(flag: &str, list: Vec<String>) -> Result<Vec<(String, PathBuf)>, String> {
    let split = |text: String| match text.split_once('=') {
        Some((device, path)) if !device.is_empty() && !path.is_empty() => {
            Ok((device.into(), path.into()))
        }
        _ => Err(format!(
            "{flag} {text}: expected DEVICE=FILE, such as eth0=trace.pcap"
        )),
    };
    list.into_iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        click: ClickCommand,
    }

    fn request(words: &str) -> Result<Request, String> {
        let words = std::iter::once("click").chain(words.split(' '));
        Command::try_parse_from(words)
            .map_err(|error| error.to_string())?
            .click
            .request()
    }

    #[test]
    fn short_flags_may_stand_together_as_click_accepts_them() {
        let request = request("-qRh c.count -he.count t.click MSG=Hi X=a=b").unwrap();
        assert!(!request.drive && request.hot_swap);
        assert_eq!(request.handlers, ["c.count", "e.count"]);
        assert_eq!(
            request.configuration,
            Configuration::File("t.click".to_string())
        );
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        assert_eq!(request.definitions, [pair("MSG", "Hi"), pair("X", "a=b")]);
    }

    #[test]
    fn simulated_time_starts_at_a_milliard_unless_told() {
        let start = |words: &str| request(words).unwrap().simulated_time;
        assert_eq!(start("-e x"), None);
        assert_eq!(
            start("--simtime t.click"),
            Some(Timestamp(1_000_000_000_000_000_000))
        );
        assert_eq!(start("--simtime=5.5"), Some(Timestamp(5_500_000_000)));
        assert!(request("--simtime=noon").is_err());
    }

    #[test]
    fn there_is_one_configuration() {
        assert_eq!(
            request("-e Idle t.click").unwrap_err(),
            "router configuration specified twice"
        );
        assert_eq!(
            request("-x a.b -x c.d t.click").unwrap_err(),
            "--exit-handler specified twice"
        );
        assert_eq!(
            request("-o a -o b t.click").unwrap_err(),
            "output file specified twice"
        );
        assert_eq!(
            request("t.click A=1 A=2").unwrap().definitions,
            [("A".to_string(), "1".to_string())]
        );
        assert_eq!(
            request("-p 41900+ --socket 3 -u /tmp/s -")
                .unwrap()
                .control_sockets,
            [
                ControlAddress::Port("41900+".into()),
                ControlAddress::Unix("/tmp/s".into()),
                ControlAddress::Descriptor(3)
            ]
        );
    }

    #[test]
    fn the_last_word_on_warnings_counts() {
        assert!(request("-w --warnings x").unwrap().warnings);
        assert!(!request("-w x").unwrap().warnings);
    }

    #[test]
    fn flags_may_be_given_twice_as_click_accepts_them() {
        let request = request("-qqw -q --no-warnings -a -x a.b t.click").unwrap();
        assert!(!request.drive && !request.warnings);
        assert_eq!(request.exit_handler.as_deref(), Some("a.b"));
    }
}
