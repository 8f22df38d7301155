//! A rewriter's handlers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Arguments, Names, TcpPort};
use sprat_click::{Context, HandlerError, HandlerList, Instant};
use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::protocol::{TCP, UDP};

use super::listing::Listing;
use super::{Kind, Rewriter};
use crate::nat::flow_table::{Direction, FlowId};
use crate::nat::input_spec::InputSpec;

impl Rewriter {
    pub(super) fn list_handlers(&self, list: &mut HandlerList) {
        let tables: &[&'static str] = match self.kind {
            Kind::Ip => &[
                "tcp_table",
                "udp_table",
                "tcp_mappings",
                "udp_mappings",
                "table",
                "mappings",
            ],
            _ => &["table", "mappings"],
        };
        for name in tables {
            list.read(*name);
        }
        let lookups: &[&'static str] = match self.kind {
            Kind::Ip => &["tcp_lookup", "udp_lookup"],
            Kind::Tcp | Kind::Udp => &["lookup"],
            _ => &[],
        };
        for name in lookups {
            list.read_with_parameters(*name);
        }
        for name in [
            "nmappings",
            "mapping_failures",
            "patterns",
            "size",
            "table_size",
        ] {
            list.read(name);
        }
        list.read_write("capacity").button("clear");
        for number in 0..self.specs.len() {
            list.read_write(format!("pattern{number}"));
        }
    }

    pub(super) fn read_handler(
        &self,
        context: &Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        let now = context.now();
        let table = self.table.borrow();
        let owners = || (0..self.specs.len()).map(|input| table.owner(self.owner(input)));
        let sum = |numbers: &mut dyn Iterator<Item = u32>| {
            numbers.map(u64::from).sum::<u64>().to_string()
        };
        match name {
            "tcp_table" | "tcp_mappings" => Ok(self.table_text(Some(TCP), now)),
            "udp_table" | "udp_mappings" => Ok(self.table_text(Some(UDP), now)),
            "table" | "mappings" => Ok(self.table_text(None, now)),
            "udp_lookup" => self.lookup(context, parameters, UDP),
            "lookup" if self.kind == Kind::Udp => self.lookup(context, parameters, UDP),
            "tcp_lookup" | "lookup" => self.lookup(context, parameters, TCP),
            "nmappings" | "table_size" => Ok(sum(&mut owners().map(|owner| owner.flows))),
            "mapping_failures" => Ok(sum(&mut owners().map(|owner| owner.failures))),
            "size" => Ok(table.len().to_string()),
            "capacity" => Ok(table.capacity.to_string()),
            "patterns" => Ok((0..self.specs.len())
                .map(|input| self.pattern_text(input))
                .collect()),
            _ => match self.numbered(name) {
                Some(input) => Ok(self.pattern_text(input)),
                None => Err(HandlerError::NoHandler(name.into())),
            },
        }
    }

    /// The input that a handler such as `pattern2` is about.
    fn numbered(&self, name: &str) -> Option<usize> {
        name.strip_prefix("pattern")?
            .parse()
            .ok()
            .filter(|number| *number < self.specs.len())
    }

    /// An input's specification, and how many flows it has.
    fn pattern_text(&self, input: usize) -> String {
        match self.table.borrow().owner(self.owner(input)).flows {
            0 => format!("{}\n", self.specs[input]),
            flows => format!("{} [{flows}]\n", self.specs[input]),
        }
    }

