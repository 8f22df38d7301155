//! An instance's end of the port, for tests: another stack, over the port as a lane uses it.

use std::collections::VecDeque;
use std::time::{Duration, Instant as HostInstant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{AnySocket, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::network::{GATEWAY, GUEST, PREFIX};
use super::{User, UserOptions, now};
use crate::port::Port as _;

/// The instance's Ethernet address.
pub(super) const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// How long a test waits for what it waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The link between the two ends.
pub(super) struct Wire {
    pub(super) port: User,
    /// Frames on their way to the instance.
    arrived: VecDeque<Vec<u8>>,
}

pub(super) struct Arrived(Vec<u8>);
pub(super) struct Leaving<'a>(&'a mut User);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0
            .send(&Frame::new(&frame, FrameHead::default()))
            .expect("the port takes frames");
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Leaving<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_>)> {
        let frame = self.arrived.pop_front()?;
        Some((Arrived(frame), Leaving(&mut self.port)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.port))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// An instance with a stack.
pub(super) struct Guest {
    pub(super) wire: Wire,
    pub(super) interface: Interface,
    pub(super) sockets: SocketSet<'static>,
}

impl Guest {
    /// One that has no address yet.
    pub(super) fn bare(options: &UserOptions) -> Self {
        let mut wire = Wire {
            port: User::open(options).expect("the port opens"),
            arrived: VecDeque::new(),
        };
        let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(ADDRESS)));
        let interface = Interface::new(config, &mut wire, now());
        Self {
            wire,
            interface,
            sockets: SocketSet::new(Vec::new()),
        }
    }

    /// One that has its address.
    pub(super) fn new(options: &UserOptions) -> Self {
        let mut guest = Self::bare(options);
        guest.configure();
        guest
    }

    pub(super) fn configure(&mut self) {
        self.interface.update_ip_addrs(|addresses| {
            let cidr = IpCidr::new(IpAddress::Ipv4(GUEST), PREFIX);
            addresses.push(cidr).expect("room for an address");
        });
        self.interface
            .routes_mut()
            .add_default_ipv4_route(GATEWAY)
            .expect("room for a route");
    }

    pub(super) fn tcp(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 128 << 10]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    pub(super) fn udp(&mut self, port: u16) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 32 << 10]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a port");
        self.sockets.add(socket)
    }

    /// A connection that is being made.
    pub(super) fn connect(&mut self, to: (std::net::Ipv4Addr, u16), from: u16) -> SocketHandle {
        let handle = self.tcp();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket
            .connect(self.interface.context(), to, from)
            .expect("a connection to ask for");
        handle
    }

    pub(super) fn get<T: AnySocket<'static>>(&mut self, handle: SocketHandle) -> &mut T {
        self.sockets.get_mut(handle)
    }

    /// Moves frames both ways until `done` has something, and fails when it never has.
    pub(super) fn until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = HostInstant::now();
        loop {
            let moved = self.turn();
            if let Some(result) = done(self) {
                return result;
            }
            assert!(start.elapsed() < PATIENCE, "it never came");
            if moved == 0 {
                self.rest();
            }
        }
    }

    /// Moves frames both ways once; says how many came.
    fn turn(&mut self) -> usize {
        let arrived = &mut self.wire.arrived;
        let moved = self
            .wire
            .port
            .receive(64, i64::MAX, &mut |frame| {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                arrived.push_back(bytes);
                true
            })
            .expect("the port gives frames");
        self.interface
            .poll(now(), &mut self.wire, &mut self.sockets);
        moved
    }

    /// Sleeps as a lane does, at most a millisecond.
    fn rest(&mut self) {
        if self.wire.port.deadline() == Some(0) {
            return;
        }
        let descriptor = self.wire.port.descriptor().expect("a descriptor");
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        poll(
            &mut [PollFd::new(&descriptor, PollFlags::IN)],
            Some(&timeout),
        )
        .expect("the port can be waited for");
    }
}
