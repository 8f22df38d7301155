//! What a client asks: an array of texts in the Redis protocol (RESP 2), or a line of words.

use alloc::vec::Vec;

/// Longest request of a client.
pub(crate) const REQUEST_LIMIT: usize = 4 << 20;

/// Most arguments of a request.
const ARGUMENTS: usize = 16 << 10;

/// Longest line.
const LINE: usize = 64 << 10;

/// A request, or what is there of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'b> {
    /// A whole one, which may be empty, and its length.
    Whole(Vec<&'b [u8]>, usize),
    /// It is not whole before there are so many bytes.
    Needs(usize),
    /// It is none: the connection cannot go on.
    Wrong(&'static str),
}

/// Reads what `bytes` begin with. A request longer than `limit` is none.
pub(crate) fn parse(bytes: &[u8], limit: usize) -> Parsed<'_> {
    match bytes.first() {
        None => Parsed::Needs(1),
        Some(b'*') => array(bytes, limit).unwrap_or_else(|stop| stop),
        Some(_) => words(bytes),
    }
}

/// An array of texts; what else it is instead comes as an error.
fn array(bytes: &[u8], limit: usize) -> Result<Parsed<'_>, Parsed<'_>> {
    let mut at = 0;
    let count = number(bytes, &mut at, "Protocol error: invalid multibulk length")?;
    // A count below one is an empty request.
    let count = usize::try_from(count).unwrap_or(0);
    if count > ARGUMENTS {
        return Err(Parsed::Wrong("Protocol error: invalid multibulk length"));
    }
    let mut arguments = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        match bytes.get(at) {
            None => return Err(Parsed::Needs(at + 1)),
            Some(b'$') => {}
            Some(_) => return Err(Parsed::Wrong("Protocol error: expected '$'")),
        }
        const WRONG: &str = "Protocol error: invalid bulk length";
        let length = number(bytes, &mut at, WRONG)?;
        let length = usize::try_from(length).map_err(|_| Parsed::Wrong(WRONG))?;
        if length > limit || at + length + 2 > limit {
            return Err(Parsed::Wrong(WRONG));
        }
        let end = at + length;
        if bytes.len() < end + 2 {
            return Err(Parsed::Needs(end + 2));
        }
        if bytes[end..end + 2] != *b"\r\n" {
            return Err(Parsed::Wrong("Protocol error: expected a line's end"));
        }
        arguments.push(&bytes[at..end]);
        at = end + 2;
    }
    Ok(Parsed::Whole(arguments, at))
}

/// The number between a mark at `at` and the end of its line, which `at` is then past.
fn number<'b>(bytes: &'b [u8], at: &mut usize, wrong: &'static str) -> Result<i64, Parsed<'b>> {
    /// Digits of any number, its sign and the end of its line.
    const LONGEST: usize = 24;
    let rest = &bytes[*at + 1..];
    let rest = &rest[..rest.len().min(LONGEST)];
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return Err(match rest.len() {
            LONGEST => Parsed::Wrong(wrong),
            _ => Parsed::Needs(bytes.len() + 1),
        });
    };
    let digits = rest[..end].strip_suffix(b"\r");
    *at += end + 2;
    digits.and_then(integer).ok_or(Parsed::Wrong(wrong))
}

/// A decimal number as Redis takes it: no plus, no leading zeroes, nothing around it.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [] => false,
        [b'0'] => text == b"0",
        [first, rest @ ..] => (b'1'..=b'9').contains(first) && rest.iter().all(u8::is_ascii_digit),
    };
    plain.then(|| core::str::from_utf8(text).ok()?.parse().ok())?
}

/// A line of words.
fn words(bytes: &[u8]) -> Parsed<'_> {
    let Some(end) = bytes.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return match bytes.len() < LINE {
            true => Parsed::Needs(bytes.len() + 1),
            false => Parsed::Wrong("Protocol error: too big inline request"),
        };
    };
    let line = &bytes[..end];
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let (word, after) = match rest {
            [quote @ (b'"' | b'\''), quoted @ ..] => {
                let end = quoted.iter().position(|byte| byte == quote);
                match end.map(|end| (&quoted[..end], &quoted[end + 1..])) {
                    Some((word, after)) if after.first().is_none_or(u8::is_ascii_whitespace) => {
                        (word, after)
                    }
                    _ => return Parsed::Wrong("Protocol error: unbalanced quotes in request"),
                }
            }
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace);
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Parsed::Whole(words, end + 1)
}

/// Writes a request as it travels, and as it stands in the log.
pub(crate) fn write(arguments: &[&[u8]], to: &mut Vec<u8>) {
    let mut reply = crate::reply::Reply::over(core::mem::take(to));
    reply.array(arguments.len());
    arguments.iter().for_each(|argument| reply.bulk(argument));
    *to = reply.into_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
        match parse(bytes, REQUEST_LIMIT) {
            Parsed::Whole(arguments, length) => (arguments, length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_whole_when_its_last_byte_has_come_and_not_before() {
        let bytes = b"*2\r\n$4\r\nLLEN\r\n$6\r\nmylist\r\n";
        assert_eq!(whole(bytes), (vec![&b"LLEN"[..], b"mylist"], bytes.len()));
        let two = [&bytes[..], b"PING\r\n"].concat();
        assert_eq!(whole(&two).1, bytes.len());
        for length in 0..bytes.len() {
            match parse(&bytes[..length], REQUEST_LIMIT) {
                Parsed::Needs(needs) => assert!(needs > length && needs <= bytes.len()),
                other => panic!("{length}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_long_argument_is_not_looked_at_before_it_is_there() {
        let head = b"*2\r\n$3\r\nGET\r\n$1000\r\nabc";
        assert_eq!(
            parse(head, REQUEST_LIMIT),
            Parsed::Needs(head.len() - 3 + 1000 + 2)
        );
    }

    #[test]
    fn a_line_is_words_with_or_without_quotes() {
        assert_eq!(
            whole(b"SET key 'a b' \"c d\"\r\nGET key\n"),
            (vec![&b"SET"[..], b"key", b"a b", b"c d"], 21)
        );
        assert_eq!(whole(b"\r\n"), (vec![], 2));
        assert_eq!(whole(b"*0\r\n"), (vec![], 4));
        assert_eq!(whole(b"*-1\r\n"), (vec![], 5));
    }

    #[test]
    fn what_is_no_request_ends_the_connection() {
        let long = vec![b'a'; LINE];
        for bytes in [
            &b"*a\r\n"[..],
            b"*99999999\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$5000000\r\n",
            b"*1\r\n:1\r\n",
            b"*1\r\n$1\r\nab\r\n",
            b"*1234567890123456789012345",
            b"SET k 'a\r\n",
            b"SET k 'a'b\r\n",
            &long,
        ] {
            assert!(
                matches!(parse(bytes, REQUEST_LIMIT), Parsed::Wrong(_)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn numbers_are_plain() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1.0", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_request_reads_as_it_was_written() {
        let mut bytes = vec![];
        write(&[b"SET", b"", b"a\r\nb\0"], &mut bytes);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\nb\0\r\n");
        assert_eq!(whole(&bytes).0, [&b"SET"[..], b"", b"a\r\nb\0"]);
    }
}
