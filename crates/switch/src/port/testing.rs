//! An instance's end of a port, for tests: a stack, over the port as a lane uses it; and a network
//! namespace in which the kernel is at the other end.

pub(super) mod kernel;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant as HostInstant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{AnySocket, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::monotonic_now;

use super::Port;

/// The instance's Ethernet address.
pub(super) const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// How long a test waits for what it waits for.
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> Instant {
    Instant::from_micros(i64::try_from(monotonic_now() / 1000).expect("a near time"))
}

/// The link between the two ends.
pub(super) struct Wire<P> {
    pub(super) port: P,
    /// Frames on their way to the instance.
    arrived: VecDeque<Vec<u8>>,
    /// Where the last frame came from.
    last_source: Option<EthernetAddress>,
}

pub(super) struct Arrived(Vec<u8>);
pub(super) struct Leaving<'a, P>(&'a mut P);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl<P: Port> TxToken for Leaving<'_, P> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0
            .send(&Frame::new(&frame, FrameHead::default()))
            .expect("the port takes frames");
        result
    }
}

impl<P: Port> Device for Wire<P> {
    type RxToken<'a>
        = Arrived
    where
        P: 'a;
    type TxToken<'a>
        = Leaving<'a, P>
    where
        P: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_, P>)> {
        let frame = self.arrived.pop_front()?;
        Some((Arrived(frame), Leaving(&mut self.port)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_, P>> {
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
pub(super) struct Guest<P> {
    pub(super) wire: Wire<P>,
    pub(super) interface: Interface,
    pub(super) sockets: SocketSet<'static>,
}

impl<P: Port> Guest<P> {
    /// One that has no address yet.
    pub(super) fn bare(port: P) -> Self {
        let mut wire = Wire {
            port,
            arrived: VecDeque::new(),
            last_source: None,
        };
        let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(ADDRESS)));
        let interface = Interface::new(config, &mut wire, now());
        Self {
            wire,
            interface,
            sockets: SocketSet::new(Vec::new()),
        }
    }

    pub(super) fn set_address(&mut self, address: Ipv4Addr, prefix: u8) {
        self.interface.update_ip_addrs(|addresses| {
            let cidr = IpCidr::new(IpAddress::Ipv4(address), prefix);
            addresses.push(cidr).expect("room for an address");
        });
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
    pub(super) fn connect(&mut self, to: (Ipv4Addr, u16), from: u16) -> SocketHandle {
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
        let wire = &mut self.wire;
        let (arrived, source) = (&mut wire.arrived, &mut wire.last_source);
        let moved = wire
            .port
            .receive(64, i64::MAX, &mut |frame| {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                *source = bytes.get(6..12).map(EthernetAddress::from_bytes);
                arrived.push_back(bytes);
                true
            })
            .expect("the port gives frames");
        self.interface
            .poll(now(), &mut self.wire, &mut self.sockets);
        self.wire.port.kick().expect("the port takes frames");
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

/// Runs a test in a network of its own, where that is permitted.
pub(super) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let run = thread::spawn(move || {
        // SAFETY: the call takes no memory, and only this thread changes its network.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } == -1 {
            println!("skipped: needs root");
            return;
        }
        ip("link set lo up");
        test();
    });
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Sets up the network of the test's thread.
pub(super) fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.expect("ip starts").success(), "ip {arguments}");
}

/// Waits until an interface of the test's network carries frames: some time after it was set up.
pub(super) fn wait_until_up(name: &str) {
    let begun = HostInstant::now();
    loop {
        let shown = Command::new("ip").args(["link", "show", name]).output();
        let shown = shown.expect("ip starts").stdout;
        if String::from_utf8_lossy(&shown).contains("state UP") {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{name} stays down"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
