//! What neighbours on a link say to each other in ICMPv6 (RFC 4861), and whether one of them has an
//! address already (RFC 4862, section 5.4; RFC 7527).
//!
//! An address of the stack's own making is asked about once, and is used when nobody has said for a
//! second that it is theirs. The question goes out at once, where the RFC would have it wait for up
//! to a second more at random: two that ask at the same moment hear each other. Where somebody has
//! the address, another is made with an identifier at random (RFC 8981, section 3.3.1); except where
//! that neighbour has this stack's very Ethernet address: then no other IPv6 address would do.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use sprat_devices::{ChaCha, Random as _};
use sprat_packet::checksum::Sum;

/// How long somebody has to answer (RFC 4861, section 10: RETRANS_TIMER).
const ANSWER: u64 = 1_000_000_000;

/// How many other addresses are made on one network (RFC 8981, section 3.8: TEMP_IDGEN_RETRIES).
const OTHERS: u8 = 3;

const ICMP_V6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Options of messages: the Ethernet address of who is advertised, and a word that tells a question
/// from others.
const TARGET_HARDWARE: u8 = 2;
const NONCE: u8 = 14;

const EVERYBODY: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An address of the stack's own making.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) address: Ipv6Addr,
    /// When it is given up.
    pub(crate) until: u64,
    state: State,
    /// How many others were made before it.
    others: u8,
}

#[derive(Debug)]
enum State {
    /// Nobody was asked yet.
    New,
    /// Everybody was asked in these words, and has until then to answer.
    Asked {
        nonce: [u8; 6],
        until: u64,
    },
    Used,
    /// Somebody else has it.
    Taken,
}

impl Own {
    pub(crate) fn new(address: Ipv6Addr, until: u64) -> Self {
        Self {
            address,
            until,
            state: State::New,
            others: 0,
        }
    }

    pub(crate) fn is_used(&self) -> bool {
        matches!(self.state, State::Used)
    }

    /// When [`Self::advance`] has something to do, or it is given up.
    pub(crate) fn due(&self) -> u64 {
        match self.state {
            State::New => 0,
            State::Asked { until, .. } => until.min(self.until),
            _ => self.until,
        }
    }

    /// Asks whether somebody has it, or takes silence for an answer; whether it may be used from now
    /// on.
    pub(crate) fn advance(
        &mut self,
        now: u64,
        hardware: [u8; 6],
        random: &mut ChaCha,
        ask: &mut impl FnMut(&[u8]),
    ) -> bool {
        match self.state {
            State::New => {
                let [a, b, c, d, e, f, ..] = random.next().to_be_bytes();
                let nonce = [a, b, c, d, e, f];
                let until = now.saturating_add(ANSWER);
                self.state = State::Asked { nonce, until };
                let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
                group[13..].copy_from_slice(&self.address.octets()[13..]);
                let mut words = about(SOLICITATION, 0, self.address, NONCE, nonce);
                let nobody = Ipv6Addr::UNSPECIFIED;
                ask(&frame(hardware, nobody, group.into(), &mut words));
                false
            }
            State::Asked { until, .. } if until <= now => {
                self.state = State::Used;
                true
            }
            _ => false,
        }
    }

    /// Takes what a neighbour says about this address, which it may have; whether it has.
    pub(crate) fn hear(
        &mut self,
        said: &Message<'_>,
        hardware: [u8; 6],
        random: &mut ChaCha,
    ) -> bool {
        let asks = match said.body {
            [SOLICITATION, ..] if said.source.is_unspecified() => true,
            [ADVERTISEMENT, ..] => false,
            _ => return false,
        };
        let asked = match &self.state {
            State::New => None,
            State::Asked { nonce, .. } => Some(nonce),
            State::Used | State::Taken => return false,
        };
        // Links may bring back one's own question.
        let is_own = |option: &[u8]| matches!(option, [NONCE, 1, word @ ..] if asked.is_some_and(|nonce| nonce == word));
        if said.target() != Some(self.address) || asks && said.options(24).any(is_own) {
            return false;
        }
        self.state = State::Taken;
        if said.from != hardware && self.others < OTHERS {
            let mut other = self.address.octets();
            other[8..].copy_from_slice(&random.next().to_be_bytes());
            self.address = other.into();
            self.state = State::New;
            self.others += 1;
        }
        true
    }
}

/// A message in order (RFC 4861, section 7.1): of a neighbour, and whole.
pub(crate) struct Message<'a> {
    /// The Ethernet address of who sent it.
    pub(crate) from: [u8; 6],
    pub(crate) source: Ipv6Addr,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn read(frame: &'a [u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_first_chunk::<14>()?;
        let (header, rest) = packet.split_first_chunk::<40>()?;
        let [_, _, _, _, high, low, ICMP_V6, 255, addresses @ ..] = header else {
            return None;
        };
        let (source, destination) = addresses.split_first_chunk::<16>()?;
        let source = Ipv6Addr::from(*source);
        let destination = Ipv6Addr::from(*destination.first_chunk::<16>()?);
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let body = rest.get(..length)?;
        let [_, 0, ..] = body else {
            return None;
        };
        (checksum(source, destination, body) == 0).then_some(Self {
            from: *ethernet[6..].first_chunk()?,
            source,
            body,
        })
    }

    /// What a solicitation or an advertisement of a neighbour is about.
    fn target(&self) -> Option<Ipv6Addr> {
        let target = self.body.get(8..)?.first_chunk::<16>()?;
        Some(Ipv6Addr::from(*target))
    }

    /// Of which address somebody asks whether it is somebody's.
    pub(crate) fn wanted(&self) -> Option<Ipv6Addr> {
        let asks = self.body.first() == Some(&SOLICITATION) && self.source.is_unspecified();
        self.target().filter(|_| asks)
    }

    /// The options from there on, up to the first that is none.
    pub(crate) fn options(&self, start: usize) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.body.get(start..).unwrap_or_default();
        core::iter::from_fn(move || {
            let length = usize::from(*rest.get(1)?) * 8;
            let (option, behind) = rest.split_at_checked(length)?;
            rest = behind;
            (length > 0).then_some(option)
        })
    }
}

/// A frame that tells everybody that an address is this stack's own.
pub(crate) fn claim(hardware: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    const OVERRIDE: u8 = 0x20;
    let mut words = about(ADVERTISEMENT, OVERRIDE, address, TARGET_HARDWARE, hardware);
    frame(hardware, address, EVERYBODY, &mut words)
}

/// A message about an address, with one option.
fn about(kind: u8, flags: u8, address: Ipv6Addr, option: u8, value: [u8; 6]) -> [u8; 32] {
    let mut message = [0; 32];
    message[0] = kind;
    message[4] = flags;
    message[8..24].copy_from_slice(&address.octets());
    message[24..26].copy_from_slice(&[option, 1]);
    message[26..].copy_from_slice(&value);
    message
}

/// A frame to a group with a short message of ICMPv6, which gets its checksum.
pub(crate) fn frame(
    hardware: [u8; 6],
    source: Ipv6Addr,
    group: Ipv6Addr,
    message: &mut [u8],
) -> Vec<u8> {
    let sum = checksum(source, group, message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
    [
        &[0x33, 0x33],
        &group.octets()[12..],
        &hardware,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, length, ICMP_V6, 255],
        &source.octets(),
        &group.octets(),
        message,
    ]
    .concat()
}

/// The checksum of an ICMPv6 message; zero where the message has a right one.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    Sum::pseudo_header_v6(source, destination, ICMP_V6, length)
        .add_bytes(message)
        .finish()
}
