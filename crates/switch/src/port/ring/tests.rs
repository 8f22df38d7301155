//! Both ends of a pair, in one process.

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

fn pair() -> [Box<dyn Port + Send>; 2] {
    let [one, other] = Ring::pair("test").expect("permitted");
    let port = |claim: Claim, end| -> Box<dyn Port + Send> {
        Box::new(Ring::of_claim(claim, end).expect("mapped"))
    };
    [port(one, RingEnd::First), port(other, RingEnd::Second)]
}

fn send(port: &mut dyn Port, frame: &[u8]) {
    port.send(&Frame::new(frame, FrameHead::default()))
        .expect("sent");
}

fn receive(port: &mut dyn Port, limit: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let taken = port.receive(limit, i64::MAX, &mut |frame| {
        let mut bytes = Vec::new();
        frame.append_to(&mut bytes);
        frames.push(bytes);
        true
    });
    assert_eq!(taken.expect("received"), frames.len());
    frames
}

/// Whether the port's descriptor can be read now.
fn is_rung(port: &dyn Port) -> bool {
    let descriptor = port.descriptor().expect("a bell");
    let mut waiting = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    poll(&mut waiting, Some(&Timespec::default())).expect("polled") == 1
}

#[test]
fn frames_of_every_length_come_whole_in_order_both_ways() {
    let [mut one, mut other] = pair();
    let frames: Vec<Vec<u8>> = [1, 59, 60, 1514, 9000, FRAME_LIMIT]
        .iter()
        .map(|length| {
            (0..*length)
                .map(|at| u8::try_from(at % 251).expect("small"))
                .collect()
        })
        .collect();
    for _ in 0..40 {
        for frame in &frames {
            send(&mut *one, frame);
        }
        assert_eq!(one.kick().err().map(|error| error.to_string()), None);
        assert_eq!(receive(&mut *other, 4), frames[..4]);
        assert_eq!(receive(&mut *other, 100), frames[4..]);
        std::mem::swap(&mut one, &mut other);
    }
    assert_eq!(one.counters().sent.frames, 20 * 6);
    assert_eq!(one.counters().received.frames, 20 * 6);
}

#[test]
fn a_frame_that_is_refused_comes_again() {
    let [mut one, mut other] = pair();
    send(&mut *one, &[1; 60]);
    send(&mut *one, &[2; 60]);
    one.kick().expect("handed over");
    let mut seen = Vec::new();
    let taken = other.receive(10, 0, &mut |frame| {
        let mut bytes = Vec::new();
        frame.append_to(&mut bytes);
        seen.push(bytes[0]);
        seen.len() < 2
    });
    assert_eq!((taken.expect("received"), seen), (1, vec![1, 2]));
    assert_eq!(receive(&mut *other, 10), [[2; 60]]);
}

#[test]
fn what_has_no_room_is_dropped_and_counted_and_the_rest_comes() {
    let [mut one, mut other] = pair();
    for _ in 0..1000 {
        send(&mut *one, &[7; 1514]);
    }
    one.kick().expect("handed over");
    let fit = u64::from(CAPACITY) / 1518;
    assert_eq!(one.counters().sent.frames, fit);
    assert_eq!(
        one.counters().dropped,
        [(DropCause::NoRoom, 1000 - fit)],
        "by cause"
    );
    assert_eq!(receive(&mut *other, 2000).len() as u64, fit);
    send(&mut *one, &[8; 60]);
    one.kick().expect("handed over");
    assert_eq!(receive(&mut *other, 10), [[8; 60]]);
}

#[test]
fn who_sleeps_is_woken_once_and_who_does_not_is_left_alone() {
    let [mut one, mut other] = pair();
    assert!(receive(&mut *other, 10).is_empty(), "nothing yet");
    assert!(!is_rung(&*other));
    send(&mut *one, &[1; 60]);
    one.kick().expect("handed over");
    assert!(is_rung(&*other));
    assert_eq!(receive(&mut *other, 1).len(), 1);
    // It has not looked whether there is more, so it is not asleep.
    send(&mut *one, &[2; 60]);
    one.kick().expect("handed over");
    assert_eq!(receive(&mut *other, 10).len(), 1);
    assert!(!is_rung(&*other), "silent when nothing is left");
    send(&mut *one, &[3; 60]);
    one.kick().expect("handed over");
    assert!(is_rung(&*other));
}

