use alloc::rc::Rc;
use alloc::string::{String, ToString};

use sprat_click::environment::Device;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::from_device::{ignore, open};

pub(super) const TO_DEVICE: Class = Class::of::<ToDevice>("ToDevice")
    .ports("1/0")
    .processing("a");
pub(super) const TO_DPDK_DEVICE: Class = TO_DEVICE.named("ToDPDKDevice");

/// ToDevice: sends packets to a network device.
///
/// ```click
/// ToDevice(DEVNAME [, keywords BURST])
/// ToDPDKDevice(DEVNAME)
/// ```
///
/// - DEVNAME: the device, by the name the command line gives it (`eth0`).
/// - BURST: packets sent each time it is scheduled, at a pull input; by default a good batch.
///
/// Pulls what it sends, and leaves packets upstream while the device has no room. Unlike
/// Click's it also takes packets that are pushed to it; those the device has no room for are
/// then dropped and counted. The other arguments that FromDevice ignores are ignored.
///
/// Handlers: `count`, `drops`, `device` (read); `reset_counts` (write); those of its task.
///
/// See Click's manual page ToDevice.u(n).
struct ToDevice {
    name: String,
    device: Rc<dyn Device>,
    burst: Option<usize>,
    count: u64,
    drops: u64,
    /// Packets pulled that the device had no room for.
    waiting: Batch,
}

impl Configure for ToDevice {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let name = arguments.required::<String>("DEVNAME");
        let burst = arguments
            .keyword::<usize>("BURST")
            .map(|burst| burst.max(1));
        ignore(arguments);
        for keyword in ["IQUEUE", "TIMEOUT", "DEBUG", "UNIQUE"] {
            arguments.keyword::<sprat_click::arguments::Raw>(keyword);
        }
        arguments.finish()?;
        let name = name?;
        let device = open(arguments, configuration, &name)?;
        Ok(Self {
            name,
            device,
            burst,
            count: 0,
            drops: 0,
            waiting: Batch::new(),
        })
    }
}

impl Element for ToDevice {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.device.records_order() {
            context.observe_order();
        }
        if context.input_pulls(0) {
            context.wake_when_nonempty(0);
            context.schedule_task();
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let total = batch.len();
        self.device.send(batch);
        let sent = total - batch.len();
        self.count += sent as u64;
        context.count_left(sent);
        self.drops += batch.len() as u64;
        batch.clear();
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let burst = context.burst(self.burst);
        if self.waiting.is_empty() {
            context.pull(0, burst, &mut self.waiting);
        }
        let total = self.waiting.len();
        self.device.send(&mut self.waiting);
        let sent = total - self.waiting.len();
        self.count += sent as u64;
        context.count_left(sent);
        if total > 0 || context.upstream_nonempty(0) {
            context.schedule_task();
        }
        sent > 0
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read("drops")
            .read("device")
            .button("reset_counts")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "drops" => Ok(self.drops.to_string()),
            "device" => Ok(self.name.clone()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => (self.count, self.drops) = (0, 0),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
