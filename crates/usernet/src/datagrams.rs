//! Datagrams the instance sends out, and their answers: a socket of the host for each pair of ends.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::event::epoll;
use smoltcp::time::{Duration, Instant};

use super::connection::Ends;
use super::packets;
use super::queue::Queue;
use super::token::Token;

/// Most flows at a time; one more ends the one that was quiet longest.
pub(super) const LIMIT: usize = 256;

/// How long a flow lives that is quiet.
const IDLE: Duration = Duration::from_secs(60);

/// Datagrams taken from one socket before others have their turn.
const TURN: usize = 64;

struct Flow {
    socket: UdpSocket,
    ends: Ends,
    used: Instant,
    /// Whether it is in the list of those to be served.
    listed: bool,
}

#[derive(Default)]
pub(super) struct Flows {
    slots: Vec<Option<Flow>>,
    by_ends: HashMap<Ends, usize>,
    list: VecDeque<usize>,
    /// When quiet flows are next looked for.
    sweep: Option<Instant>,
}

impl Flows {
    /// Whether some flow is to be served now.
    pub(super) fn has_work(&self) -> bool {
        !self.list.is_empty()
    }

    /// When the flows want to be served though nothing arrives.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.sweep
    }

    /// Sends a datagram of the instance on to a host.
    pub(super) fn send(
        &mut self,
        ends: Ends,
        to: SocketAddr,
        payload: &[u8],
        sources: &OwnedFd,
        now: Instant,
    ) -> io::Result<()> {
        let number = match self.by_ends.get(&ends) {
            Some(number) => *number,
            None => self.open(ends, to, sources, now)?,
        };
        if let Some(Some(flow)) = self.slots.get_mut(number) {
            flow.used = now;
            match flow.socket.send(payload) {
                // The refusal of an earlier one; the answer to it is on its way to the instance.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    flow.socket.send(payload)?;
                    self.ready(number);
                }
                result => {
                    result?;
                }
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        ends: Ends,
        to: SocketAddr,
        sources: &OwnedFd,
        now: Instant,
    ) -> io::Result<usize> {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(to)?;
        if self.by_ends.len() >= LIMIT {
            self.drop_quietest();
        }
        let number = match self.slots.iter().position(Option::is_none) {
            Some(number) => number,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(sources, &socket, Token::Flow(number).data(), flags)?;
        self.by_ends.insert(ends, number);
        self.slots[number] = Some(Flow {
            socket,
            ends,
            used: now,
            listed: false,
        });
        self.sweep.get_or_insert(now + IDLE);
        Ok(number)
    }

    fn drop_quietest(&mut self) {
        let flows = self.slots.iter().flatten();
        if let Some(ends) = flows.min_by_key(|flow| flow.used).map(|flow| flow.ends) {
            self.drop_flow(ends);
        }
    }

    fn drop_flow(&mut self, ends: Ends) {
        if let Some(number) = self.by_ends.remove(&ends) {
            self.slots[number] = None;
        }
    }

    /// A flow's socket has something.
    pub(super) fn ready(&mut self, number: usize) {
        if let Some(Some(flow)) = self.slots.get_mut(number)
            && !flow.listed
        {
            flow.listed = true;
            self.list.push_back(number);
        }
    }

    /// Passes answers on to the instance while there is room, and ends flows that are quiet. Says
    /// how many answers were too long for the link.
    pub(super) fn serve(&mut self, queue: &mut Queue, buffer: &mut [u8], now: Instant) -> u64 {
        let mut too_long = 0;
        for _ in 0..self.list.len() {
            if !queue.has_room() {
                break;
            }
            let Some(number) = self.list.pop_front() else {
                break;
            };
            let Some(Some(flow)) = self.slots.get_mut(number) else {
                continue;
            };
            flow.listed = false;
            flow.used = now;
            let Ends { guest, remote } = flow.ends;
            let mut emptied = false;
            for _ in 0..TURN {
                if !queue.has_room() {
                    break;
                }
                match flow.socket.recv(buffer) {
                    Ok(count) => {
                        too_long +=
                            u64::from(!packets::udp(queue, remote, guest, &buffer[..count]));
                    }
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        packets::port_unreachable(queue, guest, remote);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        emptied = true;
                        break;
                    }
                }
            }
            if !emptied {
                self.ready(number);
            }
        }
        if self.sweep.is_some_and(|sweep| sweep <= now) {
            self.sweep(now);
        }
        too_long
    }

    fn sweep(&mut self, now: Instant) {
        for number in 0..self.slots.len() {
            if let Some(flow) = &self.slots[number]
                && flow.used + IDLE <= now
            {
                self.drop_flow(flow.ends);
            }
        }
        let oldest = self.slots.iter().flatten().map(|flow| flow.used).min();
        self.sweep = oldest.map(|used| used + IDLE);
    }
}