#[test]
fn nothing_is_lost_between_two_threads_that_sleep() {
    const FRAMES: u32 = 20_000;
    let [mut one, mut other] = pair();
    let sender = std::thread::spawn(move || {
        for number in 0..FRAMES {
            let before = one.counters().total_dropped();
            loop {
                send(&mut *one, &number.to_le_bytes());
                one.kick().expect("handed over");
                if one.counters().total_dropped() == before {
                    break;
                }
                std::thread::yield_now();
            }
        }
        one
    });
    let begun = Instant::now();
    let mut next = 0_u32;
    while next < FRAMES {
        let frames = receive(&mut *other, 64);
        if frames.is_empty() {
            let descriptor = other.descriptor().expect("a bell");
            let mut waiting = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
            let longest = Timespec {
                tv_sec: 60,
                tv_nsec: 0,
            };
            let woken = poll(&mut waiting, Some(&longest)).expect("polled");
            assert_eq!(woken, 1, "asleep for ever at frame {next}");
        }
        for frame in frames {
            assert_eq!(frame, next.to_le_bytes());
            next += 1;
        }
        assert!(begun.elapsed() < Duration::from_secs(300));
    }
    sender.join().expect("no panic");
}

#[test]
fn a_side_that_writes_what_is_no_frame_loses_the_port_and_nothing_else() {
    for (written, expected) in [
        (
            &0_u32.to_ne_bytes()[..],
            "ring:test: the other lane sends a frame of 0 bytes",
        ),
        (
            &70_000_u32.to_ne_bytes()[..],
            "ring:test: the other lane sends a frame of 70000 bytes",
        ),
    ] {
        let [liar, honest] = Ring::pair("test").expect("permitted");
        let mut liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
        let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
        assert_eq!(liar.outgoing.write_all(&[written]), Ok(true));
        let error = honest.receive(10, 0, &mut |_| true).expect_err("a lie");
        assert_eq!(error.to_string(), expected);
    }
    let [liar, honest] = Ring::pair("test").expect("permitted");
    let liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
    let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
    let index = liar.memory.ring(RingEnd::First).cast::<AtomicU32>();
    // SAFETY: the first word of the ring, in a mapping that both keep.
    unsafe { &*index }.store(CAPACITY + 1, Ordering::Release);
    let error = honest.receive(10, 0, &mut |_| true).expect_err("a lie");
    assert!(error.to_string().contains("impossible"), "{error}");
}

/// The word by which the reader of the ring from `end` says how far it has read.
fn read_so_far(port: &Ring, end: RingEnd) -> &AtomicU32 {
    let word = port.memory.ring(end).wrapping_add(sprat_abi::CACHE_LINE);
    // SAFETY: the first word of the ring's second line, in a mapping that lives as long as the borrow.
    unsafe { &*word.cast() }
}

#[test]
fn a_reader_that_claims_the_impossible_is_found_by_who_sends() {
    let [liar, honest] = Ring::pair("test").expect("permitted");
    let liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
    let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
    let frame = Frame::new(&[1; 60], FrameHead::default());
    read_so_far(&liar, RingEnd::Second).store(77, Ordering::Release);
    let error = honest.send(&frame).expect_err("a lie");
    assert!(error.to_string().contains("impossible"), "{error}");
    assert_eq!(honest.counters().sent.frames, 0);
    assert_eq!(honest.counters().dropped, [(DropCause::NoRoom, 1)]);
}

#[test]
fn a_reader_that_takes_room_back_is_found_by_who_sends() {
    let [liar, honest] = Ring::pair("test").expect("permitted");
    let liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
    let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
    // Full, then read to the end as far as anybody can tell.
    for _ in 0..1000 {
        send(&mut honest, &[7; 1514]);
    }
    honest.kick().expect("handed over");
    let full = u32::try_from(honest.counters().sent.bytes).expect("small");
    let full = full + 4 * u32::try_from(honest.counters().sent.frames).expect("few");
    let read = read_so_far(&liar, RingEnd::Second);
    read.store(full, Ordering::Release);
    send(&mut honest, &[8; 1514]);
    read.store(0, Ordering::Release);
    let error = honest.kick().expect_err("a lie").to_string();
    assert_eq!(error, "ring:test: the other lane takes room back");
}

#[test]
fn a_bell_that_is_rung_without_a_frame_falls_silent() {
    let [liar, honest] = Ring::pair("test").expect("permitted");
    let liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
    let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
    rustix::io::write(&liar.other, &1_u64.to_ne_bytes()).expect("rung");
    drop(liar);
    for _ in 0..=SILENCE {
        assert!(receive(&mut honest, 10).is_empty());
    }
    assert!(!is_rung(&honest));
}

#[test]
fn memory_that_could_be_taken_away_is_refused() {
    let [mut claim, _] = Ring::pair("test").expect("permitted");
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
    let open = rustix::fs::memfd_create("open", flags).expect("a file");
    rustix::fs::ftruncate(&open, 4 << 20).expect("longer");
    claim.descriptors[0] = open;
    let error = claim.into_port().err().expect("a refusal");
    let expected = "ring:test: the memory of the rings may change its length";
    assert_eq!(error.to_string(), expected);
}
