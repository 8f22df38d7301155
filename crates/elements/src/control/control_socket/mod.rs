mod protocol;

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::{Ipv4Addr, SocketAddr};

use sprat_click::environment::{AccessError, Connection, Listener, SocketAddress};
use sprat_click::{
    Agent, Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};

use protocol::Conversation;

pub(super) const CONTROL_SOCKET: Class = Class::of::<ControlSocket>("ControlSocket").ports("0/0");

/// ControlSocket: lets other programs read and write the router's handlers.
///
/// ```click
/// ControlSocket("TCP", PORT [, keywords READONLY, LOCALHOST, VERBOSE, RETRIES])
/// ControlSocket("UNIX", FILENAME [, keywords])
/// ```
///
/// - PORT: the TCP port to listen on; with a `+` behind it, the first free one from there on.
/// - FILENAME: the Unix socket to listen on.
/// - READONLY: whether handlers can only be read; false.
/// - LOCALHOST: whether only this machine can connect; false.
/// - VERBOSE: whether connections are reported; false.
/// - RETRIES, RETRY_WARNINGS: how often to try again where the port is taken, a second between
///   tries, and whether to say so; 0 and true.
///
/// Speaks the line protocol Click::ControlSocket/1.3: `READ`, `READDATA`, `READUNTIL`, `WRITE`,
/// `WRITEDATA`, `WRITEUNTIL`, `CHECKREAD`, `CHECKWRITE`, `HELP`, `QUIT`. Clients stay connected
/// when another configuration takes the router's place, where that has a ControlSocket of the
/// same name and address.
///
/// Handlers: `port` (read), for TCP; `filename` (read), for Unix sockets.
///
/// See Click's manual page ControlSocket(n).
struct ControlSocket {
    server: Rc<Server>,
}

/// What a control socket is made of.
struct Server {
    place: Place,
    read_only: bool,
    verbose: bool,
    retries: u32,
    retry_warnings: bool,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    listener: Option<Box<dyn Listener>>,
    clients: Vec<Client>,
    tries: u32,
}

struct Client {
    connection: Box<dyn Connection>,
    conversation: Conversation,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp {
        port: u16,
        /// Whether a later port will do.
        or_later: bool,
        local: bool,
    },
    Unix(String),
}

/// How many ports are tried where a later one will do.
const PORTS: u16 = 100;

/// Bytes read at a time.
const CHUNK: usize = 4096;

impl Configure for ControlSocket {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let kind = arguments.required::<String>("TYPE");
        let address = arguments.required::<String>("ADDRESS");
        let read_only = arguments.keyword("READONLY").unwrap_or(false);
        let local = arguments.keyword("LOCALHOST").unwrap_or(false);
        let verbose = arguments.keyword("VERBOSE").unwrap_or(false);
        let retries = arguments.keyword("RETRIES").unwrap_or(0);
        let retry_warnings = arguments.keyword("RETRY_WARNINGS").unwrap_or(true);
        arguments.finish()?;
        let (kind, address) = (kind?, address?);
        let place = match kind.to_ascii_uppercase().as_str() {
            "TCP" => {
                let (port, or_later) = match address.strip_suffix('+') {
                    Some(port) => (port, true),
                    None => (address.as_str(), false),
                };
                let Ok(port) = port.parse() else {
                    return Err(arguments.error(format!("bad port number '{address}'")));
                };
                Place::Tcp {
                    port,
                    or_later,
                    local,
                }
            }
            "UNIX" => Place::Unix(address),
            _ => return Err(arguments.error(format!("unknown socket type '{kind}'"))),
        };
        Ok(Self {
            server: Rc::new(Server {
                place,
                read_only,
                verbose,
                retries,
                retry_warnings,
                state: RefCell::default(),
            }),
        })
    }
}

impl Server {
    fn listen(&self, context: &Context<'_>) -> Result<(), AccessError> {
        let environment = context.environment();
        let listener = match &self.place {
            Place::Unix(path) => environment.listen(&SocketAddress::Unix(path.clone()))?,
            Place::Tcp {
                port,
                or_later,
                local,
            } => {
                let host = match local {
                    true => Ipv4Addr::LOCALHOST,
                    false => Ipv4Addr::UNSPECIFIED,
                };
                let mut port = *port;
                let last = match or_later {
                    true => port.saturating_add(PORTS),
                    false => port,
                };
                loop {
                    let address = SocketAddr::from((host, port));
                    match environment.listen(&SocketAddress::Tcp(address)) {
                        Err(AccessError::System(_)) if port < last => port += 1,
                        other => break other?,
                    }
                }
            }
        };
        self.state.borrow_mut().listener = Some(listener);
        Ok(())
    }

