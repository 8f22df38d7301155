use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ipv4;
use sprat_packet::{Batch, Packet};

use crate::ip::divert::divert;

use super::authentication::{AuthenticationKey, CHECK};
use super::esp::{configure_key, configure_spi, configure_tunnel};
use super::framing::{NETWORK, Place, Tunnel, make_room, settle, take_out, unwrap};
use super::replay::ReplayWindow;
use super::{Counts, Refusal};

pub(in super::super) const AH_ENCAP: Class = Class::of::<AhEncap>("AHEncap")
    .ports("1/1-2")
    .processing("a/ah");
pub(in super::super) const AH_DECAP: Class = Class::of::<AhDecap>("AHDecap")
    .ports("1/1-2")
    .processing("a/ah");

/// AH in the protocol field (IANA).
const PROTOCOL: u8 = 51;

/// Bytes before the check value, and with it.
const FIXED: usize = 12;
const HEADER: usize = FIXED + CHECK;

/// AHEncap: authenticates IP packets (IPsec's AH).
///
/// ```click
/// AHEncap(SPI, KEY, [SRC, DST])
/// ```
///
/// Puts a header with a check value behind the IP header of IPv4 packets (RFC 4302): HMAC-SHA-256, cut
/// to 16 bytes (RFC 4868), over all of the packet but what routers change. Nothing is encrypted. SRC and
/// DST are those of a new IP header around the whole packet (tunnel mode); without them its own stays
/// (transport mode), and fragments and packets with IP options are refused. What stands before the IP
/// header is taken off. Packets that are refused leave by output 1 if there is one.
///
/// - SPI: the security parameters index, 256 or more.
/// - KEY: 32 bytes, as `\<00 11 ...>`. Give another one each time a router starts, for sequence
///   numbers begin at 1 again and old packets could be sent once more.
///
/// Handlers: `count` (read) the packets authenticated, `refused` those not.
///
/// See ESPEncap for an example of the like.
struct AhEncap {
    spi: u32,
    key: AuthenticationKey,
    tunnel: Option<Tunnel>,
    sequence: u32,
    counts: Counts,
}

/// AHDecap: checks that IP packets are genuine (IPsec's AH).
///
/// ```click
/// AHDecap(SPI, KEY, [keyword TUNNEL])
/// ```
///
/// Takes back what AHEncap does with the same SPI and KEY. Packets that are genuine and new leave by
/// output 0: in tunnel mode what was inside, with the network header set; in transport mode the packet as
/// it was. Others leave by output 1 if there is one: forged or damaged ones, those whose sequence number
/// has come before or is 64 or more behind the highest, fragments, packets with IP options, and those of
/// another SPI.
///
/// - TUNNEL: whether IP packets are inside; true.
///
/// Handlers (all read): `count` the genuine packets; `forged`, `replayed` and `refused` the others.
struct AhDecap {
    spi: u32,
    key: AuthenticationKey,
    tunnel: bool,
    window: ReplayWindow,
    counts: Counts,
}

impl Configure for AhEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let spi = configure_spi(arguments);
        let key = configure_key(arguments, LENGTH, AuthenticationKey::new);
        let tunnel = configure_tunnel(arguments);
        arguments.finish()?;
        Ok(Self {
            spi: spi?,
            key: key?,
            tunnel,
            sequence: 0,
            counts: Counts::default(),
        })
    }
}

const LENGTH: &str = "32 bytes";

impl Configure for AhDecap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let spi = configure_spi(arguments);
        let key = configure_key(arguments, LENGTH, AuthenticationKey::new);
        let tunnel = arguments.keyword("TUNNEL").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            spi: spi?,
            key: key?,
            tunnel,
            window: ReplayWindow::default(),
            counts: Counts::default(),
        })
    }
}

