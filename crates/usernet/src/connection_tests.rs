//! A connection to an instance that is played by a stack of its own, in time that is counted.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::super::network::{GATEWAY, MTU};
use super::super::queue::ETHERNET_HEADER;
use super::*;

/// The instance's address and port.
const GUEST: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 2, 15), 7);

/// Both ends, and who speaks to them: a client of the host, and an instance.
struct World {
    client: TcpStream,
    connection: Connection,
    queue: Queue,
    instance: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    now: Instant,
    /// Whether the instance has vanished.
    vanished: bool,
}

impl World {
    fn new() -> Self {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).expect("it listens");
        client.set_nonblocking(true).expect("set");
        let (stream, _) = listener.accept().expect("it was asked for");
        stream.set_nonblocking(true).expect("set");
        let now = Instant::from_secs(1);
        let mut queue = Queue::new();
        let mut link = Link {
            packet: None,
            queue: &mut queue,
        };
        let mut instance = Interface::new(Config::new(HardwareAddress::Ip), &mut link, now);
        instance.update_ip_addrs(|addresses| {
            let address = IpCidr::new(IpAddress::Ipv4(*GUEST.ip()), 0);
            addresses.push(address).expect("room for one");
        });
        let buffer = || SocketBuffer::new(vec![0; 8 << 10]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.listen(GUEST.port()).expect("it is closed");
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        let ends = Ends {
            guest: GUEST,
            remote: SocketAddrV4::new(GATEWAY, 49_152),
        };
        let birth = Birth {
            seed: 1,
            now,
            queue: &mut queue,
        };
        let mut connection = Connection::inbound(ends, stream, birth);
        connection.begin();
        Self {
            client,
            connection,
            queue,
            instance,
            sockets,
            handle,
            now,
            vanished: false,
        }
    }

    /// Lets time pass in steps of a second; whether the connection is still there.
    fn pass(&mut self, seconds: u64) -> bool {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            // Frames go to and fro until there are none.
            for _ in 0..16 {
                self.connection.ready(true, true);
                if self.connection.serve(&mut self.queue, self.now) == Next::Gone {
                    return false;
                }
                self.carry();
            }
        }
        true
    }

    /// Carries what the connection sent to the instance, and what that answers back.
    fn carry(&mut self) {
        let mut packets = Vec::new();
        while let Some(frame) = self.queue.front() {
            packets.push(frame[ETHERNET_HEADER..].to_vec());
            self.queue.pop();
        }
        if self.vanished {
            return;
        }
        let mut answers = Queue::new();
        for packet in &packets {
            let mut link = Link {
                packet: Some(packet),
                queue: &mut answers,
            };
            self.instance
                .poll_ingress_single(self.now, &mut link, &mut self.sockets);
        }
        let mut link = Link {
            packet: None,
            queue: &mut answers,
        };
        self.instance
            .poll_egress(self.now, &mut link, &mut self.sockets);
        while let Some(frame) = answers.front() {
            assert!(frame.len() <= ETHERNET_HEADER + MTU);
            let packet = frame[ETHERNET_HEADER..].to_vec();
            answers.pop();
            self.connection.receive(&packet, &mut self.queue, self.now);
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }
}

#[test]
fn who_says_nothing_for_an_hour_is_still_heard_afterwards() {
    let mut world = World::new();
    assert!(world.pass(3600));
    world.client.write_all(b"still there?").expect("room");
    assert!(world.pass(1));
    let mut heard = [0; 12];
    assert_eq!(world.socket().recv_slice(&mut heard), Ok(12));
    assert_eq!(&heard, b"still there?");
    assert_eq!(world.socket().send_slice(b"yes"), Ok(3));
    assert!(world.pass(1));
    let mut answer = [0; 3];
    world.client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"yes");
}

/// RFC 1122, 4.2.3.5: at least 100 seconds of retransmissions; RFC 6298, 2.4: the last a minute apart.
#[test]
fn an_instance_that_is_not_heard_for_two_minutes_is_not_given_up() {
    let mut world = World::new();
    assert!(world.pass(1));
    world.client.write_all(&[7; 4000]).expect("room");
    world.vanished = true;
    assert!(world.pass(120));
    world.vanished = false;
    assert!(world.pass(61));
    assert_eq!(world.socket().recv_queue(), 4000);
}

#[test]
fn an_instance_that_has_vanished_is_given_up_and_its_client_told() {
    let mut world = World::new();
    assert!(world.pass(1));
    world.vanished = true;
    assert!(!world.pass(PATIENCE.secs() + 1));
    drop(world.connection);
    let broken = world.client.read(&mut [0]).expect_err("a reset");
    assert_eq!(broken.kind(), io::ErrorKind::ConnectionReset);
}
