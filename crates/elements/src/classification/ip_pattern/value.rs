//! The values of primitives, and the words that primitives leave out.

use alloc::borrow::ToOwned;
use alloc::vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, IpProtocol, Ipv4Prefix, TcpPort};
use sprat_packet::EtherAddress;

use super::super::expression::Expression;
use super::super::pattern_error::{PatternError, PatternErrorKind};
use super::super::primitive::{
    self, Direction, ICMP, Relation, Subject, TCP, UDP, icmp_type, protocol, protocol_with_ports,
    tcp_flag,
};
use super::{Context, Parser, number};

/// A value as written, once its kind is known.
enum Value {
    Number(u32),
    Range(u32, u32),
    Address(Ipv4Prefix),
    Ethernet([u8; 6]),
}

impl Parser<'_> {
    /// A primitive that ends before a value.
    pub(super) fn without_value(
        &mut self,
        given: Context,
        qualified: bool,
        mask: Option<u32>,
        relation: Option<Relation>,
    ) -> Result<Expression, PatternError> {
        if relation.is_some() || !qualified {
            return Err(self.unexpected());
        }
        match (given, mask) {
            // A protocol by itself.
            (
                Context {
                    subject: None,
                    direction: None,
                    protocol: Some(number),
                },
                None,
            ) => {
                self.previous = Context {
                    subject: Some(Subject::Protocol),
                    ..Context::default()
                };
                Ok(protocol(number))
            }
            // A mask by itself: some of its bits are set.
            (
                Context {
                    subject: Some(subject),
                    ..
                },
                Some(mask),
            ) if subject.part().is_some() => {
                self.previous = given;
                self.integer(given, subject, mask, Relation::Different, 0)
            }
            _ => Err(self.error(PatternErrorKind::Partial)),
        }
    }

    /// Fills in the words that a primitive left out.
    pub(super) fn complete(
        &self,
        mut given: Context,
        qualified: bool,
        word: &str,
    ) -> Result<Context, PatternError> {
        if given.subject.is_some() {
            return Ok(given);
        }
        let previous = self.previous;
        let inherit = |given: &mut Context, subject: Subject| {
            given.subject = Some(subject);
            let same = previous.subject.is_some_and(|before| {
                before == subject || (is_address(before) && is_address(subject))
            });
            if same {
                given.direction = given.direction.or(previous.direction);
                given.protocol = given.protocol.or(previous.protocol);
            }
        };
        if previous.subject == Some(Subject::EtherHost)
            && EtherAddress::parse(word, self.names).is_ok()
        {
            inherit(&mut given, Subject::EtherHost);
            return Ok(given);
        }
        if number(word).is_some() || range(word).is_some() {
            let subject = match previous.subject {
                Some(subject) if !subject.stands_alone() && given.protocol.is_none() => subject,
                _ if matches!(given.protocol, Some(TCP | UDP)) => Subject::Port,
                _ => return Err(self.error(PatternErrorKind::Partial)),
            };
            inherit(&mut given, subject);
            return Ok(given);
        }
        if tcp_flag(word).is_some() && matches!(given.protocol, None | Some(TCP)) {
            inherit(&mut given, Subject::TcpOption);
            return Ok(given);
        }
        let transport = given
            .protocol
            .or(if qualified { None } else { previous.protocol });
        let port = TcpPort::parse_for(IpProtocol(transport.unwrap_or(TCP)), word, self.names)
            .is_ok()
            || transport.is_none() && TcpPort::parse_for(IpProtocol(UDP), word, self.names).is_ok();
        let icmp = icmp_type(word).is_some();
        let by_context = match (given.protocol, given.direction, previous.subject) {
            (Some(ICMP), _, _) => Some(Subject::IcmpType),
            (Some(TCP | UDP), _, _) | (_, Some(_), _) => Some(Subject::Port),
            (None, None, before @ Some(Subject::IcmpType | Subject::Port)) => before,
            _ => None,
        };
        let subject = match (port, icmp) {
            (true, true) => match by_context {
                Some(subject) => subject,
                None => return Err(self.error(PatternErrorKind::Ambiguous(word.to_owned()))),
            },
            (true, false) => Subject::Port,
            (false, true) => Subject::IcmpType,
            (false, false) => {
                if Ipv4Addr::parse(word, self.names).is_ok() {
                    Subject::Host
                } else if Ipv4Prefix::parse(word, self.names).is_ok() {
                    Subject::Net
                } else {
                    return Err(self.error(PatternErrorKind::UnknownName(word.to_owned())));
                }
            }
        };
        inherit(&mut given, subject);
        Ok(given)
    }

    /// A whole primitive; the value is the word ahead.
    pub(super) fn with_value(
        &mut self,
        given: Context,
        mask: Option<u32>,
        relation: Option<Relation>,
        word: &str,
    ) -> Result<Expression, PatternError> {
        let Some(subject) = given.subject else {
            return Err(self.error(PatternErrorKind::Partial));
        };
        let keyword = subject.keyword();
        let meaningless = |part| PatternErrorKind::Meaningless {
            part,
            subject: keyword,
        };
        if given.direction.is_some() && !subject.has_direction() {
            return Err(self.error(meaningless("'src' or 'dst'")));
        }
        let direction = given.direction.unwrap_or(Direction::Either);
        let equality = relation.unwrap_or(Relation::Equal);
        if equality.ordered() && (is_address(subject) || subject == Subject::EtherHost) {
            return Err(self.error(meaningless("an order")));
        }
        if subject == Subject::TcpOption {
            if relation.is_some() || mask.is_some() {
                return Err(self.error(meaningless("a relation")));
            }
            let Some(bit) = tcp_flag(word) else {
                return Err(self.bad_value(subject, word));
            };
            self.at += 1;
            return Ok(Expression::All(vec![
                protocol(TCP),
                primitive::tcp_flags(bit),
            ]));
        }
        let value = self.value(given, subject, word)?;
        self.at += 1;
        Ok(match (subject, value) {
            (Subject::Host | Subject::Net, Value::Address(prefix)) => {
                let mut bits = u32::from(prefix.mask);
                if subject == Subject::Net && self.take(&["mask"]) {
                    bits = self.mask()?;
                }
                bits &= mask.unwrap_or(u32::MAX);
                let address = u32::from(prefix.address);
                let address = if mask.is_some() {
                    address
                } else {
                    address & bits
                };
                let test = primitive::address(direction, bits, equality, address);
                with_protocol(given.protocol, test)
            }
            (Subject::EtherHost, Value::Ethernet(address)) => {
                if mask.is_some() {
                    return Err(self.error(meaningless("a mask")));
                }
                let test = primitive::ethernet(direction, equality, address);
                with_protocol(given.protocol, test)
            }
            (Subject::Port, Value::Range(low, high)) => {
                if mask.is_some() || equality.ordered() {
                    return Err(self.error(meaningless("a range with an order or a mask")));
                }
                let different = equality == Relation::Different;
                Expression::All(vec![
                    protocol_with_ports(given.protocol),
                    primitive::port_range(direction, different, low, high),
                ])
            }
            (Subject::Port, Value::Number(port)) => Expression::All(vec![
                protocol_with_ports(given.protocol),
                primitive::port(direction, mask.unwrap_or(0xffff) & 0xffff, equality, port),
            ]),
            (_, Value::Number(value)) => {
                self.integer(given, subject, mask.unwrap_or(u32::MAX), equality, value)?
            }
            _ => return Err(self.bad_value(subject, word)),
        })
    }

    /// An integer subject with the protocol that it implies.
    fn integer(
        &self,
        given: Context,
        subject: Subject,
        mask: u32,
        relation: Relation,
        value: u32,
    ) -> Result<Expression, PatternError> {
        let Some(part) = subject.part() else {
            return Err(self.error(PatternErrorKind::Partial));
        };
        if value > part.maximum() {
            return Err(self.error(PatternErrorKind::OutOfRange {
                subject: subject.keyword(),
                maximum: part.maximum(),
            }));
        }
        let test = primitive::integer(part, mask, relation, value);
        let implied = match subject {
            Subject::TcpWindow => Some(TCP),
            Subject::IcmpType => Some(ICMP),
            _ => None,
        };
        Ok(with_protocol(given.protocol.or(implied), test))
    }

    /// Reads a value of a subject.
    fn value(&self, given: Context, subject: Subject, word: &str) -> Result<Value, PatternError> {
        let value = match subject {
            Subject::Host => Ipv4Addr::parse(word, self.names)
                .ok()
                .and_then(|address| Ipv4Prefix::new(address, 32))
                .map(Value::Address),
            Subject::Net => Ipv4Prefix::parse(word, self.names)
                .ok()
                .or_else(|| Ipv4Prefix::new(Ipv4Addr::parse(word, self.names).ok()?, 32))
                .map(Value::Address),
            Subject::EtherHost => EtherAddress::parse(word, self.names)
                .ok()
                .map(|address| Value::Ethernet(address.0)),
            Subject::Port => self.port(given, word),
            Subject::Protocol => self
                .protocol(word)
                .map(u32::from)
                .or_else(|| number(word))
                .map(Value::Number),
            Subject::IcmpType => icmp_type(word)
                .map(u32::from)
                .or_else(|| number(word))
                .map(Value::Number),
            _ => number(word)
                .or_else(|| Some(u32::from(Ipv4Addr::parse(word, self.names).ok()?)))
                .map(Value::Number),
        };
        value.ok_or_else(|| self.bad_value(subject, word))
    }

    /// Reads a port, a port's name or a range of ports.
    fn port(&self, given: Context, word: &str) -> Option<Value> {
        if let Some((low, high)) = range(word) {
            return Some(Value::Range(low, high));
        }
        let known = |protocol| TcpPort::parse_for(IpProtocol(protocol), word, self.names).ok();
        let port = match given.protocol {
            Some(protocol) => known(protocol),
            None => known(TCP).or_else(|| known(UDP)),
        };
        port.map(|port| Value::Number(port.into()))
    }

    fn bad_value(&self, subject: Subject, word: &str) -> PatternError {
        self.error(PatternErrorKind::BadValue {
            subject: subject.keyword(),
            value: word.to_owned(),
        })
    }
}

fn is_address(subject: Subject) -> bool {
    matches!(subject, Subject::Host | Subject::Net)
}

/// A test that also asks for a protocol, where one is given.
pub(super) fn with_protocol(number: Option<u8>, test: Expression) -> Expression {
    match number {
        Some(number) => Expression::All(vec![protocol(number), test]),
        None => test,
    }
}

/// `LOW-HIGH`, both numbers.
fn range(word: &str) -> Option<(u32, u32)> {
    let (low, high) = word.split_once('-')?;
    let (low, high) = (number(low)?, number(high)?);
    (low <= high && high <= 0xffff).then_some((low, high))
}
