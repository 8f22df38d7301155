//! Asking name servers.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::time::Duration;

use sprat_devices::Random as _;

use super::{CLASS_IN, Header, Kind, Name, Question, Reader, flags, response};
use crate::family;
use crate::{Error, Stack, TcpOptions, UdpOptions};

const PORT: u16 = 53;

/// Rounds over all servers.
const ROUNDS: u32 = 3;

/// How long a server may take in the first round; twice that in the next.
const PATIENCE: Duration = Duration::from_secs(1);

/// Largest answer over UDP that is asked for: what no link has to cut (RFC 9715).
const UDP_SIZE: u16 = 1232;

/// Names that point to other names, at most in a row.
const ALIAS_LIMIT: usize = 8;

/// How long a name that does not exist is remembered where the server does not say.
const NEGATIVE_LIFETIME: u32 = 30;

/// What a server said.
struct Answer {
    addresses: Vec<IpAddr>,
    lifetime: u32,
    exists: bool,
}

/// What became of one message to one server.
enum Reply {
    Answer(Answer),
    /// The answer did not fit a datagram.
    Truncated,
    /// Not an answer to the question, or one that says nothing.
    Useless,
}

/// A message on its way to a server and back.
type Asked<'s> = Pin<Box<dyn Future<Output = Result<Reply, Error>> + 's>>;