/// The parts of a packet that are authenticated: the IP header without what routers change (RFC 4302,
/// section 3.3.3.1.1.1), the AH header without the check value, and what follows.
struct Parts<'a> {
    network: [u8; NETWORK],
    fixed: &'a [u8],
    check: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let (network, rest) = bytes.split_first_chunk().ok_or(Refusal::Unfit)?;
        let mut network: [u8; NETWORK] = *network;
        if network[0] & 0xf != 5 {
            return Err(Refusal::Unfit);
        }
        // Type of service; flags and offset; time to live; checksum.
        for at in [1, 6, 7, 8, 10, 11] {
            network[at] = 0;
        }
        let (fixed, rest) = rest.split_at_checked(FIXED).ok_or(Refusal::Unfit)?;
        let (check, payload) = rest.split_at_checked(CHECK).ok_or(Refusal::Unfit)?;
        Ok(Self {
            network,
            fixed,
            check,
            payload,
        })
    }

    fn authenticated(&self) -> [&[u8]; 4] {
        [&self.network, self.fixed, &[0; CHECK], self.payload]
    }
}

impl AhEncap {
    fn authenticate(&mut self, packet: &mut Packet) -> Result<(), Refusal> {
        unwrap(packet)?;
        if self.tunnel.is_none() && packet.network_header_len() != NETWORK {
            return Err(Refusal::Unfit);
        }
        let sequence = self.sequence.checked_add(1).ok_or(Refusal::Unfit)?;
        // It need only differ from packet to packet.
        let identification = u16::try_from(sequence & 0xffff).unwrap_or(0);
        let place = make_room(packet, self.tunnel, PROTOCOL, HEADER, identification)?;
        settle(packet)?;
        // Its length in words, less two.
        let words = u8::try_from(HEADER / 4 - 2).unwrap_or(0);
        let header = &mut packet.data_mut()[place.at..][..FIXED];
        header[..4].copy_from_slice(&[place.next_header, words, 0, 0]);
        header[4..8].copy_from_slice(&self.spi.to_be_bytes());
        header[8..].copy_from_slice(&sequence.to_be_bytes());
        let parts = Parts::of(packet.data())?;
        let check = self.key.check_value(&parts.authenticated());
        packet.data_mut()[place.at + FIXED..][..CHECK].copy_from_slice(&check);
        self.sequence = sequence;
        Ok(())
    }
}

impl AhDecap {
    fn verify(&mut self, packet: &mut Packet) -> Result<(), Refusal> {
        unwrap(packet)?;
        let ip = Ipv4::new(packet.data()).map_err(|_| Refusal::Unfit)?;
        let parts = Parts::of(packet.data())?;
        let [next_header, words, _, _, rest @ ..] = parts.fixed else {
            return Err(Refusal::Unfit);
        };
        let ours = ip.protocol() == PROTOCOL
            && usize::from(*words) == HEADER / 4 - 2
            && rest[..4] == self.spi.to_be_bytes();
        if !ours || ip.is_fragment() {
            return Err(Refusal::Unfit);
        }
        let sequence = rest[4..]
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte));
        if !self.window.admits(sequence) {
            return Err(Refusal::Replayed);
        }
        if !self.key.is_right(&parts.authenticated(), parts.check) {
            return Err(Refusal::Forged);
        }
        let place = Place {
            at: NETWORK,
            next_header: *next_header,
        };
        self.window.note(sequence);
        take_out(packet, place, HEADER, self.tunnel)
    }
}

impl Element for AhEncap {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let check = |packet: &mut Packet| {
            let result = self.authenticate(packet);
            self.counts.note(result);
            result
        };
        divert(batch, check, |packet, _| context.emit(1, packet));
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").read("refused");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.counts.read(name)
    }
}

impl Element for AhDecap {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let check = |packet: &mut Packet| {
            let result = self.verify(packet);
            self.counts.note(result);
            result
        };
        divert(batch, check, |packet, _| context.emit(1, packet));
    }

    fn handlers(&self, list: &mut HandlerList) {
        Counts::handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.counts.read(name)
    }
}
