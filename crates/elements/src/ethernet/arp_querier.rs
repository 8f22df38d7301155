use alloc::format;
use alloc::string::{String, ToString};
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat_click::arguments::{Argument, ElementName, Ipv4Prefix, Raw};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::headers::{ArpFields, arp_operation, ethertype};
use sprat_packet::{Batch, DEFAULT_HEADROOM, EtherAddress, Packet};

use super::arp_cache::{Answer, Limits};
use super::arp_responder::{FRAME, arp_of, write_arp};
use super::arp_table::{ArpTable, Owner};
use super::encap::{encapsulate, frame};
use super::tag::{annotation, set_annotation};

pub(super) const ARP_QUERIER: Class = Class::of::<ArpQuerier>("ARPQuerier")
    .ports("2/1-2")
    .processing("h/h")
    .flow("xy/x")
    .reconfigurable();

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

const DEFAULT_POLL: Duration = Duration::from_secs(60);

/// ARPQuerier: puts Ethernet headers before IPv4 packets, with addresses found by ARP.
///
/// ```click
/// ARPQuerier(IP, ETH [, keywords TABLE, TIMEOUT, POLL_TIMEOUT, BROADCAST, BROADCAST_POLL,
///            CAPACITY, ENTRY_CAPACITY, ENTRY_PACKET_CAPACITY, CAPACITY_SLIM_FACTOR])
/// ARPQuerier(NAME [, ...])
/// ```
///
/// - IP, ETH: this host's addresses; NAME stands for both, by `AddressInfo`. With `IP/MASK`, the
///   network's broadcast address is known too.
/// - TABLE: an `ARPTable` to use; what the last four and TIMEOUT say does not count then.
/// - TIMEOUT: how long an address is good; five minutes.
/// - POLL_TIMEOUT: after so long, an address still in use is asked for again, at that very address; a
///   minute. 0: never.
/// - BROADCAST_POLL: whether all are asked then; false.
/// - BROADCAST: the local broadcast address.
/// - The others: as for `ARPTable`.
///
/// Input 0 takes IPv4 packets whose destination annotation is set to the next hop. If the
/// Ethernet address is known they go to output 0 at once; if not, they wait, and a request goes
/// to output 1, or to output 0 where that is all there is, at most every tenth of a second for
/// one address, and every two seconds after ten. Input 1 takes ARP replies with their Ethernet header. Packets to 0.0.0.0 are
/// dropped, the first of which is told; those to broadcast and multicast addresses get the Ethernet addresses that go with
/// them (RFC 1112).
///
/// Handlers: `table`, `count` (addresses), `length` (packets that wait), `drops`, `queries`,
/// `responses` (ARP packets heard), `stats` (read); `ipaddr`, `broadcast` (read, write); `insert` (write)
/// `IP ETH`; `delete` (write) `IP`; `clear` (write), which forgets counts too.
///
/// See Click's manual page ARPQuerier(n).
struct ArpQuerier {
    own: Ipv4Addr,
    address: EtherAddress,
    broadcast: Option<Ipv4Addr>,
    poll: Duration,
    broadcast_poll: bool,
    owner: Owner,
    /// Whether the table is this element's own.
    owns: bool,
    /// The header of packets, their destination yet to be set.
    header: [u8; 14],
    queries: u64,
    responses: u64,
    /// Packets without a destination annotation, or that came before this host had an address.
    astray: u64,
    /// Whether the first of them has been told.
    told: bool,
    released: Batch,
}

/// This host's address, and the network's broadcast address where it is told.
struct OwnAddress {
    address: Ipv4Addr,
    broadcast: Option<Ipv4Addr>,
}

/// Reads IP, IP/MASK or a name for either.
fn own_address(
    text: &str,
    names: &dyn sprat_click::arguments::Names,
) -> Result<OwnAddress, sprat_click::arguments::ArgumentError> {
    let prefix = Ipv4Prefix::parse(text, names).ok();
    let broadcast = prefix
        .filter(|prefix| prefix.mask != Ipv4Addr::BROADCAST && !prefix.mask.is_unspecified())
        .map(|prefix| Ipv4Addr::from_bits(prefix.address.to_bits() | !prefix.mask.to_bits()))
        // This host's own address is not that of all.
        .filter(|broadcast| prefix.is_some_and(|prefix| prefix.address != *broadcast));
    let address = match Ipv4Addr::parse(text, names) {
        Ok(address) => address,
        Err(error) => prefix.map(|prefix| prefix.address).ok_or(error)?,
    };
    Ok(OwnAddress { address, broadcast })
}

