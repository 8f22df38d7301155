//! Addresses from routers' advertisements, frame by frame.
#![cfg(feature = "ipv6")]
#![allow(missing_docs)]

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use sprat_devices::Clock;
use sprat_net::{Configuration, Ipv4, Ipv6, Options, Stack};
use sprat_packet::{Batch, Pool};

const SECOND: u64 = 1_000_000_000;
const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 5];

#[derive(Default)]
struct Manual(Cell<u64>);

impl Clock for Manual {
    fn monotonic(&self) -> u64 {
        self.0.get()
    }

    fn wall(&self) -> i64 {
        0
    }
}

/// A stack alone on its link.
struct Alone {
    stack: Stack,
    clock: Rc<Manual>,
    pool: Pool,
}

impl Alone {
    fn new() -> Self {
        let clock = Rc::new(Manual::default());
        let pool = Pool::growing();
        let configuration = Configuration {
            ipv4: Ipv4::Off,
            ipv6: Ipv6::Slaac,
            ..Configuration::default()
        };
        let options = Options {
            configuration,
            ..Options::new(HARDWARE, [7; 32])
        };
        let stack = Stack::new(options, pool.clone(), clock.clone());
        Self { stack, clock, pool }
    }

    /// What it sends at a moment, and when something comes.
    fn at(&self, moment: u64, frame: Option<&[u8]>) -> Vec<Vec<u8>> {
        self.clock.0.set(moment);
        let (mut received, mut sent) = (Batch::new(), Batch::new());
        received.extend(frame.map(|frame| self.pool.packet(frame)));
        self.stack.poll(&mut received, &mut sent, 100);
        sent.drain().map(|packet| packet.data().to_vec()).collect()
    }

    fn addresses(&self) -> Vec<(IpAddr, u8)> {
        self.stack.lease().addresses
    }
}

/// The sum over a pseudo-header and a message: all ones where its checksum is right (RFC 4443,
/// section 2.3).
fn sum(frame: &[u8]) -> u16 {
    let message = &frame[54..];
    let length = u32::try_from(message.len()).expect("short");
    let mut bytes = frame[22..54].to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, 58]);
    bytes.extend(message);
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}

/// An advertisement (RFC 4861, section 4.2) by fe80::1 to everybody.
fn advertisement(router_seconds: u16, options: &[&[u8]]) -> Vec<u8> {
    let options = options.concat();
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
    let length = u16::try_from(16 + options.len()).expect("short");
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([58, 255]);
    let router: Ipv6Addr = "fe80::1".parse().expect("an address");
    let everybody: Ipv6Addr = "ff02::1".parse().expect("an address");
    frame.extend(router.octets());
    frame.extend(everybody.octets());
    frame.extend([134, 0, 0, 0, 64, 0]);
    frame.extend(router_seconds.to_be_bytes());
    frame.extend([0; 8]);
    frame.extend(options);
    let checksum = !sum(&frame);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// A network that addresses may be made on (RFC 4861, section 4.6.2).
fn prefix(network: &str, valid: u32, preferred: u32) -> Vec<u8> {
    let network: Ipv6Addr = network.parse().expect("an address");
    let mut option = vec![3, 4, 64, 0xc0];
    option.extend(valid.to_be_bytes());
    option.extend(preferred.to_be_bytes());
    option.extend([0; 4]);
    option.extend(network.octets());
    option
}

/// A name server (RFC 8106, section 5.1).
fn name_server(address: &str, seconds: u32) -> Vec<u8> {
    let address: Ipv6Addr = address.parse().expect("an address");
    let mut option = vec![25, 3, 0, 0];
    option.extend(seconds.to_be_bytes());
    option.extend(address.octets());
    option
}

fn address(text: &str) -> (IpAddr, u8) {
    (text.parse().expect("an address"), 64)
}

const LINK_LOCAL: &str = "fe80::ff:fe00:5";
const OWN: &str = "2001:db8:1::ff:fe00:5";

/// A message about an address: 135 asks for it, 136 has it (RFC 4861, sections 4.3 and 4.4).
fn about(
    kind: u8,
    from: [u8; 6],
    (source, destination): (&str, &str),
    target: &str,
    option: &[u8],
) -> Vec<u8> {
    let octets = |text: &str| text.parse::<Ipv6Addr>().expect("an address").octets();
    let mut frame = vec![0x33, 0x33];
    frame.extend(&octets(destination)[12..]);
    frame.extend(from);
    let length = u8::try_from(24 + option.len()).expect("short");
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 58, 255]);
    frame.extend(octets(source));
    frame.extend(octets(destination));
    frame.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(octets(target));
    frame.extend(option);
    let checksum = !sum(&frame);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// What a neighbour with an address answers to everybody.
