//! The platform's clocks, console and randomness, as the interfaces that services are written against.

use sprat_devices::{ChaCha, Clock, Console, Random as _};
use sprat_platform::Platform as _;

use crate::target::platform;

/// The platform's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> u64 {
        platform().monotonic()
    }

    fn wall(&self) -> i64 {
        platform().wall()
    }
}

/// The platform's console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SystemConsole;

impl Console for SystemConsole {
    fn write(&self, text: &[u8]) {
        platform().write_console(text);
    }
}

crate::local::local! {
    static RANDOM: core::cell::RefCell<Option<ChaCha>> = core::cell::RefCell::new(None);
}

/// A generator of random numbers, each call's with a seed of its own.
#[must_use]
pub fn random() -> ChaCha {
    RANDOM.with(|root| {
        let mut root = root.borrow_mut();
        let root = root.get_or_insert_with(|| ChaCha::new(platform().seed()));
        let mut seed = [0; 32];
        root.fill(&mut seed);
        ChaCha::new(seed)
    })
}
