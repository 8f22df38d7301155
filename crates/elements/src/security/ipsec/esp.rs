use alloc::string::String;
use core::net::Ipv4Addr;

use sprat_click::arguments::unquote_bytes;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ipv4;
use sprat_packet::{Batch, Packet};

use crate::ip::divert::divert;

use super::encryption::{EncryptionKey, HEADER, behind};
use super::framing::{Place, Tunnel, make_room, settle, take_out, unwrap};
use super::replay::ReplayWindow;
use super::{Counts, Refusal};

pub(in super::super) const ESP_ENCAP: Class = Class::of::<EspEncap>("ESPEncap")
    .ports("1/1-2")
    .processing("a/ah");
pub(in super::super) const ESP_DECAP: Class = Class::of::<EspDecap>("ESPDecap")
    .ports("1/1-2")
    .processing("a/ah");

/// ESP in the protocol field (IANA).
const PROTOCOL: u8 = 50;

/// ESPEncap: encrypts IP packets (IPsec's ESP).
///
/// ```click
/// ESPEncap(SPI, KEY, [SRC, DST])
/// ```
///
/// Encrypts the payload of IPv4 packets with AES-GCM and a check value of 16 bytes (RFC 4303, RFC
/// 4106). With SRC and DST the whole packet becomes the payload of a new one between these addresses
/// (tunnel mode); without, its own header stays (transport mode), and fragments are refused. What stands
/// before the IP header is taken off. Packets that cannot be encrypted leave by output 1 if there is
/// one: such as would become longer than IP packets can be, and all after the last sequence number.
///
/// - SPI: the security parameters index, 256 or more.
/// - KEY: 16 or 32 bytes of key and 4 of salt, as `\<00 11 ...>`. **Give another one each time a router
///   starts**: sequence numbers begin at 1 again, and two packets with the same number and key give the
///   key stream away. `$KEY` in a configuration and `--param KEY=...` keep keys out of files.
///
/// Handlers: `count` (read) the packets encrypted, `refused` those not.
///
/// ```click
/// FromDevice(inside) -> Strip(14) -> CheckIPHeader
///     -> ESPEncap(0x1000, \<000102030405060708090a0b0c0d0e0f 10111213>, 192.0.2.1, 198.51.100.1)
///     -> EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2) -> ToDevice(outside);
/// ```
///
/// Click's IPsecESPEncap, IPsecDES and IPsecAuthHMACSHA1 do together, with ciphers now broken, what
/// this element does alone.
struct EspEncap {
    spi: u32,
    key: EncryptionKey,
    tunnel: Option<Tunnel>,
    sequence: u32,
    counts: Counts,
}

/// ESPDecap: decrypts IP packets (IPsec's ESP).
///
/// ```click
/// ESPDecap(SPI, KEY, [keyword TUNNEL])
/// ```
///
/// Takes back what ESPEncap does with the same SPI and KEY. Packets that are genuine and new leave by
/// output 0: in tunnel mode what was inside, with the network header set; in transport mode the packet as
/// it was. Others leave by output 1 if there is one: forged or damaged ones, those whose sequence number
/// has come before or is 64 or more behind the highest, fragments, and those of another SPI.
///
/// - TUNNEL: whether IP packets are inside; true.
///
/// Handlers (all read): `count` the packets decrypted; `forged`, `replayed` and `refused` those not.
///
/// ```click
/// FromDevice(outside) -> Strip(14) -> CheckIPHeader
///     -> ESPDecap(0x1000, \<000102030405060708090a0b0c0d0e0f 10111213>)
///     -> CheckIPHeader -> EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2) -> ToDevice(inside);
/// ```
struct EspDecap {
    spi: u32,
    key: EncryptionKey,
    tunnel: bool,
    window: ReplayWindow,
    counts: Counts,
}

