//! What the command says. Whoever reads that may go away at any time, as `head` does, and then it
//! says nothing more: that is no error, and never a panic.

use std::io::{self, Write as _};

/// Writes to the standard output.
///
/// # Errors
/// It takes no more though somebody reads it, or it is a file and its disk is full.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes to the standard error output. Nobody is left to tell that this is closed.
pub(crate) fn complain_as_it_is(text: std::fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// [`complain_as_it_is`], with the arguments of `println`.
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::output::complain_as_it_is(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use complain;
