//! Instances that break a rule, under both monitors: each is ended with exactly the right report.

use crate::testing::{DATA, RODATA, TEXT, guest};
use crate::tests::{BUDGET, start, with_each};
use crate::*;

fn fault(monitor: &dyn Monitor, code: &[u8]) -> Box<FaultReport> {
    let mut instance = start(monitor, code);
    match instance.enter(BUDGET, false) {
        Ok(Outcome::Faulted(report)) => report,
        other => panic!("{:?}: {other:?}", monitor.kind()),
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
    "mov rax, [rax + 5]",
);

#[test]
fn a_fault_is_reported_with_address_registers_and_backtrace() {
    with_each(|monitor| {
        let report = fault(monitor, reads_page_zero());
        assert_eq!(
            report.cause,
            Cause::Exception {
                vector: 14,
                error_code: 4,
                address: Some(5)
            }
        );
        assert_eq!(report.region, Some("page zero"));
        assert_eq!(report.registers.rip, TEXT + 19);
        let frames: Vec<u64> = report.backtrace.iter().map(|frame| frame.address).collect();
        assert_eq!(frames, [TEXT + 19, TEXT + 11]);
    });
}

guest!(writes_text, "lea rax, [rip]", "mov byte ptr [rax], 0x90");
guest!(
    writes_constants,
    "mov eax, 0x1002000",
    "mov byte ptr [rax], 0"
);
guest!(writes_boot_page, "mov qword ptr [rdi + 24], 0");
guest!(
    writes_call_page,
    "mov rax, [rdi + 24]",
    "mov byte ptr [rax], 0"
);
guest!(runs_data, "mov eax, 0x1004000", "jmp rax");
guest!(runs_stack, "mov rax, 0xc3", "push rax", "jmp rsp");
guest!(runs_constants, "mov eax, 0x1002000", "jmp rax");
guest!(jumps_to_zero, "xor eax, eax", "call rax");
guest!(overflows_stack, "1: push rax", "jmp 1b");
guest!(
    reads_supervisor_pages,
    "mov eax, 0x200000",
    "mov rax, [rax]"
);
guest!(reads_between, "mov eax, 0x1003000", "mov rax, [rax]");
guest!(halts, "hlt");
guest!(writes_cr3, "mov rax, 0", "mov cr3, rax");
guest!(
    writes_an_msr,
    "mov ecx, 0xc0000080",
    "xor eax, eax",
    "xor edx, edx",
    "wrmsr"
);
guest!(disables_interrupts, "cli");
guest!(uses_another_port, "mov al, 0", "out 0x80, al");
guest!(uses_the_fault_port, "mov al, 0", "out 0xf1, al");
guest!(raises_an_exception_by_hand, "int 0xe");
guest!(
    divides_by_zero,
    "xor ecx, ecx",
    "xor edx, edx",
    "mov eax, 1",
    "div ecx"
);
guest!(executes_nonsense, "ud2");
guest!(
    goes_beyond_canonical,
    "mov rax, 0x1234567890abcdef",
    "mov rax, [rax]"
);

/// What a vector and error code look like where the error code is whole, and where only part is known.
fn exception(vector: u8, error_code: u64, address: Option<u64>) -> Cause {
    Cause::Exception {
        vector,
        error_code,
        address,
    }
}

#[test]
fn each_breach_of_the_address_space_has_its_exact_report() {
    let (read, write, run) = (4, 6, 0x14);
    let (present, zero) = (1, 0);
    let cases: [(&[u8], Cause, Option<&str>); 9] = [
        (
            writes_text(),
            exception(14, write | present, Some(TEXT + 7)),
            Some("image text"),
        ),
        (
            writes_constants(),
            exception(14, write | present, Some(RODATA)),
            Some("image read-only data"),
        ),
        (
            runs_data(),
            exception(14, run | present, Some(DATA)),
            Some("image data"),
        ),
        (
            runs_constants(),
            exception(14, run | present, Some(RODATA)),
            Some("image read-only data"),
        ),
        (
            jumps_to_zero(),
            exception(14, run, Some(zero)),
            Some("page zero"),
        ),
        (
            reads_between(),
            exception(14, read, Some(DATA - 0x1000)),
            None,
        ),
        (divides_by_zero(), exception(0, 0, None), None),
        (executes_nonsense(), exception(6, 0, None), None),
        (goes_beyond_canonical(), exception(13, 0, None), None),
    ];
    with_each(|monitor| {
        for (code, cause, region) in &cases {
            let report = fault(monitor, code);
            assert_eq!(
                (report.cause, report.region),
                (*cause, *region),
                "{:?}",
                monitor.kind()
            );
        }
    });
}

#[test]
fn breaches_at_addresses_the_monitor_chose_are_reported_by_region() {
    with_each(|monitor| {
        let cases: [(&[u8], &str, u64); 4] = [
            (writes_boot_page(), "boot page", 7),
            (writes_call_page(), "call page", 7),
            (runs_stack(), "stack", 0x15),
            (overflows_stack(), "stack guard", 6),
        ];
        for (code, region, expected) in cases {
            let report = fault(monitor, code);
            let Cause::Exception {
                vector: 14,
                error_code,
                address: Some(_),
            } = report.cause
            else {
                panic!("{:?}", report.cause)
            };
            // The process monitor cannot tell a write from a read where nothing is mapped.
            let known = if monitor.kind() == MonitorKind::Process && expected & 1 == 0 {
                !2
            } else {
                !0
            };
            assert_eq!(
                (report.region, error_code),
                (Some(region), expected & known),
                "{:?}",
                monitor.kind()
            );
        }
    });
}

#[test]
fn what_only_a_kernel_may_do_ends_an_instance() {
    with_each(|monitor| {
        for code in [
            halts(),
            writes_cr3(),
            writes_an_msr(),
            disables_interrupts(),
            uses_another_port(),
            uses_the_fault_port(),
        ] {
            let report = fault(monitor, code);
            assert_eq!(report.cause, exception(13, 0, None), "{:?}", monitor.kind());
        }
        let report = fault(monitor, raises_an_exception_by_hand());
        assert!(
            matches!(report.cause, Cause::Exception { vector: 13 | 6, .. }),
            "{report}"
        );
        let report = fault(monitor, reads_supervisor_pages());
        let Cause::Exception {
            vector: 14,
            address: Some(0x20_0000),
            ..
        } = report.cause
        else {
            panic!("{report}")
        };
        assert_eq!(report.region, Some("supervisor pages"));
    });
}

guest!(
    asks_for_a_system_call,
    "mov eax, 39",
    "syscall",
    "mov rbx, rdi",
    "xor edi, edi",
    "call [rbx + 32]"
);

#[test]
fn a_system_call_is_refused_by_its_number() {
    with_each(|monitor| {
        let report = fault(monitor, asks_for_a_system_call());
        assert_eq!(
            report.cause,
            Cause::SystemCall { number: 39 },
            "{:?}",
            monitor.kind()
        );
    });
}

guest!(breaks, "int3");
guest!(
    steps,
    "pushf",
    "or qword ptr [rsp], 0x100",
    "popf",
    "nop",
    "nop"
);
guest!(
    divides_floats_by_zero,
    "push 0x1d80",
    "ldmxcsr [rsp]",
    "mov eax, 1",
    "cvtsi2sd xmm0, eax",
    "xorpd xmm1, xmm1",
    "divsd xmm0, xmm1",
);
guest!(
    reads_misaligned,
    "pushf",
    "or qword ptr [rsp], 0x40000",
    "popf",
    "mov rax, [rsp - 33]",
);
guest!(
    leaves_the_stack_segment,
    "mov rbp, 0x1234567890abcdef",
    "mov rax, [rbp]"
);

#[test]
fn each_exception_of_the_processor_has_its_vector() {
    let cases: [(&[u8], u8); 5] = [
        (breaks(), vector::BREAKPOINT),
        (steps(), vector::DEBUG),
        (divides_floats_by_zero(), vector::SIMD),
        (reads_misaligned(), vector::ALIGNMENT),
        (leaves_the_stack_segment(), vector::STACK),
    ];
    with_each(|monitor| {
        for (code, vector) in cases {
            let report = fault(monitor, code);
            assert_eq!(
                report.cause,
                exception(vector, 0, None),
                "{:?}: {report}",
                monitor.kind()
            );
        }
    });
}

guest!(enters_by_sysenter, "sysenter");
guest!(enters_by_an_old_gate, "mov eax, 20", "int 0x80");
guest!(reads_the_call_port, "in al, 0xf0");
guest!(
    calls_another_segment,
    "push 0x08",
    "push 0x1000000",
    "retfq"
);
guest!(
    returns_to_another_ring,
    "push 0x10",
    "push rsp",
    "pushf",
    "push 0x08",
    "push 0x1000000",
    "iretq"
);

#[test]
fn every_other_way_into_a_kernel_ends_an_instance() {
    with_each(|monitor| {
        let ways = [
            enters_by_sysenter(),
            enters_by_an_old_gate(),
            reads_the_call_port(),
            calls_another_segment(),
            returns_to_another_ring(),
        ];
        for (number, code) in ways.into_iter().enumerate() {
            let report = fault(monitor, code);
            let ended = match report.cause {
                Cause::Exception { vector, .. } => [6, 11, 13, 14].contains(&vector),
                // The filter knows the calls of 64-bit programs only and kills for others.
                Cause::Signal { number } => number == 31,
                Cause::Machine { reason } => reason == 2 && number == 2,
                _ => false,
            };
            assert!(ended, "{number} under {:?}: {report}", monitor.kind());
        }
    });
}
