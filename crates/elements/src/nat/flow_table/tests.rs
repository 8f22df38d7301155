use super::*;
use core::time::Duration;
use sprat_packet::checksum::AddressesAndPorts;

fn key(source: u32, source_port: u16) -> FlowKey {
    let tuple = AddressesAndPorts {
        source,
        destination: 9,
        source_port,
        destination_port: 80,
    };
    FlowKey::new(tuple, 17)
}

fn new(number: u32) -> NewFlow {
    NewFlow {
        original: key(number, 1),
        rewritten: key(
            1000 + (number >> 16),
            u16::try_from(number & 0xffff).unwrap(),
        ),
        owner: 0,
        outputs: [0, 1],
        class: 0,
        reply_annotation: 0,
    }
}

fn seconds(count: u64) -> Instant {
    Instant(count * 1_000_000_000)
}

fn lifetime(timeout: u64, guarantee: u64) -> Lifetime {
    Lifetime {
        timeout: Duration::from_secs(timeout),
        guarantee: Duration::from_secs(guarantee),
    }
}

fn table(lifetimes: &[Lifetime]) -> FlowTable {
    let mut table = FlowTable::new(1 << 20, 7);
    assert_eq!(table.join(lifetimes, 1), Some(Share::default()));
    table
}

#[test]
fn a_flow_is_found_by_its_packets_and_by_their_replies() {
    let mut table = table(&[lifetime(60, 5)]);
    let now = seconds(0);
    let id = table.insert(&new(5), 0, now);
    let found = table.find(&key(5, 1), 0).unwrap();
    assert_eq!((found.id(), found.direction()), (id, Direction::Forward));
    let found = table.find(&key(1000, 5).reversed(), 0).unwrap();
    assert_eq!((found.id(), found.direction()), (id, Direction::Reply));
    assert!(table.find(&key(5, 1), 1).is_none(), "of another rewriter");
    assert!(!table.is_free(&key(1000, 5), 0, now) && table.is_free(&key(1000, 6), 0, now));
    assert!(table.is_free(&key(1000, 5), 0, seconds(60)), "timed out");
    table.remove(id, now);
    assert_eq!(table.find(&key(5, 1), 0), None);
    assert_eq!(table.len(), 0);
}

#[test]
fn flows_expire_after_their_last_packet() {
    let mut table = table(&[lifetime(60, 5)]);
    let first = table.insert(&new(1), 0, seconds(0));
    table.insert(&new(2), 0, seconds(10));
    table.touch(first, 0, seconds(30));
    table.reap(seconds(75));
    assert!(table.find(&key(1, 1), 0).is_some() && table.find(&key(2, 1), 0).is_none());
    assert_eq!(table.expiry(first), seconds(90));
}

#[test]
fn a_full_table_gives_up_the_flow_that_expires_first_of_those_not_guaranteed() {
    let mut table = table(&[lifetime(60, 5)]);
    table.capacity = 2;
    assert!(table.admit(&new(1), 0, seconds(0)).is_some());
    assert!(table.admit(&new(2), 0, seconds(4)).is_some());
    assert_eq!(table.admit(&new(3), 0, seconds(4)), None);
    // Used again within the half second in which a flow is not moved in its list.
    let first = table.find(&key(1, 1), 0).unwrap().id();
    table.touch(first, 0, seconds(4));
    table.touch(first, 0, Instant(seconds(4).0 + 200_000_000));
    assert!(table.admit(&new(3), 0, seconds(9)).is_some());
    assert!(table.find(&key(1, 1), 0).is_some() && table.find(&key(2, 1), 0).is_none());
}

#[test]
fn a_flow_ends_for_one_whose_replies_would_be_the_same() {
    let mut table = table(&[lifetime(60, 5)]);
    table.insert(&new(1), 0, seconds(0));
    let mut other = new(2);
    other.rewritten = new(1).rewritten;
    table.insert(&other, 0, seconds(0));
    assert_eq!(table.len(), 1);
    assert!(table.find(&key(2, 1), 0).is_some() && table.find(&key(1, 1), 0).is_none());
}

#[test]
fn a_smaller_capacity_takes_effect_at_once() {
    let mut table = table(&[lifetime(60, 5)]);
    for number in 0..10 {
        table.insert(&new(number), 0, seconds(0));
    }
    table.set_capacity(3, seconds(1));
    assert_eq!((table.len(), table.owner(0).flows), (3, 3));
}

#[test]
fn a_thousand_flows_come_and_go_and_leave_nothing() {
    let mut table = table(&[lifetime(60, 5), lifetime(5, 5)]);
    let ids: Vec<FlowId> = (0..1000)
        .map(|number| table.insert(&new(number), 0, seconds(0)))
        .collect();
    for (number, id) in (0..1000).zip(&ids) {
        assert_eq!(table.find(&key(number, 1), 0).map(Entry::id), Some(*id));
        table.touch(*id, u8::try_from(number % 2).unwrap(), seconds(1));
    }
    assert_eq!(table.iter(None).count(), 1000);
    table.reap(seconds(10));
    assert_eq!(table.len(), 500);
    table.retain(seconds(10), |_| false);
    assert_eq!(
        (table.len(), table.iter(None).count(), table.index.len()),
        (0, 0, 0)
    );
}

#[test]
fn a_clock_that_leaps_ends_flows_and_one_that_goes_back_ends_none() {
    let mut table = table(&[lifetime(60, 5)]);
    let first = table.insert(&new(1), 0, seconds(1000));
    // Back to before the flow began: it is as young as can be.
    table.touch(first, 0, seconds(10));
    table.insert(&new(2), 0, seconds(10));
    table.reap(seconds(0));
    assert_eq!(table.len(), 2);
    assert_eq!(table.expiry(first), seconds(70));
    // To the end of time.
    table.reap(Instant::NEVER);
    assert_eq!(table.len(), 0);
    let last = table.insert(&new(3), 0, Instant::NEVER);
    assert!(
        table
            .find(&key(3, 1), 0)
            .is_some_and(|entry| entry.id() == last)
    );
}
