use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ethernet;
use sprat_packet::{Batch, EtherAddress, Packet, PacketKind};

pub(super) const HOST_ETHER_FILTER: Class = Class::of::<HostEtherFilter>("HostEtherFilter")
    .ports("1/1-2")
    .processing("a/ah")
    .reconfigurable();
pub(super) const DROP_BROADCASTS: Class = Class::of::<DropBroadcasts>("DropBroadcasts")
    .ports("1/1-2")
    .processing("a/ah");

/// HostEtherFilter: passes the Ethernet frames that a station would receive.
///
/// ```click
/// HostEtherFilter(ETHER [, DROP_OWN, DROP_OTHER, keyword OFFSET])
/// ```
///
/// - ETHER: the station's address.
/// - DROP_OWN: whether to filter out frames from this address; false.
/// - DROP_OTHER: whether to filter out frames to other stations; true.
/// - OFFSET: where the Ethernet header begins; 0.
///
/// Says of every frame how it is addressed (host, broadcast, multicast, other host), but for those
/// that DROP_OWN filters out. Frames filtered out, and those too short for a header, go to output 1,
/// and are dropped where it is not connected.
///
/// Handlers: `ether` (read, write): ETHER.
///
/// See Click's manual page HostEtherFilter(n).
struct HostEtherFilter {
    address: EtherAddress,
    drop_own: bool,
    drop_other: bool,
    offset: usize,
}

impl Configure for HostEtherFilter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required("ETHER");
        let drop_own = arguments.position("DROP_OWN").unwrap_or(false);
        let drop_other = arguments.position("DROP_OTHER").unwrap_or(true);
        let offset = arguments.keyword::<u16>("OFFSET").unwrap_or(0);
        arguments.finish()?;
        Ok(Self {
            address: address?,
            drop_own,
            drop_other,
            offset: usize::from(offset),
        })
    }
}

impl HostEtherFilter {
    /// Marks a frame; returns whether it passes.
    fn passes(&self, packet: &mut Packet) -> bool {
        let Some(Ok(header)) = packet.data().get(self.offset..).map(Ethernet::new) else {
            return false;
        };
        let (source, destination) = (header.source(), header.destination());
        if self.drop_own && source == self.address {
            return false;
        }
        let kind = if destination == self.address {
            PacketKind::Host
        } else if destination.is_broadcast() {
            PacketKind::Broadcast
        } else if destination.is_group() {
            PacketKind::Multicast
        } else {
            PacketKind::OtherHost
        };
        packet.set_kind(kind);
        !self.drop_other || kind != PacketKind::OtherHost
    }
}

impl Element for HostEtherFilter {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if self.passes(&mut packet) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("ether");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.address.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.address = crate::handler_value(context, value)?;
        Ok(())
    }
}

/// DropBroadcasts: drops packets that came as link-level broadcasts or multicasts.
///
/// ```click
/// DropBroadcasts
/// ```
///
/// Goes by how packets are said to be addressed, which FromDevice and HostEtherFilter set. What is dropped
/// leaves by output 1 where that is used; the first is told.
///
/// Handlers: `drops` (read).
///
/// See Click's manual page DropBroadcasts(n).
struct DropBroadcasts {
    drops: u64,
}

impl Configure for DropBroadcasts {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { drops: 0 })
    }
}

impl Element for DropBroadcasts {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            if matches!(packet.kind(), PacketKind::Broadcast | PacketKind::Multicast) {
                if self.drops == 0 {
                    context.chatter(format_args!("DropBroadcasts: dropped a packet"));
                }
                self.drops += 1;
                context.emit(1, packet);
                return None;
            }
            Some(packet)
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.drops.to_string())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    const HOST: &[u8; 6] = b"\x00\x01\x02\x03\x04\x05";
    const OTHER: &[u8; 6] = b"\x00\x01\x02\x03\x04\x06";
    const GROUP: &[u8; 6] = b"\x01\x00\x5e\x00\x00\x01";
    const ALL: &[u8; 6] = b"\xff\xff\xff\xff\xff\xff";

    fn frame(destination: &[u8; 6], source: &[u8; 6]) -> std::vec::Vec<u8> {
        [&destination[..], source, b"\x08\x00"].concat()
    }

    /// Which of five frames pass: to the host, another, a group, all; and from the host itself.
    fn passed(elements: &str) -> std::vec::Vec<bool> {
        let frames = [
            frame(HOST, OTHER),
            frame(OTHER, OTHER),
            frame(GROUP, OTHER),
            frame(ALL, OTHER),
            frame(HOST, HOST),
        ];
        frames
            .iter()
            .map(|frame| {
                let bench = Bench::new(&std::format!(
                    "FromDevice(in) -> {elements} -> ToDevice(out)"
                ));
                bench.arrive("in", frame);
                bench.run();
                !bench.sent("out").is_empty()
            })
            .collect()
    }

    #[test]
    fn a_host_receives_what_is_for_it_and_for_all() {
        for (elements, expected) in [
            ("HostEtherFilter(0:1:2:3:4:5)", [1, 0, 1, 1, 1]),
            ("HostEtherFilter(0:1:2:3:4:5, true)", [1, 0, 1, 1, 0]),
            (
                "HostEtherFilter(0:1:2:3:4:5, false, false)",
                [1, 1, 1, 1, 1],
            ),
            (
                "HostEtherFilter(0:1:2:3:4:5, DROP_OWN true, DROP_OTHER false)",
                [1, 1, 1, 1, 0],
            ),
            (
                "HostEtherFilter(0:1:2:3:4:5) -> DropBroadcasts",
                [1, 0, 0, 0, 1],
            ),
        ] {
            let expected = expected.map(|passes| passes == 1);
            assert_eq!(passed(elements), expected, "{elements}");
        }
    }

    #[test]
    fn what_is_filtered_out_goes_to_the_second_output() {
        let bench = Bench::new(
            "FromDevice(in) -> f :: HostEtherFilter(0:1:2:3:4:5) -> Discard; f[1] -> ToDevice(out)",
        );
        bench.arrive("in", &frame(OTHER, OTHER));
        bench.arrive("in", b"short");
        bench.run();
        assert_eq!(bench.sent("out").len(), 2);

        let bench = Bench::new(
            "FromDevice(in) -> HostEtherFilter(0:1:2:3:4:5) -> d :: DropBroadcasts -> Discard;
             d[1] -> ToDevice(out)",
        );
        bench.arrive("in", &frame(ALL, OTHER));
        bench.arrive("in", &frame(HOST, OTHER));
        bench.run();
        assert_eq!(bench.sent("out"), [frame(ALL, OTHER)]);
    }
}
