//! Instances in virtual machines: that they run, yield, exit and are ended.

use super::*;
use crate::testing::{Elf, guest};

const BUDGET: Duration = Duration::from_millis(200);

fn start(code: &[u8]) -> Box<dyn Instance> {
    let image = Image::load(&Elf::new(code).bytes()).expect("a sound image");
    let monitor = VmMonitor::open().expect("KVM");
    monitor
        .create(&image, &Options::default())
        .expect("created")
}

// The boot page's address comes in RDI: the yield call stands at 24, exit at 32, the call block's
// address at 40.
guest!(
    counts_yields,
    "mov rbx, rdi",
    "mov r12, [rbx + 40]",
    "mov qword ptr [r12], 1000",
    "call [rbx + 24]",
    "mov r13, rdx",
    "mov qword ptr [r12], 2000",
    "call [rbx + 24]",
    "mov edi, 1",
    "cmp rdx, r13",
    "jb 1f",
    "mov edi, 7",
    "1: call [rbx + 32]",
);

#[test]
fn an_instance_yields_with_its_deadlines_and_exits_with_its_status() {
    let mut instance = start(counts_yields());
    assert!(matches!(
        instance.enter(BUDGET, false),
        Ok(Outcome::Yielded { deadline: 1000 })
    ));
    assert!(matches!(
        instance.enter(BUDGET, false),
        Ok(Outcome::Yielded { deadline: 2000 })
    ));
    let outcome = instance.enter(BUDGET, false);
    assert!(
        matches!(outcome, Ok(Outcome::Exited { status: 7 })),
        "{outcome:?}"
    );
    assert!(matches!(
        instance.enter(BUDGET, false),
        Err(MonitorError::Ended)
    ));
    eprintln!(
        "{:?} {:?}",
        instance.creation_times(),
        instance.memory_use()
    );
}

guest!(round_trips, "mov rbx, rdi", "1: call [rbx + 24]", "jmp 1b");

#[test]
#[ignore = "a measurement"]
fn measure_round_trip() {
    let mut instance = start(round_trips());
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..1000 {
            assert!(matches!(
                instance.enter(BUDGET, false),
                Ok(Outcome::Yielded { .. })
            ));
        }
        eprintln!("{:?} a round trip", start.elapsed() / 1000);
    }
}

guest!(spins, "1: pause", "jmp 1b");

#[test]
fn an_instance_that_spins_runs_out_of_its_budget_and_can_go_on() {
    let mut instance = start(spins());
    for _ in 0..3 {
        let start = Instant::now();
        let budget = Duration::from_millis(20);
        let outcome = instance.enter(budget, false);
        assert!(matches!(outcome, Ok(Outcome::OutOfBudget)), "{outcome:?}");
        assert!(start.elapsed() >= budget);
        assert!(
            start.elapsed() < Duration::from_millis(500),
            "{:?}",
            start.elapsed()
        );
    }
}

guest!(
    reads_page_zero,
    "push 0",
    "push rbp",
    "mov rbp, rsp",
    "call 1f",
    "ud2",
    "1: push rbp",
    "mov rbp, rsp",
    "xor eax, eax",
    "mov rax, [rax + 5]"
);

#[test]
fn a_fault_is_reported_with_address_registers_and_backtrace() {
    let mut instance = start(reads_page_zero());
    let outcome = instance.enter(BUDGET, false);
    let Ok(Outcome::Faulted(report)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        report.cause,
        crate::Cause::Exception {
            vector: 14,
            error_code: 4,
            address: Some(5)
        }
    );
    assert_eq!(report.region, Some("page zero"));
    assert_eq!(report.registers.rip, 0x0100_0000 + 19);
    assert_eq!(report.backtrace.len(), 2);
}
