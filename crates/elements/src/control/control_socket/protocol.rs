//! The protocol of control sockets, Click::ControlSocket/1.3: commands in, replies out.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::router::Circumstance;
use sprat_click::{Context, HandlerError};

/// What a client is greeted with.
const GREETING: &str = "Click::ControlSocket/1.3\r\n";

const OK: u32 = 200;
const OK_WITH_WARNINGS: u32 = 220;
const SYNTAX: u32 = 500;
const UNIMPLEMENTED: u32 = 501;
const NO_ELEMENT: u32 = 510;
const NO_HANDLER: u32 = 511;
const HANDLER_ERROR: u32 = 520;
const TOO_BIG: u32 = 521;
const PERMISSION: u32 = 530;
const LLRPC_ERROR: u32 = 540;
const UNSPECIFIED: u32 = 590;

/// The most data a command may carry.
const MOST_DATA: usize = 1 << 24;

const HELP: &str = "Commands supported:
READ handler [arg...]   call read handler, return DATA
READDATA handler len    call read handler with len data bytes, return DATA
READUNTIL handler term  call read handler, take data until term, return DATA
WRITE handler [arg...]  call write handler
WRITEDATA handler len   call write handler, pass len data bytes
WRITEUNTIL handler term call write handler, take data until term
CHECKREAD handler       check if read handler is valid
CHECKWRITE handler      check if write handler is valid
LLRPC elt#number [len]  call LLRPC, pass len data bytes, return DATA
QUIT                    close connection";

/// What commands reach: handlers, by their names.
pub trait HandlerAccess {
    /// Reads a handler.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it refuses.
    fn read(&mut self, handler: &str, parameters: &str) -> Result<String, HandlerError>;

    /// Writes a handler.
    ///
    /// # Errors
    /// When there is none, it cannot be written, or it refuses.
    fn write(&mut self, handler: &str, value: &str) -> Result<(), HandlerError>;

    /// Writes a handler, and gives what was said of that though nothing was wrong.
    ///
    /// # Errors
    /// As for [`HandlerAccess::write`].
    fn write_listening(&mut self, handler: &str, value: &str) -> Result<Vec<String>, HandlerError> {
        self.write(handler, value).map(|()| Vec::new())
    }

    /// Whether a handler could be written, or read.
    ///
    /// # Errors
    /// Why not.
    fn check(&mut self, handler: &str, writes: bool) -> Result<(), HandlerError>;

    /// What is said of a handler that is not there.
    fn missing(&self, handler: &str) -> String {
        format!("No handler named '{handler}'")
    }
}

/// The handlers of the router that a control socket is in, or those that one of its elements answers
/// for.
pub(super) struct Handlers<'a, 'b> {
    pub(super) context: &'a mut Context<'b>,
    /// The name of that.
    pub(super) proxy: Option<String>,
}

impl Handlers<'_, '_> {
    fn full(&self, handler: &str) -> String {
        // Elements are numbered from one on; before them comes the router.
        let global = handler.strip_prefix("0.");
        let name = global.or(handler.strip_prefix('.')).unwrap_or(handler);
        match &self.proxy {
            None => name.into(),
            Some(proxy) => format!("{proxy}.{name}"),
        }
    }

    /// Does something, and gives what was said meanwhile; it has failed where that was a complaint.
    fn listening<T>(
        &self,
        act: impl FnOnce(&Context<'_>) -> Result<T, HandlerError>,
    ) -> Result<(T, Vec<String>), HandlerError> {
        let router = self.context.router();
        let before = router.complaints();
        router.begin(Circumstance::Collected);
        let done = act(self.context);
        let mut said = router.end();
        match done {
            Ok(value) if router.complaints() == before => Ok((value, said)),
            Ok(_) => Err(HandlerError::refused(said)),
            Err(HandlerError::Failed(messages, status)) => {
                said.extend(messages.into_iter().filter(|message| !message.is_empty()));
                Err(HandlerError::Failed(said, status))
            }
            Err(error) => Err(error),
        }
    }
}

impl HandlerAccess for Handlers<'_, '_> {
    fn read(&mut self, handler: &str, parameters: &str) -> Result<String, HandlerError> {
        let handler = self.full(handler);
        let router = self.context.router();
        let target = router.find_handler(Some(self.context.id()), &handler)?;
        router.visible(target)?;
        let read = self.listening(|context| context.read_handler(&handler, parameters))?;
        Ok(read.0)
    }

