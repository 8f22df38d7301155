use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use sprat_click::environment::{Connection, Listener};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList, Phase,
    Rejected,
};

use super::entrance::Entrance;

pub(super) const CHATTER_SOCKET: Class = Class::of::<ChatterSocket>("ChatterSocket")
    .ports("0/0")
    .phase(Phase::Information);

/// ChatterSocket: lets other programs hear what the router says.
///
/// ```click
/// ChatterSocket("TCP", PORT [, keywords CHANNEL, QUIET_CHANNEL, GREETING, RETRIES, RETRY_WARNINGS])
/// ChatterSocket("UNIX", FILENAME [, keywords])
/// ```
///
/// Whatever elements report while the router runs (and `Print` shows) goes to every client too. A
/// client that falls 500,000 bytes behind is cut off. Clients stay connected when another
/// configuration takes the router's place, where that has a ChatterSocket of the same name and
/// address.
///
/// - PORT, FILENAME: where to listen, as for ControlSocket.
/// - GREETING: whether clients are told `Click::ChatterSocket/1.0` first; true.
/// - RETRIES, RETRY_WARNINGS, LOCALHOST: as for ControlSocket.
/// - CHANNEL, QUIET_CHANNEL: understood, but there is one channel only, and it is never quiet.
///
/// Handlers: `port` (read), for TCP; `filename` (read), for Unix sockets.
///
/// See Click's manual page ChatterSocket(n).
struct ChatterSocket {
    entrance: Entrance,
    greeting: bool,
    listener: Option<Box<dyn Listener>>,
    clients: Vec<Client>,
    heard: Rc<RefCell<String>>,
}

struct Client {
    connection: Box<dyn Connection>,
    /// What it has not taken yet.
    backlog: Vec<u8>,
}

const GREETING: &[u8] = b"Click::ChatterSocket/1.0\r\n";

/// How far a client may fall behind.
const MOST_BACKLOG: usize = 500_000;

impl Configure for ChatterSocket {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let kind = Entrance::kind(arguments)?;
        let greeting = arguments.keyword("GREETING").unwrap_or(true);
        arguments.keyword::<String>("CHANNEL");
        arguments.keyword::<bool>("QUIET_CHANNEL");
        Ok(Self {
            entrance: Entrance::configure(arguments, &kind)?,
            greeting,
            listener: None,
            clients: Vec::new(),
            heard: Rc::default(),
        })
    }
}

impl Client {
    /// Sends what there is room for; false where the client is gone, or too slow.
    fn serve(&mut self) -> bool {
        // Clients have nothing to say, but that they are gone.
        let mut nothing = [0; 64];
        while let Ok(Some(count)) = self.connection.read(&mut nothing) {
            if count == 0 {
                return false;
            }
        }
        while !self.backlog.is_empty() {
            match self.connection.write(&self.backlog) {
                Ok(Some(count)) => drop(self.backlog.drain(..count)),
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        self.backlog.len() <= MOST_BACKLOG
    }
}

impl ChatterSocket {
    fn open(&mut self, context: &Context<'_>) -> Result<(), String> {
        self.listener = self.entrance.open(context)?;
        Ok(())
    }

    fn serve(&mut self) {
        while let Some(Ok(Some(connection))) =
            self.listener.as_mut().map(|listener| listener.accept())
        {
            self.clients.push(Client {
                connection,
                backlog: if self.greeting {
                    GREETING.into()
                } else {
                    Vec::new()
                },
            });
        }
        let heard = core::mem::take(&mut *self.heard.borrow_mut());
        self.clients.retain_mut(|client| {
            client.backlog.extend_from_slice(heard.as_bytes());
            client.serve()
        });
    }
}

impl Element for ChatterSocket {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.watch();
        context.listen_to_chatter(self.heard.clone());
        if context.inherits() {
            return Ok(());
        }
        self.open(context).map_err(|message| context.error(message))
    }

    fn run_timer(&mut self, context: &mut Context<'_>, timer: usize) {
        if timer != 0 {
            return self.serve();
        }
        if let Err(message) = self.open(context) {
            context.chatter(format_args!("{message}"));
            context.stop_driver();
        }
    }

    fn run_io(&mut self, _: &mut Context<'_>) {
        self.serve();
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.entrance.handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.entrance.read(self.listener.as_deref(), name)
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        let old = old.downcast_mut::<Self>();
        if let Some(old) = old.filter(|old| old.entrance.is_same(&self.entrance)) {
            self.listener = old.listener.take();
            self.clients = core::mem::take(&mut old.clients);
        } else if let Err(message) = self.open(context) {
            context.chatter(format_args!("{message}"));
        }
    }

    /// The last words reach the clients too.
    fn cleanup(&mut self, _: &mut Context<'_>) {
        self.serve();
    }
}
