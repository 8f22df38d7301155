//! The primitives of IP patterns, such as `src host 10.0.0.1` or `tcp opt syn`, as expressions.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use sprat_click::arguments::IpProtocol;

use super::expression::{Comparison, Expression, Field, Test};

/// Which of a pair of fields a primitive means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The source's.
    Source,
    /// The destination's.
    Destination,
    /// At least one of them.
    Either,
    /// Both of them.
    Both,
}

/// What a primitive is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Host,
    Net,
    Port,
    Protocol,
    Version,
    HeaderLength,
    Length,
    Identification,
    TypeOfService,
    CodePoint,
    TimeToLive,
    Fragment,
    Unfragmented,
    EcnCapable,
    CongestionExperienced,
    /// The two bits of congestion notification.
    Congestion,
    TcpOption,
    TcpWindow,
    IcmpType,
    EtherHost,
    /// Bytes named by position.
    Bytes(Field),
}

/// TCP, UDP and ICMP in the protocol field (IANA).
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP: u8 = 1;

/// Stands for TCP and UDP alike; as a number it is no protocol's (IANA).
pub(super) const TCP_OR_UDP: u8 = 255;

/// The protocol's name in messages.
pub(super) fn protocol_text(number: Option<u8>) -> String {
    match number {
        None => String::new(),
        Some(TCP_OR_UDP) => "tcpudp".into(),
        Some(number @ (ICMP | 2 | 4 | TCP | UDP)) => IpProtocol(number).name().unwrap_or("").into(),
        Some(number) => format!("ip proto {number}"),
    }
}

const PROTOCOL: Field = Field::network(9, 1);
const SOURCE: Field = Field::network(12, 4);
const DESTINATION: Field = Field::network(16, 4);

/// A relation as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Different,
    Less,
    Greater,
    AtMost,
    AtLeast,
}

impl Relation {
    /// The relation of a sign.
    pub(super) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" | "==" => Self::Equal,
            "!=" => Self::Different,
            "<" => Self::Less,
            ">" => Self::Greater,
            "<=" => Self::AtMost,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// Whether it needs an order.
    pub(super) fn ordered(self) -> bool {
        !matches!(self, Self::Equal | Self::Different)
    }

    /// Its sign and what it is, where it is the same for all numbers from 0 to `maximum`.
    pub(super) fn always(self, maximum: u32, value: u32) -> Option<(&'static str, bool)> {
        let beyond = value > maximum;
        let (sign, result, same) = match self {
            Self::Equal | Self::Different => return None,
            Self::Less => ("<", beyond, value == 0 || beyond),
            Self::AtLeast => (">=", !beyond, value == 0 || beyond),
            Self::Greater => (">", false, value >= maximum),
            Self::AtMost => ("<=", true, value >= maximum),
        };
        same.then_some((sign, result))
    }
}

/// A field of which a subject uses some bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    field: Field,
    shift: u32,
    bits: u32,
}

impl Part {
    /// The largest value it holds.
    pub(super) fn maximum(self) -> u32 {
        self.bits
    }
}

