//! `examples/web` with TLS as every monitor holds it: `curl`, and what is not TLS.
#![allow(missing_docs)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use services::{Service, built_with, input_file, monitors};
use sprat_image::BuiltImage;
use sprat_monitor::Monitor;
use tempfile::TempDir;

const PAGE: &str = include_str!("../../../examples/web/site/index.html");
const STYLE: &str = include_str!("../../../examples/web/site/style.css");

/// Longest that a peer waits.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// A folder with a certificate for 127.0.0.1 that vouches for itself, and its key.
fn identity() -> Option<TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("openssl")
        .current_dir(folder.path())
        .args(["req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=web"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .output();
    let Ok(made) = made else {
        eprintln!("skipped: needs openssl");
        return None;
    };
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    Some(folder)
}

/// The server with its certificate; its first port is for HTTPS, its second one for HTTP.
fn start(monitor: &dyn Monitor, image: &BuiltImage, identity: &Path) -> Service {
    let parameters = [("certificate", "certificate.pem"), ("key", "key.pem")];
    Service::start(
        monitor,
        image,
        &parameters,
        &["tcp/443", "tcp/80"],
        |_, options| {
            for name in ["certificate.pem", "key.pem"] {
                let file = File::open(identity.join(name)).expect("it was made");
                options.devices.push(input_file(name, file));
            }
        },
    )
}

fn curl(address: SocketAddr, trusted: &Path, arguments: &[&str], paths: &[&str]) -> Option<Output> {
    Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--noproxy",
            "*",
        ])
        .arg("--cacert")
        .arg(trusted)
        .args(arguments)
        .args(paths.iter().map(|path| format!("https://{address}{path}")))
        .output()
        .ok()
}

/// Waits until the metrics say this of the server; whether they do is all that counts, not when.
fn await_metric(service: &Service, line: &str) {
    for _ in 0..600 {
        let metrics = service.ask("os.metrics", None).expect("text");
        if metrics.lines().any(|found| found == line) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let metrics = service.ask("os.metrics", None).expect("text");
    panic!("expected {line} in\n{metrics}");
}

#[test]
fn curl_gets_files_over_tls_and_one_connection() {
    let Some(identity) = identity() else {
        return;
    };
    let image = built_with("web", &["tls"]);
    for monitor in monitors() {
        let service = start(&*monitor, &image, identity.path());
        let address = service.address(0);
        let trusted = identity.path().join("certificate.pem");
        let arguments = ["--tlsv1.3", "--write-out", "%{stderr}%{num_connects}"];
        let Some(got) = curl(address, &trusted, &arguments, &["/", "/style.css"]) else {
            eprintln!("skipped: needs curl");
            return;
        };
        let said = String::from_utf8_lossy(&got.stderr);
        assert!(got.status.success(), "{said}");
        assert_eq!(
            String::from_utf8_lossy(&got.stdout),
            format!("{PAGE}{STYLE}")
        );
        // One was opened for the first of them, none for the second.
        assert_eq!(said, "10");
        let part = curl(address, &trusted, &["--range", "5-9"], &["/style.css"]);
        assert_eq!(part.expect("it was there").stdout, &STYLE.as_bytes()[5..10]);
        await_metric(&service, "tls_handshakes_total 2");

        // Who does not trust the certificate, or cannot speak TLS 1.3, goes away, and is counted.
        let nobody = Path::new("/etc/hostname");
        let distrusts = curl(address, nobody, &[], &["/"]).expect("it was there");
        assert!(!distrusts.status.success());
        let older = curl(address, &trusted, &["--tls-max", "1.2"], &["/"]).expect("it was there");
        assert_eq!(older.status.code(), Some(35), "{older:?}");
        await_metric(&service, "http_connections 0");
        await_metric(&service, "tls_handshakes_total 2");
    }
}

/// What comes back until the server ends the connection; what it was sent before may be refused.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("published");
    stream.set_read_timeout(PATIENCE).expect("a timeout");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    // It ends in order, or is reset where something was left unread.
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return answer,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return answer,
            Err(error) => panic!("the server does not end the connection: {error}"),
        }
    }
}

#[test]
fn what_is_not_tls_is_counted_and_the_service_goes_on() {
    let Some(identity) = identity() else {
        return;
    };
    let image = built_with("web", &["tls"]);
    for monitor in monitors() {
        let service = start(&*monitor, &image, identity.path());
        let address = service.address(0);
        // Half a hello each, from more than a few, who then say nothing and stay.
        let half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        let silent: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = TcpStream::connect(address).expect("published");
                stream.write_all(half).expect("sent");
                stream
            })
            .collect();
        // A request that should have gone to the other port, noise, and a hello that is too long.
        exchange(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        exchange(address, &[0x5a; 100_000]);
        let mut long = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff".to_vec();
        long.resize(5 + (1 << 14), 0);
        long.extend(b"\x16\x03\x01\x40\x00");
        long.resize(40_000, 0);
        exchange(address, &long);
        // The server is there for everybody else meanwhile, on both ports.
        let trusted = identity.path().join("certificate.pem");
        let Some(page) = curl(address, &trusted, &[], &["/"]) else {
            eprintln!("skipped: needs curl");
            return;
        };
        assert_eq!(String::from_utf8_lossy(&page.stdout), PAGE);
        let plain = exchange(
            service.address(1),
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        );
        assert!(plain.ends_with(PAGE.as_bytes()));
        // Whoever says nothing is shown out in the end.
        for mut stream in silent {
            stream.set_read_timeout(PATIENCE).expect("a timeout");
            assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)));
        }
        await_metric(&service, "tls_failures_total 103");
        await_metric(&service, "tls_handshakes_total 1");
        await_metric(&service, "http_connections 0");
    }
}

#[test]
fn a_certificate_that_will_not_do_is_named() {
    let (Some(one), Some(other)) = (identity(), identity()) else {
        return;
    };
    let mixed = tempfile::tempdir().expect("a folder");
    for (from, name) in [(&one, "certificate.pem"), (&other, "key.pem")] {
        std::fs::copy(from.path().join(name), mixed.path().join(name)).expect("copied");
    }
    let image = built_with("web", &["tls"]);
    for monitor in monitors() {
        let mut service = start(&*monitor, &image, mixed.path());
        assert_eq!(service.wait(), Some(1));
        let console = service.console();
        let words = "parameters 'certificate', 'key': the key is not that of the certificate";
        assert!(console.contains(words), "{console}");
    }
}
