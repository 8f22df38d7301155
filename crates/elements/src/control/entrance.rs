//! Where ControlSocket and ChatterSocket wait for clients.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use sprat_click::environment::{AccessError, Connection, Listener, SocketAddress};
use sprat_click::{Arguments, Context, HandlerError, HandlerList, Rejected};

/// A place to listen on, and how often that is tried.
pub(super) struct Entrance {
    place: Place,
    retries: u32,
    retry_warnings: bool,
    tries: Cell<u32>,
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
    /// A connection that is there already.
    Descriptor(i32),
}

/// Has one client, who need not come.
struct Inherited(Option<Box<dyn Connection>>);

impl Listener for Inherited {
    fn accept(&mut self) -> Result<Option<Box<dyn Connection>>, AccessError> {
        Ok(self.0.take())
    }

    fn port(&self) -> Option<u16> {
        None
    }
}

/// How many ports are tried where a later one will do.
const PORTS: u16 = 100;

/// The name of a Unix socket must be shorter than this: sockaddr_un, unix(7).
const LONGEST: usize = 108;

impl Entrance {
    /// Reads TYPE, which is done first.
    pub(super) fn kind(arguments: &mut Arguments<'_>) -> Result<String, Rejected> {
        let kind = arguments.required::<String>("TYPE")?;
        Ok(kind.to_ascii_uppercase())
    }

    /// Reads PORT or FILENAME, LOCALHOST, RETRIES and RETRY_WARNINGS, after which no argument may be
    /// left. Nothing more is looked at where keywords are wrong.
    pub(super) fn configure(arguments: &mut Arguments<'_>, kind: &str) -> Result<Self, Rejected> {
        let local = arguments.keyword("LOCALHOST").unwrap_or(false);
        let retries = arguments.keyword("RETRIES").unwrap_or(0);
        let retry_warnings = arguments.keyword("RETRY_WARNINGS").unwrap_or(true);
        arguments.check()?;
        let place = match kind {
            "TCP" => {
                let address = arguments.required::<String>("PORT");
                arguments.finish()?;
                let address = address?;
                let (number, or_later) = match address.strip_suffix('+') {
                    Some(number) => (number, true),
                    None => (address.as_str(), false),
                };
                let port = number.parse().ok();
                let Some(port) = port.filter(|port| !or_later || *port > 0) else {
                    return Err(arguments.error("PORT requires TCP port"));
                };
                Place::Tcp {
                    port,
                    or_later,
                    local,
                }
            }
            "UNIX" => {
                let path = arguments.required::<String>("FILENAME");
                arguments.finish()?;
                let path = path?;
                if path.len() >= LONGEST {
                    return Err(arguments.error("filename too long"));
                }
                Place::Unix(path)
            }
            "SOCKET" => {
                let descriptor = arguments.required("FD");
                arguments.finish()?;
                Place::Descriptor(descriptor?)
            }
            _ => return Err(arguments.error(format!("unknown socket type '{kind}'"))),
        };
        Ok(Self {
            place,
            retries,
            retry_warnings,
            tries: Cell::new(0),
        })
    }

    /// Whether both are the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place
    }

    fn listen(&self, context: &Context<'_>) -> Result<Box<dyn Listener>, AccessError> {
        let environment = context.environment();
        match &self.place {
            Place::Descriptor(descriptor) => {
                let connection = environment.inherited(*descriptor)?;
                Ok(Box::new(Inherited(Some(connection))))
            }
            Place::Unix(path) => environment.listen(&SocketAddress::Unix(path.clone())),
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
                        other => return other,
                    }
                }
            }
        }
    }

    /// Listens; or has timer 0 expire when it is to be tried again, and gives nothing.
    ///
    /// # Errors
    /// It was the last try.
    pub(super) fn open(&self, context: &Context<'_>) -> Result<Option<Box<dyn Listener>>, String> {
        let error = match self.listen(context) {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) => error,
        };
        let what = format!("bind: {error}");
        let left = self.retries.saturating_sub(self.tries.get());
        if left == 0 {
            return Err(what);
        }
        self.tries.set(self.tries.get() + 1);
        if self.retry_warnings {
            let tries = if left == 1 { "try" } else { "tries" };
            context.chatter(format_args!("warning: {what} ({left} {tries} left)"));
        }
        context.set_timer_after(0, Duration::from_secs(1));
        Ok(None)
    }

    pub(super) fn handlers(&self, list: &mut HandlerList) {
        match &self.place {
            Place::Tcp { .. } => {
                list.read("port");
            }
            Place::Unix(_) => {
                list.read("filename");
            }
            Place::Descriptor(_) => {}
        }
    }

    pub(super) fn read(
        &self,
        listener: Option<&dyn Listener>,
        name: &str,
    ) -> Result<String, HandlerError> {
        match (name, &self.place) {
            ("port", Place::Tcp { port, .. }) => {
                let found = listener.and_then(Listener::port);
                Ok(found.unwrap_or(*port).to_string())
            }
            ("filename", Place::Unix(path)) => Ok(path.clone()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
