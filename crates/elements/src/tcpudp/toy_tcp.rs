use core::time::Duration;

use sprat_click::arguments::TcpPort;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Tcp, TcpFields, tcp_flags};
use sprat_packet::{Batch, DEFAULT_HEADROOM, Packet};

pub(super) const TOY_TCP: Class = Class::of::<ToyTCP>("ToyTCP").processing("h/h");

/// ToyTCP: opens a TCP connection and sends far too much over it.
///
/// ```click
/// ToyTCP(DPORT)
/// ```
///
/// Takes and gives TCP segments without IP headers. Every second it sends one to port DPORT, a SYN until
/// that is answered, and says how many segments it had, good and bad, and has sent. It answers each
/// segment with one, and each sixth with two; once there is a connection they hold one byte, at sequence
/// numbers that leave gaps. After a reset it takes nothing until the second is over, and begins anew from
/// another port. It makes no checksums.
///
/// ```click
/// FromDevice(eth0) -> Strip(34) -> ToyTCP(80) -> IPEncap(6, 1.0.0.1, 1.0.0.2) -> SetTCPChecksum
///     -> EtherEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2) -> Queue -> ToDevice(eth0);
/// ```
///
/// See Click's class ToyTCP, of its folder `local`.
pub(crate) struct ToyTCP {
    port: u16,
    own_port: u16,
    /// Its first sequence number.
    first: u32,
    /// What it awaits, once connected.
    awaited: Option<u32>,
    was_reset: bool,
    /// Segments since it sent two.
    since_two: u8,
    /// Segments since it sent a small window.
    since_small: u8,
    good: u32,
    bad: u32,
    sent: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl Configure for ToyTCP {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let port = arguments.required("DPORT").map(|TcpPort(port)| port);
        arguments.finish()?;
        Ok(Self {
            port: port?,
            own_port: 0,
            first: 0,
            awaited: None,
            was_reset: false,
            since_two: 0,
            since_small: 0,
            good: 0,
            bad: 0,
            sent: 0,
        })
    }
}

impl ToyTCP {
    fn restart(&mut self, context: &Context<'_>) {
        let now = context.timestamp().0;
        let second = now.div_euclid(1_000_000_000) & 0x0fff_ffff;
        self.first = u32::try_from(second).unwrap_or(0);
        let microsecond = now.rem_euclid(1_000_000_000) / 1_000;
        self.own_port = u16::try_from(1024 + microsecond % 60_000).unwrap_or(1024);
        self.awaited = None;
        self.was_reset = false;
        self.since_two = 0;
        self.since_small = 0;
    }

    fn take(&mut self, context: &Context<'_>, packet: &Packet) {
        let Ok(tcp) = Tcp::new(packet.data()) else {
            return;
        };
        if tcp.source_port() != self.port || tcp.destination_port() != self.own_port {
            return;
        }
        let reset = tcp.has_any(tcp_flags::RST);
        if tcp.has_any(tcp_flags::ACK)
            && !reset
            && self.awaited.is_none()
            && tcp.acknowledgement() == self.first.wrapping_add(1)
        {
            self.awaited = Some(tcp.sequence().wrapping_add(1));
            context.chatter(format_args!("ToyTCP connected"));
        }
        if reset {
            let Self { good, sent, .. } = self;
            let port = tcp.source_port();
            context.chatter(format_args!(
                "ToyTCP: RST from port {port}, in {good}, out {sent}"
            ));
            self.bad = self.bad.wrapping_add(1);
            self.was_reset = true;
        } else {
            self.good = self.good.wrapping_add(1);
        }
    }

    fn send(&mut self, context: &mut Context<'_>) {
        let window = if self.since_small > 2 {
            self.since_small = 0;
            30 * 1024
        } else {
            self.since_small += 1;
            60 * 1024
        };
        let (flags, sequence, acknowledgement, payload) = match self.awaited {
            None => (tcp_flags::SYN, self.first, 0, 0),
            Some(awaited) => (
                tcp_flags::ACK,
                self.first.wrapping_add(2 + (self.sent & 0xfff)),
                awaited,
                1,
            ),
        };
        let header = TcpFields {
            source_port: self.own_port,
            destination_port: self.port,
            sequence,
            acknowledgement,
            flags,
            window,
            checksum: 0,
            urgent: 0,
        };
        let mut packet = context.pool().packet_zeroed(DEFAULT_HEADROOM, 20 + payload);
        packet.data_mut()[..20].copy_from_slice(&header.to_bytes());
        context.emit(0, packet);
        self.sent = self.sent.wrapping_add(1);
    }
}

impl Element for ToyTCP {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.restart(context);
        context.set_timer_after(0, SECOND);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if self.was_reset {
            self.restart(context);
        }
        self.send(context);
        context.set_timer_after(0, SECOND);
        let Self {
            good, bad, sent, ..
        } = self;
        context.chatter(format_args!(
            "ToyTCP: {good} good in, {bad} bad in, {sent} out"
        ));
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            if self.was_reset {
                continue;
            }
            self.take(context, &packet);
            self.send(context);
            if self.since_two > 4 {
                self.since_two = 0;
                self.send(context);
            } else {
                self.since_two += 1;
            }
        }
    }
}
