//! `examples/web` as every monitor holds it, asked by `curl` and by hand.
#![allow(missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use services::{Service, built, monitors};

const PAGE: &str = include_str!("../../../examples/web/site/index.html");
const STYLE: &str = include_str!("../../../examples/web/site/style.css");

/// Everything that comes back until the server closes.
fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("published");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.write_all(request).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn requests_share_a_connection_and_bad_ones_end_it() {
    let image = built("web");
    for monitor in monitors() {
        let service = Service::start(&*monitor, &image, &[], &["tcp/80"], |_, _| {});
        let address = service.address(0);
        // Three requests at once: the answers come in order (RFC 9112, section 9.3.2).
        let answer = exchange(
            address,
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD /style.css HTTP/1.1\r\nHost: x\r\n\r\n\
              GET /style.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        let answers: Vec<&str> = answer.split("HTTP/1.1 200 OK\r\n").collect();
        assert_eq!(answers.len(), 4, "{answer}");
        assert!(answers[1].ends_with(PAGE), "{answer}");
        assert!(answers[2].ends_with("keep-alive\r\n\r\n"), "{answer}");
        let length = format!("Content-Length: {}\r\n", STYLE.len());
        assert!(answers[2].contains(&length), "{answer}");
        assert!(answers[3].ends_with(STYLE), "{answer}");

        let long = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
            "a".repeat(9000)
        );
        for (request, status) in [
            (long.as_str(), "431"),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxx",
                "413",
            ),
            ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
            ("\u{16}\u{3}\u{1}", "400"),
        ] {
            let answer = exchange(address, request.as_bytes());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
        let metrics = service.ask("os.metrics", None).expect("text");
        assert!(metrics.contains("http_requests_total 7\n"), "{metrics}");
        assert!(metrics.contains("http_errors_total 4\n"), "{metrics}");
    }
}

/// What `curl` prints with these arguments before a URL; none where there is no `curl`.
fn curl(address: SocketAddr, arguments: &[&str], path: &str) -> Option<String> {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .arg(format!("http://{address}{path}"))
        .output()
        .ok()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn curl_gets_files_whole_and_in_parts() {
    let image = built("web");
    for monitor in monitors() {
        let service = Service::start(&*monitor, &image, &[], &["tcp/80"], |_, _| {});
        let address = service.address(0);
        let Some(page) = curl(address, &[], "/") else {
            eprintln!("skipped: needs curl");
            return;
        };
        assert_eq!(page, PAGE);
        let get = |arguments: &[&str], path| curl(address, arguments, path).expect("it was there");
        assert_eq!(get(&["--range", "5-9"], "/style.css"), STYLE[5..10]);
        assert_eq!(
            get(&["--range", "-7"], "/style.css"),
            STYLE[STYLE.len() - 7..]
        );
        let code = [
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{content_type}",
        ];
        assert_eq!(get(&code, "/style.css"), "200 text/css; charset=utf-8");
        assert_eq!(get(&code, "/none"), "404 text/plain; charset=utf-8");
        assert_eq!(
            get(&code, "/../../etc/passwd").split(' ').next(),
            Some("404")
        );
        let head = get(&["--head"], "/");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{head}");
    }
}
