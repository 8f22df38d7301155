//! The element that every class of rewriters is: input specifications, a table of flows, and what
//! is done with packets by them. `kind` is what the classes differ in.

mod carry;
mod configuration;
mod handlers;
mod kind;
mod listing;
mod packets;

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use sprat_click::state::{Carrier, Damaged};
use sprat_click::{
    Class, Context, Element, ElementId, HandlerError, HandlerList, Instant, Rejected,
};
use sprat_packet::flow::FlowKey;
use sprat_packet::{Batch, Packet};

use super::flow_table::{Direction, Entry, Flow, FlowId, FlowTable, Lifetime, NewFlow, Share};
use super::input_spec::InputSpec;
use super::mapper::{Mapper, Request};

pub(super) use configuration::reply_annotation;
pub(super) use kind::Kind;

/// A class of rewriters. `name` is one that [`Kind::of`] knows.
pub(super) const fn class(name: &'static str) -> Class {
    Class::of::<Rewriter>(name)
        .ports("1-/1-256")
        .processing("h/h")
        .reconfigurable()
}

/// The timer that reaps.
const REAP_TIMER: usize = 0;

/// A rewriter.
pub(super) struct Rewriter {
    kind: Kind,
    specs: Vec<InputSpec>,
    /// Its own, or the one of a rewriter whose capacity it shares.
    table: Rc<RefCell<FlowTable>>,
    share: Share,
    lifetimes: Vec<Lifetime>,
    /// Whose capacity it shares.
    shares_with: Option<ElementId>,
    reap_interval: Duration,
    /// The annotation in which replies get what the flow's first packet had there.
    reply_annotation: Option<usize>,
    /// Whether packets get their new destination as an annotation.
    sets_destination: bool,
}

/// What becomes of a packet of no known flow.
enum Beginning {
    Drop,
    /// It leaves by this output as it is.
    Pass(usize),
    Flow(FlowId),
}

impl Rewriter {
    pub(super) fn inputs(&self) -> usize {
        self.specs.len()
    }

    pub(super) fn table(&self) -> &Rc<RefCell<FlowTable>> {
        &self.table
    }

    /// The flow of packets that would carry `key`.
    pub(super) fn find(&self, key: &FlowKey) -> Option<Entry> {
        let table = self.table.borrow();
        let mut keys = self.kind.keys_of(key).into_iter().flatten();
        keys.find_map(|key| table.find(&key, self.share.space))
    }

    /// The flow of packets that would carry `key`, which begins as if one had come in at `input`
    /// where there is none yet.
    pub(super) fn find_or_begin(
        &self,
        context: &Context<'_>,
        key: &FlowKey,
        input: usize,
    ) -> Option<Entry> {
        if let Some(entry) = self.find(key) {
            return Some(entry);
        }
        let key = self.kind.keys_of(key)[0]?;
        let mut table = self.table.borrow_mut();
        match self.begin(&mut table, context, None, input, &key, context.now()) {
            Beginning::Flow(_) => table.find(&key, self.share.space),
            Beginning::Drop | Beginning::Pass(_) => None,
        }
    }

    /// What a packet of a flow that carries `key` is given.
    pub(super) fn given(&self, flow: &Flow, direction: Direction, key: &FlowKey) -> FlowKey {
        self.kind.given(&flow.given(direction), direction, key)
    }

    /// The owner of flows that begin at an input.
    fn owner(&self, input: usize) -> u16 {
        // Inputs are counted in sixteen bits.
        self.share.owner + u16::try_from(input).unwrap_or(0)
    }

    /// What is to be done with a packet of no known flow that came in at `input`: where the input's
    /// specification says so, it begins a flow.
    fn begin(
        &self,
        table: &mut FlowTable,
        context: &Context<'_>,
        packet: Option<&Packet>,
        input: usize,
        key: &FlowKey,
        now: Instant,
    ) -> Beginning {
        let spec = match self.specs.get(input) {
            None | Some(InputSpec::Drop) => return Beginning::Drop,
            Some(InputSpec::Pass(output)) => return Beginning::Pass(usize::from(*output)),
            Some(spec) => spec,
        };
        let owner = self.owner(input);
        let map = |table: &FlowTable| {
            spec.map(&Request {
                key: *key,
                context,
                table,
                space: self.share.space,
                now,
            })
        };
        let mapped = match map(table) {
            None if table.reap_for_room(now) => map(table),
            mapped => mapped,
        };
        let Some((rewritten, outputs)) = mapped else {
            table.count_failure(owner);
            return Beginning::Drop;
        };
        let Some(admissible) = self.kind.admissible(rewritten) else {
            if let InputSpec::Mapper(mapper) = spec {
                mapper.ended(key, &rewritten, now);
            }
            return Beginning::Drop;
        };
        let annotation = self.reply_annotation.zip(packet);
        let new = NewFlow {
            original: *key,
            rewritten: admissible,
            outputs,
            owner,
            class: self.share.class + self.kind.first_list(key.protocol()),
            reply_annotation: annotation
                .map_or(0, |(offset, packet)| packet.annotations().byte(offset)),
        };
        match table.admit(&new, self.share.space, now) {
            Some(id) => Beginning::Flow(id),
            None => {
                table.count_failure(owner);
                Beginning::Drop
            }
        }
    }