/// The addresses: IP and ETH, or a name for both.
fn addresses(arguments: &mut Arguments<'_>) -> Result<(OwnAddress, EtherAddress), Rejected> {
    let alone = arguments.remaining() == 1;
    let names = arguments.names();
    let ip = arguments.required::<Raw>("IP");
    let own = ip.as_ref().map_err(|_| Rejected).and_then(|Raw(text)| {
        own_address(text, names).map_err(|error| arguments.error(format!("IP: {error}")))
    });
    let address = match ip {
        Ok(Raw(text)) if alone => EtherAddress::parse(&text, names)
            .map_err(|error| arguments.error(format!("ETH: {error}"))),
        _ => arguments.required("ETH"),
    };
    Ok((own?, address?))
}

/// The table that TABLE names, or a new one.
fn table(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<(Owner, bool), Rejected> {
    let limits = Limits::configure(arguments);
    let Some(ElementName(name)) = arguments.keyword("TABLE") else {
        return Ok((Owner::new(limits?), true));
    };
    let Some(id) = configuration.find(&name) else {
        return Err(arguments.error("TABLE: does not name an element"));
    };
    let shared = configuration.with::<ArpTable, _>(id, |element| element.owner.table.clone());
    match shared {
        Some(table) => Ok((Owner { table }, false)),
        None => Err(arguments.error("TABLE: element type mismatch, expected ARPTable")),
    }
}

impl Configure for ArpQuerier {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let table = table(arguments, configuration);
        let broadcast = arguments.keyword::<Ipv4Addr>("BROADCAST");
        let poll = arguments.keyword("POLL_TIMEOUT").unwrap_or(DEFAULT_POLL);
        let broadcast_poll = arguments.keyword("BROADCAST_POLL").unwrap_or(false);
        let addresses = addresses(arguments);
        arguments.finish()?;
        let (owner, owns) = table?;
        let (own, address) = addresses?;
        Ok(Self {
            own: own.address,
            address,
            broadcast: broadcast.or(own.broadcast),
            poll,
            broadcast_poll,
            owner,
            owns,
            header: frame(EtherAddress::BROADCAST, address, ethertype::IPV4),
            queries: 0,
            responses: 0,
            astray: 0,
            told: false,
            released: Batch::new(),
        })
    }
}

/// The Ethernet address of an IPv4 multicast group (RFC 1112, 6.4).
fn group_address(group: Ipv4Addr) -> EtherAddress {
    let [_, b, c, d] = group.octets();
    EtherAddress([0x01, 0x00, 0x5e, b & 0x7f, c, d])
}

impl ArpQuerier {
    /// This host's.
    fn addresses(&self) -> (Ipv4Addr, EtherAddress) {
        (self.own, self.address)
    }

    /// The Ethernet address of destinations that nobody has to be asked for.
    fn fixed(&self, destination: Ipv4Addr) -> Option<EtherAddress> {
        if destination.is_multicast() {
            Some(group_address(destination))
        } else if destination.is_broadcast() || self.broadcast == Some(destination) {
            Some(EtherAddress::BROADCAST)
        } else {
            None
        }
    }

    #[inline]
    fn encapsulate(&mut self, packet: &mut Packet, destination: EtherAddress) {
        self.header[..6].copy_from_slice(&destination.0);
        encapsulate(packet, &self.header);
    }

    /// Asks `whom` for an address. The request has the VLAN and the timestamp of the packet it is for.
    fn request(
        &mut self,
        context: &mut Context<'_>,
        whom: EtherAddress,
        target: Ipv4Addr,
        (tag, timestamp): (u16, i64),
    ) {
        let mut packet = context.pool().packet_zeroed(DEFAULT_HEADROOM, FRAME);
        let arp = ArpFields {
            operation: arp_operation::REQUEST,
            sender_hardware: self.address,
            sender_protocol: self.own,
            target_hardware: EtherAddress::default(),
            target_protocol: target,
        };
        write_arp(packet.data_mut(), whom, arp);
        packet.set_mac_header(0);
        packet.set_network_header(ETHERNET, 0);
        packet.set_timestamp(timestamp);
        if tag != 0 {
            set_annotation(&mut packet, tag);
        }
        self.queries += 1;
        context.emit(context.outputs() - 1, packet);
    }

