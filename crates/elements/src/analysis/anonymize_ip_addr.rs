use alloc::vec::Vec;
use core::net::Ipv4Addr;

use hashbrown::HashMap;
use md5::{Digest, Md5};
use sprat_click::arguments::{Argument, ArgumentError, Names, split_words};
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4, Ipv4Mut};
use sprat_packet::{Batch, Packet, checksum};

pub(super) const ANONYMIZE_IP_ADDR: Class = Class::of::<AnonymizeIpAddr>("AnonymizeIPAddr")
    .ports("1/1-2")
    .processing("a/ah");

/// AnonymizeIPAddr: replaces addresses by others that share prefixes where the originals did.
///
/// ```click
/// AnonymizeIPAddr([keywords CLASS, PRESERVE_8, SEED])
/// ```
///
/// Source and destination of IPv4 packets become other addresses, always the same for the same one,
/// and different for different ones. Two of them share their first bits exactly as far as the originals
/// did. 0.0.0.0 and 255.255.255.255 stay what they are, whatever is replaced by them otherwise. The IP
/// checksum is updated; those of TCP and UDP, which cover addresses too, are not. Packets without an IP
/// header leave by output 1 if there is one.
///
/// Which addresses there were can be guessed by whoever knows some of the traffic: see RFC 6235.
///
/// - CLASS: how many leading ones of an address are kept, with the zero behind them: with 3, networks
///   of classes A, B and C stay such; 0.
/// - PRESERVE_8: the first bytes, set apart by spaces, of networks that stay what they are. What is
///   near them then stays near them.
/// - SEED: whether addresses are others in each run; true.
///
/// See Click's manual page AnonymizeIPAddr(n).
struct AnonymizeIpAddr {
    class: u32,
    preserved: Vec<u8>,
    seeded: bool,
    key: u64,
    /// What was found before.
    known: HashMap<Ipv4Addr, Ipv4Addr>,
}

/// As many addresses are remembered.
const REMEMBERED: usize = 1 << 16;

/// First bytes of networks.
#[derive(Default)]
struct Networks(Vec<u8>);

impl Argument for Networks {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        let words = split_words(text);
        let networks = words.iter().map(|word| u8::parse(word, names));
        networks.collect::<Result<_, _>>().map(Self)
    }
}

impl Configure for AnonymizeIpAddr {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let class = arguments.keyword("CLASS").unwrap_or(0);
        let Networks(preserved) = arguments.keyword("PRESERVE_8").unwrap_or_default();
        let seeded = arguments.keyword("SEED").unwrap_or(true);
        arguments.finish()?;
        if class > 32 {
            return Err(arguments.error("CLASS: must be between 0 and 32"));
        }
        Ok(Self {
            class,
            preserved,
            seeded,
            key: 0,
            known: HashMap::new(),
        })
    }
}

