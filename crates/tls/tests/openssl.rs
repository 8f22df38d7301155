//! Both sides against those of `openssl`, over sockets of the loopback.
#![allow(missing_docs)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sprat_tls::{Problem, TlsError};
use support::{ED25519, Identity, P256, P384, RSA, Socket, run};

/// Longest that a peer may be silent.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// Ends with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `openssl s_client` prints when it says `hello` to a server that echoes, and what the server
/// thinks of it.
fn ask(identity: &Identity, arguments: &[&str]) -> (String, Option<TlsError<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one").to_string();
    let client = Command::new("openssl")
        .current_dir(identity.path())
        .args(["s_client", "-quiet", "-verify_return_error", "-CAfile"])
        .args(["certificate.pem", "-verify_hostname", "service.test"])
        .args(["-connect", &address])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it made the certificate");
    let mut client = Peer(client);
    let mut input = client.0.stdin.take().expect("piped");
    // A client that has given up reads nothing.
    let _ = input.write_all(b"hello\n");
    let (stream, _) = listener.accept().expect("a client");
    stream.set_read_timeout(PATIENCE).expect("a timeout");
    let server = identity.server();
    let served: Result<(), TlsError<_>> = run(async {
        let mut stream = server.accept(Socket(stream)).await?;
        let mut buffer = [0; 100];
        let count = stream.read(&mut buffer).await?;
        stream.write_all(&buffer[..count]).await?;
        stream.close().await
    });
    let mut line = String::new();
    let output = client.0.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut line).expect("text");
    drop(input);
    let error = served.err().map(|error| match error {
        TlsError::Stream(_) => TlsError::Stream(()),
        TlsError::CutOff => TlsError::CutOff,
        TlsError::Protocol(problem) => TlsError::Protocol(problem),
    });
    (line, error)
}

#[test]
fn openssl_is_served_with_every_cipher_exchange_and_kind_of_key() {
    for kind in [P256, ED25519] {
        let Some(identity) = Identity::new(kind) else {
            return;
        };
        for cipher in [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ] {
            // The last offers a share for a group that is not known here: the server asks again.
            for groups in ["X25519", "P-256", "P-521:P-256"] {
                let arguments = ["-ciphersuites", cipher, "-groups", groups];
                let (line, error) = ask(&identity, &arguments);
                assert_eq!(line, "hello\n", "{arguments:?}: {error:?}");
            }
        }
    }
}

#[test]
fn openssl_with_nothing_in_common_is_told_so() {
    let Some(identity) = Identity::new(P256) else {
        return;
    };
    for arguments in [&["-tls1_2"][..], &["-groups", "P-521"]] {
        let (line, error) = ask(&identity, arguments);
        assert_eq!(line, "", "{arguments:?}");
        let problem = TlsError::Protocol(Problem::NothingInCommon);
        assert_eq!(error, Some(problem), "{arguments:?}");
    }
}

#[test]
fn openssl_that_does_not_trust_us_is_heard() {
    let (Some(identity), Some(other)) = (Identity::new(P256), Identity::new(P256)) else {
        return;
    };
    let trusted = other.path().join("certificate.pem");
    let trusted = trusted.to_str().expect("text");
    let (line, error) = ask(&identity, &["-CAfile", trusted]);
    assert_eq!(line, "");
    assert_eq!(error, Some(TlsError::Protocol(Problem::Refused)));
}

#[test]
fn openssl_serves_us_with_every_kind_of_certificate() {
    for kind in [P256, P384, ED25519, RSA] {
        let Some(identity) = Identity::new(kind) else {
            return;
        };
        let server = Command::new("openssl")
            .current_dir(identity.path())
            .args(["s_server", "-cert", "certificate.pem", "-key", "key.pem"])
            .args(["-rev", "-accept", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it made the certificate");
        let mut server = Peer(server);
        let output = server.0.stdout.take().expect("piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        let stream = TcpStream::connect(address.expect("it says where")).expect("it is there");
        stream.set_read_timeout(PATIENCE).expect("a timeout");
        let client = identity.client();
        let line = run(async {
            let mut stream = client.connect("service.test", Socket(stream)).await?;
            stream.write_all(b"sprat\n").await?;
            let mut line = [0; 6];
            embedded_io_async::Read::read_exact(&mut stream, &mut line)
                .await
                .map_err(|_| TlsError::CutOff)?;
            stream.close().await?;
            Ok::<_, TlsError<_>>(line)
        });
        assert_eq!(line.as_ref(), Ok(b"tarps\n"), "{kind:?}");
    }
}
