//! Reading the handlers that the command line names, as `click -h` does.

use std::fmt::Write;

use sprat_click::HandlerError;
use sprat_click::arguments::{Argument as _, NoNames, strip_comments};
use sprat_click::router::Router;

/// What came of reading some handlers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlersRead {
    /// The text for the standard output.
    pub text: String,
    /// What could not be read, in Click's words.
    pub errors: Vec<String>,
}

/// Reads handlers; their names may hold `*`, `?` and `[…]`, and begin with a class in an element's
/// place. The value of a single handler stands alone, those of several under their names.
#[must_use]
pub fn read_handlers(router: &Router, patterns: &[String]) -> HandlersRead {
    let mut read = HandlersRead::default();
    let single = matches!(patterns, [_]);
    for pattern in patterns {
        let (element, handler) = pattern.split_once('.').unwrap_or(("", pattern));
        let of_class = !element.is_empty() && router.find(element).is_none();
        let several = of_class || is_pattern(pattern);
        let names = match (several, of_class && !is_pattern(element)) {
            (false, _) => vec![pattern.clone()],
            (true, false) => matching(router, pattern),
            (true, true) => having_class(router, element, handler),
        };
        let known = |id| matches(element, router.name(id));
        if names.is_empty() && !router.elements().any(known) {
            let kind = if is_pattern(element) { " matching" } else { "" };
            read.errors.push(match element {
                "" => format!("no '{handler}' handler"),
                _ => format!("no element{kind} '{element}'"),
            });
        }
        for name in names {
            match router.read(&name, "") {
                Ok(value) => {
                    let name = (!single || several).then_some(&*name);
                    add(&mut read.text, name, &value);
                }
                // What an element has to say against being read is not for the command line.
                Err(HandlerError::Failed(..)) => {
                    let name = (!single || several).then_some(&*name);
                    add(&mut read.text, name, "");
                }
                // A pattern asks for what can be read.
                Err(HandlerError::NotReadable(_) | HandlerError::NoHandler(_)) if several => {}
                Err(error) => read.errors.push(error.to_string()),
            }
        }
    }
    read
}

/// The handlers of this name of all elements of a class.
fn having_class(router: &Router, class: &str, handler: &str) -> Vec<String> {
    let mut names = Vec::new();
    for id in router.elements() {
        if is_kind_of(router.class(id).name, class) {
            let element = router.name(id);
            names.push(format!("{element}.{handler}"));
        }
    }
    names
}

/// Whether elements of a class are meant by a name: that of the class, or one that Click's class
/// inherits from.
fn is_kind_of(class: &str, name: &str) -> bool {
    let kind = |name| {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == name)
            .map_or(&[][..], |(_, classes)| classes)
    };
    class == name || kind(name).contains(&class)
}

/// Names that stand for elements of other classes too.
const KINDS: &[(&str, &[&str])] = &[
    ("Storage", QUEUES),
    ("SimpleQueue", QUEUES),
    ("Queue", QUEUES),
    (
        "NotifierQueue",
        &[
            "FrontDropQueue",
            "FullNoteQueue",
            "MixedQueue",
            "Queue",
            "QuickNoteQueue",
            "ThreadSafeQueue",
        ],
    ),
    (
        "FullNoteQueue",
        &["Queue", "QuickNoteQueue", "ThreadSafeQueue"],
    ),
    ("ARPTable", &["ARPQuerier"]),
    (
        "IPRouteTable",
        &[
            "DirectIPLookup",
            "LinearIPLookup",
            "RadixIPLookup",
            "RangeIPLookup",
            "SortedIPLookup",
            "StaticIPLookup",
        ],
    ),
    (
        "IPRewriterBase",
        &[
            "ICMPPingRewriter",
            "IPAddrPairRewriter",
            "IPAddrRewriter",
            "IPRewriter",
            "TCPRewriter",
            "UDPRewriter",
        ],
    ),
];

/// What Click's SimpleQueue is the base of.
const QUEUES: &[&str] = &[
    "FrontDropQueue",
    "FullNoteQueue",
    "MixedQueue",
    "NotifierQueue",
    "Queue",
    "QuickNoteQueue",
    "SimpleQueue",
    "ThreadSafeQueue",
];

fn add(text: &mut String, name: Option<&str>, value: &str) {
    if let Some(name) = name {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}:");
    }
    text.push_str(value);
    if !value.is_empty() && !value.ends_with('\n') {
        text.push('\n');
    }
    if name.is_some() {
        text.push('\n');
    }
}

