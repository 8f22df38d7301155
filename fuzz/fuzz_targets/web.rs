//! Any bytes from a client of the web server (`examples/web`): requests that are answered one after
//! the other, and an answer that holds no more of a file than there is.
#![no_main]
#![allow(dead_code, reason = "the program's own tests use the rest")]

extern crate alloc;

#[path = "../../examples/web/src/request.rs"]
mod request;
#[path = "../../examples/web/src/response.rs"]
mod response;

use libfuzzer_sys::fuzz_target;

const PAGE: &[u8] = b"<h1>A page</h1>";

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Some((length, request)) = request::parse(rest) {
        assert!(0 < length && length <= rest.len());
        if let Ok(request) = &request {
            // It is looked up among the names of the files; none of them goes upwards.
            assert!(!request.path.starts_with('/'), "{}", request.path);
        }
        for content in [None, Some(PAGE)] {
            let answer = response::choose(&request, content);
            let mut out = Vec::new();
            response::write_head(&answer, "now", &mut out);
            assert!(out.ends_with(b"\r\n\r\n"));
        }
        rest = &rest[length..];
    }
});
