//! Answers in the words of Click's protocol.

use sprat_abi::control::status;
use sprat_click::HandlerError;
use sprat_elements::control::HandlerAccess;
use sprat_switch::lane::Refusal;

use super::Console;

/// An instance's refusal to read or write a handler.
#[must_use]
pub fn refusal(handler: &str, writes: bool, refusal: &Refusal) -> HandlerError {
    match refusal.status {
        status::NO_ELEMENT => {
            let element = handler.rsplit_once('.').map_or(handler, |(name, _)| name);
            HandlerError::NoElement(element.into())
        }
        // A service without handlers of its own does no such thing as this one.
        status::NO_HANDLER | status::UNIMPLEMENTED => HandlerError::NoHandler(handler.into()),
        status::PERMISSION if writes => HandlerError::NotWritable(handler.into()),
        status::PERMISSION => HandlerError::NotReadable(handler.into()),
        _ => HandlerError::refused(refusal.text.lines().map(Into::into).collect()),
    }
}

/// Reads what an instance wrote, as the handler [`CONSOLE`](super::CONSOLE) gives it.
///
/// # Errors
/// The parameters are not what they should be.
pub fn read_console(console: &Console, parameters: &str) -> Result<String, HandlerError> {
    let mut words = parameters.split_ascii_whitespace();
    let offset = words.next().unwrap_or("0").parse();
    let wait = match words.next() {
        None => Some(false),
        Some("wait") => Some(true),
        Some(_) => None,
    };
    let (Ok(offset), Some(wait), None) = (offset, wait, words.next()) else {
        return Err(HandlerError::failed("expected an offset, and perhaps wait"));
    };
    Ok(match console.read(offset, wait) {
        Some((next, text)) => format!("{next}\n{}", String::from_utf8_lossy(&text)),
        None => "end\n".into(),
    })
}

/// Whether a handler of an instance could be written, or read, as its element's list of handlers
/// says.
///
/// # Errors
/// It could not, or there is none.
pub fn check_listed(
    access: &mut impl HandlerAccess,
    handler: &str,
    writes: bool,
) -> Result<(), HandlerError> {
    if let super::CONSOLE | super::METRICS = handler {
        return match writes {
            true => Err(HandlerError::NotWritable(handler.into())),
            false => Ok(()),
        };
    }
    let (list, name) = match handler.rsplit_once('.') {
        Some((element, name)) => (format!("{element}.handlers"), name),
        None => ("handlers".into(), handler),
    };
    let list = access.read(&list, "")?;
    let flags = list
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find_map(|(known, flags)| (known == name).then_some(flags))
        .ok_or_else(|| HandlerError::NoHandler(handler.into()))?;
    match writes {
        true if !flags.contains('w') => Err(HandlerError::NotWritable(handler.into())),
        false if !flags.contains('r') => Err(HandlerError::NotReadable(handler.into())),
        _ => Ok(()),
    }
}
