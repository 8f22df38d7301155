//! Consoles.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Takes what a program says to whoever watches it.
pub trait Console {
    /// Says something. Where there is no room for it, waits, or leaves it out: nobody may be watching.
    fn write(&self, text: &[u8]);
}

impl<C: Console + ?Sized> Console for Rc<C> {
    fn write(&self, text: &[u8]) {
        (**self).write(text);
    }
}

/// A console that only remembers.
#[derive(Debug, Default)]
pub struct MemoryConsole {
    text: RefCell<Vec<u8>>,
}

impl MemoryConsole {
    /// Everything that was said since it was last asked for.
    #[must_use]
    pub fn take(&self) -> String {
        String::from_utf8_lossy(&self.text.take()).into_owned()
    }
}

impl Console for MemoryConsole {
    fn write(&self, text: &[u8]) {
        self.text.borrow_mut().extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_remembered_in_order_and_told_once() {
        let console = Rc::new(MemoryConsole::default());
        console.write(b"one ");
        console.clone().write(b"two\n");
        assert_eq!(console.take(), "one two\n");
        assert_eq!(console.take(), "");
    }
}
