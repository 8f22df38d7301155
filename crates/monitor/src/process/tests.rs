//! The processes behind instances: none stays behind, whatever becomes of their monitor.

use super::ProcessMonitor;
use crate::testing::guest;
use crate::tests::{BUDGET, start};
use crate::*;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

guest!(never_yields, "1: pause", "jmp 1b");

/// Processes that any thread of this one started.
fn children(process: u32) -> Vec<String> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return vec![];
    };
    let of_thread = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.ok()?.path().join("children")).ok()
    };
    let texts: Vec<String> = threads.filter_map(of_thread).collect();
    texts
        .iter()
        .flat_map(|text| text.split_whitespace().map(str::to_owned))
        .collect()
}

/// Waits for something, for ten seconds at most.
fn await_that(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Says to a copy of this program that it is the one to be watched.
const HOLDER: &str = "SPRAT_TEST_HOLDS_AN_INSTANCE";

fn is_holder() -> bool {
    std::env::var_os(HOLDER).is_some()
}

/// Runs one of these tests in a process of its own, where no other test starts processes.
fn holder(test: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("process::tests::{test}")])
        .env(HOLDER, "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("started")
}

/// Kills a process once it has started another, and sees that one end too.
fn assert_dies_with_its_monitor(mut holder: Child) {
    let mut instances = vec![];
    let found = await_that(|| {
        instances = children(holder.id());
        !instances.is_empty()
    });
    holder.kill().expect("killed");
    holder.wait().expect("gone");
    assert!(found, "no instance was started");
    // A zombie that nobody has waited for yet is as dead as one that is gone.
    let is_gone = |id: &String| {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ") || state.contains(") X ")
    };
    assert!(
        await_that(|| instances.iter().all(is_gone)),
        "{instances:?} outlived their monitor"
    );
}

#[test]
fn an_instance_s_process_dies_with_its_monitor() {
    if is_holder() {
        let mut instance = start(&ProcessMonitor::new(), never_yields());
        let _ = instance.enter(Duration::from_secs(60), false);
        return;
    }
    assert_dies_with_its_monitor(holder("an_instance_s_process_dies_with_its_monitor"));
}

#[test]
fn a_prepared_process_dies_with_its_monitor() {
    if is_holder() {
        let monitor = ProcessMonitor::new();
        monitor.prepare(1).expect("prepared");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    assert_dies_with_its_monitor(holder("a_prepared_process_dies_with_its_monitor"));
}

#[test]
fn a_prepared_process_is_used_once_and_is_not_left_behind() {
    if !is_holder() {
        let mut holder = holder("a_prepared_process_is_used_once_and_is_not_left_behind");
        assert!(holder.wait().expect("ended").success());
        return;
    }
    let count = || children(std::process::id()).len();
    let monitor = ProcessMonitor::new();
    assert!(monitor.prepare(1).expect("prepared"));
    assert!(!monitor.prepare(1).expect("prepared before"));
    assert!(await_that(|| count() == 1));
    let mut first = start(&monitor, never_yields());
    assert_eq!(count(), 1, "the one that was prepared");
    let second = start(&monitor, never_yields());
    assert_eq!(count(), 2, "one that nobody had prepared");
    let outcome = first.enter(BUDGET / 20, false);
    assert!(matches!(outcome, Ok(Outcome::OutOfBudget)), "{outcome:?}");
    drop((first, second));
    assert_eq!(count(), 0);

    monitor.prepare(1).expect("prepared");
    assert!(await_that(|| count() == 1));
    drop(monitor);
    assert_eq!(count(), 0);
}

#[test]
fn a_prepared_process_that_was_ended_is_passed_over_and_is_not_left_behind() {
    if !is_holder() {
        let test = "a_prepared_process_that_was_ended_is_passed_over_and_is_not_left_behind";
        assert!(holder(test).wait().expect("ended").success());
        return;
    }
    let count = || children(std::process::id()).len();
    let monitor = ProcessMonitor::new();
    monitor.prepare(1).expect("prepared");
    assert!(await_that(|| count() == 1));
    let prepared = children(std::process::id()).remove(0);
    let killed = Command::new("kill").args(["-KILL", &prepared]).status();
    assert!(killed.expect("kill").success());
    assert!(await_that(|| count() == 0), "it is not left behind");
    let mut instance = start(&monitor, never_yields());
    let outcome = instance.enter(BUDGET / 20, false);
    assert!(matches!(outcome, Ok(Outcome::OutOfBudget)), "{outcome:?}");
}
