//! What is answered.

use alloc::vec::Vec;

use crate::request::{Range, Request};

/// A status of RFC 9110 or 6585.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u16,
    reason: &'static str,
}

impl Status {
    pub(crate) const OK: Self = Self::new(200, "OK");
    pub(crate) const PARTIAL: Self = Self::new(206, "Partial Content");
    pub(crate) const BAD_REQUEST: Self = Self::new(400, "Bad Request");
    pub(crate) const NOT_FOUND: Self = Self::new(404, "Not Found");
    pub(crate) const METHOD: Self = Self::new(405, "Method Not Allowed");
    pub(crate) const TIMEOUT: Self = Self::new(408, "Request Timeout");
    pub(crate) const LONG_BODY: Self = Self::new(413, "Content Too Large");
    pub(crate) const RANGE: Self = Self::new(416, "Range Not Satisfiable");
    pub(crate) const LONG_HEAD: Self = Self::new(431, "Request Header Fields Too Large");
    pub(crate) const VERSION: Self = Self::new(505, "HTTP Version Not Supported");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }

    pub(crate) const fn is_error(self) -> bool {
        self.code >= 400
    }
}

pub(crate) struct Answer<'a> {
    pub(crate) status: Status,
    kind: &'static str,
    /// What follows the head.
    pub(crate) body: &'a [u8],
    /// How long the body is, also where only the head is sent.
    length: usize,
    /// Where the body begins in the file, where it is a part of one.
    start: usize,
    /// How long the whole file is.
    whole: usize,
    /// Whether the connection goes on.
    pub(crate) keep: bool,
}

/// The answer to a request, given the file that it names.
pub(crate) fn choose<'a>(
    request: &Result<Request, Status>,
    content: Option<&'a [u8]>,
) -> Answer<'a> {
    let (request, content) = match (request, content) {
        // Where the next request begins is not known behind one that was not understood.
        (Err(status), _) => return failed(*status, false, false, 0),
        (Ok(request), None) => {
            return failed(Status::NOT_FOUND, request.keep, request.head_only, 0);
        }
        (Ok(request), Some(content)) => (request, content),
    };
    let whole = content.len();
    let part = match request.range {
        None => Some((0, whole)),
        Some(Range::From(first, last)) if first < whole => Some((
            first,
            last.map_or(whole, |last| whole.min(last.saturating_add(1))),
        )),
        Some(Range::Last(count)) if count > 0 && whole > 0 => {
            Some((whole.saturating_sub(count), whole))
        }
        Some(_) => None,
    };
    let Some((start, end)) = part else {
        return failed(Status::RANGE, request.keep, false, whole);
    };
    let body = &content[start..end];
    Answer {
        status: match request.range {
            None => Status::OK,
            Some(_) => Status::PARTIAL,
        },
        kind: kind(&request.path),
        body: if request.head_only { &[] } else { body },
        length: body.len(),
        start,
        whole,
        keep: request.keep,
    }
}

/// An answer whose body is the status in words.
fn failed(status: Status, keep: bool, head_only: bool, whole: usize) -> Answer<'static> {
    let body = status.reason.as_bytes();
    Answer {
        status,
        kind: "text/plain; charset=utf-8",
        body: if head_only { &[] } else { body },
        length: body.len(),
        start: 0,
        whole,
        keep,
    }
}

/// The kind of a file, by the end of its name.
fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// Writes the head of an answer.
pub(crate) fn write_head(answer: &Answer<'_>, date: &str, out: &mut Vec<u8>) {
    let mut add = |text: &str| out.extend_from_slice(text.as_bytes());
    add("HTTP/1.1 ");
    add(&decimal(answer.status.code.into()));
    add(" ");
    add(answer.status.reason);
    add("\r\nDate: ");
    add(date);
    add("\r\nContent-Type: ");
    add(answer.kind);
    add("\r\nContent-Length: ");
    add(&decimal(answer.length));
    add("\r\nAccept-Ranges: bytes\r\n");
    match answer.status {
        Status::PARTIAL => {
            add("Content-Range: bytes ");
            add(&decimal(answer.start));
            add("-");
            add(&decimal(answer.start + answer.length - 1));
            add("/");
            add(&decimal(answer.whole));
            add("\r\n");
        }
        Status::RANGE => {
            add("Content-Range: bytes */");
            add(&decimal(answer.whole));
            add("\r\n");
        }
        Status::METHOD => add("Allow: GET, HEAD\r\n"),
        _ => {}
    }
    add(if answer.keep {
        "Connection: keep-alive\r\n\r\n"
    } else {
        "Connection: close\r\n\r\n"
    });
}

fn decimal(number: usize) -> alloc::string::String {
    alloc::string::ToString::to_string(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(range: Option<Range>, content: Option<&[u8]>) -> (String, Vec<u8>) {
        let request = Ok(Request {
            path: "a.css".into(),
            head_only: false,
            range,
            keep: true,
        });
        let answer = choose(&request, content);
        let mut out = Vec::new();
        write_head(&answer, "now", &mut out);
        (String::from_utf8(out).expect("text"), answer.body.to_vec())
    }

    #[test]
    fn a_whole_file_is_described() {
        let (text, body) = head(None, Some(b"0123456789"));
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/css; charset=utf-8\r\n\
             Content-Length: 10\r\nAccept-Ranges: bytes\r\nConnection: keep-alive\r\n\r\n"
        );
        assert_eq!(body, b"0123456789");
    }

    #[test]
    fn parts_are_cut_as_rfc_9110_says() {
        for (range, field, expected) in [
            (Range::From(2, Some(4)), "bytes 2-4/10", &b"234"[..]),
            (Range::From(8, Some(99)), "bytes 8-9/10", b"89"),
            (Range::From(9, None), "bytes 9-9/10", b"9"),
            (Range::Last(3), "bytes 7-9/10", b"789"),
            (Range::Last(99), "bytes 0-9/10", b"0123456789"),
        ] {
            let (text, body) = head(Some(range), Some(b"0123456789"));
            assert!(text.starts_with("HTTP/1.1 206 "), "{text}");
            assert!(
                text.contains(&format!("Content-Range: {field}\r\n")),
                "{text}"
            );
            assert_eq!(body, expected);
        }
        for range in [Range::From(10, None), Range::Last(0)] {
            let (text, _) = head(Some(range), Some(b"0123456789"));
            assert!(text.starts_with("HTTP/1.1 416 "), "{text}");
            assert!(text.contains("Content-Range: bytes */10\r\n"), "{text}");
        }
        let (text, _) = head(Some(Range::Last(1)), Some(b""));
        assert!(text.starts_with("HTTP/1.1 416 "), "{text}");
    }

    #[test]
    fn what_is_not_there_is_not_found_and_the_connection_goes_on() {
        let (text, _) = head(None, None);
        assert!(text.starts_with("HTTP/1.1 404 "), "{text}");
        assert!(text.contains("Connection: keep-alive"), "{text}");
        let refused = choose(&Err(Status::METHOD), None);
        assert!(!refused.keep);
    }
}
