//! Frames of the instance, and where each leads.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::iface::SocketSet;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpCidr, IpProtocol, Ipv4Packet, TcpPacket,
    UdpPacket,
};

use super::connection::Ends;
use super::connections::Refusal;
use super::network::{self, NAME_SERVER};
use super::queue::Link;
use super::{Loss, UserNetwork, answers, now, packets, resolver};

impl UserNetwork {
    /// The instance has used one of its addresses: what waited for it goes on.
    pub(super) fn seen(&mut self, address: Ipv4Addr) {
        let guests = self.publications.iter().map(|publish| publish.guest);
        let mut guests = guests.map(|guest| *guest.ip());
        if !self.seen.contains(&address) && guests.any(|guest| guest == address) {
            self.seen.push(address);
            self.awaited.retain(|awaited| *awaited != address);
            self.connections.begin(address);
        }
    }

    /// Takes a whole frame of the instance.
    ///
    /// # Errors
    /// It leads nowhere; why.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Loss> {
        let ethernet = EthernetFrame::new_checked(frame).map_err(|_| Loss::Malformed)?;
        let source = ethernet.src_addr();
        if source.is_unicast() {
            self.queue.guest = source.0;
        }
        match ethernet.ethertype() {
            EthernetProtocol::Arp => {
                let asker = answers::arp(&mut self.queue, ethernet.payload());
                self.seen(asker.ok_or(Loss::Malformed)?);
                Ok(())
            }
            EthernetProtocol::Ipv4 => self.take_ipv4(ethernet.payload()),
            _ => Err(Loss::Unsupported),
        }
    }

    fn take_ipv4(&mut self, bytes: &[u8]) -> Result<(), Loss> {
        let packet = Ipv4Packet::new_checked(bytes).map_err(|_| Loss::Malformed)?;
        if packet.version() != 4 || !packet.verify_checksum() {
            return Err(Loss::Malformed);
        }
        if packet.more_frags() || packet.frag_offset() != 0 {
            return Err(Loss::Unsupported);
        }
        let (from, to) = (packet.src_addr(), packet.dst_addr());
        self.seen(from);
        match packet.next_header() {
            IpProtocol::Tcp => self.take_tcp(&packet, bytes),
            IpProtocol::Udp => self.take_udp(&packet),
            IpProtocol::Icmp if answers::echo(&mut self.queue, from, to, packet.payload()) => {
                Ok(())
            }
            _ => Err(Loss::Unsupported),
        }
    }

    fn take_tcp(&mut self, packet: &Ipv4Packet<&[u8]>, bytes: &[u8]) -> Result<(), Loss> {
        let segment = TcpPacket::new_checked(packet.payload());
        let segment = segment.map_err(|_| Loss::Malformed)?;
        let ends = Ends {
            guest: SocketAddrV4::new(packet.src_addr(), segment.src_port()),
            remote: SocketAddrV4::new(packet.dst_addr(), segment.dst_port()),
        };
        let (queue, now) = (&mut self.queue, now());
        if let Some(number) = self.connections.find(&ends) {
            self.connections.receive(number, bytes, queue, now);
            return Ok(());
        }
        let asks = segment.syn() && !segment.ack() && !segment.rst();
        let cause = match self.reach.lead(ends.remote).filter(|_| asks) {
            Some(to) => {
                let opened = self
                    .connections
                    .open(ends, to, bytes, &self.sources, queue, now);
                match opened {
                    Ok(()) => return Ok(()),
                    Err(Refusal::TooMany) => return Err(Loss::TooMany),
                    Err(Refusal::NoWay) => Loss::NoWay,
                }
            }
            None if asks => Loss::Forbidden,
            None => Loss::Unknown,
        };
        self.refuse(ends.remote, bytes);
        Err(cause)
    }

    /// Answers a segment of a connection that there is not, as RFC 9293 has it. To an address that is
    /// no single host's there is no answer (RFC 1122, 4.2.3.10), and none could come from it.
    fn refuse(&mut self, remote: SocketAddrV4, bytes: &[u8]) {
        let address = remote.ip();
        if address.is_multicast() || address.is_broadcast() || address.is_unspecified() {
            return;
        }
        self.refuser.update_ip_addrs(|addresses| {
            addresses.clear();
            // The list has room for one.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(*remote.ip()), 0));
        });
        let mut link = Link {
            packet: Some(bytes),
            queue: &mut self.queue,
        };
        let mut none = SocketSet::new(Vec::new());
        self.refuser
            .poll_ingress_single(now(), &mut link, &mut none);
    }

    fn take_udp(&mut self, packet: &Ipv4Packet<&[u8]>) -> Result<(), Loss> {
        let datagram = UdpPacket::new_checked(packet.payload());
        let datagram = datagram.map_err(|_| Loss::Malformed)?;
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        if !datagram.verify_checksum(&source.into(), &destination.into()) {
            return Err(Loss::Malformed);
        }
        let payload = datagram.payload();
        if datagram.dst_port() == smoltcp::wire::DHCP_SERVER_PORT
            && answers::dhcp(&mut self.queue, payload, &mut self.acknowledged)
        {
            return Ok(());
        }
        let ends = Ends {
            guest: SocketAddrV4::new(source, datagram.src_port()),
            remote: SocketAddrV4::new(destination, datagram.dst_port()),
        };
        let published = &self.published;
        if published
            .iter()
            .any(|port| port.answer(ends.guest, ends.remote, payload))
        {
            return Ok(());
        }
        if destination == NAME_SERVER && ends.remote.port() == network::DNS_PORT {
            let alone = self.reach.resolver.is_none();
            if let Some(answer) = resolver::answer(payload, alone) {
                packets::udp(&mut self.queue, ends.remote, ends.guest, &answer);
                return Ok(());
            }
        }
        let to = self.reach.lead(ends.remote).ok_or(Loss::Forbidden)?;
        self.flows
            .send(ends, to, payload, &self.sources, now())
            .map_err(|_| Loss::NoWay)
    }
}
