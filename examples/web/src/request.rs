//! What is asked for.

use alloc::string::String;
use alloc::vec::Vec;

use crate::response::Status;

/// Most header fields of a request.
const FIELDS: usize = 64;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// From this byte to that one, where it says so.
    From(usize, Option<usize>),
    /// So many bytes at the end.
    Last(usize),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Where the file is in the folder.
    pub(crate) path: String,
    /// Whether only the head of the answer is wanted.
    pub(crate) head_only: bool,
    pub(crate) range: Option<Range>,
    /// Whether the connection is to go on.
    pub(crate) keep: bool,
}

/// Reads a request's head, and how long it is; none where more must come.
pub(crate) fn parse(bytes: &[u8]) -> Option<(usize, Result<Request, Status>)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    match head.parse(bytes) {
        Ok(httparse::Status::Partial) => None,
        Ok(httparse::Status::Complete(length)) => Some((length, read(&head))),
        Err(httparse::Error::TooManyHeaders) => Some((bytes.len(), Err(Status::LONG_HEAD))),
        Err(httparse::Error::Version) => Some((bytes.len(), Err(Status::VERSION))),
        Err(_) => Some((bytes.len(), Err(Status::BAD_REQUEST))),
    }
}

fn read(head: &httparse::Request<'_, '_>) -> Result<Request, Status> {
    let field = |name: &str| {
        let mut found = head
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name));
        let first = found.next().map(|field| field.value);
        (first, found.next().is_some())
    };
    // RFC 9112, section 3.2.
    let hosts = field("Host");
    if hosts.1 || (hosts.0.is_none() && head.version == Some(1)) {
        return Err(Status::BAD_REQUEST);
    }
    // A body would be taken for the next request.
    let empty = |value: Option<&[u8]>| value.is_none_or(|value| value == b"0");
    if !empty(field("Content-Length").0) || field("Transfer-Encoding").0.is_some() {
        return Err(Status::LONG_BODY);
    }
    let head_only = match head.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(Status::METHOD),
    };
    let has = |word: &str| {
        let values = head
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("Connection"));
        let mut words = values.flat_map(|field| field.value.split(|byte| *byte == b','));
        words.any(|value| value.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    // Without a validator in our answers no condition on one can hold (RFC 9110, section 13.1.5).
    let range = field("Range")
        .0
        .filter(|_| !head_only && field("If-Range").0.is_none());
    Ok(Request {
        path: path(head.path.unwrap_or_default()).ok_or(Status::BAD_REQUEST)?,
        head_only,
        range: range.and_then(parse_range),
        keep: !has("close") && (head.version == Some(1) || has("keep-alive")),
    })
}

/// The file that a target names: without the host and the query, and with the escapes resolved.
fn path(target: &str) -> Option<String> {
    let host = target
        .strip_prefix("http://")
        .or_else(|| target.strip_prefix("https://"));
    let target = match host {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let target = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    let mut path = String::from_utf8(bytes).ok()?;
    if path.is_empty() || path.ends_with('/') {
        path.push_str("index.html");
    }
    Some(path)
}

/// One range of bytes. What is malformed, or several, is as if it were not there (RFC 9110, section
/// 14.2).
fn parse_range(value: &[u8]) -> Option<Range> {
    let value = core::str::from_utf8(value).ok()?.trim();
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    match (first, last) {
        ("", last) => number(last).map(Range::Last),
        (first, "") => number(first).map(|first| Range::From(first, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Range::From(first, Some(last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Request, Status> {
        let (length, request) = parse(text.as_bytes()).expect("a whole head");
        if request.is_ok() {
            assert_eq!(length, text.len());
        }
        request
    }

    fn get(target: &str, fields: &str) -> Result<Request, Status> {
        request(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"))
    }

    #[test]
    fn targets_name_files() {
        for (target, path) in [
            ("/", Ok("index.html")),
            ("/a/", Ok("a/index.html")),
            ("/a%20b.css?v=1", Ok("a b.css")),
            ("http://x/y", Ok("y")),
            ("http://x", Ok("index.html")),
            ("https://x/y", Ok("y")),
            ("/%", Err(Status::BAD_REQUEST)),
            ("/%zz", Err(Status::BAD_REQUEST)),
            ("/%ff", Err(Status::BAD_REQUEST)),
            ("*", Err(Status::BAD_REQUEST)),
        ] {
            let read = get(target, "").map(|request| request.path);
            assert_eq!(read.as_deref().map_err(|status| *status), path, "{target}");
        }
    }

    #[test]
    fn a_connection_goes_on_as_its_version_says_or_its_field() {
        let keep = |text: &str| request(text).map(|request| request.keep);
        assert_eq!(keep("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Ok(true));
        assert_eq!(
            keep("GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n"),
            Ok(false)
        );
        assert_eq!(keep("GET / HTTP/1.0\r\n\r\n"), Ok(false));
        assert_eq!(
            keep("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            Ok(true)
        );
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        for (value, range) in [
            ("bytes=0-499", Some(Range::From(0, Some(499)))),
            ("bytes=500-", Some(Range::From(500, None))),
            ("bytes=-500", Some(Range::Last(500))),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("lines=1-2", None),
        ] {
            let read = get("/", &format!("Range: {value}\r\n")).map(|request| request.range);
            assert_eq!(read, Ok(range), "{value}");
        }
        let conditional = get("/", "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n");
        assert_eq!(conditional.map(|request| request.range), Ok(None));
    }

    #[test]
    fn what_is_no_request_gets_a_status_of_its_own() {
        for (text, status) in [
            ("GET / HTTP/1.1\r\n\r\n", Status::BAD_REQUEST),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Status::BAD_REQUEST,
            ),
            ("GET / HTTP/1.1\r\nHost x\r\n\r\n", Status::BAD_REQUEST),
            ("\x16\x03\x01\x02\x00", Status::BAD_REQUEST),
            ("GET / HTTP/3.0\r\n\r\n", Status::VERSION),
            ("PUT / HTTP/1.1\r\nHost: x\r\n\r\n", Status::METHOD),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
                Status::LONG_BODY,
            ),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                Status::LONG_BODY,
            ),
        ] {
            assert_eq!(request(text), Err(status), "{text}");
        }
        let many = "a: b\r\n".repeat(FIELDS);
        assert_eq!(get("/", &many), Err(Status::LONG_HEAD));
        assert_eq!(parse(b"GET / HT"), None);
    }
}
