//! Mappers: elements that tell rewriters how to rewrite new flows.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Phase, Rejected,
};
use sprat_packet::flow::FlowKey;

use super::flow_table::{FlowTable, Outputs};

mod maglev;
mod port_block;
mod round_robin;
mod source_ip_hash;

pub(super) use maglev::MAGLEV_IP_MAPPER;
pub(super) use port_block::PORT_BLOCK_IP_MAPPER;
pub(super) use round_robin::ROUND_ROBIN_IP_MAPPER;
pub(super) use source_ip_hash::SOURCE_IP_HASH_MAPPER;

/// A flow that is about to begin.
pub(super) struct Request<'a> {
    /// What its first packet carries.
    pub(super) key: FlowKey,
    pub(super) context: &'a Context<'a>,
    pub(super) table: &'a FlowTable,
    pub(super) space: u8,
    pub(super) now: Instant,
}

impl Request<'_> {
    /// Whether replies to a flow rewritten so could be told from those of all others.
    pub(super) fn is_free(&self, rewritten: &FlowKey) -> bool {
        self.table.is_free(rewritten, self.space, self.now)
    }
}

/// What becomes of a new flow, and where its packets go.
pub(super) type Mapped = (FlowKey, Outputs);

/// Tells how to rewrite new flows.
pub(super) trait Mapper {
    /// What a new flow becomes; `None` where it cannot be had.
    fn map(&self, request: &Request<'_>) -> Option<Mapped>;

    /// A flow that was mapped has ended, or has not come about.
    fn ended(&self, _original: &FlowKey, _rewritten: &FlowKey, _now: Instant) {}

    /// A flow that this one's predecessor mapped goes on.
    fn adopted(&self, _original: &FlowKey, _rewritten: &FlowKey) {}

    /// The outputs it names, pattern by pattern.
    fn outputs(&self) -> Vec<Outputs>;

    /// Names its handlers.
    fn handlers(&self, _list: &mut HandlerList) {}

    /// Reads a handler.
    fn read(&self, name: &str) -> Result<String, HandlerError> {
        Err(HandlerError::NoHandler(name.into()))
    }

    /// Writes a handler.
    fn write(&self, name: &str, _value: &str) -> Result<(), HandlerError> {
        Err(HandlerError::NoHandler(name.into()))
    }
}

/// How a class makes its mapper.
type Make = fn(&mut Arguments<'_>, &Configuration<'_>) -> Result<Rc<dyn Mapper>, Rejected>;

/// Every class of mappers.
const MAPPERS: &[(&str, Make)] = &[
    ("MaglevIPMapper", maglev::configure),
    ("PortBlockIPMapper", port_block::configure),
    ("RoundRobinIPMapper", round_robin::configure),
    ("SourceIPHashMapper", source_ip_hash::configure),
];

/// The element of every class of mappers.
pub(super) struct MapperElement {
    pub(super) mapper: Rc<dyn Mapper>,
}

const fn class(name: &'static str) -> Class {
    Class::of::<MapperElement>(name)
        .ports("0/0")
        .phase(Phase::Early)
}

impl Configure for MapperElement {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let make = MAPPERS.iter().find(|(name, _)| *name == class);
        let Some((_, make)) = make else {
            return Err(arguments.error("not a mapper"));
        };
        Ok(Self {
            mapper: make(arguments, configuration)?,
        })
    }
}

impl Element for MapperElement {
    fn handlers(&self, list: &mut HandlerList) {
        self.mapper.handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.mapper.read(name)
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, value: &str) -> Result<(), HandlerError> {
        self.mapper.write(name, value)
    }
}
