use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, Names};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::route::{Route, RouteName};
use super::table::{RoutePlace, RouteTable};

pub(super) const RADIX: Class = Class::of::<IPLookup>("RadixIPLookup")
    .ports("1/-")
    .processing("h/h");
pub(super) const DIRECT: Class = RADIX.named("DirectIPLookup");
pub(super) const RANGE: Class = RADIX.named("RangeIPLookup");
pub(super) const LINEAR: Class = RADIX.named("LinearIPLookup");
pub(super) const SORTED: Class = RADIX.named("SortedIPLookup");
pub(super) const STATIC: Class = RADIX.named("StaticIPLookup");

/// RadixIPLookup: an IPv4 routing table; also DirectIPLookup, RangeIPLookup and the other names.
///
/// ```click
/// RadixIPLookup(ADDR1/MASK1 [GW1] OUT1, ADDR2/MASK2 [GW2] OUT2, ...)
/// ```
///
/// Looks the destination annotation up, by longest prefix. A packet whose route has a gateway GW
/// gets GW as its destination annotation; then it leaves by output OUT. A packet without a route
/// is dropped. `GetIPAddress` or `CheckIPHeader` set the annotation.
///
/// DirectIPLookup, RangeIPLookup, LinearIPLookup, SortedIPLookup and StaticIPLookup are other names for it.
/// One table stands behind them all, a trie that reads at most four words an address
/// whatever the number of routes; see `table.rs`. Masks must be prefixes. Of two routes of a prefix
/// the later counts, with a warning.
///
/// Handlers: `table` (read) the routes, a line each, in the order in which they came; a new one
/// takes the place of one that was removed. `lookup` (read, with an address) its output and gateway,
/// `-1` if none. All but StaticIPLookup have also `add` (write) `ADDR/MASK [GW] OUT`, which fails
/// with status -17 if the prefix has a route; `set` (write), which replaces one; `remove` (write)
/// `ADDR/MASK [[GW] OUT]`, with status -2 if there is none such; `ctrl` (write) a line `add`, `set`
/// or `remove` with its route each, of which all are done or none; `flush` (write) removes all routes.
///
/// See Click's manual pages IPRouteTable(n) and RadixIPLookup(n).
pub(crate) struct IPLookup {
    table: RouteTable,
    outputs: usize,
    changeable: bool,
    /// Who reports packets without a route.
    reporter: &'static str,
    /// Packets without a route so far; the first few are reported.
    lost: u64,
    /// The places found for the packets of a batch; kept for its memory.
    places: Vec<RoutePlace>,
}

/// How many packets without a route are reported.
const REPORTED: u64 = 5;

/// The statuses of commands that do not fit what is there: EEXIST and ENOENT.
const EXISTS: i32 = -17;
const MISSING: i32 = -2;

/// A refusal with a status of its own.
fn refusal(message: String, status: i32) -> HandlerError {
    HandlerError::Failed(Vec::from([message]), status)
}

/// What to do with a route.
#[derive(Clone, Copy)]
enum Command {
    Add,
    Set,
    Remove,
}

/// How a command is taken back.
enum Undo {
    Restore(Route),
    Remove(Route),
}

impl Configure for IPLookup {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let linear = matches!(
            class,
            "LinearIPLookup" | "StaticIPLookup" | "SortedIPLookup"
        );
        if class == "SortedIPLookup" {
            arguments.warning(
                "SortedIPLookup is deprecated; use LinearIPLookup or RadixIPLookup instead",
            );
        }
        let mut table = RouteTable::new(linear);
        let mut replaced = 0;
        for (number, text) in arguments.rest().iter().enumerate() {
            match Route::parse(text, arguments.names()) {
                None => {
                    arguments.error(format!(
                        "argument {} should be 'ADDR/MASK [GATEWAY] OUTPUT'",
                        number + 1
                    ));
                }
                Some(route) if usize::from(route.port) >= configuration.outputs() => {
                    arguments.error(format!("argument {} bad OUTPUT", number + 1));
                }
                Some(route) => replaced += usize::from(table.set(route).is_some()),
            }
        }
        if replaced > 0 {
            let routes = if replaced > 1 { "routes" } else { "route" };
            arguments.warning(format!("{replaced} {routes} replaced by later versions"));
        }
        arguments.finish()?;
        Ok(Self {
            table,
            outputs: configuration.outputs(),
            changeable: class != "StaticIPLookup",
            reporter: if linear {
                "LinearIPLookup"
            } else {
                "IPRouteTable"
            },
            lost: 0,
            places: Vec::new(),
        })
    }
}

