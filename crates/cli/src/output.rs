//! What the command says. Whoever reads that may go away at any time, as `head` does, and then it
//! says nothing more: that is no error, and never a panic.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// [`complain_as_it_is`], with the arguments of `println`.
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::output::complain_as_it_is(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use complain;

/// Writes to the standard output.
///
/// # Errors
/// It takes no more though somebody reads it, or it is a file and its disk is full.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_on(text).map(drop)
}

/// The same for who would go on: whether somebody still reads.
///
/// # Errors
/// As for [`print()`].
pub(crate) fn print_on(text: &str) -> io::Result<bool> {
    let mut output = io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Prints what a subcommand has to say, or why it has nothing, and ends it.
pub(crate) fn say<E: Display + From<io::Error>>(text: Result<String, E>) -> ExitCode {
    match text.and_then(|text| Ok(print(&text)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to the standard output what an instance said. On a terminal, what would give it orders is
/// shown instead.
///
/// # Errors
/// As for [`print()`].
pub(crate) fn print_foreign(text: &[u8]) -> io::Result<()> {
    print_foreign_on(text).map(drop)
}

/// The same for who would go on: whether somebody still reads.
///
/// # Errors
/// As for [`print()`].
pub(crate) fn print_foreign_on(text: &[u8]) -> io::Result<bool> {
    let text = String::from_utf8_lossy(text);
    match io::stdout().is_terminal() {
        true => print_on(&harmless(&text)),
        false => print_on(&text),
    }
}

/// The text with control characters spelled out, but for tabs and line ends.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Writes to the standard error output. Nobody is left to tell that this is closed.
pub(crate) fn complain_as_it_is(text: std::fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// A table without lines, whose `numbers` columns are aligned to the right.
pub(crate) fn table(
    header: &[&str],
    numbers: &[usize],
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header).add_rows(rows);
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn orders_to_a_terminal_are_shown_and_not_obeyed() {
        assert_eq!(harmless("a\tb\n\x1b[2Jü\r"), "a\tb\n\\u{1b}[2Jü\\r");
    }
}