impl Stack {
    /// The addresses of a host: IPv4 first, then IPv6 where this stack has it. An address stands
    /// for itself. A name without a dot is looked for in the search list first, any other name last.
    ///
    /// # Errors
    /// When there is no such name, or no name server says so.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        if let Some(address) = family::parse(host) {
            return Ok(vec![address]);
        }
        let candidates = self.candidates(host)?;
        let mut failure = Error::NoSuchName;
        for candidate in &candidates {
            match self.resolve_name(candidate).await {
                Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
                Ok(_) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The names that a host may have, the likeliest first.
    fn candidates(&self, host: &str) -> Result<Vec<Name>, Error> {
        let name: Name = host.parse().map_err(|_| Error::BadName)?;
        let mut candidates = Vec::new();
        if host.contains('.') {
            candidates.push(name);
        }
        if !host.ends_with('.') {
            self.with(|engine| {
                for zone in &engine.configurator.search {
                    let zone: Result<Name, _> = zone.parse();
                    if let Ok(name) = zone.and_then(|zone| Name::relative(host, &zone)) {
                        candidates.push(name);
                    }
                }
            });
        }
        if candidates.first() != Some(&name) {
            candidates.push(name);
        }
        Ok(candidates)
    }

    async fn resolve_name(&self, name: &Name) -> Result<Vec<IpAddr>, Error> {
        let has_ipv6 = family::IPV6
            && self.lease().addresses.iter().any(
                |(address, _)| matches!(address, IpAddr::V6(own) if !own.is_unicast_link_local()),
            );
        let mut all = self.look_up(name, Kind::A).await?;
        if has_ipv6 {
            all.extend(self.look_up(name, Kind::AAAA).await?);
        }
        Ok(all)
    }

    /// The addresses of one kind, from the cache or a server.
    async fn look_up(&self, name: &Name, kind: Kind) -> Result<Vec<IpAddr>, Error> {
        let known = self.with(|engine| {
            let known = engine.names.find(name, kind, engine.now());
            engine.counters.name_cache_hits += u64::from(known.is_some());
            known
        });
        if let Some(addresses) = known {
            return Ok(addresses);
        }
        let answer = self.ask(name, kind).await?;
        let addresses = answer.addresses;
        self.with(|engine| {
            let now = engine.now();
            engine
                .names
                .add(*name, kind, addresses.clone(), answer.lifetime, now);
        });
        if answer.exists || !addresses.is_empty() {
            Ok(addresses)
        } else {
            Err(Error::NoSuchName)
        }
    }

    async fn ask(&self, name: &Name, kind: Kind) -> Result<Answer, Error> {
        let servers = self.with(|engine| engine.configurator.name_servers());
        for round in 0..ROUNDS {
            let patience = PATIENCE * (1 << round);
            for server in &servers {
                let server = SocketAddr::new(*server, PORT);
                let question = self.with(|engine| {
                    engine.counters.name_questions += 1;
                    write_question(engine.random.next(), name, kind)
                });
                let mut asked: Asked<'_> = Box::pin(self.ask_datagram(&question, server));
                for patience in [patience, patience * 2] {
                    match self.timeout(patience, asked).await {
                        Ok(Ok(Reply::Answer(answer))) => return Ok(answer),
                        Ok(Ok(Reply::Truncated)) => {
                            asked = Box::pin(self.ask_stream(&question, server));
                        }
                        _ => break,
                    }
                }
            }
        }
        Err(Error::NoServer)
    }

    async fn ask_datagram(&self, question: &[u8], server: SocketAddr) -> Result<Reply, Error> {
        // A port of its own for each question: who would forge an answer has to guess it too.
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let options = UdpOptions {
            datagrams: 4,
            bytes: 4096,
        };
        let socket = self.bind_udp((any, 0), options)?;
        socket.send(question, server, None).await?;
        let mut buffer = [0; UDP_SIZE as usize];
        loop {
            let datagram = socket.receive(&mut buffer).await?;
            if datagram.from != server {
                continue;
            }
            match read_reply(question, &buffer[..datagram.length]) {
                Some(reply) => return Ok(reply),
                // A forgery, or late: the true one may still come.
                None => continue,
            }
        }
    }

    async fn ask_stream(&self, question: &[u8], server: SocketAddr) -> Result<Reply, Error> {
        let mut stream = self.connect(server, TcpOptions::default()).await?;
        let length = u16::try_from(question.len()).map_err(|_| Error::TooLong)?;
        // In one segment (RFC 7766, section 8).
        let framed = [&length.to_be_bytes(), question].concat();
        stream.write_all(&framed).await?;
        // The message with its length before it.
        let mut message = vec![0; 2];
        let mut filled = 0;
        while filled < message.len() {
            match stream.read(&mut message[filled..]).await? {
                0 => return Err(Error::Reset),
                count => filled += count,
            }
            if let [high, low] = message[..]
                && filled == 2
            {
                message.resize(2 + usize::from(u16::from_be_bytes([high, low])), 0);
            }
        }
        Ok(read_reply(question, &message[2..]).unwrap_or(Reply::Useless))
    }
}

fn write_question(random: u64, name: &Name, kind: Kind) -> Vec<u8> {
    let [high, low, ..] = random.to_be_bytes();
    let header = Header {
        id: u16::from_be_bytes([high, low]),
        flags: flags::RECURSION_DESIRED,
        counts: [1, 0, 0, 1],
    };
    let mut message = Vec::from(header.to_bytes());
    let question = Question {
        name: *name,
        kind,
        class: CLASS_IN,
    };
    question.write(&mut message);
    // How long an answer may be (RFC 6891).
    let [high, low] = UDP_SIZE.to_be_bytes();
    message.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
    message
}

/// What an answer says; `None` where it is no answer to the question.
fn read_reply(question: &[u8], message: &[u8]) -> Option<Reply> {
    let (asked, mut reader) = Reader::new(question)?;
    let question = reader.question()?;
    let (header, mut reader) = Reader::new(message)?;
    if header.id != asked.id || header.flags & flags::RESPONSE == 0 {
        return None;
    }
    if reader.question()? != question {
        return None;
    }
    if header.flags & flags::TRUNCATED != 0 {
        return Some(Reply::Truncated);
    }
    let exists = match header.response() {
        0 => true,
        response::NO_SUCH_NAME => false,
        _ => return Some(Reply::Useless),
    };
    let answers = reader.clone();
    let records = || {
        let mut reader = answers.clone();
        (0..header.counts[1]).map_while(move |_| reader.record())
    };
    // Follow the aliases to the name that has addresses; they may stand in any order.
    let mut name = question.name;
    let mut lifetime = u32::MAX;
    for _ in 0..ALIAS_LIMIT {
        let alias = records().find(|record| record.kind == Kind::CNAME && record.name == name);
        let Some(alias) = alias else { break };
        let (target, _) = Name::read(message, alias.data_at)?;
        lifetime = lifetime.min(alias.lifetime);
        name = target;
    }
    let mut addresses = Vec::new();
    for record in records().filter(|record| record.kind == question.kind && record.name == name) {
        let address = match record.kind {
            Kind::A => record
                .data
                .try_into()
                .ok()
                .map(|bytes: [u8; 4]| bytes.into()),
            Kind::AAAA => record
                .data
                .try_into()
                .ok()
                .map(|bytes: [u8; 16]| bytes.into()),
            _ => None,
        };
        if let Some(address) = address {
            addresses.push(address);
            lifetime = lifetime.min(record.lifetime);
        }
    }
    if addresses.is_empty() {
        let mut reader = answers;
        for _ in 0..header.counts[1] {
            reader.record()?;
        }
        lifetime = (0..header.counts[2])
            .map_while(|_| reader.record())
            .find(|record| record.kind == Kind::SOA)
            .and_then(|record| {
                // The least of its own lifetime and its last number (RFC 2308, section 5).
                let minimum = u32::from_be_bytes(*record.data.last_chunk::<4>()?);
                Some(minimum.min(record.lifetime))
            })
            .unwrap_or(NEGATIVE_LIFETIME);
    }
    Some(Reply::Answer(Answer {
        addresses,
        lifetime,
        exists,
    }))
}