impl IPLookup {
    /// Whether a class is one of these.
    pub(crate) fn is_class(name: &str) -> bool {
        super::CLASSES.iter().any(|class| class.name == name)
    }

    /// Whether there is a route for an address.
    pub(crate) fn has_route(&self, address: Ipv4Addr) -> bool {
        self.table.lookup(address).is_some()
    }

    fn is_beyond(&self, port: u16) -> bool {
        usize::from(port) >= self.outputs
    }

    fn execute(
        &mut self,
        command: Command,
        text: &str,
        names: &dyn Names,
    ) -> Result<Undo, HandlerError> {
        match command {
            Command::Remove => {
                let name = RouteName::parse(text, names)
                    .ok_or_else(|| HandlerError::failed("expected 'ADDR/MASK [GATEWAY OUTPUT]'"))?;
                if name.port.is_some_and(|port| self.is_beyond(port)) {
                    return Err(HandlerError::failed("bad OUTPUT"));
                }
                match self.table.find(name.prefix, name.length) {
                    Some(route) if name.means(route) => {
                        let route = *route;
                        self.table.remove(name.prefix, name.length);
                        Ok(Undo::Restore(route))
                    }
                    _ => Err(refusal(format!("route '{name}' not found"), MISSING)),
                }
            }
            Command::Add | Command::Set => {
                let route = Route::parse(text, names)
                    .ok_or_else(|| HandlerError::failed("expected 'ADDR/MASK [GATEWAY] OUTPUT'"))?;
                if self.is_beyond(route.port) {
                    return Err(HandlerError::failed("bad OUTPUT"));
                }
                if let (Command::Add, Some(known)) =
                    (command, self.table.find(route.prefix, route.length))
                {
                    let message = format!("conflict with existing route '{known}'");
                    return Err(refusal(message, EXISTS));
                }
                Ok(match self.table.set(route) {
                    Some(old) => Undo::Restore(old),
                    None => Undo::Remove(route),
                })
            }
        }
    }

    fn control(&mut self, text: &str, names: &dyn Names) -> Result<(), HandlerError> {
        let mut undo = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, route) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let done = match word {
                "add" => self.execute(Command::Add, route, names),
                "set" => self.execute(Command::Set, route, names),
                "remove" => self.execute(Command::Remove, route, names),
                _ => Err(HandlerError::failed(format!("bad command '{word}'"))),
            };
            match done {
                Ok(step) => undo.push(step),
                Err(error) => {
                    for step in undo.into_iter().rev() {
                        let _ = match step {
                            Undo::Restore(route) => self.table.set(route),
                            Undo::Remove(route) => self.table.remove(route.prefix, route.length),
                        };
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn list(&self) -> String {
        let mut text = String::new();
        for route in self.table.by_place() {
            route.write_row(&mut text);
        }
        text
    }

    fn report(&self, address: Ipv4Addr) -> String {
        match self.table.lookup(address) {
            None => "-1".into(),
            Some(route) if route.gateway.is_unspecified() => route.port.to_string(),
            Some(route) => format!("{} {}", route.port, route.gateway),
        }
    }
}

impl Element for IPLookup {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        // All lookups before all else, so that the processor has many of their loads under way at once.
        self.places.clear();
        self.places.extend(
            batch
                .iter()
                .map(|packet| self.table.place(packet.annotations().destination())),
        );
        let mut lost = 0;
        for (mut packet, place) in batch.drain().zip(&self.places) {
            match self.table.route(*place) {
                Some(route) => {
                    if !route.gateway.is_unspecified() {
                        packet.set_destination(route.gateway);
                    }
                    context.emit(usize::from(route.port), packet);
                }
                None => {
                    lost += 1;
                    if self.lost + lost <= REPORTED {
                        let destination = packet.annotations().destination();
                        context.chatter(format_args!(
                            "{}: no route for {destination}",
                            self.reporter
                        ));
                    }
                }
            }
        }
        self.lost += lost;
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("table").read_with_parameters("lookup");
        if self.changeable {
            list.write("add")
                .write("set")
                .write("remove")
                .write("ctrl")
                .button("flush");
        }
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "table" => Ok(self.list()),
            "lookup" => match Ipv4Addr::parse(parameters.trim(), &context.names()) {
                Ok(address) => Ok(self.report(address)),
                Err(_) => Err(HandlerError::failed("expected IP address")),
            },
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let command = match name {
            "add" => Command::Add,
            "set" => Command::Set,
            "remove" => Command::Remove,
            "ctrl" => return self.control(value, &context.names()),
            "flush" => {
                self.table.clear();
                return Ok(());
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        };
        self.execute(command, value, &context.names()).map(drop)
    }
}