    pub(super) fn write_handler(
        &mut self,
        context: &Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "clear" => {
                self.table.borrow_mut().retain(context.now(), |_| false);
                Ok(())
            }
            "capacity" => {
                let names = context.names();
                let mut arguments = Arguments::from_words(value, &names);
                let capacity = arguments.required("CAPACITY");
                let finished = arguments.finish();
                let Ok(capacity) = finished.and(capacity) else {
                    return Err(crate::handler_value::complaints(&arguments));
                };
                let now = context.now();
                self.table.borrow_mut().set_capacity(capacity, now);
                Ok(())
            }
            _ => {
                let Some(input) = self.numbered(name) else {
                    return Err(HandlerError::NoHandler(name.into()));
                };
                let spec =
                    InputSpec::parse(value, context, context.outputs()).map_err(|message| {
                        HandlerError::failed(format!("input spec {input}: {message}"))
                    })?;
                self.set_spec(input, spec, context.now());
                Ok(())
            }
        }
    }

    /// The flows of a protocol, two lines each, forward and in reply: in the order in which Click
    /// lists them where none has ended yet.
    fn table_text(&self, protocol: Option<u8>, now: Instant) -> String {
        let table = self.table.borrow();
        let wanted = |key: FlowKey| protocol.is_none_or(|number| key.protocol() == number);
        let mut ids: Vec<FlowId> = table
            .iter(Some(self.share.space))
            .filter(|(_, flow)| wanted(flow.carried(Direction::Forward)))
            .map(|(id, _)| id)
            .collect();
        sprat_click::collections::sort(&mut ids);
        let mut listing = Listing::new();
        for id in ids {
            let [forward, reply] = [Direction::Forward, Direction::Reply]
                .map(|way| self.click_key(&table.flow(id).carried(way), way));
            // Of a flow that answers itself Click keeps the reply.
            if forward != reply {
                listing.insert(forward, (id, Direction::Forward));
            }
            listing.insert(reply, (id, Direction::Reply));
            listing.balance();
        }
        let mut text = String::new();
        for (id, direction) in listing.entries() {
            self.write_flow(&mut text, id, direction, now);
        }
        text
    }

    /// By what Click tells packets of a flow from others.
    fn click_key(&self, key: &FlowKey, direction: Direction) -> AddressesAndPorts {
        let mut tuple = key.tuple();
        if self.kind == Kind::Ping {
            // The identifier, and one more than it, which Click adds in the order of bytes of the
            // machines it runs on.
            let identifier = tuple.source_port | tuple.destination_port;
            let next = identifier.swap_bytes().wrapping_add(1).swap_bytes();
            (tuple.source_port, tuple.destination_port) = match direction {
                Direction::Forward => (identifier, next),
                Direction::Reply => (next, identifier),
            };
        }
        tuple
    }

    /// One line of the table, as Click writes it: what packets carry, what they are given, where
    /// they go (with a star), the input, and in how many seconds the flow will have lived out its
    /// time.
    fn write_flow(&self, text: &mut String, id: FlowId, direction: Direction, now: Instant) {
        let table = self.table.borrow();
        let flow = table.flow(id);
        let (from, to) = (flow.carried(direction), flow.given(direction));
        // Writing to a string cannot fail.
        let _ = match self.kind {
            Kind::Address => match direction {
                Direction::Forward => write!(text, "{} => {}", from.source(), to.source()),
                Direction::Reply => write!(text, "{} => {}", from.destination(), to.destination()),
            },
            _ => write!(
                text,
                "({}) => ({})",
                self.key_text(&from, direction),
                self.key_text(&to, direction)
            ),
        };
        match table.latest_shift(id, direction) {
            0 => {}
            shift => {
                let _ = write!(text, " seq {shift:+}");
            }
        }
        let [forward, reply] = flow.outputs;
        let (there, back) = match direction {
            Direction::Forward => ("*", ""),
            Direction::Reply => ("", "*"),
        };
        // To the nearest second, of numbers without sign.
        let milliseconds = |moment: Instant| {
            let low = (moment.0 / 1_000_000) & u64::from(u32::MAX);
            u32::try_from(low).unwrap_or(0)
        };
        let left = (milliseconds(table.expiry(id)).wrapping_add(500))
            .wrapping_sub(milliseconds(now))
            / 1000;
        let _ = writeln!(
            text,
            " [{there}{forward} {back}{reply}] i{} exp{left}",
            flow.owner - self.share.owner
        );
    }

    /// What a key stands for in this kind of rewriter.
    fn key_text(&self, key: &FlowKey, direction: Direction) -> String {
        let (source, destination) = (key.source(), key.destination());
        let (source_port, destination_port) = (key.source_port(), key.destination_port());
        match self.kind {
            Kind::Ping => {
                let shown = self.click_key(key, direction).source_port;
                format!("{source}, {destination}, {shown}")
            }
            Kind::AddressPair => format!("{source}, {destination}"),
            _ => format!("{source}, {source_port}, {destination}, {destination_port}"),
        }
    }

    /// What packets of a flow become, `SADDR SPORT DADDR DPORT` as it is given; nothing where no
    /// such flow is known.
    fn lookup(
        &self,
        context: &Context<'_>,
        parameters: &str,
        protocol: u8,
    ) -> Result<String, HandlerError> {
        let key = lookup_key(parameters, &context.names(), protocol)?;
        let Some(entry) = self.find(&key) else {
            return Ok(String::new());
        };
        let table = self.table.borrow();
        let new = table.flow(entry.id()).given(entry.direction());
        Ok(format!(
            "{} {} {} {}",
            new.source(),
            new.source_port(),
            new.destination(),
            new.destination_port()
        ))
    }
}

fn lookup_key(parameters: &str, names: &dyn Names, protocol: u8) -> Result<FlowKey, HandlerError> {
    let mut arguments = Arguments::from_words(parameters, names);
    let source = arguments.required::<Ipv4Addr>("SADDR");
    let source_port = arguments.required::<TcpPort>("SPORT");
    let destination = arguments.required::<Ipv4Addr>("DADDR");
    let destination_port = arguments.required::<TcpPort>("DPORT");
    let finished = arguments.finish();
    let read = || {
        finished?;
        Ok(AddressesAndPorts {
            source: source?.to_bits(),
            source_port: source_port?.0,
            destination: destination?.to_bits(),
            destination_port: destination_port?.0,
        })
    };
    let tuple =
        read().map_err(|_: sprat_click::Rejected| crate::handler_value::complaints(&arguments))?;
    Ok(FlowKey::new(tuple, protocol))
}
