//! What every port that joins an instance to a kernel's interface carries, with the kernel as judge:
//! 192.0.2.1 is its address, 192.0.2.2 the instance's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet,
    Ipv4Repr, UdpPacket, UdpRepr,
};
use sprat_abi::frame::{FrameHead, offload};
use sprat_abi::host::Frame;

use super::{ADDRESS, Guest};
use crate::port::Port;

const KERNEL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Bytes that an echoed connection carries each way: many frames, and more than any buffer holds.
const MUCH: usize = 2 << 20;

fn guest<P: Port>(port: P) -> Guest<P> {
    let mut guest = Guest::bare(port);
    guest.set_address(GUEST, 24);
    guest
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((KERNEL, 0)).expect("a socket");
    let patience = Some(Duration::from_secs(20));
    socket.set_read_timeout(patience).expect("a patient socket");
    socket
}

/// A datagram of the kernel comes with a right checksum, and an answer reaches it whose checksum is
/// left to the port.
pub(in crate::port) fn exchange_datagrams(port: impl Port) {
    let mut guest = guest(port);
    let handle = guest.udp(7);
    let socket = socket();
    socket.send_to(b"question", (GUEST, 7)).expect("a way");
    // The stack takes no datagram whose checksum is wrong.
    guest.until(|guest| {
        let socket = guest.get::<udp::Socket<'_>>(handle);
        let (bytes, _) = socket.recv().ok()?;
        assert_eq!(bytes, b"question");
        Some(())
    });
    let kernel = socket.local_addr().expect("its address").port();
    // An odd number of bytes, for which the sum is padded.
    let mut frame = datagram(&guest, kernel, b"an answer");
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    let (length, start) = (packet.payload_mut().len(), 14 + 20);
    let partial = pseudo_header_sum(length);
    frame[start + 6..start + 8].copy_from_slice(&partial.to_be_bytes());
    let head = FrameHead {
        offload: offload::NEEDS_CHECKSUM,
        checksum_start: 34,
        checksum_offset: 6,
        ..FrameHead::default()
    };
    let port = &mut guest.wire.port;
    port.send(&Frame::new(&frame, head)).expect("a port");
    port.kick().expect("a port");
    let mut answer = [0; 64];
    let (length, from) = socket.recv_from(&mut answer).expect("an answer");
    assert_eq!(&answer[..length], b"an answer");
    assert_eq!(from.to_string(), "192.0.2.2:7");
}

/// A frame leaves with the checksum it has where nothing else is asked for: the kernel sees that it
/// is wrong.
pub(in crate::port) fn send_a_wrong_checksum(port: impl Port) {
    let mut guest = guest(port);
    let socket = socket();
    // The kernel's Ethernet address has to be known first.
    let handle = guest.udp(7);
    socket.send_to(b"hello", (GUEST, 7)).expect("a way");
    guest.until(|guest| {
        guest
            .get::<udp::Socket<'_>>(handle)
            .can_recv()
            .then_some(())
    });
    let kernel = socket.local_addr().expect("its address").port();
    let mut wrong = datagram(&guest, kernel, b"wrong");
    wrong[34 + 6] ^= 1;
    let right = datagram(&guest, kernel, b"right");
    let before = checksum_errors();
    for frame in [wrong, right] {
        let port = &mut guest.wire.port;
        port.send(&Frame::new(&frame, FrameHead::default()))
            .expect("a port");
        port.kick().expect("a port");
    }
    let mut taken = [0; 64];
    let length = socket.recv(&mut taken).expect("a datagram");
    assert_eq!(&taken[..length], b"right");
    assert_eq!(checksum_errors(), before + 1);
}

/// The kernel sends much over one connection, cut and checked by whatever its interface offers, and
/// gets it back.
pub(in crate::port) fn echo_over_a_connection(port: impl Port) {
    let mut guest = guest(port);
    let listener = TcpListener::bind((KERNEL, 0)).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let kernel = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut writer = stream.try_clone().expect("another handle");
        let sender = thread::spawn(move || {
            let bytes: Vec<u8> = (0..MUCH).map(byte).collect();
            writer.write_all(&bytes).expect("a way");
        });
        let mut back = vec![0; MUCH];
        stream.read_exact(&mut back).expect("as much back");
        sender.join().expect("all sent");
        back
    });
    let handle = guest.connect((KERNEL, port), 49_152);
    let mut echoed = 0;
    guest.until(|guest| {
        let socket = guest.get::<tcp::Socket<'_>>(handle);
        while socket.can_recv() && socket.can_send() {
            let room = socket.send_capacity() - socket.send_queue();
            let mut piece = vec![0; room.min(4096)];
            let taken = socket.recv_slice(&mut piece).expect("bytes");
            echoed += socket.send_slice(&piece[..taken]).expect("room");
        }
        (echoed == MUCH && socket.send_queue() == 0).then_some(())
    });
    let back = kernel.join().expect("the kernel's end");
    let first_wrong = (0..MUCH).find(|at| back[*at] != byte(*at));
    assert_eq!(first_wrong, None);
}

/// The byte at a place of a long stream.
fn byte(at: usize) -> u8 {
    u8::try_from((at * 31 + at / 4099) % 251).expect("below 251")
}

/// A frame with a datagram from the instance's port 7 to one of the kernel's.
fn datagram<P: Port>(guest: &Guest<P>, to: u16, payload: &[u8]) -> Vec<u8> {
    let kernel = guest
        .wire
        .last_source
        .expect("the kernel has sent something");
    let udp = UdpRepr {
        src_port: 7,
        dst_port: to,
    };
    let ip = Ipv4Repr {
        src_addr: GUEST,
        dst_addr: KERNEL,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(ADDRESS),
        dst_addr: kernel,
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + ip.payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    ethernet.emit(&mut frame);
    let checksums = ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &GUEST.into(),
        &KERNEL.into(),
        payload.len(),
        |place| place.copy_from_slice(payload),
        &checksums,
    );
    bytes
}

/// What a sender that leaves a UDP checksum to others writes into its field: the sum of addresses,
/// protocol and length (RFC 768), by hand: c000 + 0202 + c000 + 0201 + 17 + length.
fn pseudo_header_sum(length: usize) -> u16 {
    let sum = 0xc000 + 0x0202 + 0xc000 + 0x0201 + 17 + length;
    u16::try_from((sum & 0xffff) + (sum >> 16)).expect("one carry")
}

/// Datagrams that the kernel refused for their checksum, in this thread's network.
fn checksum_errors() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/snmp").expect("the kernel's counters");
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    names
        .split(' ')
        .zip(values.split(' '))
        .find(|(name, _)| *name == "InCsumErrors")
        .and_then(|(_, value)| value.parse().ok())
        .expect("a counter")
}