impl Subject {
    /// The subject of a keyword.
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "host" => Self::Host,
            "net" => Self::Net,
            "port" => Self::Port,
            "proto" => Self::Protocol,
            "vers" => Self::Version,
            "hl" => Self::HeaderLength,
            "len" => Self::Length,
            "id" => Self::Identification,
            "tos" => Self::TypeOfService,
            "dscp" => Self::CodePoint,
            "ttl" => Self::TimeToLive,
            "frag" => Self::Fragment,
            "unfrag" => Self::Unfragmented,
            "ect" => Self::EcnCapable,
            "ce" => Self::CongestionExperienced,
            "opt" => Self::TcpOption,
            "win" => Self::TcpWindow,
            "type" => Self::IcmpType,
            _ => return None,
        })
    }

    /// The keyword, for messages.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Host => "ip host",
            Self::Net => "ip net",
            Self::Port => "port",
            Self::Protocol => "proto",
            Self::Version => "ip vers",
            Self::HeaderLength => "ip hl",
            Self::Length => "ip len",
            Self::Identification => "ip id",
            Self::TypeOfService => "ip tos",
            Self::CodePoint => "ip dscp",
            Self::TimeToLive => "ip ttl",
            Self::Fragment => "ip frag",
            Self::Unfragmented => "ip unfrag",
            Self::EcnCapable | Self::Congestion => "ip ect",
            Self::CongestionExperienced => "ip ce",
            Self::TcpOption => "tcp opt",
            Self::TcpWindow => "tcp win",
            Self::IcmpType => "icmp type",
            Self::EtherHost => "ether host",
            Self::Bytes(_) => "ip[...]",
        }
    }

    /// Whether it says everything without a value.
    pub(super) fn stands_alone(self) -> bool {
        matches!(
            self,
            Self::Fragment | Self::Unfragmented | Self::EcnCapable | Self::CongestionExperienced
        )
    }

    /// Whether a source and a destination can be told apart.
    pub(super) fn has_direction(self) -> bool {
        matches!(self, Self::Host | Self::Net | Self::Port | Self::EtherHost)
    }

    /// Where its value is, for subjects with one integer field (RFC 791, 792, 793, 3168, 2474).
    pub(super) fn part(self) -> Option<Part> {
        let part = |field: Field, shift: u32, bits: u32| Some(Part { field, shift, bits });
        match self {
            Self::Protocol => part(PROTOCOL, 0, 0xff),
            Self::Version => part(Field::network(0, 1), 4, 0xf),
            Self::HeaderLength => part(Field::network(0, 1), 0, 0xf),
            Self::Length => part(Field::network(2, 2), 0, 0xffff),
            Self::Identification => part(Field::network(4, 2), 0, 0xffff),
            Self::TypeOfService => part(Field::network(1, 1), 0, 0xff),
            Self::CodePoint => part(Field::network(1, 1), 2, 0x3f),
            Self::Congestion => part(Field::network(1, 1), 0, 3),
            Self::TimeToLive => part(Field::network(8, 1), 0, 0xff),
            Self::TcpWindow => part(Field::transport(14, 2), 0, 0xffff),
            Self::IcmpType => part(Field::transport(0, 1), 0, 0xff),
            Self::Bytes(field) => part(field, 0, field.maximum()),
            _ => None,
        }
    }

    /// The expression of a subject that stands alone.
    pub(super) fn alone(self) -> Expression {
        // More-fragments bit or a fragment offset (RFC 791, section 3.1).
        let fragment = Test {
            field: Field::network(6, 2),
            mask: 0x3fff,
            comparison: Comparison::Different,
            value: 0,
        };
        // ECN codepoints (RFC 3168, section 5): ECT(0), ECT(1) and CE are all not 0.
        let congestion = Field::network(1, 1);
        match self {
            Self::Fragment => Expression::Test(fragment),
            Self::Unfragmented => Expression::Test(Test {
                comparison: Comparison::Equal,
                ..fragment
            }),
            Self::EcnCapable => Expression::Test(Test {
                field: congestion,
                mask: 3,
                comparison: Comparison::Different,
                value: 0,
            }),
            Self::CongestionExperienced => Expression::Test(Test::equal(congestion, 3, 3)),
            _ => Expression::Constant(true),
        }
    }
}

/// The protocol is this one.
pub(super) fn protocol(number: u8) -> Expression {
    if number == TCP_OR_UDP {
        return protocol_with_ports(None);
    }
    Expression::Test(Test::equal(PROTOCOL, 0xff, number.into()))
}

/// The protocol is one with ports.
pub(super) fn protocol_with_ports(given: Option<u8>) -> Expression {
    match given {
        Some(number) => protocol(number),
        None => Expression::Any(vec![protocol(TCP), protocol(UDP)]),
    }
}

/// A TCP flag is set (RFC 793, section 3.1).
pub(super) fn tcp_flags(bits: u8) -> Expression {
    let bits = u32::from(bits);
    Expression::Test(Test::equal(Field::transport(13, 1), bits, bits))
}

/// A masked field in relation to a value.
fn relate(field: Field, mask: u32, relation: Relation, value: u32) -> Expression {
    let test = |comparison, value| {
        Expression::Test(Test {
            field,
            mask,
            comparison,
            value,
        })
    };
    match relation {
        // As Click does, bits of the value that the mask leaves out are not looked at either.
        Relation::Equal => test(Comparison::Equal, value & mask),
        Relation::Different => test(Comparison::Different, value & mask),
        Relation::Greater => test(Comparison::Greater, value),
        Relation::AtMost => test(Comparison::AtMost, value),
        // What is always so has not come this far.
        Relation::Less => test(Comparison::AtMost, value.saturating_sub(1)),
        Relation::AtLeast if value == 0 => Expression::Constant(true),
        Relation::AtLeast => test(Comparison::Greater, value - 1),
    }
}

