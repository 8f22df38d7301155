//! Lies in rings and in the statistics, told between entries.

use sprat_abi::control::ControlLie;
use sprat_abi::frame::SlotLie;
use sprat_abi::host::Lie;
use sprat_abi::ring::{RingLie, Side};
use sprat_monitor::{Death, Outcome};

use crate::world::{BUDGET, Neighbour, attack, built, monitors, options};

#[test]
fn each_lie_in_a_ring_has_its_own_report_and_harms_no_neighbour() {
    let ring = |side, index, capacity| RingLie {
        side,
        index,
        own: 0,
        capacity,
    };
    use Side::{Consumer, Producer};
    use SlotLie::{Buffer, Extent, LongChain, NotYours, OpenChain};
    let slot = Lie::TransmitSlot;
    let cases = [
        (
            "receive index",
            Lie::ReceiveIndex(RingLie {
                own: 1,
                ..ring(Consumer, 5, 1024)
            }),
        ),
        (
            "transmit index",
            Lie::TransmitIndex(ring(Producer, 1 << 31, 1024)),
        ),
        (
            "transmit buffer",
            slot(Buffer {
                buffer: u32::MAX,
                buffers: 2048,
            }),
        ),
        (
            "transmit offset",
            slot(Extent {
                offset: 1925,
                length: 60,
            }),
        ),
        (
            "transmit length",
            slot(Extent {
                offset: 0,
                length: 65535,
            }),
        ),
        ("transmit twice", slot(NotYours { buffer: 1536 })),
        ("transmit not its own", slot(NotYours { buffer: 1 })),
        ("transmit open chain", slot(OpenChain)),
        ("transmit long chain", slot(LongChain)),
        (
            "supply index",
            Lie::SupplyIndex(ring(Producer, u32::MAX, 2048)),
        ),
        (
            "supply buffer",
            Lie::SupplyBuffer(Buffer {
                buffer: 2048,
                buffers: 2048,
            }),
        ),
        ("supply twice", Lie::SupplyBuffer(NotYours { buffer: 1536 })),
        (
            "console index",
            Lie::Console(ring(Producer, 1 << 20, 16 << 10)),
        ),
        ("file index", Lie::File(ring(Producer, 1 << 30, 64 << 10))),
        (
            "request index",
            Lie::Control(ControlLie::Ring(ring(Consumer, 77, 64 << 10))),
        ),
        (
            "answer index",
            Lie::Control(ControlLie::Ring(ring(Producer, u32::MAX, 64 << 10))),
        ),
        (
            "answer length",
            Lie::Control(ControlLie::Long {
                name_length: 0,
                data_length: u32::MAX,
            }),
        ),
        (
            "answer cut",
            Lie::Control(ControlLie::Cut {
                wanted: 1024,
                present: 32,
            }),
        ),
        (
            "answer head",
            Lie::Control(ControlLie::Cut {
                wanted: 24,
                present: 8,
            }),
        ),
    ];
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for (configuration, expected) in cases {
            let death = attack(&*monitor, &mut neighbour, "lies", configuration.as_bytes());
            let Death::Lied(lie) = death else {
                panic!("{configuration}: {death}")
            };
            assert_eq!(lie, expected, "{configuration} under {:?}", monitor.kind());
        }
    }
}

#[test]
fn what_the_host_never_reads_back_or_that_means_nothing_is_no_lie() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for configuration in ["host's own indexes", "fields without meaning"] {
            let death = attack(&*monitor, &mut neighbour, "lies", configuration.as_bytes());
            assert!(
                matches!(death, Death::Exited(0)),
                "{configuration} under {:?}: {death}",
                monitor.kind()
            );
        }
    }
}

#[test]
fn statistics_show_no_more_than_their_region_holds_whatever_is_written_there() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        let mut instance = monitor
            .create(&built("lies").image, &options(b"statistics"))
            .expect("created");
        let outcome = instance.enter(BUDGET, false).expect("entered");
        assert!(matches!(outcome, Outcome::Yielded { .. }), "{outcome:?}");
        let shared = instance.shared();
        let records: Vec<_> = shared.records().collect();
        assert_eq!(records.len(), 512);
        for record in records {
            assert_eq!((record.subject, record.name()), (None, &[0xff; 56][..]));
            assert_eq!(record.counters, [u64::MAX; 8]);
        }
        // So many were written, it says; the newest are still there, and the region ends with them.
        assert_eq!(shared.events().count(), 256);
        assert!(shared.events().all(|event| event.values == [u64::MAX; 2]));
        neighbour.goes_on();
    }
}