fn answer(from: [u8; 6], target: &str) -> Vec<u8> {
    let mut option = vec![2, 1];
    option.extend(from);
    let mut frame = about(136, from, (target, "ff02::1"), target, &option);
    // It overrides what others know: the flag, and the sum that goes with it.
    frame[58] = 0x20;
    frame[56..58].fill(0);
    let checksum = !sum(&frame);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

const NEIGHBOUR: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Of which address a frame asks whether somebody has it, where it does so as RFC 4862 (5.4.2) and
/// RFC 7527 (4.2) have it.
fn asked(frame: &[u8]) -> Ipv6Addr {
    let target: [u8; 16] = frame[62..78].try_into().expect("sixteen");
    let target = Ipv6Addr::from(target);
    let [.., a, b, c] = target.octets();
    assert_eq!(frame[..6], [0x33, 0x33, 0xff, a, b, c]);
    assert_eq!(frame[6..12], HARDWARE);
    assert_eq!(frame[12..22], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!(frame[22..38], [0; 16]);
    assert_eq!(frame[38..51], [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
    assert_eq!(frame[51..54], [a, b, c]);
    assert_eq!(frame[54..56], [135, 0]);
    assert_eq!(frame[58..62], [0; 4]);
    assert_eq!(frame[78..80], [14, 1]);
    assert_eq!(frame.len(), 86);
    assert_eq!(sum(frame), 0xffff);
    target
}

#[test]
fn routers_are_asked_less_and_less_often_until_one_answers() {
    let alone = Alone::new();
    // As long as it has no address, nobody asks, and not where to answer.
    let sent = alone.at(0, None);
    let [link_local, question] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(asked(link_local).to_string(), LINK_LOCAL);
    assert_eq!(question[12..22], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255]);
    assert_eq!(question[22..38], [0; 16]);
    assert_eq!((question.len(), sum(question)), (62, 0xffff));
    assert_eq!(question[54..56], [133, 0]);
    assert_eq!(alone.addresses(), []);
    assert_eq!(alone.at(SECOND - 1, None), [[0; 0]; 0]);
    assert_eq!(alone.at(SECOND, None), [[0; 0]; 0]);
    assert_eq!(alone.addresses(), [address(LINK_LOCAL)]);
    let mut moment = 4 * SECOND;
    for wait in [8, 16, 32] {
        assert_eq!(alone.stack.next_deadline(), Some(moment));
        assert_eq!(alone.at(moment - 1, None), [[0; 0]; 0]);
        let sent = alone.at(moment, None);
        let [question] = &sent[..] else {
            panic!("{sent:?}");
        };
        // To all routers, by the link-local address, with the Ethernet address as an option.
        assert_eq!(question[..6], [0x33, 0x33, 0, 0, 0, 2]);
        assert_eq!(question[6..12], HARDWARE);
        assert_eq!(
            question[12..22],
            [0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 58, 255]
        );
        let source: Ipv6Addr = LINK_LOCAL.parse().expect("an address");
        assert_eq!(question[22..38], source.octets());
        assert_eq!(question[54..56], [133, 0]);
        assert_eq!(question[62..], [1, 1, 2, 0, 0, 0, 0, 5]);
        assert_eq!(sum(question), 0xffff);
        moment += wait * SECOND;
    }
    let answer = advertisement(1800, &[&prefix("2001:db8:1::", 7200, 3600)]);
    let sent = alone.at(moment - SECOND, Some(&answer));
    assert_eq!(asked(&sent[0]).to_string(), OWN);
    assert_eq!(alone.at(moment, None), [[0; 0]; 0]);
    assert_eq!(alone.addresses(), [address(LINK_LOCAL), address(OWN)]);
    // The router is the first that holds no longer; then another is asked for.
    let end = moment + 1799 * SECOND;
    assert_eq!(alone.stack.next_deadline(), Some(end));
    assert_eq!(alone.at(end, None).len(), 1);
}

/// What it is heard to have, once it was told something half a second after it asked.
fn told(frame: &[u8]) -> (Alone, Vec<(IpAddr, u8)>) {
    let alone = Alone::new();
    alone.at(0, None);
    alone.at(SECOND / 2, Some(frame));
    alone.at(SECOND, None);
    let addresses = alone.addresses();
    (alone, addresses)
}

#[test]
fn an_address_that_a_neighbour_has_or_wants_is_not_taken() {
    let group = "ff02::1:ff00:5";
    let wants = about(135, NEIGHBOUR, ("::", group), LINK_LOCAL, &[]);
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let wants_too = about(135, NEIGHBOUR, ("::", group), LINK_LOCAL, &nonce);
    for frame in [answer(NEIGHBOUR, LINK_LOCAL), wants, wants_too] {
        let (alone, addresses) = told(&frame);
        assert_eq!(addresses, [], "{frame:?}");
        assert_eq!(alone.stack.counters().addresses_in_use, 1);
        // Another was made when it was told, and nobody has that one.
        alone.at(SECOND * 3 / 2, None);
        let [(IpAddr::V6(other), 64)] = alone.addresses()[..] else {
            panic!("{:?}", alone.addresses());
        };
        assert!(other.is_unicast_link_local());
        assert_ne!(address(LINK_LOCAL).0, other);
    }
}

#[test]
fn what_is_not_about_the_address_or_not_in_order_changes_nothing() {
    let group = "ff02::1:ff00:5";
    let mut crossed = answer(NEIGHBOUR, LINK_LOCAL);
    crossed[21] = 254;
    let mut changed = answer(NEIGHBOUR, LINK_LOCAL);
    changed[80] ^= 1;
    for frame in [
        answer(NEIGHBOUR, "fe80::ff:fe00:6"),
        // Asks where the address is, to send there.
        about(135, NEIGHBOUR, ("fe80::9", group), LINK_LOCAL, &[]),
        crossed,
        changed,
        answer(NEIGHBOUR, LINK_LOCAL)[..70].to_vec(),
    ] {
        let (alone, addresses) = told(&frame);
        assert_eq!(addresses, [address(LINK_LOCAL)], "{frame:?}");
        assert_eq!(alone.stack.counters().addresses_in_use, 0);
    }
}

#[test]
fn a_question_that_a_link_brings_back_is_no_neighbours() {
    let alone = Alone::new();
    let sent = alone.at(0, None);
    alone.at(1, Some(&sent[0]));
    alone.at(SECOND, None);
    assert_eq!(alone.addresses(), [address(LINK_LOCAL)]);
}

#[test]
fn whoever_has_the_same_ethernet_address_leaves_no_other() {
    let (alone, addresses) = told(&answer(HARDWARE, LINK_LOCAL));
    assert_eq!(addresses, []);
    alone.at(60 * SECOND, None);
    assert_eq!(alone.addresses(), []);
}

#[test]
fn no_more_than_three_others_are_made_of_an_address() {
    let alone = Alone::new();
    let mut wanted = vec![asked(&alone.at(0, None)[0])];
    while let Some(last) = wanted.last() {
        let sent = alone.at(SECOND / 2, Some(&answer(NEIGHBOUR, &last.to_string())));
        match sent.first() {
            Some(frame) => wanted.push(asked(frame)),
            None => break,
        }
    }
    assert_eq!(wanted.len(), 4);
    wanted.sort();
    wanted.dedup();
    assert_eq!(wanted.len(), 4);
    assert_eq!(alone.stack.counters().addresses_in_use, 4);
    // Routers are asked all the same.
    assert_eq!(alone.at(4 * SECOND, None).len(), 1);
    assert_eq!(alone.addresses(), []);
}

#[test]
fn an_address_in_use_is_claimed_when_a_neighbour_wants_it() {
    let alone = Alone::new();
    alone.at(0, None);
    alone.at(SECOND, None);
    let wants = about(135, NEIGHBOUR, ("::", "ff02::1:ff00:5"), LINK_LOCAL, &[]);
    // RFC 4861, section 7.2.4: to everybody, not asked by anybody, overriding.
    let mut claim = answer(HARDWARE, LINK_LOCAL);
    claim[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(alone.at(2 * SECOND, Some(&wants)), [claim]);
    assert_eq!(alone.addresses(), [address(LINK_LOCAL)]);
}

#[test]
fn an_address_and_name_servers_come_from_an_advertisement_and_go() {
    let alone = Alone::new();
    alone.at(0, None);
    let options = [
        &prefix("2001:db8:1::", 10_000, 3600)[..],
        &name_server("2001:db8::53", 600),
    ];
    alone.at(SECOND, Some(&advertisement(0, &options)));
    alone.at(2 * SECOND, None);
    assert_eq!(alone.addresses(), [address(LINK_LOCAL), address(OWN)]);
    let server: IpAddr = "2001:db8::53".parse().expect("an address");
    assert_eq!(alone.stack.lease().name_servers, [server]);
    alone.at(601 * SECOND, None);
    assert_eq!(alone.stack.lease().name_servers, [] as [IpAddr; 0]);
    // Nobody shortens what is left to less than two hours.
    let short = advertisement(0, &[&prefix("2001:db8:1::", 1, 1)]);
    alone.at(1000 * SECOND, Some(&short));
    alone.at(8199 * SECOND, None);
    assert_eq!(alone.addresses().len(), 2);
    alone.at(8200 * SECOND, None);
    assert_eq!(alone.addresses(), [address(LINK_LOCAL)]);
}

#[test]
fn what_is_no_sound_advertisement_changes_nothing() {
    let alone = Alone::new();
    alone.at(0, None);
    alone.at(SECOND, None);
    let sound = advertisement(1800, &[&prefix("2001:db8:1::", 7200, 3600)]);
    let changed = |place: usize, value: u8| {
        let mut frame = sound.clone();
        frame[place] = value;
        frame
    };
    let mut frames = vec![
        // It has crossed a router; its sum is wrong; an option has no length.
        changed(21, 254),
        changed(56, sound[56] ^ 1),
        advertisement(
            1800,
            &[
                &prefix("2001:db8:1::", 7200, 3600),
                &[1, 0, 0, 0, 0, 0, 0, 0],
            ],
        ),
        // Preferred for longer than valid; a link-local network; one not to make addresses on.
        advertisement(0, &[&prefix("2001:db8:1::", 1, 2)]),
        advertisement(0, &[&prefix("fe80::", 7200, 3600)]),
        advertisement(
            0,
            &[&{
                let mut option = prefix("2001:db8:1::", 7200, 3600);
                option[3] = 0x80;
                option
            }],
        ),
    ];
    frames.extend((0..sound.len()).map(|length| sound[..length].to_vec()));
    for frame in frames {
        alone.at(SECOND, Some(&frame));
        alone.at(3 * SECOND, None);
        assert_eq!(alone.addresses(), [address(LINK_LOCAL)], "{frame:?}");
    }
    // No more are kept than there is room for.
    let many: Vec<_> = (0..5)
        .map(|n| prefix(&format!("2001:db8:{n}::"), 7200, 3600))
        .collect();
    let many: Vec<_> = many.iter().map(Vec::as_slice).collect();
    alone.at(3 * SECOND, Some(&advertisement(1800, &many)));
    alone.at(4 * SECOND, None);
    assert_eq!(alone.addresses().len(), 3);
}
