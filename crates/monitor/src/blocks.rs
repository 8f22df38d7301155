//! Files as what holds an instance's blocks.

use sprat_abi::block::Status;
use sprat_abi::host::{Blocks, Stretch};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// A file that holds blocks. Everything is done at once, on the thread that asks.
#[derive(Debug)]
pub(crate) struct FileBlocks(pub(crate) Arc<File>);

impl FileBlocks {
    /// Calls `step` with how much of a stretch is done and the place in the file where it goes on,
    /// until all of it is; `step` says how much it did.
    fn whole(length: usize, place: u64, step: impl Fn(usize, i64) -> isize) -> Status {
        let mut done = 0;
        while done < length {
            let Ok(at) = i64::try_from(place.saturating_add(done as u64)) else {
                return Status::Failed;
            };
            match usize::try_from(step(done, at)) {
                Ok(0) => return Status::Failed,
                Ok(count) => done += count,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return status(&error),
                },
            }
        }
        Status::Done
    }
}

impl Blocks for FileBlocks {
    fn read(&mut self, place: u64, into: &Stretch<'_>) -> Status {
        Self::whole(into.len(), place, |done, at| {
            let to = into.start().wrapping_add(done);
            // SAFETY: so many bytes from there can be written as long as the stretch lives, and no
            // reference leads to them; the kernel checks everything else.
            unsafe { libc::pread(self.0.as_raw_fd(), to.cast(), into.len() - done, at) }
        })
    }

    fn write(&mut self, place: u64, from: &Stretch<'_>) -> Status {
        Self::whole(from.len(), place, |done, at| {
            let bytes = from.start().wrapping_add(done);
            // SAFETY: so many bytes from there can be read as long as the stretch lives. An instance
            // that changes them meanwhile changes what is written, which is its own.
            unsafe { libc::pwrite(self.0.as_raw_fd(), bytes.cast(), from.len() - done, at) }
        })
    }

    fn flush(&mut self) -> Status {
        match self.0.sync_data() {
            Ok(()) => Status::Done,
            Err(error) => status(&error),
        }
    }
}

fn status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Status::NoSpace
        }
        io::ErrorKind::ReadOnlyFilesystem => Status::ReadOnly,
        _ => Status::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::guest;
    use crate::tests::{BUDGET, start_with, with_each};
    use crate::{Grant, GrantedDevice, Options, Outcome};
    use std::os::unix::fs::FileExt;

    #[test]
    fn errors_of_the_system_have_the_status_that_says_most() {
        for (code, expected) in [
            (libc::ENOSPC, Status::NoSpace),
            (libc::EDQUOT, Status::NoSpace),
            (libc::EFBIG, Status::NoSpace),
            (libc::EROFS, Status::ReadOnly),
            (libc::EIO, Status::Failed),
            (libc::EBADF, Status::Failed),
        ] {
            assert_eq!(status(&io::Error::from_raw_os_error(code)), expected);
        }
    }

    // Writes "block 1!" to the block of that number and exits with whether it was woken for the answer,
    // the answer's status, and its tag: a hexadecimal digit each.
    guest!(
        writes_a_block,
        "mov rbx, rdi",
        "mov r12, [rbx + 240]",
        "mov r13, [r12 + 32]",
        "mov r14, [r12 + 48]",
        "mov r15, [r12 + 64]",
        "mov rax, 0x2131206b636f6c62",
        "mov [r15], rax",
        "mov rax, 0x200000005",
        "mov [r13 + 128], rax",
        "mov qword ptr [r13 + 136], 1",
        "mov rax, 0x20000000000",
        "mov [r13 + 144], rax",
        "mov dword ptr [r13], 1",
        "mov r11, [rbx + 40]",
        "mov qword ptr [r11], -1",
        "call [rbx + 24]",
        "and eax, 1",
        "shl eax, 4",
        "add eax, [r14 + 132]",
        "shl eax, 4",
        "add eax, [r14 + 128]",
        "mov edi, eax",
        "call [rbx + 32]",
    );

    /// What the guest exits with that is given such a device.
    fn exits_with(file: &Arc<File>, blocks: u64, read_only: bool, expected: i32) {
        with_each(|monitor| {
            let device = GrantedDevice::Block {
                file: file.clone(),
                blocks,
                read_only,
            };
            let options = Options {
                devices: vec![Grant {
                    name: "data".into(),
                    device,
                }],
                ..Options::default()
            };
            let mut instance = start_with(monitor, writes_a_block(), &options);
            let outcome = instance.enter(BUDGET, false);
            assert!(
                matches!(outcome, Ok(Outcome::Yielded { .. })),
                "{outcome:?}"
            );
            assert_eq!(instance.shared().serve_blocks(), Ok(1));
            assert_eq!(instance.shared().serve_blocks(), Ok(0));
            match instance.enter(BUDGET, false) {
                Ok(Outcome::Exited { status }) => assert_eq!(status, expected),
                outcome => panic!("{outcome:?}"),
            }
        });
    }

    #[test]
    fn what_an_instance_writes_is_in_the_file() {
        let file = Arc::new(tempfile::tempfile().expect("a file"));
        file.set_len(1024).expect("grown");
        exits_with(&file, 2, false, 0x105);
        let mut bytes = [0; 520];
        file.read_exact_at(&mut bytes, 504).expect("there");
        assert_eq!(&bytes[..8], [0; 8]);
        assert_eq!(&bytes[8..16], b"block 1!");
        assert_eq!(file.metadata().expect("known").len(), 1024);
    }

    #[test]
    fn errors_reach_the_instance_as_errors() {
        let file = Arc::new(tempfile::tempfile().expect("a file"));
        exits_with(&file, 1, false, 0x125);
        exits_with(&file, 2, true, 0x135);
        let full = File::options().write(true).open("/dev/full");
        exits_with(&Arc::new(full.expect("there")), 2, false, 0x145);
        let unwritable = File::open("/dev/null").expect("there");
        exits_with(&Arc::new(unwritable), 2, false, 0x115);
    }
}
