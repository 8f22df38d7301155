//! The values of primitives, and the words that primitives leave out.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, IpProtocol, Ipv4Prefix, TcpPort};
use sprat_packet::EtherAddress;
use sprat_packet::headers::protocol::DCCP;

use super::super::expression::Expression;
use super::super::pattern_error::PatternError;
use super::super::primitive::{
    self, Direction, ICMP, Relation, Subject, TCP, TCP_OR_UDP, UDP, icmp_type, protocol,
    protocol_text, protocol_with_ports, tcp_flag,
};
use super::{Context, Parser, described, number, only_ip, unsupported, wrong};

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
    ) -> Result<Expression, PatternError> {
        if !qualified {
            return Err(self.unexpected());
        }
        match (given, mask) {
            // A protocol by itself.
            (
                Context {
                    subject: None,
                    direction: None,
                    protocol: Some(number),
                    ..
                },
                None,
            ) => {
                self.previous = Context {
                    subject: Some(Subject::Protocol),
                    ..given
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
                self.integer(given, subject, Some(mask), Relation::Different, 0)
            }
            (
                Context {
                    subject: Some(subject),
                    ..
                },
                _,
            ) => Err(wrong(given, subject, missing_value(subject))),
            _ => Err(PatternError::Partial(None)),
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
        if given.broken {
            return Err(PatternError::NoSubject);
        }
        let previous = self.previous;
        // Where nothing is said before a value, it is said as the last time.
        let inherit = |given: &mut Context, subject: Subject| {
            given.subject = Some(subject);
            if !qualified && subject.has_direction() {
                given.direction = previous.direction;
            }
            if !qualified && subject == Subject::Port {
                given.protocol = previous.protocol;
            }
        };
        if self.ethernet_address(word).is_some() {
            inherit(&mut given, Subject::EtherHost);
            return Ok(given);
        }
        if number(word).is_some() || range(word).is_some() {
            let subject = match previous.subject {
                Some(subject) if !subject.stands_alone() && given.protocol.is_none() => subject,
                _ if matches!(given.protocol, Some(TCP | UDP)) => Subject::Port,
                _ => return Err(PatternError::NoSubject),
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
        let transport = transport.filter(|number| *number != TCP_OR_UDP);
        let is_port = |protocol| self.port_named(protocol, word).is_some();
        let port = is_port(transport.unwrap_or(TCP)) || transport.is_none() && is_port(UDP);
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
                None => {
                    let problem = self.unsuitable(given, word);
                    return Err(problem.unwrap_or(PatternError::Partial(None)));
                }
            },
            (true, false) => Subject::Port,
            (false, true) => Subject::IcmpType,
            (false, false) => {
                if self.address(word).is_some() {
                    Subject::Host
                } else if self.prefix(word).is_some() {
                    Subject::Net
                } else {
                    let word = word.to_owned();
                    return Err(match (qualified, given.protocol) {
                        (false, _) => self.unexpected(),
                        (true, None) => PatternError::Partial(Some(word)),
                        // A protocol says enough by itself.
                        (true, Some(_)) => PatternError::EmptyTerm { word, first: false },
                    });
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
        let Some(mut subject) = given.subject else {
            return Err(PatternError::Partial(None));
        };
        only_ip(given, subject)?;
        self.note_direction(given, subject);
        let other = |fit: &[u8]| given.protocol.filter(|number| !fit.contains(number));
        let unfit = match subject {
            Subject::Port => other(&[TCP, UDP, TCP_OR_UDP, DCCP]).zip(Some("port")),
            Subject::TcpOption => other(&[TCP]).zip(Some("tcp opt")),
            _ => None,
        };
        if let Some((number, subject)) = unfit {
            let what = format!("bad protocol {number}");
            return Err(PatternError::Primitive(subject.to_owned(), what, None));
        }
        if subject == Subject::Host
            && self.address(word).is_none()
            && self.ethernet_address(word).is_some()
        {
            subject = Subject::EtherHost;
        }
        let direction = given.direction.unwrap_or(Direction::Either);
        let equality = relation.unwrap_or(Relation::Equal);
        if equality.ordered() && (is_address(subject) || subject == Subject::EtherHost) {
            return Err(unsupported(given, subject, "operator"));
        }
        if subject == Subject::Protocol && self.protocol(word) == Some(TCP_OR_UDP) {
            if equality.ordered() || mask.is_some() {
                let what = "operator or mask not supported".to_owned();
                return Err(PatternError::Primitive(word.to_owned(), what, None));
            }
            self.at += 1;
            let test = protocol(TCP_OR_UDP);
            return Ok(match equality {
                Relation::Different => test.negate(),
                _ => test,
            });
        }
        if subject == Subject::TcpOption {
            if relation.is_some() || mask.is_some() {
                return Err(unsupported(given, subject, "operator or mask"));
            }
            let Some(bit) = tcp_flag(word) else {
                return Err(self.bad_value(given, subject, word));
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
                    return Err(wrong(given, subject, "bad mask"));
                }
                let test = primitive::ethernet(direction, equality, address);
                with_protocol(given.protocol, test)
            }
            (Subject::Port, Value::Range(low, high)) => {
                if mask.is_some() || equality.ordered() {
                    return Err(unsupported(given, subject, "operator or mask"));
                }
                let different = equality == Relation::Different;
                Expression::All(vec![
                    protocol_with_ports(given.protocol),
                    primitive::port_range(direction, different, low, high),
                ])
            }
            (Subject::Port, Value::Number(port)) => Expression::All(vec![
                protocol_with_ports(given.protocol),
                match self.constant(given, subject, 0xffff, mask, equality, port)? {
                    Some(always) => Expression::Constant(always),
                    None => primitive::port(direction, mask.unwrap_or(0xffff), equality, port),
                },
            ]),
            (_, Value::Number(value)) => self.integer(given, subject, mask, equality, value)?,
            _ => return Err(self.bad_value(given, subject, word)),
        })
    }

    /// An integer subject with the protocol that it implies.
    fn integer(
        &mut self,
        given: Context,
        subject: Subject,
        mask: Option<u32>,
        relation: Relation,
        value: u32,
    ) -> Result<Expression, PatternError> {
        let Some(part) = subject.part() else {
            return Err(PatternError::Partial(None));
        };
        let test = match self.constant(given, subject, part.maximum(), mask, relation, value)? {
            Some(always) => Expression::Constant(always),
            None => primitive::integer(part, mask.unwrap_or(u32::MAX), relation, value),
        };
        let implied = match subject {
            Subject::TcpWindow => Some(TCP),
            Subject::IcmpType => Some(ICMP),
            _ => None,
        };
        Ok(with_protocol(given.protocol.or(implied), test))
    }

    /// What a relation to a field of up to `maximum` always is, where it is always the same.
    fn constant(
        &mut self,
        given: Context,
        subject: Subject,
        maximum: u32,
        mask: Option<u32>,
        relation: Relation,
        value: u32,
    ) -> Result<Option<bool>, PatternError> {
        let masked = mask.unwrap_or(maximum);
        if masked & !maximum != 0 {
            let what = format!("mask out of range, bound {maximum:#X}");
            return Err(wrong(given, subject, &what));
        }
        let Some((sign, always)) = relation.always(masked, value) else {
            if value > maximum && !relation.ordered() {
                let what = format!("out of range, bound {maximum}");
                return Err(wrong(given, subject, &what));
            }
            return Ok(None);
        };
        self.warnings.push(format!(
            "relation '{sign} {value}' is always {always} (range 0-{masked})"
        ));
        Ok(Some(always))
    }

    /// Reads a value of a subject.
    fn value(&self, given: Context, subject: Subject, word: &str) -> Result<Value, PatternError> {
        let value = match subject {
            Subject::Host => self
                .address(word)
                .and_then(|address| Ipv4Prefix::new(address, 32))
                .map(Value::Address),
            Subject::Net => self
                .prefix(word)
                .or_else(|| Ipv4Prefix::new(self.address(word)?, 32))
                .map(Value::Address),
            Subject::EtherHost => self
                .ethernet_address(word)
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
                .or_else(|| Some(u32::from(self.address(word)?)))
                .map(Value::Number),
        };
        value.ok_or_else(|| self.bad_value(given, subject, word))
    }

    /// Reads a port, a port's name or a range of ports.
    fn port(&self, given: Context, word: &str) -> Option<Value> {
        if let Some((low, high)) = range(word) {
            return Some(Value::Range(low, high));
        }
        if let Some(number) = number(word) {
            return Some(Value::Number(number));
        }
        let known = |protocol| self.port_named(protocol, word);
        let port = match given.protocol {
            Some(protocol) if protocol != TCP_OR_UDP => known(protocol),
            _ => known(TCP).or_else(|| known(UDP)),
        };
        port.map(Value::Number)
    }

    /// A word that is no value of its subject: a value of another, or none at all.
    fn bad_value(&self, given: Context, subject: Subject, word: &str) -> PatternError {
        if let Some(problem) = self.unsuitable(given, word) {
            return problem;
        }
        let is_value =
            number(word).is_some() || self.prefix(word).is_some() || self.address(word).is_some();
        PatternError::Primitive(
            described(given, subject),
            missing_value(subject).to_owned(),
            (!is_value).then(|| word.to_owned()),
        )
    }
}

// Not where they are called, which would make the parser large.
impl Parser<'_> {
    #[inline(never)]
    pub(super) fn address(&self, word: &str) -> Option<Ipv4Addr> {
        Ipv4Addr::parse(word, self.names).ok()
    }

    #[inline(never)]
    fn prefix(&self, word: &str) -> Option<Ipv4Prefix> {
        Ipv4Prefix::parse(word, self.names).ok()
    }

    #[inline(never)]
    fn ethernet_address(&self, word: &str) -> Option<EtherAddress> {
        EtherAddress::parse(word, self.names).ok()
    }

    /// The port of a number or a name, of a protocol.
    #[inline(never)]
    pub(super) fn port_named(&self, protocol: u8, word: &str) -> Option<u32> {
        let port = TcpPort::parse_for(IpProtocol(protocol), word, self.names).ok()?;
        Some(port.into())
    }
}

impl Parser<'_> {
    /// A name of something else than what it stands behind, or of several things, and what it might
    /// be; `None` for a word that is no name.
    fn unsuitable(&self, given: Context, word: &str) -> Option<PatternError> {
        if number(word).is_some() {
            return None;
        }
        let port = |protocol| self.port_named(protocol, word);
        let (over_tcp, over_udp) = (port(TCP), port(UDP));
        let ports = usize::from(over_tcp.is_some()) + usize::from(over_udp.is_some());
        let same = usize::from(ports == 2 && over_tcp == over_udp);
        let kinds = [
            (
                Subject::Protocol,
                usize::from(self.protocol(word).is_some()),
            ),
            (Subject::Port, ports),
            (Subject::TcpOption, usize::from(tcp_flag(word).is_some())),
            (Subject::IcmpType, usize::from(icmp_type(word).is_some())),
        ];
        let named = |subject: &str| format!("{subject} {} {word}", protocol_text(given.protocol));
        let mut choices = Vec::new();
        let mut fits = 0;
        for (kind, count) in kinds {
            choices.extend((0..count).map(|_| format!("'{}'", named(kind.keyword()))));
            if given.subject.is_none_or(|subject| subject == kind) {
                fits += count - if kind == Subject::Port { same } else { 0 };
            }
        }
        if choices.is_empty() {
            return None;
        }
        let name = named(given.subject.map_or("<none>", Subject::keyword));
        let verdict = if fits > 1 { "ambiguous" } else { "meaningless" };
        Some(PatternError::Unsuitable(format!(
            "'{name}' is {verdict}; try {}",
            choices.join(", ")
        )))
    }
}

fn missing_value(subject: Subject) -> &'static str {
    match subject {
        Subject::Host | Subject::Net | Subject::EtherHost => "address missing",
        _ => "value missing",
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
