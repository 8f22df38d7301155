use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::net::Ipv4Addr;

use sprat_click::arguments::{Ipv4Prefix, Raw};
use sprat_click::environment::{Device, Tunnel};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList, Phase,
    Rejected,
};
use sprat_packet::headers::{Ipv4, Ipv6};
use sprat_packet::{Batch, EtherAddress, Packet};

pub(super) const KERNEL_TUN: Class = Class::of::<HostInterface>("KernelTun")
    .ports("0-1/1-2")
    .processing("a/h")
    .flow("x/y")
    .phase(Phase::Early);
pub(super) const KERNEL_TAP: Class = KERNEL_TUN.named("KernelTap").ports("0-1/1");
pub(super) const FROM_HOST: Class = KERNEL_TUN.named("FromHost").ports("0/1");
pub(super) const TO_HOST: Class = Class::of::<ToHost>("ToHost").ports("1/0").processing("h");

/// KernelTun, KernelTap, FromHost: make an interface of the host, to whose packets they are the other
/// end.
///
/// ```click
/// KernelTun(ADDR/MASK [, GATEWAY, keywords DEVNAME, BURST, MTU, ...])
/// KernelTap(ADDR/MASK [, GATEWAY, keywords DEVNAME, BURST, MTU, ETHER, ...])
/// FromHost(DEVNAME [, DST, keywords GATEWAY, ETHER, DST6, MTU, ...])
/// ```
///
/// What the host sends on the interface comes out; what comes in, or goes to a ToHost of the same name,
/// arrives there. The interface is there as long as the router. Making it takes root, or the capability
/// CAP_NET_ADMIN, and the command `ip`; routers that are sealed instances cannot.
///
/// KernelTun's packets are of IP; others that the host sends go to output 1, where it is connected.
/// KernelTap and FromHost have Ethernet frames: the host asks by ARP for the addresses it sends to, and
/// somebody has to answer (`ARPResponder(0/0 1:1:1:1:1:1)`).
///
/// - ADDR/MASK, DST: the host's address on the interface, and the network that it reaches through it.
///   DST6: the same of IPv6. GATEWAY: where the host's default route leads through it.
/// - DEVNAME: what the interface is called; what the host likes.
/// - BURST: packets taken each time; by default a good batch. MTU: the longest packet; 1500.
/// - ETHER: the host's Ethernet address on it. 00:01:02:03:04:05 with KernelTap, FromHost lets the host
///   choose. HEADROOM and IGNORE_QUEUE_OVERFLOWS are accepted and decide nothing.
///
/// Handlers: `dev_name` (read).
///
/// See Click's manual pages KernelTun(n), KernelTap(n) and FromHost.u(n).
struct HostInterface {
    name: String,
    device: Rc<dyn Device>,
    ethernet: bool,
    burst: usize,
    batch: Batch,
    waiting: Batch,
}

const DEFAULT_BURST: usize = 256;

/// Where KernelTap's host is.
const TAP_ADDRESS: EtherAddress = EtherAddress([0, 1, 2, 3, 4, 5]);

impl Configure for HostInterface {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let from_host = class == FROM_HOST.name;
        let mut tunnel = Tunnel {
            ethernet: class != KERNEL_TUN.name,
            ..Tunnel::default()
        };
        if from_host {
            tunnel.name = arguments.required("DEVNAME").unwrap_or_default();
            tunnel.address = arguments.position::<Ipv4Prefix>("DST");
            tunnel.address6 = arguments.keyword("DST6");
            tunnel.gateway = arguments.keyword::<Ipv4Addr>("GATEWAY");
        } else {
            tunnel.address = arguments.required("ADDR").ok();
            tunnel.gateway = arguments.position("GATEWAY");
            tunnel.name = arguments.keyword("DEVNAME").unwrap_or_default();
        }
        tunnel.gateway = tunnel.gateway.filter(|gateway| !gateway.is_unspecified());
        tunnel.ethernet_address = arguments.keyword("ETHER");
        if class == KERNEL_TAP.name {
            tunnel.ethernet_address.get_or_insert(TAP_ADDRESS);
        }
        tunnel.mtu = arguments.keyword("MTU");
        let burst = arguments.keyword::<usize>("BURST");
        for ignored in ["HEADROOM", "IGNORE_QUEUE_OVERFLOWS", "CLEAR_ANNO"] {
            arguments.keyword::<Raw>(ignored);
        }
        if let (Some(gateway), Some(address)) = (tunnel.gateway, tunnel.address)
            && !address.contains(gateway)
        {
            arguments.error(format!(
                "GATEWAY: {gateway} is not in the network {address}"
            ));
        }
        arguments.finish()?;
        let (name, device) = configuration
            .environment()
            .tunnel(&tunnel)
            .map_err(|error| {
                let name = if tunnel.name.is_empty() {
                    class
                } else {
                    &tunnel.name
                };
                arguments.error(format!("{name}: {error}"))
            })?;
        Ok(Self {
            name,
            device,
            ethernet: tunnel.ethernet,
            burst: burst.unwrap_or(DEFAULT_BURST).max(1),
            batch: Batch::new(),
            waiting: Batch::new(),
        })
    }
}