    fn write(&mut self, handler: &str, value: &str) -> Result<(), HandlerError> {
        self.write_listening(handler, value).map(drop)
    }

    fn write_listening(&mut self, handler: &str, value: &str) -> Result<Vec<String>, HandlerError> {
        let handler = self.full(handler);
        let written = self.listening(|context| context.write_handler(&handler, value))?;
        Ok(written.1)
    }

    fn missing(&self, handler: &str) -> String {
        let kind = if self.proxy.is_some() { "proxied " } else { "" };
        format!("No {kind}handler named '{handler}'")
    }

    fn check(&mut self, handler: &str, writes: bool) -> Result<(), HandlerError> {
        let handler = &self.full(handler);
        let router = self.context.router();
        let target = router.find_handler(Some(self.context.id()), handler)?;
        let target = router.visible(target)?;
        let flags = router.handler_flags(&target)?;
        match writes {
            true if !flags.write => Err(HandlerError::NotWritable(handler.into())),
            false if !flags.read => Err(HandlerError::NotReadable(handler.into())),
            _ => Ok(()),
        }
    }
}

/// The state of the conversation with one client.
#[derive(Default)]
pub struct Conversation {
    input: Vec<u8>,
    output: Vec<u8>,
    /// The last line ended in a carriage return, to which a line feed may belong.
    after_return: bool,
    /// A command that waits for what belongs to it.
    open: Option<Open>,
    /// Nothing more is said when the output is sent.
    closing: bool,
}

/// A command whose data has not arrived whole.
struct Open {
    handler: String,
    what: What,
    rest: Rest,
}

/// What is done with a command's data.
#[derive(Clone, Copy)]
enum What {
    Read,
    Write,
    Call,
}

enum Rest {
    Bytes(usize),
    Lines { terminator: String, so_far: String },
}

impl Conversation {
    /// The conversation that begins: its output is the greeting.
    #[must_use]
    pub fn new() -> Self {
        Self {
            output: GREETING.into(),
            ..Self::default()
        }
    }

    /// Whether nothing more is said once the output is sent.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Adds what the client sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The client will send no more: a line that nothing ends is whole, and what a command still
    /// waits for does not come.
    pub fn end(&mut self) {
        if self.open.take().is_some() {
            self.input.clear();
            self.reply(SYNTAX, "Not enough data");
        } else if !self.input.is_empty() {
            self.input.push(b'\n');
        }
    }

    /// What is to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// So much was sent.
    pub fn sent(&mut self, count: usize) {
        self.output.drain(..count);
    }

