//! A web server with one page.
//!
//! `sprat run` boots it as a sealed image, `cargo run` is the same program under Linux.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat::net::{TcpOptions, TcpStream};
use sprat::{Env, Result, log, spawn};

/// The port that browsers find the server at.
const PORT: u16 = 80;

/// Longest head of a request.
const LONGEST: usize = 8192;

#[sprat::main]
async fn main(mut env: Env) -> Result<()> {
    let network = env.network("eth0")?;
    network.configured().await;
    let listener = network.listen((Ipv4Addr::UNSPECIFIED, PORT), TcpOptions::default())?;
    log::info!("serving on port {PORT}");
    loop {
        let (stream, peer) = listener.accept().await;
        log::debug!("connection from {peer}");
        spawn(serve(stream)).detach();
    }
}

/// Answers the requests of one connection, one after the other, until the client is done.
async fn serve(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while request.len() < LONGEST {
        if let Some(end) = find(&request, b"\r\n\r\n") {
            let answer = answer(&request[..end]);
            request.drain(..end + 4);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
}

/// What a request is answered with.
fn answer(request: &[u8]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or(request);
    let (status, page) = match line {
        b"GET / HTTP/1.1" => ("200 OK", "<h1>Hello from {{name}}</h1>\n"),
        line if line.starts_with(b"GET ") => ("404 Not Found", "No such page.\n"),
        _ => ("405 Method Not Allowed", "Only GET is answered.\n"),
    };
    let length = page.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\r\n{page}"
    )
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_served() {
        let answer = answer(b"GET / HTTP/1.1\r\nhost: example.com");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(answer.ends_with("Hello from {{name}}</h1>\n"));
    }

    #[test]
    fn a_page_that_is_not_there_is_not_found() {
        assert!(answer(b"GET /other HTTP/1.1").starts_with("HTTP/1.1 404 "));
    }

    #[test]
    fn nothing_can_be_changed() {
        assert!(answer(b"DELETE / HTTP/1.1").starts_with("HTTP/1.1 405 "));
    }
}
