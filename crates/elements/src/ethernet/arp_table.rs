//! Tables of addresses as elements have them, their own or shared.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList, Phase,
    Rejected,
};
use sprat_packet::EtherAddress;

use super::arp_cache::{Limits, Table};
use crate::handler_value::complaints;

pub(super) const ARP_TABLE: Class = Class::of::<ArpTable>("ARPTable")
    .ports("0/0")
    .phase(Phase::Early);

/// A table that several elements share.
pub(super) type SharedTable = Rc<RefCell<Table>>;

/// What is done with a table through handlers and timers, for the elements that own one.
pub(super) struct Owner {
    pub(super) table: SharedTable,
}

impl Owner {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            table: Rc::new(RefCell::new(Table::new(limits))),
        }
    }

    /// Has the element's timer 0 expire when stale entries may go; then it is to call `expire`.
    pub(super) fn start(&self, context: &Context<'_>) {
        self.next_timer(context, 0);
    }

    /// Forgets stale entries.
    pub(super) fn expire(&self, context: &Context<'_>) {
        self.table.borrow_mut().expire(context.now());
        self.next_timer(context, 1);
    }

    fn next_timer(&self, context: &Context<'_>, more: u64) {
        let timeout = self.table.borrow().limits.timeout;
        if !timeout.is_zero() {
            let seconds = timeout.as_secs().saturating_add(more);
            context.set_timer_after(0, Duration::from_secs(seconds));
        }
    }

    pub(super) fn take_state(&self, old: &Self) {
        if !Rc::ptr_eq(&self.table, &old.table) {
            self.table
                .borrow_mut()
                .take_over(&mut old.table.borrow_mut());
        }
    }

    pub(super) fn handlers(list: &mut HandlerList) {
        list.read("table")
            .read("drops")
            .read("count")
            .read("length")
            .write("insert")
            .write("delete")
            .button("clear");
    }

    pub(super) fn read(&self, context: &Context<'_>, name: &str) -> Result<String, HandlerError> {
        let table = self.table.borrow();
        Ok(match name {
            "table" => table.text(context.now()),
            "drops" => table.drops.to_string(),
            "count" => table.len().to_string(),
            _ => table.waiting.to_string(),
        })
    }

    /// Writes a handler. What waits for an address that is written waits on, as in Click: it leaves
    /// when the station answers.
    pub(super) fn write(
        &self,
        context: &Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let names = context.names();
        let mut table = self.table.borrow_mut();
        let mut arguments = Arguments::from_words(value, &names);
        match name {
            "insert" => {
                let ip = arguments.required::<Ipv4Addr>("IP");
                let address = arguments.required::<EtherAddress>("ETH");
                let finished = arguments.finish();
                let (Ok(ip), Ok(address), Ok(())) = (ip, address, finished) else {
                    return Err(complaints(&arguments));
                };
                table.learn(ip, address, context.now());
            }
            "delete" => {
                let ip = arguments.required::<Ipv4Addr>("IP");
                let (Ok(ip), Ok(())) = (ip, arguments.finish()) else {
                    return Err(complaints(&arguments));
                };
                table.learn(ip, EtherAddress::BROADCAST, context.now());
            }
            _ => table.clear(),
        }
        Ok(())
    }
}

/// ARPTable: keeps the Ethernet addresses of IPv4 addresses for several ARPQueriers.
///
/// ```click
/// ARPTable([keywords CAPACITY, ENTRY_CAPACITY, ENTRY_PACKET_CAPACITY, CAPACITY_SLIM_FACTOR,
///           TIMEOUT])
/// ```
///
/// - CAPACITY: packets kept that wait for an address; 2,048.
/// - ENTRY_CAPACITY: addresses kept; 0.
/// - ENTRY_PACKET_CAPACITY: packets kept that wait for one address; 0.
/// - CAPACITY_SLIM_FACTOR: when CAPACITY is passed, this part of it is freed, an N-th; 2.
/// - TIMEOUT: how long an address is good; five minutes.
///
/// Zero is without bound. What makes room is the oldest entry; of more packets for one address than
/// may wait, the newest are dropped.
///
/// Handlers: `table`, the oldest entry first, `count` (addresses), `length` (packets that wait),
/// `drops` (read); `insert` (write) `IP ETH`; `delete` (write) `IP`, whose entry stays until it is
/// old, with the address of all stations; `clear` (write).
///
/// See Click's manual page ARPTable(n).
pub(super) struct ArpTable {
    pub(super) owner: Owner,
}

impl Configure for ArpTable {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let limits = Limits::configure(arguments);
        arguments.finish()?;
        Ok(Self {
            owner: Owner::new(limits?),
        })
    }
}

impl Element for ArpTable {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.owner.start(context);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.owner.expire(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        Owner::handlers(list);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        self.owner.read(context, name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.owner.write(context, name, value)
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.owner.take_state(&old.owner);
        }
    }
}