    /// Listens, or sees to it that it is tried again later.
    fn open(&self, context: &Context<'_>) -> Result<(), String> {
        let Err(error) = self.listen(context) else {
            return Ok(());
        };
        let what = match &self.place {
            Place::Tcp { port, .. } => format!("cannot listen on TCP port {port}: {error}"),
            Place::Unix(path) => format!("cannot listen on '{path}': {error}"),
        };
        let tries = self.state.borrow().tries;
        if tries >= self.retries {
            return Err(what);
        }
        self.state.borrow_mut().tries = tries + 1;
        if self.retry_warnings {
            context.chatter(format_args!("{}: {what}, will try again", context.name()));
        }
        context.set_timer_after(0, core::time::Duration::from_secs(1));
        Ok(())
    }

    fn accept(&self, context: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        let State {
            listener, clients, ..
        } = &mut *state;
        while let Some(Ok(Some(connection))) = listener.as_mut().map(|listener| listener.accept()) {
            if self.verbose {
                context.chatter(format_args!("{}: opened connection", context.name()));
            }
            clients.push(Client {
                connection,
                conversation: Conversation::new(),
            });
        }
    }

    /// Does what one client asks for; false where it is gone.
    fn serve(&self, context: &mut Context<'_>, client: &mut Client) -> bool {
        let mut buffer = [0; CHUNK];
        let mut ended = false;
        loop {
            match client.connection.read(&mut buffer) {
                Ok(None) => break,
                Ok(Some(0)) | Err(_) => {
                    ended = true;
                    break;
                }
                Ok(Some(count)) => client.conversation.receive(&buffer[..count]),
            }
        }
        // What comes after a change of configurations is for the new one to answer.
        while !context.router().is_being_replaced()
            && client.conversation.advance(context, self.read_only)
        {}
        while !client.conversation.output().is_empty() {
            match client.connection.write(client.conversation.output()) {
                Ok(Some(count)) => client.conversation.sent(count),
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        let silent = client.conversation.output().is_empty();
        let over = ended && !context.router().is_being_replaced();
        !(over || (client.conversation.closing && silent))
    }
}

impl Agent for Server {
    fn run_timer(&self, context: &mut Context<'_>, _: usize) {
        if let Err(message) = self.open(context) {
            context.chatter(format_args!("{}: {message}", context.name()));
        }
    }

    fn run_io(&self, context: &mut Context<'_>) {
        self.accept(context);
        // A handler may come back here, so nothing is borrowed while one is called.
        let clients = core::mem::take(&mut self.state.borrow_mut().clients);
        for mut client in clients {
            if self.serve(context, &mut client) {
                self.state.borrow_mut().clients.push(client);
            } else if self.verbose {
                context.chatter(format_args!("{}: closed connection", context.name()));
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        match &self.place {
            Place::Tcp { .. } => list.read("port"),
            Place::Unix(_) => list.read("filename"),
        };
    }

    fn read(&self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match (name, &self.place) {
            ("port", Place::Tcp { port, .. }) => {
                let state = self.state.borrow();
                let listener = state.listener.as_ref();
                let found = listener.and_then(|listener| listener.port());
                Ok(found.unwrap_or(*port).to_string())
            }
            ("filename", Place::Unix(path)) => Ok(path.clone()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

impl Element for ControlSocket {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.watch();
        if context.inherits() {
            return Ok(());
        }
        self.server
            .open(context)
            .map_err(|message| context.error(message))
    }

    fn agent(&self) -> Option<Rc<dyn Agent>> {
        Some(self.server.clone())
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        let old = old.downcast_mut::<Self>();
        if let Some(old) = old.filter(|old| old.server.place == self.server.place) {
            let state = core::mem::take(&mut *old.server.state.borrow_mut());
            *self.server.state.borrow_mut() = state;
        } else if let Err(message) = self.server.open(context) {
            context.chatter(format_args!("{}: {message}", context.name()));
        }
    }

    fn cleanup(&mut self, _: &mut Context<'_>) {
        *self.server.state.borrow_mut() = State::default();
    }
}
