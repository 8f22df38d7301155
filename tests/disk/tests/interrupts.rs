//! What an interrupt costs: its handler, instruction by instruction, in the linked boot monitor.
#![allow(missing_docs)]

use iced_x86::{Decoder, DecoderOptions, Instruction, MemorySize, Mnemonic, OpKind, Register};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use self_booting::boot_monitor;

/// The instructions of a handler, from its symbol to the one that returns.
fn handler(file: &object::File<'_>, name: &str) -> Vec<Instruction> {
    let symbol = file.symbol_by_name(name).expect("a handler of this name");
    let section = symbol.section_index().expect("it is defined");
    let section = file.section_by_index(section).expect("a section");
    let at = usize::try_from(symbol.address() - section.address()).expect("small");
    let code = &section.data().expect("code")[at..];
    let mut decoder = Decoder::with_ip(64, code, symbol.address(), DecoderOptions::NONE);
    let mut instructions = Vec::new();
    for instruction in &mut decoder {
        instructions.push(instruction);
        if instruction.mnemonic() == Mnemonic::Iretq || instructions.len() > 16 {
            break;
        }
    }
    instructions
}

#[test]
fn an_interrupts_handler_counts_says_so_and_returns_in_three_instructions() {
    let linked = boot_monitor();
    let file = object::File::parse(&*linked).expect("an ELF file");
    let mut counters = Vec::new();
    for number in 0..16 {
        let [count, end, back] = handler(&file, &format!("interrupt_{number}"))[..] else {
            panic!("interrupt {number} takes more or less than three instructions");
        };
        assert_eq!(count.mnemonic(), Mnemonic::Inc);
        assert!(count.has_lock_prefix(), "{count:?}");
        assert_eq!(count.memory_size(), MemorySize::UInt64);
        // At a fixed address: no register is read or written.
        assert_eq!(count.memory_base(), Register::None, "{count:?}");
        counters.push(count.memory_displacement64());

        assert_eq!(end.mnemonic(), Mnemonic::Mov);
        assert_eq!(end.op_kind(0), OpKind::Memory);
        assert_eq!(end.memory_base(), Register::None, "{end:?}");
        // The end-of-interrupt register of the local APIC: Intel's manual, volume 3, table 11-1.
        assert_eq!(end.memory_displacement64() & 0xfff, 0xb0, "{end:?}");
        assert_eq!(end.immediate32(), 0);

        assert_eq!(back.mnemonic(), Mnemonic::Iretq);
    }
    // Each its own, one after the other.
    assert!(counters.windows(2).all(|pair| pair[1] - pair[0] == 8));
}

#[test]
fn an_interrupt_that_is_none_is_not_answered() {
    let linked = boot_monitor();
    let file = object::File::parse(&*linked).expect("an ELF file");
    let [back] = handler(&file, "interrupt_spurious")[..] else {
        panic!("it does something");
    };
    assert_eq!(back.mnemonic(), Mnemonic::Iretq);
}
