//! PokeHandlers' directives as a script's instructions.

use alloc::format;
use alloc::string::String;

use sprat_click::arguments::parse_duration;
use sprat_click::time::SECOND;

use super::program::{INSTRUCTIONS, first_word};

/// The instruction that a directive stands for: `HANDLER VALUE`, a time in seconds, `quit` or `loop`.
pub(super) fn instruction(directive: &str) -> String {
    let (word, _) = first_word(directive);
    match word {
        "quit" => "stop".into(),
        _ if INSTRUCTIONS.contains(&word.strip_suffix('q').unwrap_or(word)) => directive.into(),
        _ if parse_duration(directive.trim(), SECOND).is_ok() => format!("wait_time {directive}"),
        _ => format!("write {directive}"),
    }
}
