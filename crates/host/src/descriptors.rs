//! Lines over a Unix socket that descriptors travel with.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most descriptors that travel with a line: as many as the kernel takes (`SCM_MAX_FD`).
pub(crate) const MOST: usize = 253;

/// Bytes read in one call.
const PIECE: usize = 4096;

/// Sends a line, and descriptors with it.
pub(crate) fn send(
    mut stream: &UnixStream,
    line: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut rest = line;
    if !descriptors.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let parts = [IoSlice::new(line)];
        let sent = sendmsg(stream, &parts, &mut control, SendFlags::NOSIGNAL)?;
        rest = &line[sent..];
    }
    stream.write_all(rest)
}

/// The lines that come over a stream.
pub(crate) struct Lines<'s> {
    stream: &'s UnixStream,
    /// What has come and was not taken yet.
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    limit: usize,
    /// Whether descriptors may come.
    takes: bool,
}

impl<'s> Lines<'s> {
    /// Lines of no more than `limit` bytes, with descriptors where it `takes` them.
    pub(crate) fn new(stream: &'s UnixStream, limit: usize, takes: bool) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            descriptors: Vec::new(),
            limit,
            takes,
        }
    }

    /// The next line without its end, and the descriptors that came with it; `None` where the stream
    /// has ended.
    ///
    /// # Errors
    /// A line is too long, or brings more descriptors than may be.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut searched = 0;
        loop {
            let fresh = &self.bytes[searched..];
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.bytes.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.bytes, rest);
                line.pop();
                return Ok(Some((line, std::mem::take(&mut self.descriptors))));
            }
            searched = self.bytes.len();
            if searched >= self.limit {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.read()? == 0 {
                return Ok(None);
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut piece = [0; PIECE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        // Without room for them the kernel opens none.
        let room = match self.takes {
            true => &mut space[..],
            false => &mut space[..0],
        };
        let mut control = RecvAncillaryBuffer::new(room);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut piece)];
            match recvmsg(
                self.stream,
                &mut parts,
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(came) = message {
                self.descriptors.extend(came);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) || self.descriptors.len() > MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.bytes.extend_from_slice(&piece[..received.bytes]);
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _};
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn descriptors_come_with_their_line() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"what it holds").expect("written");
        let long = [vec![b'x'; 10_000], b"\n".to_vec()].concat();
        let mut lines = Lines::new(&other, 1 << 20, true);
        let mut pass = |line: &[u8], descriptors: &[BorrowedFd<'_>]| {
            send(&one, line, descriptors).expect("sent");
            lines.next().expect("sound").expect("a line")
        };
        let (line, none) = pass(b"first\n", &[]);
        assert_eq!((&line[..], none.len()), (&b"first"[..], 0));
        let (line, came) = pass(&long, &[file.as_fd()]);
        assert_eq!((line.len(), came.len()), (10_000, 1));
        let mut text = String::new();
        let mut same = File::from(came.into_iter().next().expect("one"));
        same.rewind().expect("a file");
        same.read_to_string(&mut text).expect("text");
        assert_eq!(text, "what it holds");
        let (line, came) = pass(b"third\n", &[file.as_fd(), file.as_fd()]);
        assert_eq!((&line[..], came.len()), (&b"third"[..], 2));
        drop(one);
        assert!(lines.next().expect("sound").is_none(), "the end");
    }

    #[test]
    fn who_takes_no_descriptors_is_given_none() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let file = tempfile::tempfile().expect("a file");
        let mut lines = Lines::new(&other, 1 << 20, false);
        send(&one, b"plain\n", &[]).expect("sent");
        let (line, came) = lines.next().expect("sound").expect("a line");
        assert_eq!((&line[..], came.len()), (&b"plain"[..], 0));
        send(&one, b"more\n", &[file.as_fd()]).expect("sent");
        let error = lines.next().expect_err("it brings something");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(lines.descriptors.is_empty());
    }

    #[test]
    fn what_is_too_long_is_an_error() {
        let (mut one, other) = UnixStream::pair().expect("a pair");
        one.write_all(&[b'x'; 9000]).expect("sent");
        drop(one);
        let error = Lines::new(&other, 8192, true).next().expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
