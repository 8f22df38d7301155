//! What is made ahead for instances to come: processes that wait for their program, and machines with
//! an image in its place that none has run from yet.
//!
//! Each piece serves one instance and is then gone with it. Nothing of one instance is ever handed to
//! another, so nothing has to be wiped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pieces that are ready, the oldest first.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<VecDeque<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    fn pieces(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the oldest that fits out.
    pub(crate) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut pieces = self.pieces();
        let at = pieces.iter().position(fits)?;
        pieces.remove(at)
    }

    /// Comes one step nearer to having `count` that fit: makes one more, which nobody waits for
    /// meanwhile, or drops one. False if there are as many.
    pub(crate) fn step<E>(
        &self,
        count: usize,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<bool, E> {
        let spoilt = self.take(|piece| !fits(piece));
        let ready = self.pieces().len();
        if spoilt.is_some() {
            // Dropped while nobody waits for the others.
            drop(spoilt);
        } else if ready < count {
            let piece = make()?;
            self.pieces().push_back(piece);
        } else if ready > count {
            drop(self.take(|_| true));
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Elf, guest};
    use crate::tests::{BUDGET, with_each};
    use crate::{Image, Options, Outcome};

    #[test]
    fn a_pool_is_filled_and_emptied_one_by_one_and_gives_the_oldest_first() {
        let pool = Pool::default();
        let mut made = 0;
        let mut step = |count| {
            let make = || {
                made += 1;
                Ok::<_, ()>(made)
            };
            pool.step(count, |_| true, make)
        };
        assert_eq!(
            [3; 5].map(&mut step),
            [true, true, true, false, false].map(Ok)
        );
        assert_eq!(pool.take(|_| true), Some(1));
        assert_eq!([3; 2].map(&mut step), [true, false].map(Ok));
        assert_eq!([1; 3].map(&mut step), [true, true, false].map(Ok));
        assert_eq!((pool.take(|_| true), pool.take(|_| true)), (Some(4), None));
    }

    #[test]
    fn what_does_not_fit_is_not_taken_and_is_given_up() {
        let pool = Pool::default();
        for number in [1, 2, 3] {
            assert_eq!(pool.step(3, |_| true, || Ok::<_, ()>(number)), Ok(true));
        }
        let is_even = |number: &i32| number % 2 == 0;
        assert_eq!((pool.take(is_even), pool.take(is_even)), (Some(2), None));
        let mut step = |count| pool.step(count, is_even, || Ok::<_, ()>(8));
        assert_eq!([1; 4].map(&mut step), [true, true, true, false].map(Ok));
        assert_eq!((pool.take(|_| true), pool.take(|_| true)), (Some(8), None));
    }

    #[test]
    fn what_cannot_be_made_leaves_the_pool_as_it_was() {
        let pool = Pool::default();
        assert_eq!(pool.step(2, |_| true, || Ok::<_, &str>(7)), Ok(true));
        assert_eq!(
            pool.step(2, |_| true, || Err("no memory")),
            Err("no memory")
        );
        assert_eq!((pool.take(|_| true), pool.take(|_| true)), (Some(7), None));
    }

    // Exits with the sum of its data (1 + ... + 255 = 32640), its `.bss`, its heap's first word and half
    // of its stack, which are zero; and leaves ones in all of them. On top of the stack stands where
    // whoever started it came from.
    guest!(
        leaves_traces,
        "mov rbx, rdi",
        "xor eax, eax",
        "mov esi, 0x1004000",
        "lea rdx, [rsi + 0x2000]",
        "1: movzx ecx, byte ptr [rsi]",
        "add eax, ecx",
        "mov byte ptr [rsi], 255",
        "inc rsi",
        "cmp rsi, rdx",
        "jb 1b",
        "lea rsi, [rsp - 0x8000]",
        "lea rdx, [rsp - 8]",
        "2: movzx ecx, byte ptr [rsi]",
        "add eax, ecx",
        "mov byte ptr [rsi], 255",
        "inc rsi",
        "cmp rsi, rdx",
        "jb 2b",
        "mov rsi, [rbx + 72]",
        "add rax, [rsi]",
        "mov qword ptr [rsi], -1",
        "mov edi, eax",
        "call [rbx + 32]",
    );

    // Exits with the first byte of its configuration.
    guest!(
        reads_its_configuration,
        "mov rbx, rdi",
        "mov rsi, [rbx + 208]",
        "movzx edi, byte ptr [rsi]",
        "call [rbx + 32]",
    );

    fn status(monitor: &dyn crate::Monitor, image: &Image, options: &Options) -> i32 {
        let mut instance = monitor.create(image, options).expect("created");
        match instance.enter(BUDGET, false) {
            Ok(Outcome::Exited { status }) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_takes_what_is_ready_finds_nothing_of_those_before_it() {
        with_each(|monitor| {
            let image = |code| Image::load(&Elf::new(code).bytes()).expect("a sound image");
            let (one, other) = (image(leaves_traces()), image(reads_its_configuration()));
            // Which tells how large those to come are.
            assert_eq!(status(monitor, &one, &Options::default()), 32640);
            for configuration in *b"AB" {
                // More than are ready: the last are made when they are wanted.
                for expected in [true, true, false] {
                    assert_eq!(monitor.prepare(2).expect("prepared"), expected);
                }
                let options = Options {
                    configuration: vec![configuration],
                    ..Options::default()
                };
                for _ in 0..2 {
                    let status = |image| status(monitor, image, &options);
                    assert_eq!(status(&one), 32640);
                    assert_eq!(status(&other), i32::from(configuration));
                }
            }
        });
    }

    #[test]
    fn what_is_ready_is_taken_and_what_is_too_much_is_given_up() {
        with_each(|monitor| {
            let image = Image::load(&Elf::new(leaves_traces()).bytes()).expect("a sound image");
            assert_eq!(status(monitor, &image, &Options::default()), 32640);
            let step = |count| monitor.prepare(count).expect("prepared");
            assert_eq!([2; 3].map(step), [true, true, false]);
            assert_eq!(status(monitor, &image, &Options::default()), 32640);
            assert_eq!([2; 2].map(step), [true, false], "one had been taken");
            assert_eq!([0; 3].map(step), [true, true, false]);
        });
    }
}