    /// Handles one packet; returns it where it can go on.
    #[inline]
    fn resolve(
        &mut self,
        context: &mut Context<'_>,
        now: Instant,
        mut packet: Packet,
    ) -> Option<Packet> {
        if self.own.is_unspecified() {
            self.astray += 1;
            return None;
        }
        let destination = packet.annotations().destination();
        let answer = self
            .owner
            .table
            .borrow_mut()
            .look_up(destination, self.poll, now);
        if let Answer::Known(address, poll) = answer {
            if poll {
                let whom = match self.broadcast_poll {
                    true => EtherAddress::BROADCAST,
                    false => address,
                };
                let about = (annotation(&packet), packet.timestamp());
                self.request(context, whom, destination, about);
            }
            self.encapsulate(&mut packet, address);
            return Some(packet);
        }
        if let Some(address) = self.fixed(destination) {
            self.encapsulate(&mut packet, address);
            return Some(packet);
        }
        if destination.is_unspecified() {
            if !core::mem::replace(&mut self.told, true) {
                context.chatter(format_args!(
                    "{} :: ARPQuerier: would query for 0.0.0.0; missing dest IP addr annotation?",
                    context.name()
                ));
            }
            self.astray += 1;
            return None;
        }
        let about = (annotation(&packet), packet.timestamp());
        let ask = self.owner.table.borrow_mut().wait(destination, packet, now);
        if ask {
            self.request(context, EtherAddress::BROADCAST, destination, about);
        }
        None
    }

    /// Sends on what waited for `address`.
    fn release(&mut self, context: &mut Context<'_>, address: EtherAddress) {
        let mut released = core::mem::take(&mut self.released);
        for packet in released.iter_mut() {
            self.encapsulate(packet, address);
        }
        context.forward(0, &mut released);
        self.released = released;
    }

    fn hear(&mut self, context: &mut Context<'_>, packet: &Packet) {
        self.responses += u64::from(packet.len() >= FRAME);
        let Some(reply) = arp_of(packet.data()) else {
            return;
        };
        let (ip, address) = (reply.sender_protocol, reply.sender_hardware);
        // A group is no station.
        if reply.operation != arp_operation::REPLY || address.is_group() {
            return;
        }
        let mut table = self.owner.table.borrow_mut();
        table.learn(ip, address, context.now());
        table.release(ip, &mut self.released);
        drop(table);
        self.release(context, address);
    }
}

impl Element for ArpQuerier {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.owns {
            self.owner.start(context);
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        if port == 1 {
            for packet in batch.iter() {
                self.hear(context, packet);
            }
            return;
        }
        let now = context.now();
        batch.filter(|packet| self.resolve(context, now, packet));
        context.forward(0, batch);
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.owner.expire(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("ipaddr")
            .read_write("broadcast")
            .read("stats")
            .read("queries")
            .read("responses");
        Owner::handlers(list);
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "ipaddr" => Ok(self.own.to_string()),
            "broadcast" => Ok(self.broadcast.unwrap_or(Ipv4Addr::BROADCAST).to_string()),
            "queries" => Ok(self.queries.to_string()),
            "responses" => Ok(self.responses.to_string()),
            "drops" => Ok(self.astray.to_string()),
            "stats" => Ok(format!(
                "{} packets killed\n{} ARP queries sent\n",
                self.astray + self.owner.table.borrow().drops,
                self.queries
            )),
            _ => self.owner.read(context, name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "ipaddr" => {
                self.own = crate::handler_value(context, value)?;
                return Ok(());
            }
            "broadcast" => {
                self.broadcast = Some(crate::handler_value(context, value)?);
                return Ok(());
            }
            "clear" => (self.queries, self.responses, self.astray) = (0, 0, 0),
            _ => {}
        }
        self.owner.write(context, name, value)
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(other) = old.downcast_mut::<Self>()
            && self.addresses() == other.addresses()
            && self.broadcast == other.broadcast
        {
            self.keep_state(context, old);
        }
    }

    fn keep_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            if self.owns && old.owns {
                self.owner.take_state(&old.owner);
                // What a host at other addresses learned may be of another network.
                if self.addresses() != old.addresses() {
                    self.owner.table.borrow_mut().clear();
                }
            }
            self.queries = old.queries;
            self.responses = old.responses;
            self.astray = old.astray;
        }
    }
}