/// An integer subject in relation to a value.
pub(super) fn integer(part: Part, mask: u32, relation: Relation, value: u32) -> Expression {
    // Bits below the part are masked out, so multiples of the shift are compared.
    let mask = (mask & part.bits) << part.shift;
    relate(part.field, mask, relation, value << part.shift)
}

/// Addresses in relation to a value.
pub(super) fn address(
    direction: Direction,
    mask: u32,
    relation: Relation,
    value: u32,
) -> Expression {
    directed(direction, relation, &|source| {
        relate(
            if source { SOURCE } else { DESTINATION },
            mask,
            relation,
            value,
        )
    })
}

/// Ethernet addresses that are, or are not, this one.
pub(super) fn ethernet(direction: Direction, relation: Relation, value: [u8; 6]) -> Expression {
    let [a, b, c, d, e, f] = value;
    let different = relation == Relation::Different;
    directed(direction, relation, &|source| {
        let part = |start, width, bytes| {
            let field = Field::link(start, width);
            let test = Test::equal(field, field.maximum(), u32::from_be_bytes(bytes));
            Expression::Test(Test {
                comparison: if different {
                    Comparison::Different
                } else {
                    Comparison::Equal
                },
                ..test
            })
        };
        // Along the words of a link header whose 14 bytes end where one does.
        let parts = if source {
            vec![part(6, 4, [a, b, c, d]), part(10, 2, [0, 0, e, f])]
        } else {
            vec![part(0, 2, [0, 0, a, b]), part(2, 4, [c, d, e, f])]
        };
        if different {
            Expression::Any(parts)
        } else {
            Expression::All(parts)
        }
    })
}

/// Ports in relation to a value.
pub(super) fn port(direction: Direction, mask: u32, relation: Relation, value: u32) -> Expression {
    directed(direction, relation, &|source| {
        relate(port_field(source), mask, relation, value)
    })
}

/// Ports inside, or outside, a closed range.
pub(super) fn port_range(direction: Direction, different: bool, low: u32, high: u32) -> Expression {
    let relation = if different {
        Relation::Different
    } else {
        Relation::Equal
    };
    directed(direction, relation, &|source| {
        let field = port_field(source);
        if different {
            Expression::Any(vec![
                relate(field, 0xffff, Relation::Less, low),
                relate(field, 0xffff, Relation::Greater, high),
            ])
        } else {
            Expression::All(vec![
                relate(field, 0xffff, Relation::AtLeast, low),
                relate(field, 0xffff, Relation::AtMost, high),
            ])
        }
    })
}

fn port_field(source: bool) -> Field {
    Field::transport(if source { 0 } else { 2 }, 2)
}

/// Applies a test in a direction.
///
/// `!=`, `<` and `<=` are the opposites of `==`, `>=` and `>` as a whole, so that
/// `host != A` is true where neither address is A.
fn directed(
    direction: Direction,
    relation: Relation,
    test: &dyn Fn(bool) -> Expression,
) -> Expression {
    let opposite = matches!(
        relation,
        Relation::Different | Relation::Less | Relation::AtMost
    );
    let both = match direction {
        Direction::Source => return test(true),
        Direction::Destination => return test(false),
        Direction::Either => opposite,
        Direction::Both => !opposite,
    };
    let parts = vec![test(true), test(false)];
    if both {
        Expression::All(parts)
    } else {
        Expression::Any(parts)
    }
}

/// The number of an ICMP type's name (RFC 792, 1256, 950).
pub(super) fn icmp_type(name: &str) -> Option<u8> {
    Some(match name {
        "echo-reply" => 0,
        "unreachable" => 3,
        "sourcequench" => 4,
        "redirect" => 5,
        "echo" => 8,
        "routeradvert" => 9,
        "routersolicit" => 10,
        "timeexceeded" => 11,
        "parameterproblem" => 12,
        "timestamp" => 13,
        "timestamp-reply" => 14,
        "inforeq" => 15,
        "inforeq-reply" => 16,
        "maskreq" => 17,
        "maskreq-reply" => 18,
        _ => return None,
    })
}

/// The bit of a TCP flag's name.
pub(super) fn tcp_flag(name: &str) -> Option<u8> {
    Some(match name {
        "fin" => 1,
        "syn" => 2,
        "rst" => 4,
        "psh" => 8,
        "ack" => 16,
        "urg" => 32,
        _ => return None,
    })
}