/// The exit status that a handler's value asks for: a number is one, true is 0 and false is 1.
/// `None` where the value is none of these.
#[must_use]
pub fn exit_status(value: &str) -> Option<u8> {
    match strip_comments(value).trim() {
        "true" | "yes" | "t" | "y" => Some(0),
        "false" | "no" | "f" | "n" => Some(1),
        number => {
            let number = i32::parse(number, &NoNames).ok()?;
            // As the system does, whatever is left of a larger number counts.
            u8::try_from(number & 0xff).ok()
        }
    }
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

fn matching(router: &Router, pattern: &str) -> Vec<String> {
    let (elements, handlers) = pattern.rsplit_once('.').unwrap_or(("", pattern));
    if elements.is_empty() {
        let known = sprat_click::router::GLOBAL_HANDLERS.iter();
        return known
            .filter(|(name, flags)| flags.read && matches(handlers, name))
            .map(|(name, _)| (*name).into())
            .collect();
    }
    let mut names = Vec::new();
    for id in router.elements() {
        let element = router.name(id);
        if matches(elements, element) {
            let known = router.element_handlers(id).unwrap_or_default();
            let known = known
                .iter()
                .filter(|handler| matches(handlers, &handler.name));
            names.extend(known.map(|handler| format!("{element}.{}", handler.name)));
        }
    }
    names
}

/// Whether a name is as a pattern of the shell's says: `*` any text, `?` any letter, `[a-z]` one
/// of these, `[^a-z]` none of them.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where the last star stood, and what it has been tried up to.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        match one(&pattern[p..], name[n]) {
            Some(length) => (p, n) = (p + length, n + 1),
            None => match star {
                Some((at, tried)) => {
                    star = Some((at, tried + 1));
                    (p, n) = (at + 1, tried + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// The length of what stands first in a pattern, if it stands for this letter.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().skip(2).position(|letter| *letter == ']')? + 2;
            let inverse = matches!(pattern[1], '^' | '!');
            let mut members = &pattern[1 + usize::from(inverse)..end];
            let mut found = false;
            while let Some((first, rest)) = members.split_first() {
                members = match rest {
                    ['-', last, rest @ ..] => {
                        found |= (*first..=*last).contains(&letter);
                        rest
                    }
                    rest => {
                        found |= *first == letter;
                        rest
                    }
                };
            }
            (found != inverse).then_some(end + 1)
        }
        same => (*same == letter).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("c*t", "count", true),
            ("c*t", "counter", false),
            ("c*t*", "counter", true),
            ("*@[0-9]", "Print@7", true),
            ("*@[^0-9]", "Print@7", false),
            ("?", "ab", false),
            ("[a", "[a", false),
            ("q?.*", "q1.length", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_handler_says_how_the_process_ends() {
        for (value, expected) in [
            ("0\n", Some(0)),
            ("3", Some(3)),
            ("true", Some(0)),
            ("false\n", Some(1)),
            ("256", Some(0)),
            ("0x11 // seventeen", Some(17)),
            ("perhaps", None),
        ] {
            assert_eq!(exit_status(value), expected, "{value}");
        }
    }

    #[test]
    fn a_class_stands_for_its_elements() {
        use std::rc::Rc;

        use sprat_click::language::{NoLibraries, parser};
        use sprat_click::router::Builder;

        use crate::{Process, ProcessOptions};

        let builder = Rc::new(Builder::new(
            sprat_elements::library(),
            Process::new(ProcessOptions::default()),
            sprat_packet::Pool::growing(),
            parser(Rc::new(NoLibraries), Vec::new()),
        ));
        let built = builder.build("Idle -> a :: Counter -> b :: Counter -> Discard", "config");
        let (router, _) = built.unwrap_or_else(|error| panic!("{}", error.diagnostics));
        for (pattern, text, errors) in [
            ("a.count", "0\n", &[][..]),
            ("Counter.count", "a.count:\n0\n\nb.count:\n0\n\n", &[]),
            // Elements without the handler are passed over.
            ("[ab].nope", "", &[]),
            ("Discard.nope", "", &[]),
            ("Queue.length", "", &["no element 'Queue'"]),
            ("x*.count", "", &["no element matching 'x*'"]),
            ("nope", "", &["no 'nope' handler"]),
        ] {
            let read = read_handlers(&router, &[pattern.to_string()]);
            assert_eq!(
                (read.text.as_str(), &read.errors[..]),
                (
                    text,
                    errors
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .as_slice()
                ),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_class_stands_for_those_that_inherit_from_it() {
        assert!(is_kind_of("Queue", "FullNoteQueue"));
        assert!(is_kind_of("FrontDropQueue", "Queue"));
        assert!(!is_kind_of("MixedQueue", "FullNoteQueue"));
        assert!(is_kind_of("StaticIPLookup", "IPRouteTable"));
        assert!(!is_kind_of("Script", "DriverManager"));
    }

    #[test]
    fn several_values_stand_under_their_names() {
        let mut text = String::new();
        add(&mut text, Some("a.count"), "5");
        add(&mut text, Some("a.config"), "x\n");
        assert_eq!(text, "a.count:\n5\n\na.config:\nx\n\n");
        let mut text = String::new();
        add(&mut text, None, "5");
        assert_eq!(text, "5\n");
        // An empty value is no line.
        let mut text = String::new();
        add(&mut text, Some("a.config"), "");
        assert_eq!(text, "a.config:\n\n");
    }
}
