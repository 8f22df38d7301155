//! A client that speaks the protocol by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("published");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("sent");
    }

    /// Sends to a peer that may be gone.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        // Its answer, or that there is none, says how that went.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> String {
        self.try_line().expect("a line")
    }

    /// The next line; none where the peer is gone.
    pub(crate) fn try_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        line.strip_suffix("\r\n").map(str::to_owned)
    }

    /// What is answered to one line: a line, or a text alone.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        let answer = self.line();
        match answer
            .strip_prefix('$')
            .map(|length| length.parse::<usize>())
        {
            Some(Ok(length)) => {
                let mut text = vec![0; length + 2];
                self.stream.read_exact(&mut text).expect("a text");
                text.truncate(length);
                String::from_utf8(text).expect("ASCII")
            }
            _ => answer,
        }
    }

    /// Whether the peer closes without another word.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
