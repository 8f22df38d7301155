//! The boot monitor's report of a fault, read from the console.

use crate::report::{Cause, FaultReport, Frame, Registers, vector};

/// Reads the report at the end of a console. What is missing of it is left out.
pub(super) fn read(console: &str) -> FaultReport {
    let line = |name: &str| {
        let mut lines = console.lines().rev();
        lines
            .find_map(|line| line.strip_prefix("sprat: ")?.strip_prefix(name))
            .unwrap_or("")
    };
    let fault = line("fault ");
    let mut words = fault.split(' ');
    let mut after = |name: &str| words.find(|word| *word == name).and_then(|_| words.next());
    let vector = after("vector").and_then(|word| word.parse().ok());
    let error_code = after("error").and_then(number).unwrap_or(0);
    let address = after("address").and_then(number);
    let cause = Cause::Exception {
        vector: vector.unwrap_or(u8::MAX),
        error_code,
        address: address.filter(|_| vector == Some(vector::PAGE_FAULT)),
    };
    let region = fault.split_once(" in ").and_then(|(_, name)| region(name));
    let backtrace = line("backtrace ").split(' ').filter_map(number);
    FaultReport {
        cause,
        registers: registers(line("registers ")),
        backtrace: backtrace
            .map(|address| Frame {
                address,
                names: Vec::new(),
            })
            .collect(),
        region: region.filter(|_| vector == Some(vector::PAGE_FAULT)),
    }
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn registers(text: &str) -> Registers {
    let value = |name: &str| {
        let mut words = text.split(' ');
        words
            .find_map(|word| number(word.strip_prefix(name)?.strip_prefix('=')?))
            .unwrap_or(0)
    };
    Registers {
        rax: value("rax"),
        rbx: value("rbx"),
        rcx: value("rcx"),
        rdx: value("rdx"),
        rsi: value("rsi"),
        rdi: value("rdi"),
        rbp: value("rbp"),
        rsp: value("rsp"),
        r8: value("r8"),
        r9: value("r9"),
        r10: value("r10"),
        r11: value("r11"),
        r12: value("r12"),
        r13: value("r13"),
        r14: value("r14"),
        r15: value("r15"),
        rip: value("rip"),
        rflags: value("rflags"),
    }
}

/// The boot monitor's names of what lies somewhere.
fn region(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 10] = [
        "page zero",
        "stack guard",
        "heap",
        "stack",
        "buffer pool",
        "image text",
        "image data",
        "image read-only data",
        "rings",
        "boot page",
    ];
    NAMES.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_line_by_line() {
        let console = "hello\nsprat: fault vector 14 error 0x3 address 0x204140 in boot page\n\
            sprat: registers rax=0x18 rbx=0x204000 rip=0x1022b2 rflags=0x6\n\
            sprat: backtrace 0x1022b2 0x1033c4\n";
        let report = read(console);
        assert_eq!(
            report.cause,
            Cause::Exception {
                vector: 14,
                error_code: 3,
                address: Some(0x20_4140)
            }
        );
        assert_eq!(report.region, Some("boot page"));
        assert_eq!(
            (report.registers.rax, report.registers.rip),
            (0x18, 0x10_22b2)
        );
        let addresses: Vec<u64> = report.backtrace.iter().map(|frame| frame.address).collect();
        assert_eq!(addresses, [0x10_22b2, 0x10_33c4]);
    }
}
