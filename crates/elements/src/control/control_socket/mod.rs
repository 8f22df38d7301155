pub(super) mod protocol;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use sprat_click::arguments::ElementName;
use sprat_click::environment::{Connection, Listener};
use sprat_click::{
    Agent, Arguments, Class, Configuration, Configure, Context, Element, ElementId, HandlerError,
    HandlerList, Rejected,
};

use super::entrance::Entrance;
use protocol::{Conversation, Handlers};

pub(super) const CONTROL_SOCKET: Class = Class::of::<ControlSocket>("ControlSocket").ports("0/0");

/// ControlSocket: lets other programs read and write the router's handlers.
///
/// ```click
/// ControlSocket("TCP", PORT [, keywords READONLY, PROXY, LOCALHOST, VERBOSE, RETRIES])
/// ControlSocket("UNIX", FILENAME [, keywords])
/// ControlSocket("SOCKET", FD [, keywords])
/// ```
///
/// - PORT: the TCP port to listen on; with a `+` behind it, the first free one from there on.
/// - FILENAME: the Unix socket to listen on.
/// - FD: the descriptor at which whoever started the process has left a connection open.
/// - READONLY: whether handlers can only be read; false.
/// - LOCALHOST: whether only this machine can connect; false.
/// - PROXY: an element, such as a Script of TYPE PROXY, that answers for all handlers; none.
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
    entrance: Entrance,
    read_only: bool,
    /// The element that answers for handlers.
    proxy: Option<ElementId>,
    verbose: bool,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    listener: Option<Box<dyn Listener>>,
    clients: Vec<Client>,
}

struct Client {
    connection: Box<dyn Connection>,
    conversation: Conversation,
}

/// Bytes read at a time.
const CHUNK: usize = 4096;

impl Configure for ControlSocket {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let kind = Entrance::kind(arguments)?;
        let read_only = arguments.keyword("READONLY").unwrap_or(false);
        let proxy = arguments.keyword("PROXY");
        let proxy = proxy.and_then(|ElementName(name)| {
            let found = configuration.find(&name);
            if found.is_none() {
                arguments.error("PROXY: does not name an element");
            }
            found
        });
        let verbose = arguments.keyword("VERBOSE").unwrap_or(false);
        let entrance = Entrance::configure(arguments, &kind)?;
        Ok(Self {
            server: Rc::new(Server {
                entrance,
                read_only,
                proxy,
                verbose,
                state: RefCell::default(),
            }),
        })
    }
}

impl Server {
    /// Listens, or sees to it that it is tried again later.
    fn open(&self, context: &Context<'_>) -> Result<(), String> {
        self.state.borrow_mut().listener = self.entrance.open(context)?;
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

    fn advance(&self, context: &mut Context<'_>, client: &mut Client) -> bool {
        let proxy = self.proxy.map(|id| context.router().name(id).to_string());
        let mut handlers = Handlers { context, proxy };
        client.conversation.advance(&mut handlers, self.read_only)
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
        while !context.router().is_being_replaced() && self.advance(context, client) {}
        if ended && !context.router().is_being_replaced() {
            client.conversation.end();
            while self.advance(context, client) {}
        }
        while !client.conversation.output().is_empty() {
            match client.connection.write(client.conversation.output()) {
                Ok(Some(count)) => client.conversation.sent(count),
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        let silent = client.conversation.output().is_empty();
        let over = ended && !context.router().is_being_replaced();
        !(over || (client.conversation.is_closing() && silent))
    }
}

impl Agent for Server {
    fn run_timer(&self, context: &mut Context<'_>, _: usize) {
        if let Err(message) = self.open(context) {
            context.chatter(format_args!("{message}"));
            context.stop_driver();
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
        self.entrance.handlers(list);
    }

    fn read(&self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let state = self.state.borrow();
        self.entrance.read(state.listener.as_deref(), name)
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
        if let Some(old) = old.filter(|old| old.server.entrance.is_same(&self.server.entrance)) {
            let state = core::mem::take(&mut *old.server.state.borrow_mut());
            *self.server.state.borrow_mut() = state;
        } else if let Err(message) = self.server.open(context) {
            context.chatter(format_args!("{message}"));
        }
    }

    fn cleanup(&mut self, _: &mut Context<'_>) {
        *self.server.state.borrow_mut() = State::default();
    }
}
