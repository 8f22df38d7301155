//! What a client is answered (RESP 2).

use alloc::vec::Vec;

/// Answers, one after the other, as they travel.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    bytes: Vec<u8>,
    /// How long it may become; the rest is left out.
    limit: usize,
}

impl Reply {
    /// Answers that are added to others.
    pub(crate) fn over(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            limit: usize::MAX,
        }
    }

    /// Lets it become no longer than by so much.
    pub(crate) fn limit(&mut self, length: usize) {
        self.limit = self.bytes.len().saturating_add(length);
    }

    /// Whether something was left out.
    pub(crate) fn is_cut(&self) -> bool {
        self.bytes.len() > self.limit
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back everything after the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Makes room for other answers; a few are not worth giving memory back for.
    pub(crate) fn clear(&mut self) {
        const FEW: usize = 128 << 10;
        self.bytes.clear();
        self.bytes.shrink_to(FEW);
    }

    /// The answers.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        if self.is_cut() {
            return;
        }
        self.bytes.push(mark);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A word.
    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// That it is done.
    pub(crate) fn ok(&mut self) {
        self.simple("OK");
    }

    /// What is wrong. Of several parts, line ends become blanks.
    pub(crate) fn error(&mut self, parts: &[&[u8]]) {
        let mut text = parts.concat();
        for byte in &mut text {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.line(b'-', &text);
    }

    /// A number.
    pub(crate) fn integer(&mut self, number: i64) {
        self.line(b':', decimal(number, &mut [0; 20]));
    }

    /// A count.
    pub(crate) fn count(&mut self, count: usize) {
        self.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A text of any bytes.
    pub(crate) fn bulk(&mut self, text: &[u8]) {
        let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
        self.line(b'$', decimal(length, &mut [0; 20]));
        if self.is_cut() {
            return;
        }
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A text, or that there is none.
    pub(crate) fn bulk_or_nil(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.bulk(text),
            None => self.line(b'$', b"-1"),
        }
    }

    /// That so many answers follow, which are one.
    pub(crate) fn array(&mut self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.line(b'*', decimal(count, &mut [0; 20]));
    }

    /// That there is no array.
    pub(crate) fn no_array(&mut self) {
        self.line(b'*', b"-1");
    }
}

/// A number's digits, at the end of `digits`.
pub(crate) fn decimal(number: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        let [digit, ..] = (rest % 10).to_le_bytes();
        digits[at] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_travel_as_the_protocol_says() {
        let mut reply = Reply::over(vec![]);
        reply.ok();
        reply.error(&[b"ERR a\r\n", b"b"]);
        reply.integer(i64::MIN);
        reply.integer(1000);
        reply.array(2);
        reply.bulk(b"foo\r\n");
        reply.bulk_or_nil(None);
        reply.no_array();
        assert_eq!(
            String::from_utf8_lossy(reply.bytes()),
            "+OK\r\n-ERR a  b\r\n:-9223372036854775808\r\n:1000\r\n*2\r\n$5\r\nfoo\r\n\r\n$-1\r\n*-1\r\n"
        );
    }

    #[test]
    fn an_answer_that_grows_too_long_stops_and_says_so() {
        let mut reply = Reply::over(vec![]);
        reply.ok();
        reply.limit(100);
        (0..1000).for_each(|_| reply.bulk(b"0123456789"));
        assert!(reply.is_cut() && reply.len() < 200);
    }
}