/// Marks the IP header of a packet that is one.
fn mark(packet: &mut Packet) -> bool {
    let header = match packet.data().first().map(|byte| byte >> 4) {
        Some(4) => Ipv4::new(packet.data())
            .ok()
            .map(|ip| (ip.header_length(), Some(ip.destination()))),
        Some(6) => Ipv6::new(packet.data()).ok().map(|_| (40, None)),
        _ => None,
    };
    let Some((length, destination)) = header else {
        return false;
    };
    packet.set_network_header(0, length);
    if let Some(destination) = destination {
        packet.set_destination(destination);
    }
    true
}

impl HostInterface {
    fn receive(&mut self, context: &mut Context<'_>) -> bool {
        self.device
            .receive(context.pool(), self.burst, &mut self.batch);
        context.count_arrived(self.batch.len());
        let worked = !self.batch.is_empty();
        if self.ethernet {
            for packet in self.batch.iter_mut() {
                packet.set_mac_header(0);
            }
            context.forward(0, &mut self.batch);
        } else {
            for mut packet in self.batch.drain() {
                let port = usize::from(!mark(&mut packet));
                context.emit(port, packet);
            }
        }
        worked
    }
}

impl Element for HostInterface {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if context.inputs() > 0 && context.input_pulls(0) {
            context.wake_when_nonempty(0);
        }
        context.schedule_task();
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        send(&*self.device, context, batch);
        batch.clear();
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = self.receive(context);
        if context.inputs() > 0 && context.input_pulls(0) {
            if self.waiting.is_empty() {
                context.pull(0, self.burst, &mut self.waiting);
            }
            worked |= send(&*self.device, context, &mut self.waiting) > 0;
        }
        context.schedule_task();
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("dev_name").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "dev_name" => Ok(self.name.clone()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

/// Sends what there is room for; returns how many packets that were.
fn send(device: &dyn Device, context: &Context<'_>, batch: &mut Batch) -> usize {
    let total = batch.len();
    device.send(batch);
    let sent = total - batch.len();
    context.count_left(sent);
    sent
}

/// ToHost: gives Ethernet frames to the host.
///
/// ```click
/// ToHost([DEVNAME])
/// ```
///
/// They arrive on the interface that the router's FromHost of this DEVNAME has made, or its only FromHost.
/// There must be one. Frames that there is no room for are dropped.
///
/// Handlers: `drops` (read): frames dropped.
///
/// See Click's manual page ToHost.u(n).
struct ToHost {
    device: Rc<dyn Device>,
    drops: u64,
}

impl Configure for ToHost {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let name = arguments.position::<String>("DEVNAME");
        for ignored in ["TYPE", "SNIFFERS", "QUIET"] {
            arguments.keyword::<Raw>(ignored);
        }
        arguments.finish()?;
        let mut sources = configuration.elements().filter_map(|id| {
            let matches = |host: &mut HostInterface| match &name {
                Some(name) => host.name == *name,
                None => host.ethernet,
            };
            configuration
                .with(id, |host: &mut HostInterface| {
                    matches(host).then(|| host.device.clone())
                })
                .flatten()
        });
        match sources.next() {
            Some(device) => Ok(Self { device, drops: 0 }),
            None => Err(arguments.error(match &name {
                Some(name) => format!("no FromHost makes the interface '{name}'"),
                None => "no FromHost makes an interface".into(),
            })),
        }
    }
}

impl Element for ToHost {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        send(&*self.device, context, batch);
        self.drops += batch.len() as u64;
        batch.clear();
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    const MOMENT: Duration = Duration::from_micros(20);

    #[test]
    fn kernel_tun_tells_ip_from_what_is_not() {
        let bench = Bench::new(
            "t :: KernelTun(10.0.0.1/8) -> IPMirror -> t; t[1] -> c :: Counter -> Discard",
        );
        let mut packet = [0; 28];
        packet[0] = 0x45;
        packet[3] = 28;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        bench.arrive("tun0", &packet);
        bench.arrive("tun0", &[0x99; 30]);
        bench.run_for(MOMENT);
        let sent = bench.sent("tun0");
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0][12..20], [10, 0, 0, 2, 10, 0, 0, 1]);
        assert_eq!(bench.read("c.count"), "1");
        assert_eq!(bench.read("t.dev_name"), "tun0");
    }

    #[test]
    fn kernel_tap_sends_what_it_pulls() {
        let bench = Bench::new("RatedSource(x, 1000, 1) -> Queue -> KernelTap(10.0.0.1/8) -> Idle");
        bench.run_for(MOMENT);
        assert_eq!(bench.sent("tun0"), [b"x"]);
    }

    #[test]
    fn to_host_finds_the_interface_that_from_host_made() {
        for name in ["fake", ""] {
            let bench = Bench::new(&std::format!(
                "FromHost(fake, 10.0.0.1/8) -> ToHost({name})"
            ));
            bench.arrive("fake", b"a frame");
            bench.run_for(MOMENT);
            assert_eq!(bench.sent("fake"), [b"a frame"]);
        }
        let errors = Bench::errors("Idle -> ToHost(other); FromHost(fake) -> Discard");
        assert!(
            errors.contains("no FromHost makes the interface 'other'"),
            "{errors}"
        );
    }

    #[test]
    fn a_gateway_outside_the_network_is_refused() {
        let errors = Bench::errors("KernelTun(10.0.0.1/8, 11.0.0.1) -> Discard");
        assert!(
            errors.contains("GATEWAY: 11.0.0.1 is not in the network 10.0.0.1/8"),
            "{errors}"
        );
    }
}
