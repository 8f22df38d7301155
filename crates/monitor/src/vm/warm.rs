//! Machines that know an image's pages before an instance of it is wanted.
//!
//! An instance's start goes through a hundred pages that its machine has not had before, most of them its
//! image's, and waits for the host at each: 4 to 5 µs without hardware virtualization. A machine that
//! stands ready for one like the last instance has that image in its place and the same page tables,
//! and has read the image from end to end. What did so is the monitor's own code; nothing that an
//! instance has written is in such a machine.

use super::places::Places;
use super::supervisor;
use crate::image::{Image, Protection};
use crate::layout::{CONTRACT_ADDRESS, Content, Plan};
use sprat_abi::PAGE_SIZE;
use std::ops::Range;
use std::sync::Arc;

/// Pages of heap, and of stack, that every instance uses before it waits for the first time.
const HEAP: u64 = 8 * PAGE_SIZE;
const STACK: u64 = 4 * PAGE_SIZE;

/// Bytes of a segment that are gone through: files that are built into an image may be long.
const SEGMENT: u64 = 2 << 20;

/// What the last instance was like, and machines for those to come are made for.
#[derive(Clone, Debug)]
pub(super) struct Alike {
    pub(super) image: Image,
    pub(super) places: Arc<Places>,
    /// Addresses to read, and to write to, a page at a time.
    read: Vec<Range<u64>>,
    written: Vec<Range<u64>>,
    /// Offset of the calls' page in the machine's memory.
    code: u64,
    /// Its address.
    pub(super) entry: u64,
}

impl Alike {
    pub(super) fn new(image: &Image, plan: &Plan, places: Arc<Places>) -> Self {
        let pieces = plan.pieces.iter().filter(|piece| {
            matches!(piece.content, Content::Image(_)) && piece.protection != Protection::ReadWrite
        });
        let read = pieces.map(|piece| piece.address..piece.address + piece.length.min(SEGMENT));
        let (heap, stack) = (plan.boot.heap, plan.boot.stack);
        let top = stack.address + stack.length;
        Self {
            image: image.clone(),
            read: read.collect(),
            written: vec![
                heap.address..heap.address + HEAP.min(heap.length),
                top - STACK.min(stack.length)..top,
            ],
            code: places.contract + plan.call_page,
            entry: CONTRACT_ADDRESS + plan.call_page,
            places,
        }
    }

    /// Whether an instance of this image, with everything in these places, is like it.
    pub(super) fn fits(&self, image: &Image, places: &Places) -> bool {
        self.image.is(image) && *self.places == *places
    }

    /// Where its code lies in the machine's memory as long as it runs, and the code: it touches all
    /// pages, changes none, and leaves by the port of the two calls.
    pub(super) fn code(&self) -> (u64, Vec<u8>) {
        let mut code = Vec::new();
        let touches = [
            (&self.read, &[0x8a, 0x06][..]),      // mov al, [rsi]
            (&self.written, &[0x80, 0x0e, 0x00]), // or byte ptr [rsi], 0
        ];
        for (stretches, touch) in touches {
            for stretch in stretches.iter().filter(|stretch| !stretch.is_empty()) {
                code.extend([0x48, 0xbe]); // mov rsi, start
                code.extend(stretch.start.to_le_bytes());
                code.extend([0x48, 0xba]); // mov rdx, end
                code.extend(stretch.end.to_le_bytes());
                let again = code.len();
                code.extend(touch);
                code.extend([0x48, 0x81, 0xc6]); // add rsi, PAGE_SIZE
                code.extend(&PAGE_SIZE.to_le_bytes()[..4]);
                code.extend([0x48, 0x39, 0xd6]); // cmp rsi, rdx
                let back = code.len() + 2 - again;
                code.extend([0x72, 0_u8.wrapping_sub(back.to_le_bytes()[0])]); // jb again
            }
        }
        code.extend(supervisor::LEAVE);
        (self.code, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Monitor;
    use crate::testing::{Elf, guest};
    use crate::tests::BUDGET;
    use crate::usage;
    use crate::vm::ready::Ready;
    use crate::{Options, Outcome, VmMonitor};

    // Exits with the bytes of its text and its constants, of the first pages of its heap and of the top
    // of its stack added up.
    guest!(
        adds_up,
        "mov rbx, rdi",
        "xor eax, eax",
        "mov esi, 0x1000000",
        "mov edx, 0x1001000",
        "call 2f",
        "mov esi, 0x1002000",
        "mov edx, 0x1003000",
        "call 2f",
        "mov rsi, [rbx + 72]",
        "lea rdx, [rsi + 0x8000]",
        "call 2f",
        "lea rsi, [rsp - 0x3800]",
        "lea rdx, [rsp - 64]",
        "call 2f",
        "mov edi, eax",
        "call [rbx + 32]",
        "2: movzx ecx, byte ptr [rsi]",
        "add eax, ecx",
        "inc rsi",
        "cmp rsi, rdx",
        "jb 2b",
        "ret",
    );

    #[test]
    fn a_machine_that_stands_ready_has_the_last_image_s_pages_and_no_other_s() {
        let Ok(monitor) = VmMonitor::open() else {
            println!("skipped: /dev/kvm cannot be opened");
            return;
        };
        let load = || Image::load(&Elf::new(adds_up()).bytes()).expect("a sound image");
        let (image, other) = (load(), load());
        drop(
            monitor
                .create(&image, &Options::default())
                .expect("created"),
        );
        assert!(monitor.prepare(1).expect("prepared"));
        let last = monitor.last().clone().expect("what it was like");
        let warm = |ready: &Ready| ready.is_warm_for(&image, &last.places);
        let ready = monitor.ready.take(warm).expect("a machine for it");
        assert!(!ready.is_warm_for(&other, &last.places));
        let touched = usage::of_mapping(&ready.memory).expect("counted");
        // Text and constants have a page each.
        assert!(touched.shared >= 2 * PAGE_SIZE, "{touched:?}");
        assert!(touched.private >= HEAP + STACK, "{touched:?}");
    }

    #[test]
    fn a_machine_that_has_been_through_an_image_changes_nothing_of_what_an_instance_finds() {
        let Ok(monitor) = VmMonitor::open() else {
            println!("skipped: /dev/kvm cannot be opened");
            return;
        };
        let image = Image::load(&Elf::new(adds_up()).bytes()).expect("a sound image");
        let same = Image::load(&Elf::new(adds_up()).bytes()).expect("a sound image");
        let sum = |image: &Image, options: &Options| {
            let mut instance = monitor.create(image, options).expect("created");
            match instance.enter(BUDGET, false) {
                Ok(Outcome::Exited { status }) => status,
                other => panic!("{other:?}"),
            }
        };
        let longer = Options {
            configuration: vec![b' '; 3 << 12],
            ..Options::default()
        };
        let cold = sum(&image, &Options::default());
        for options in [Options::default(), longer] {
            for image in [&image, &same] {
                while monitor.prepare(1).expect("prepared") {}
                // Made for the one before it, which may have been another.
                assert_eq!(sum(image, &options), cold);
                while monitor.prepare(1).expect("prepared") {}
                assert_eq!(sum(image, &options), cold);
            }
        }
    }
}
