//! Instances that go on writing while the host reads, on another processor.
//!
//! Only under the process monitor can they. A virtual machine has one processor and gives it up when
//! it yields: there the trick ends the instance.

use std::sync::mpsc;
use std::time::Duration;

use sprat_monitor::{Cause, Death, Monitor, MonitorKind, Outcome, ProcessMonitor};
use sprat_switch::lane::{ControlError, Lane, LaneOptions, Link};

use crate::world::{Neighbour, PATIENCE, attack, built, monitors, options, serve};

/// The call that wakes the host.
const FUTEX: i64 = 202;

#[test]
fn a_virtual_machine_that_wants_to_go_on_beside_the_host_is_ended() {
    for monitor in monitors() {
        if monitor.kind() != MonitorKind::Vm {
            continue;
        }
        let mut neighbour = Neighbour::new(&*monitor);
        for name in ["scribbles", "pours"] {
            let death = attack(&*monitor, &mut neighbour, name, b"");
            assert!(
                matches!(&death, Death::Faulted(report) if report.cause == Cause::SystemCall { number: FUTEX }),
                "{death}"
            );
        }
    }
}

#[test]
fn an_instance_that_writes_its_rings_while_the_host_reads_them_gets_no_further_than_a_report() {
    let monitor = ProcessMonitor::new();
    let mut neighbour = Neighbour::new(&monitor);
    let mut lies = 0;
    for _ in 0..30 {
        let mut instance = monitor
            .create(&built("scribbles").image, &options(b""))
            .expect("created");
        for _ in 0..20 {
            let outcome = instance
                .enter(Duration::from_millis(50), false)
                .expect("entered");
            assert!(
                matches!(outcome, Outcome::Yielded { .. } | Outcome::OutOfBudget),
                "{outcome:?}"
            );
            if serve(&mut *instance).is_err() {
                lies += 1;
                instance.kill();
                break;
            }
        }
        neighbour.goes_on();
    }
    assert!(lies > 0);
}

/// Entries, in some of which both sides run at once: that takes a second processor that is free.
const ROUNDS: u32 = 5000;

/// Fails where `work` does not come to an end.
fn ends(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match ended.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("goes on and on"),
        _ => worker.join().expect("the work is done"),
    }
}

fn lane_with_one_that_pours() -> Lane {
    let instance = ProcessMonitor::new()
        .create(&built("pours").image, &options(b""))
        .expect("created");
    Lane::new(
        instance,
        vec![Link::new("eth0", None, None)],
        LaneOptions::default(),
    )
}

#[test]
fn an_instance_that_writes_its_file_while_the_lane_reads_it_holds_up_nobody() {
    const RING: usize = 64 << 10;
    ends(|| {
        let mut lane = lane_with_one_that_pours();
        let mut rounds = 0;
        lane.run(&mut |lane| {
            let taken = lane.take_files();
            assert!(taken[0].len() <= RING, "{} bytes at once", taken[0].len());
            rounds += 1;
            rounds < ROUNDS
        })
        .expect("it breaks no rule of its rings");
        assert_eq!(rounds, ROUNDS);
    });
}

#[test]
fn an_answer_without_end_is_given_up() {
    ends(|| {
        let mut lane = lane_with_one_that_pours();
        for _ in 0..ROUNDS / 20 {
            let answer = lane.read_handler("count", "");
            let given_up = matches!(answer, Err(ControlError::LongAnswer | ControlError::Silent));
            assert!(given_up, "{answer:?}");
        }
    });
}
