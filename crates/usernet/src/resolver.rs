//! Whom names are asked of, and the names that are answered here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::network::DNS_PORT;

/// Where the host says whom it asks.
const CONFIGURATION: &str = "/etc/resolv.conf";

/// Bytes of a message's header.
const HEADER: usize = 12;

/// Longest name.
const LONGEST_NAME: usize = 255;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const CLASS_INTERNET: u16 = 1;

/// The name server that the host asks first.
pub(super) fn of_the_host() -> Option<SocketAddr> {
    first(&std::fs::read_to_string(CONFIGURATION).ok()?)
}

fn first(configuration: &str) -> Option<SocketAddr> {
    configuration.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let address: IpAddr = match (words.next(), words.next()) {
            (Some("nameserver"), Some(address)) => address.parse().ok()?,
            _ => return None,
        };
        Some(SocketAddr::new(address, DNS_PORT))
    })
}

/// The answer to a query that needs no name server: for `localhost` and names below it (RFC 6761),
/// and for all names where there is no name server (`alone`).
pub(super) fn answer(query: &[u8], alone: bool) -> Option<Vec<u8>> {
    let flags = u16::from_be_bytes([*query.get(2)?, *query.get(3)?]);
    let questions = u16::from_be_bytes([*query.get(4)?, *query.get(5)?]);
    // A standard query (RFC 1035, 4.1.1) with one question.
    if flags & 0xf800 != 0 || questions != 1 {
        return None;
    }
    let (last_label, name_end) = name(query)?;
    let question = query.get(HEADER..name_end + 4)?;
    let local = last_label.eq_ignore_ascii_case(b"localhost");
    if !local && !alone {
        return None;
    }
    let number = |at: usize| u16::from_be_bytes([query[at], query[at + 1]]);
    let (kind, class) = (number(name_end), number(name_end + 2));
    let address = match (kind, class) {
        (TYPE_A, CLASS_INTERNET) => Some(Ipv4Addr::LOCALHOST.octets().to_vec()),
        (TYPE_AAAA, CLASS_INTERNET) => Some(Ipv6Addr::LOCALHOST.octets().to_vec()),
        _ => None,
    }
    .filter(|_| local);
    // A response, recursion desired where it was, recursion available; SERVFAIL where nobody knows.
    let failure = if local { 0 } else { 2 };
    let flags = 0x8080 | flags & 0x0100 | failure;
    let mut answer = query[..2].to_vec();
    answer.extend(flags.to_be_bytes());
    answer.extend([0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(address) = address {
        // The name of the question, its type and class, no time to live.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend(class.to_be_bytes());
        answer.extend([0, 0, 0, 0, 0, u8::try_from(address.len()).unwrap_or(0)]);
        answer.extend(address);
    }
    Some(answer)
}

/// The last label of the name of a message's first question, and where the name ends.
fn name(message: &[u8]) -> Option<(&[u8], usize)> {
    let (mut at, mut last) = (HEADER, &message[..0]);
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some((last, at + 1)),
            // Longer "lengths" are pointers, which have no place in a question.
            length @ 1..=63 => {
                last = message.get(at + 1..at + 1 + length)?;
                at += 1 + length;
            }
            _ => return None,
        }
        if at > HEADER + LONGEST_NAME {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `name`, as RFC 1035 has it: header, labels, type, class.
    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).expect("a short label"));
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        query
    }

    #[test]
    fn localhost_is_answered_without_a_name_server() {
        let answer = answer(&query("LocalHost", 1), false).expect("an answer");
        assert_eq!(
            answer[..12],
            [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
        );
        assert_eq!(
            answer[answer.len() - 16..],
            [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]
        );
    }

    #[test]
    fn names_below_localhost_have_no_other_records() {
        let answer = answer(&query("a.localhost", 15), false).expect("an answer");
        assert_eq!(answer[3] & 0x0f, 0);
        assert_eq!(answer[7], 0);
    }

    #[test]
    fn other_names_are_left_to_the_name_server_where_there_is_one() {
        assert_eq!(answer(&query("localhost.example", 1), false), None);
        let failure = answer(&query("example", 1), true).expect("an answer");
        assert_eq!(failure[3] & 0x0f, 2);
    }

    #[test]
    fn what_is_no_query_is_not_answered() {
        assert_eq!(answer(&[], true), None);
        assert_eq!(answer(&query("localhost", 1)[..20], true), None);
        let mut pointer = query("localhost", 1);
        pointer[12] = 0xc0;
        assert_eq!(answer(&pointer, true), None);
        let mut response = query("localhost", 1);
        response[2] |= 0x80;
        assert_eq!(answer(&response, true), None);
    }

    #[test]
    fn the_first_name_server_counts() {
        let text = "# comment\nsearch example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
        assert_eq!(first(text), "192.0.2.1:53".parse().ok());
        assert_eq!(first("nameserver ::1"), "[::1]:53".parse().ok());
        assert_eq!(first("options edns0"), None);
    }
}
