use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use sprat_click::environment::Device;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, PacketKind};

pub(super) const FROM_DEVICE: Class = Class::of::<FromDevice>("FromDevice")
    .ports("0/1-2")
    .processing("h");
pub(super) const POLL_DEVICE: Class = FROM_DEVICE.named("PollDevice");
pub(super) const FROM_DPDK_DEVICE: Class = FROM_DEVICE.named("FromDPDKDevice");

/// FromDevice: pushes the frames that a network device receives.
///
/// ```click
/// FromDevice(DEVNAME [, PROMISC, SNAPLEN, keywords BURST, ACTIVE, ...])
/// PollDevice(DEVNAME)
/// FromDPDKDevice(DEVNAME)
/// ```
///
/// - DEVNAME: the device, by the name the command line gives it (`eth0`); in a plain process an
///   interface of the host, by name or Ethernet address, where the command line names no such device.
/// - PROMISC: whether frames come that are for others, where the device would leave them out; false.
/// - BURST: frames taken each time; by default as many as make a good batch.
/// - ACTIVE: whether it takes any; true.
///
/// Sets the timestamp, the link header's place and how the frame was addressed on the link.
/// SNIFFER, METHOD, SNAPLEN, FORCE_IP, PROTOCOL, HEADROOM, TIMESTAMP, CAPTURE,
/// BPF_FILTER, OUTBOUND, ENCAP, HEADROOM and the DPDK names' numbers are accepted and decide
/// nothing: a device here always gives all its frames, whole.
///
/// Handlers: `count`, `device` (read); `reset_counts` (write); `active` (read, write); those of
/// its task.
///
/// See Click's manual page FromDevice.u(n).
struct FromDevice {
    name: String,
    device: Rc<dyn Device>,
    burst: Option<usize>,
    active: bool,
    count: u64,
    batch: Batch,
}

/// Arguments of Click's and FastClick's device elements that have no meaning here.
const IGNORED: [&str; 18] = [
    "SNIFFER",
    "METHOD",
    "FORCE_IP",
    "PROTOCOL",
    "HEADROOM",
    "TIMESTAMP",
    "CAPTURE",
    "BPF_FILTER",
    "OUTBOUND",
    "ENCAP",
    "N_QUEUES",
    "QUEUE",
    "MAXTHREADS",
    "THREADOFFSET",
    "NDESC",
    "VERBOSE",
    "BLOCKING",
    "NO_PAD",
];

pub(super) fn ignore(arguments: &mut Arguments<'_>) {
    for keyword in IGNORED {
        arguments.keyword::<sprat_click::arguments::Raw>(keyword);
    }
}

/// Opens the device that an argument names.
pub(super) fn open(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
    name: &str,
) -> Result<Rc<dyn Device>, Rejected> {
    let device = configuration.environment().device(name);
    device.map_err(|error| arguments.error(format!("{name}: {error}")))
}

impl Configure for FromDevice {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let name = arguments.required::<String>("DEVNAME");
        let burst = arguments
            .keyword::<usize>("BURST")
            .map(|burst| burst.max(1));
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let promiscuous = arguments.position("PROMISC").unwrap_or(false);
        arguments.position::<u32>("SNAPLEN");
        ignore(arguments);
        arguments.finish()?;
        let name = name?;
        let device = open(arguments, configuration, &name)?;
        if promiscuous {
            let heard = device.hear_all();
            heard.map_err(|error| arguments.error(format!("{name}: {error}")))?;
        }
        Ok(Self {
            name,
            device,
            burst,
            active,
            count: 0,
            batch: Batch::new(),
        })
    }
}

/// How an Ethernet frame is addressed, by its destination.
fn kind(frame: &[u8], own: Option<[u8; 6]>) -> PacketKind {
    match frame.first_chunk::<6>() {
        Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => PacketKind::Broadcast,
        Some([first, ..]) if first & 1 == 1 => PacketKind::Multicast,
        Some(destination) if own.is_some_and(|own| own != *destination) => PacketKind::OtherHost,
        _ => PacketKind::Host,
    }
}

impl Element for FromDevice {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.active {
            context.schedule_task();
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        if !self.active {
            return false;
        }
        let burst = context.burst(self.burst);
        self.device.receive(context.pool(), burst, &mut self.batch);
        let worked = !self.batch.is_empty();
        if worked {
            self.count += self.batch.len() as u64;
            context.count_arrived(self.batch.len());
            let own = self.device.ethernet_address();
            for packet in self.batch.iter_mut() {
                let kind = kind(packet.data(), own);
                packet.set_kind(kind);
                packet.set_mac_header(0);
            }
            context.forward(0, &mut self.batch);
        }
        context.schedule_task();
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read("device")
            .button("reset_counts")
            .read_write("active")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "device" => Ok(self.name.clone()),
            "active" => Ok(self.active.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => self.count = 0,
            "active" => {
                self.active = crate::value_or(context, value, "active parameter must be boolean")?;
                if self.active {
                    context.schedule_task();
                }
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
