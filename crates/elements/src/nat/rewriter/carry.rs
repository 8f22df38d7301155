//! How a rewriter's flows get from one instance to another.

use alloc::vec::Vec;

use sprat_click::state::{Carrier, Damaged};
use sprat_click::{Context, Instant};
use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::protocol::TCP;

use super::{Kind, Rewriter};
use crate::nat::flow_table::{Direction, Flow, FlowId, NewFlow, Outputs, Share};
use crate::nat::sequence::SequenceShifts;
use crate::nat::tcp;

/// In nanoseconds.
const MILLISECOND: u64 = 1_000_000;

/// A flow as it is carried. Clocks of instances need not agree: its age goes with it, not the time of
/// its last packet.
struct Carried {
    protocol: u8,
    original: AddressesAndPorts,
    rewritten: AddressesAndPorts,
    outputs: Outputs,
    /// Counted from the rewriter's first, as its list is.
    input: u16,
    list: u8,
    state: u8,
    reply_annotation: u8,
    /// Milliseconds since its last packet.
    age: u32,
    /// Whether sequence numbers shift: how comes next.
    shifts: u8,
}

const NOWHERE: AddressesAndPorts = AddressesAndPorts {
    source: 0,
    destination: 0,
    source_port: 0,
    destination_port: 0,
};

const NOTHING: Carried = Carried {
    protocol: 0,
    original: NOWHERE,
    rewritten: NOWHERE,
    outputs: [0; 2],
    input: 0,
    list: 0,
    state: 0,
    reply_annotation: 0,
    age: 0,
    shifts: 0,
};

fn carry_tuple(tuple: &mut AddressesAndPorts, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
    carrier.u32(&mut tuple.source)?;
    carrier.u32(&mut tuple.destination)?;
    carrier.u16(&mut tuple.source_port)?;
    carrier.u16(&mut tuple.destination_port)
}

impl Carried {
    fn of(flow: &Flow, share: Share, now: Instant, shifts: bool) -> Self {
        Self {
            protocol: flow.carried(Direction::Forward).protocol(),
            original: flow.carried(Direction::Forward).tuple(),
            rewritten: flow.given(Direction::Forward).tuple(),
            outputs: flow.outputs,
            input: flow.owner - share.owner,
            list: flow.class - share.class,
            state: flow.state,
            reply_annotation: flow.reply_annotation,
            age: u32::try_from(now.since(flow.last()).as_millis()).unwrap_or(u32::MAX),
            shifts: u8::from(shifts),
        }
    }

    fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.u8(&mut self.protocol)?;
        carry_tuple(&mut self.original, carrier)?;
        carry_tuple(&mut self.rewritten, carrier)?;
        carrier.bytes(&mut self.outputs)?;
        carrier.u16(&mut self.input)?;
        carrier.u8(&mut self.list)?;
        carrier.u8(&mut self.state)?;
        carrier.u8(&mut self.reply_annotation)?;
        carrier.u32(&mut self.age)?;
        carrier.u8(&mut self.shifts)
    }
}

impl Rewriter {
    pub(super) fn carry_flows(
        &self,
        context: &Context<'_>,
        carrier: &mut Carrier<'_>,
    ) -> Result<(), Damaged> {
        let now = context.now();
        if carrier.goes_out() {
            return self.export(now, carrier);
        }
        while !carrier.is_empty() {
            let mut carried = NOTHING;
            carried.carry(carrier)?;
            let mut shifts = None;
            if carried.shifts != 0 {
                let mut come = SequenceShifts::default();
                come.carry(carrier)?;
                shifts = Some(come);
            }
            self.import(context.outputs(), now, &carried, shifts)?;
        }
        Ok(())
    }

    fn export(&self, now: Instant, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        let mut table = self.table.borrow_mut();
        let flows: Vec<FlowId> = table
            .iter(Some(self.share.space))
            .map(|(id, _)| id)
            .filter(|id| table.lives(*id, now))
            .collect();
        for id in flows {
            let shifts = table.sequence_shifts(id).is_some();
            Carried::of(table.flow(id), self.share, now, shifts).carry(carrier)?;
            if let Some(shifts) = table.sequence_shifts(id) {
                shifts.carry(carrier)?;
            }
        }
        Ok(())
    }

    /// Takes in a flow, where its input and its outputs are still there.
    fn import(
        &self,
        outputs: usize,
        now: Instant,
        carried: &Carried,
        shifts: Option<SequenceShifts>,
    ) -> Result<(), Damaged> {
        let original = FlowKey::new(carried.original, carried.protocol);
        let rewritten = FlowKey::new(carried.rewritten, carried.protocol);
        if !self.could_hold(&original, &rewritten, carried.list) {
            return Err(Damaged);
        }
        let input = usize::from(carried.input);
        let mut carried_outputs = carried.outputs.iter();
        if input >= self.specs.len()
            || carried_outputs.any(|output| usize::from(*output) >= outputs)
        {
            return Ok(());
        }
        let mut table = self.table.borrow_mut();
        let last = Instant(now.0.saturating_sub(u64::from(carried.age) * MILLISECOND));
        let new = NewFlow {
            original,
            rewritten,
            outputs: carried.outputs,
            owner: self.owner(input),
            class: self.share.class + carried.list,
            reply_annotation: carried.reply_annotation,
        };
        // Where there is room for fewer flows than there was, some stay behind.
        if table.len() < table.capacity {
            if let Some(mapper) = self.mapper(input) {
                mapper.adopted(&original, &rewritten);
            }
            table.adopt(&new, self.share.space, carried.state, last, shifts);
        }
        Ok(())
    }

    /// Whether a rewriter of this kind can have such a flow.
    fn could_hold(&self, original: &FlowKey, rewritten: &FlowKey, list: u8) -> bool {
        let known = self.kind.keys_of(original)[0] == Some(*original);
        let admissible = self.kind.admissible(*rewritten) == Some(*rewritten);
        let is_list = usize::from(list) < self.lifetimes.len();
        // Lists of TCP's flows come first, where there are others.
        let of_tcp = self.kind != Kind::Ip || (list < tcp::LISTS) == (original.protocol() == TCP);
        known && admissible && is_list && of_tcp
    }
}