    /// Does what the next command says; false where none has arrived whole.
    pub fn advance(&mut self, access: &mut dyn HandlerAccess, read_only: bool) -> bool {
        if self.closing {
            return false;
        }
        let data = match self.open.as_mut().map(|open| &mut open.rest) {
            None => {
                let Some(line) = self.line() else {
                    return false;
                };
                self.command(access, &line, read_only);
                return true;
            }
            Some(Rest::Bytes(count)) => {
                let count = *count;
                if self.after_return && self.input.first() == Some(&b'\n') {
                    self.input.remove(0);
                }
                self.after_return &= self.input.is_empty();
                if self.input.len() < count {
                    return false;
                }
                let bytes: Vec<u8> = self.input.drain(..count).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Some(Rest::Lines { .. }) => {
                let Some(line) = self.line() else {
                    return false;
                };
                let Some(Open {
                    rest: Rest::Lines { terminator, so_far },
                    ..
                }) = &mut self.open
                else {
                    return false;
                };
                if line.trim_end() != terminator {
                    so_far.push_str(&line);
                    so_far.push('\n');
                    if so_far.len() > MOST_DATA {
                        self.open = None;
                        self.reply(TOO_BIG, "Data too big");
                    }
                    return true;
                }
                core::mem::take(so_far)
            }
        };
        if let Some(open) = self.open.take() {
            match open.what {
                What::Write => self.write(access, &open.handler, &data, read_only),
                What::Read => self.read(access, &open.handler, &data),
                What::Call => self.call(access, &open.handler),
            }
        }
        true
    }

    /// Takes a line off the input: it ends in CR, LF or both.
    fn line(&mut self) -> Option<String> {
        if self.after_return && self.input.first() == Some(&b'\n') {
            self.input.remove(0);
        }
        if !self.input.is_empty() {
            self.after_return = false;
        }
        let end = self.input.iter().position(|byte| b"\r\n".contains(byte));
        let Some(end) = end else {
            if self.input.len() > MOST_DATA {
                self.reply(TOO_BIG, "Line too long");
                self.closing = true;
            }
            return None;
        };
        self.after_return = self.input[end] == b'\r';
        let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
        self.input.drain(..=end);
        Some(line)
    }

    fn reply(&mut self, code: u32, text: &str) {
        let mut lines = text.lines().peekable();
        if lines.peek().is_none() {
            self.say(&format!("{code} \r\n"));
        }
        while let Some(line) = lines.next() {
            let mark = if lines.peek().is_some() { '-' } else { ' ' };
            self.say(&format!("{code}{mark}{line}\r\n"));
        }
    }

    fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    fn command(&mut self, access: &mut dyn HandlerAccess, line: &str, read_only: bool) {
        let (command, rest) = word(line);
        let (first, value) = word(rest);
        let command = command.to_ascii_uppercase();
        match command.as_str() {
            // An empty line is no command.
            "" => {}
            "READ" | "GET" if !first.is_empty() => self.read(access, first, value.trim_end()),
            "WRITE" | "SET" if !first.is_empty() => {
                self.write(access, first, value.trim_end(), read_only);
            }
            "CHECKREAD" if !first.is_empty() && value.is_empty() => {
                self.check(access, first, false, read_only);
            }
            "CHECKWRITE" if !first.is_empty() && value.is_empty() => {
                self.check(access, first, true, read_only);
            }
            "READDATA" => self.expect_bytes(&command, first, value, What::Read),
            "WRITEDATA" | "SETDATA" => self.expect_bytes(&command, first, value, What::Write),
            "READUNTIL" => self.expect_lines(first, value, What::Read),
            "WRITEUNTIL" => self.expect_lines(first, value, What::Write),
            "READ" | "GET" | "WRITE" | "SET" | "CHECKREAD" | "CHECKWRITE" => {
                self.reply(SYNTAX, "Wrong number of arguments");
            }
            "LLRPC" => self.expect_call(first, value),
            "HELP" => self.reply(OK, HELP),
            "QUIT" | "CLOSE" => {
                if !first.is_empty() {
                    self.reply(SYNTAX, "Bad command syntax");
                }
                self.reply(OK, "Goodbye!");
                self.closing = true;
            }
            _ => self.reply(UNIMPLEMENTED, &format!("Command '{command}' unimplemented")),
        }
    }

    fn expect_bytes(&mut self, command: &str, handler: &str, count: &str, what: What) {
        match count.trim().parse() {
            _ if handler.is_empty() || count.is_empty() => {
                self.reply(SYNTAX, "Wrong number of arguments");
            }
            Ok(count) if count <= MOST_DATA => {
                self.open = Some(Open {
                    handler: handler.into(),
                    what,
                    rest: Rest::Bytes(count),
                });
            }
            Ok(_) => {
                self.reply(TOO_BIG, "Data too big");
                self.closing = true;
            }
            Err(_) if word(count).1.is_empty() => {
                self.reply(SYNTAX, &format!("Syntax error in '{command}'"));
            }
            Err(_) => self.reply(SYNTAX, "Wrong number of arguments"),
        }
    }

    /// `LLRPC element#number [length]`
    fn expect_call(&mut self, call: &str, count: &str) {
        if call.is_empty() || !word(count).1.is_empty() {
            return self.reply(SYNTAX, "Wrong number of arguments");
        }
        let count = match count.trim() {
            "" => Ok(0),
            count => count.parse(),
        };
        match count {
            Ok(count) if count <= MOST_DATA => {
                self.open = Some(Open {
                    handler: call.into(),
                    what: What::Call,
                    rest: Rest::Bytes(count),
                });
            }
            Ok(_) => {
                self.reply(TOO_BIG, "Data too big");
                self.closing = true;
            }
            Err(_) => self.reply(SYNTAX, "Syntax error in 'llrpc'"),
        }
    }

    /// Elements here have no LLRPCs: none can be called.
    fn call(&mut self, access: &mut dyn HandlerAccess, call: &str) {
        let (element, number) = call.split_once('#').unwrap_or((call, ""));
        let Ok(number) = u32::from_str_radix(number, 16) else {
            let text = format!("Syntax error in LLRPC name '{call}'");
            return self.reply(SYNTAX, &text);
        };
        match access.check(&format!("{element}.name"), false) {
            // The upper half says how much data goes which way.
            Ok(()) if number >> 16 == 0 => {
                let text = format!("Cannot call LLRPC '{call}' remotely");
                self.reply(UNIMPLEMENTED, &text);
            }
            Ok(()) => {
                let text = format!("LLRPC '{call}' error: Invalid argument");
                self.reply(LLRPC_ERROR, &text);
            }
            Err(error) => self.refuse(access, "Read", &format!("{element}.name"), &error),
        }
    }

    fn expect_lines(&mut self, handler: &str, terminator: &str, what: What) {
        if handler.is_empty() {
            return self.reply(SYNTAX, "Wrong number of arguments");
        }
        self.open = Some(Open {
            handler: handler.into(),
            what,
            rest: Rest::Lines {
                terminator: terminator.trim().into(),
                so_far: String::new(),
            },
        });
    }

    fn read(&mut self, access: &mut dyn HandlerAccess, handler: &str, parameters: &str) {
        match access.read(handler, parameters) {
            Ok(value) => {
                self.reply(OK, &format!("Read handler '{handler}' OK"));
                self.say(&format!("DATA {}\r\n{value}", value.len()));
            }
            Err(error) => self.refuse(access, "Read", handler, &error),
        }
    }

    fn write(
        &mut self,
        access: &mut dyn HandlerAccess,
        handler: &str,
        value: &str,
        read_only: bool,
    ) {
        if read_only {
            // Who asks for what there is not is told that.
            return match access.check(handler, true) {
                Ok(()) => self.forbid(handler),
                Err(error) => self.refuse(access, "Write", handler, &error),
            };
        }
        match access.write_listening(handler, value) {
            Ok(said) if said.is_empty() => {
                self.reply(OK, &format!("Write handler '{handler}' OK"));
            }
            Ok(said) => {
                let said = said.join("\n");
                let (code, warned) = match said.contains("warning: ") {
                    true => (OK_WITH_WARNINGS, " with warnings"),
                    false => (OK, ""),
                };
                let text = format!("Write handler '{handler}' OK{warned}:\n{said}");
                self.reply(code, &text);
            }
            Err(error) => self.refuse(access, "Write", handler, &error),
        }
    }

    fn forbid(&mut self, handler: &str) {
        self.reply(PERMISSION, &format!("Permission denied for '{handler}'"));
    }

    fn refuse(
        &mut self,
        access: &dyn HandlerAccess,
        what: &str,
        handler: &str,
        error: &HandlerError,
    ) {
        match error {
            HandlerError::NoElement(name) => {
                self.reply(NO_ELEMENT, &format!("No element named '{name}'"));
            }
            HandlerError::NoHandler(_) | HandlerError::Malformed => {
                self.reply(NO_HANDLER, &access.missing(handler));
            }
            HandlerError::NotReadable(_) => {
                self.reply(PERMISSION, &format!("Handler '{handler}' write-only"));
            }
            HandlerError::NotWritable(_) => {
                self.reply(PERMISSION, &format!("Handler '{handler}' read-only"));
            }
            HandlerError::NoParameters(_) | HandlerError::Busy(_) | HandlerError::Failed(..) => {
                let code = match what {
                    "Read" => UNSPECIFIED,
                    _ => HANDLER_ERROR,
                };
                let why = format!("{error}");
                let text = match why.is_empty() {
                    true => format!("{what} handler '{handler}' error"),
                    false => format!("{what} handler '{handler}' error:\n{why}"),
                };
                self.reply(code, &text);
            }
        }
    }

    fn check(
        &mut self,
        access: &mut dyn HandlerAccess,
        handler: &str,
        writes: bool,
        read_only: bool,
    ) {
        let what = if writes { "Write" } else { "Read" };
        match access.check(handler, writes) {
            Ok(()) if writes && read_only => self.forbid(handler),
            Err(HandlerError::NotReadable(_)) => {
                self.reply(NO_HANDLER, &format!("Handler '{handler}' not readable"));
            }
            Err(HandlerError::NotWritable(_)) => {
                self.reply(NO_HANDLER, &format!("Handler '{handler}' not writable"));
            }
            Ok(()) => self.reply(OK, &format!("{what} handler '{handler}' OK")),
            Err(error) => self.refuse(access, what, handler, &error),
        }
    }
}

/// The first word of a line, and the rest without the space between.
fn word(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    match line.split_once(|letter: char| letter.is_ascii_whitespace()) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (line, ""),
    }
}