/// Reads SPI; those below 256 are reserved (RFC 4303, section 2.1).
pub(super) fn configure_spi(arguments: &mut Arguments<'_>) -> Result<u32, Rejected> {
    let spi = arguments.required::<u32>("SPI");
    if spi.is_ok_and(|spi| spi < 256) {
        return Err(arguments.error("SPI: must be 256 or more"));
    }
    spi
}

/// Reads KEY, which `make` makes something of where it has the right length.
pub(super) fn configure_key<K>(
    arguments: &mut Arguments<'_>,
    lengths: &str,
    make: impl Fn(&[u8]) -> Option<K>,
) -> Result<K, Rejected> {
    let key = arguments.required_with("KEY", |text, _| Ok(unquote_bytes(text)))?;
    make(&key).ok_or_else(|| {
        let message = alloc::format!("KEY: must have {lengths}, not {} bytes", key.len());
        arguments.error(message)
    })
}

/// Reads SRC and DST, both or none.
pub(super) fn configure_tunnel(arguments: &mut Arguments<'_>) -> Option<Tunnel> {
    let source = arguments.position::<Ipv4Addr>("SRC")?;
    let destination = arguments.required("DST").ok()?;
    Some(Tunnel {
        source,
        destination,
    })
}

impl Configure for EspEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let spi = configure_spi(arguments);
        let key = configure_key(arguments, LENGTHS, EncryptionKey::new);
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

const LENGTHS: &str = "16 or 32 bytes and 4 of salt";

impl Configure for EspDecap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let spi = configure_spi(arguments);
        let key = configure_key(arguments, LENGTHS, EncryptionKey::new);
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

impl EspEncap {
    fn encrypt(&mut self, packet: &mut Packet) -> Result<(), Refusal> {
        unwrap(packet)?;
        let sequence = self.sequence.checked_add(1).ok_or(Refusal::Unfit)?;
        // It need only differ from packet to packet.
        let identification = u16::try_from(sequence & 0xffff).unwrap_or(0);
        let place = make_room(packet, self.tunnel, PROTOCOL, HEADER, identification)?;
        let payload = packet.len() - place.at - HEADER;
        packet.append(behind(payload)).fill(0);
        settle(packet)?;
        let bytes = packet.data_mut().get_mut(place.at..);
        let bytes = bytes.ok_or(Refusal::Unfit)?;
        bytes[..4].copy_from_slice(&self.spi.to_be_bytes());
        bytes[4..8].copy_from_slice(&sequence.to_be_bytes());
        // A vector may be a counter (RFC 4106, section 3.1).
        bytes[8..16].copy_from_slice(&u64::from(sequence).to_be_bytes());
        self.key.seal(bytes, payload, place.next_header)?;
        self.sequence = sequence;
        Ok(())
    }
}

impl EspDecap {
    fn decrypt(&mut self, packet: &mut Packet) -> Result<(), Refusal> {
        unwrap(packet)?;
        let ip = Ipv4::new(packet.data()).map_err(|_| Refusal::Unfit)?;
        let at = ip.header_length();
        let header = ip.payload().first_chunk::<8>().ok_or(Refusal::Unfit)?;
        let [a, b, c, d, e, f, g, h] = *header;
        let ours = ip.protocol() == PROTOCOL && u32::from_be_bytes([a, b, c, d]) == self.spi;
        if !ours || ip.is_fragment() {
            return Err(Refusal::Unfit);
        }
        let sequence = u32::from_be_bytes([e, f, g, h]);
        if !self.window.admits(sequence) {
            return Err(Refusal::Replayed);
        }
        let (payload, next_header) = self.key.open(&mut packet.data_mut()[at..])?;
        self.window.note(sequence);
        packet.truncate(at + HEADER + payload);
        take_out(packet, Place { at, next_header }, HEADER, self.tunnel)
    }
}

impl Element for EspEncap {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let check = |packet: &mut Packet| {
            let result = self.encrypt(packet);
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

impl Element for EspDecap {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let check = |packet: &mut Packet| {
            let result = self.decrypt(packet);
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