impl AnonymizeIpAddr {
    fn replacement(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        if is_special(address) {
            return address;
        }
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let mut found = self.flipped(address);
        // What would become special takes what the special one would become.
        while is_special(found) {
            found = self.flipped(found);
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(address, found);
        found
    }

    /// Flips each bit or not, as a secret function of the bits before it says (Xu, Fan, Ammar and
    /// Moon, "Prefix-preserving IP address anonymization", 2002).
    fn flipped(&self, address: Ipv4Addr) -> Ipv4Addr {
        let bits = address.to_bits();
        let flips = (0..32).fold(0, |flips, before: u32| {
            let prefix = bits & !(u32::MAX >> before);
            let flip = !self.keeps(bits, before) && self.secret_bit(prefix, before);
            flips << 1 | u32::from(flip)
        });
        Ipv4Addr::from_bits(bits ^ flips)
    }

    /// Whether the bit behind so many others stays what it is.
    fn keeps(&self, bits: u32, before: u32) -> bool {
        let in_class = before < self.class && bits.leading_ones() >= before;
        let near = |network: &u8| {
            let differs = (bits >> 24) ^ u32::from(*network);
            before < 8 && differs >> (8 - before) == 0
        };
        in_class || self.preserved.iter().any(near)
    }

    fn secret_bit(&self, prefix: u32, before: u32) -> bool {
        let mut hash = Md5::new();
        hash.update(self.key.to_be_bytes());
        hash.update(before.to_be_bytes());
        hash.update(prefix.to_be_bytes());
        hash.finalize()[0] & 1 != 0
    }

    fn anonymize(&mut self, packet: &mut Packet) -> Option<()> {
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        let (source, destination) = (ip.source(), ip.destination());
        let [new_source, new_destination] =
            [source, destination].map(|address| self.replacement(address));
        let mut ip = Ipv4Mut::new(packet.network_header_mut()?).ok()?;
        let mut sum = ip.checksum();
        for (old, new) in [(source, new_source), (destination, new_destination)] {
            sum = checksum::update_u32(sum, old.to_bits(), new.to_bits());
        }
        ip.set_source(new_source);
        ip.set_destination(new_destination);
        ip.set_checksum(sum);
        Some(())
    }
}

fn is_special(address: Ipv4Addr) -> bool {
    address == Ipv4Addr::UNSPECIFIED || address == Ipv4Addr::BROADCAST
}

impl Element for AnonymizeIpAddr {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.seeded {
            self.key = context.environment().random_seed();
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| match self.anonymize(&mut packet) {
            Some(()) => Some(packet),
            None => {
                context.emit(1, packet);
                None
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::Bench;

    fn with(class: u32, preserved: &[u8], key: u64) -> AnonymizeIpAddr {
        AnonymizeIpAddr {
            class,
            preserved: preserved.to_vec(),
            seeded: true,
            key,
            known: HashMap::new(),
        }
    }

    #[test]
    fn networks_that_are_preserved_pull_their_neighbours_along() {
        // The table of Click's manual page for PRESERVE_8 18.
        let table = [
            (0..=15, 0..=15),
            (16..=17, 16..=17),
            (18..=18, 18..=18),
            (19..=19, 19..=19),
            (20..=23, 20..=23),
            (24..=31, 24..=31),
            (32..=63, 32..=63),
            (64..=127, 64..=127),
            (128..=255, 128..=255),
        ];
        for key in 0..20 {
            let mut anonymous = with(0, &[18], key);
            for (inputs, outputs) in table.clone() {
                for first in inputs {
                    let found = anonymous.replacement(Ipv4Addr::new(first, 1, 2, 3));
                    assert!(
                        outputs.contains(&found.octets()[0]),
                        "{first} became {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn packets_keep_a_right_ip_checksum() {
        // RFC 791's fields by hand: the sum over the header is 0xffff.
        let mut packet = std::vec![
            0x45, 0, 0, 20, 0, 0, 0, 0, 64, 0, 0, 0, 18, 26, 4, 9, 10, 0, 0, 1
        ];
        let sum = checksum::Sum::of(&packet).finish().to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader(0) -> AnonymizeIPAddr -> CheckIPHeader -> ToDevice(out)",
        );
        bench.arrive("in", &packet);
        bench.run();
        let sent = bench.sent("out");
        assert_eq!(sent.len(), 1);
        assert_ne!(sent[0][12..], packet[12..]);
    }

    #[test]
    fn special_addresses_stay_and_nothing_else_becomes_one() {
        for key in 0..100 {
            let mut anonymous = with(0, &[], key);
            for special in [0, u32::MAX].map(Ipv4Addr::from_bits) {
                assert_eq!(anonymous.replacement(special), special);
                // The one address that the secret function makes special.
                let mut before = special;
                for bit in 0..32 {
                    let flipped = anonymous.flipped(before);
                    let differs = flipped.to_bits() ^ special.to_bits();
                    if differs >> (31 - bit) & 1 != 0 {
                        before = Ipv4Addr::from_bits(before.to_bits() ^ 1 << (31 - bit));
                    }
                }
                assert_eq!(anonymous.flipped(before), special);
                if before != special {
                    assert!(!is_special(anonymous.replacement(before)));
                }
            }
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (arguments, wrong) in [
            ("CLASS 33", "CLASS: must be between 0 and 32"),
            ("PRESERVE_8 1 256", "PRESERVE_8"),
        ] {
            let errors = Bench::errors(&std::format!(
                "Idle -> AnonymizeIPAddr({arguments}) -> Idle"
            ));
            assert!(errors.contains(wrong), "{errors}");
        }
    }

    proptest! {
        #[test]
        fn prefixes_are_shared_as_before(one: u32, other: u32, key: u64) {
            let mut anonymous = with(0, &[], key);
            let [found, beside] =
                [one, other].map(|bits| anonymous.flipped(Ipv4Addr::from_bits(bits)).to_bits());
            prop_assert_eq!((one ^ other).leading_zeros(), (found ^ beside).leading_zeros());
            // And again, from memory.
            let address = Ipv4Addr::from_bits(one);
            prop_assert_eq!(anonymous.replacement(address), anonymous.replacement(address));
        }

        #[test]
        fn classes_stay_what_they_are(bits: u32, key: u64) {
            let found = with(4, &[], key).flipped(Ipv4Addr::from_bits(bits)).to_bits();
            prop_assert_eq!(bits.leading_ones().min(4), found.leading_ones().min(4));
        }
    }
}