    /// What is to be done with a packet that can belong to no flow.
    fn without_flow(&self, input: usize) -> Option<usize> {
        match self.specs.get(input) {
            Some(InputSpec::Pass(output)) => Some(usize::from(*output)),
            _ => None,
        }
    }

    /// Puts another specification in the place of an input's, whose flows end.
    fn set_spec(&mut self, input: usize, spec: InputSpec, now: Instant) {
        let owner = self.owner(input);
        let mut table = self.table.borrow_mut();
        table.retain(now, |flow| flow.owner != owner);
        self.specs[input] = spec;
        table.set_mapper(owner, self.mapper(input));
    }

    /// Who is to be told when flows of an input end.
    fn mapper(&self, input: usize) -> Option<Rc<dyn Mapper>> {
        match self.specs.get(input)? {
            InputSpec::Mapper(mapper) => Some(mapper.clone()),
            _ => None,
        }
    }

    /// Sits down at a table with so many outputs named.
    fn join(&mut self) -> Option<()> {
        let mut table = self.table.borrow_mut();
        self.share = table.join(&self.lifetimes, self.specs.len())?;
        for input in 0..self.specs.len() {
            table.set_mapper(self.owner(input), self.mapper(input));
        }
        Some(())
    }

    /// The table of the rewriter whose capacity this one shares, by way of others that share it.
    fn shared_table(&self, context: &Context<'_>) -> Option<Rc<RefCell<FlowTable>>> {
        let mut id = self.shares_with?;
        for _ in 0..context.router().len() {
            let (next, table) = context.with(id, |other: &mut Self, _| {
                (other.shares_with, other.table.clone())
            })?;
            match next {
                None => return Some(table),
                Some(next) => id = next,
            }
        }
        None
    }
}

impl Element for Rewriter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.shares_with.is_some() {
            self.table = self
                .shared_table(context)
                .ok_or_else(|| context.error("bad MAPPING_CAPACITY"))?;
        }
        if self.join().is_none() {
            return Err(context.error("too many rewriters share this MAPPING_CAPACITY"));
        }
        if !self.reap_interval.is_zero() {
            context.set_timer_after(REAP_TIMER, self.reap_interval);
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.rewrite_all(context, port, batch);
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.table.borrow_mut().reap(context.now());
        context.set_timer_after(REAP_TIMER, self.reap_interval);
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.list_handlers(list);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        self.read_handler(context, name, parameters)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.write_handler(context, name, value)
    }

    /// Takes over the flows of the inputs that are still there.
    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        let Some(old) = old.downcast_mut::<Self>() else {
            return;
        };
        if Rc::ptr_eq(&self.table, &old.table) {
            return;
        }
        let mut from = old.table.borrow_mut();
        let mut table = self.table.borrow_mut();
        let space = Some(old.share.space);
        let flows: Vec<FlowId> = from.iter(space).map(|(id, _)| id).collect();
        for id in flows {
            let flow = from.flow(id);
            let input = flow.owner - old.share.owner;
            let outputs = flow.outputs;
            let there = usize::from(input) < self.specs.len()
                && outputs
                    .iter()
                    .all(|output| usize::from(*output) < context.outputs())
                && old.kind == self.kind;
            if !there {
                continue;
            }
            let new = NewFlow {
                original: flow.carried(Direction::Forward),
                rewritten: flow.given(Direction::Forward),
                outputs,
                owner: self.share.owner + input,
                class: flow.class - old.share.class + self.share.class,
                reply_annotation: flow.reply_annotation,
            };
            if let Some(mapper) = self.mapper(usize::from(input)) {
                mapper.adopted(&new.original, &new.rewritten);
            }
            table.take_over(&mut from, id, &new, self.share.space);
        }
    }
    fn carry_state(
        &mut self,
        context: &mut Context<'_>,
        carrier: &mut Carrier<'_>,
    ) -> Result<(), Damaged> {
        self.carry_flows(context, carrier)
    }
}
