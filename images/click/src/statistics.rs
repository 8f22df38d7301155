//! Counters of elements and devices where the monitor reads them.

use alloc::rc::Rc;
use alloc::vec::Vec;

use sprat::Platform as _;
use sprat::abi::statistics::{Counter, RecordHandle, Region, Subject};
use sprat_click::Router;
use sprat_click::configure::ElementId;
use sprat_click::driver::Driver;

use crate::environment::{Machine, Port};

/// The records of this instance: a device each, then an element each.
pub(crate) struct Statistics {
    machine: Rc<Machine>,
    region: Option<&'static Region>,
    devices: Vec<RecordHandle<'static>>,
    elements: Vec<(ElementId, RecordHandle<'static>)>,
    /// Which of the driver's routers `elements` are of.
    router: Option<u64>,
}

impl Statistics {
    pub(crate) fn new(machine: Rc<Machine>) -> Self {
        let region = sprat::platform().statistics();
        let register = |region: &'static Region| {
            let port = |port: &Rc<Port>| region.register(Subject::Device, port.name().as_bytes());
            machine.ports().iter().map_while(port).collect()
        };
        let devices = region.map(register).unwrap_or_default();
        Self {
            machine,
            region,
            devices,
            elements: Vec::new(),
            router: None,
        }
    }

    /// Writes what has been counted so far.
    pub(crate) fn update(&mut self, driver: &Driver) {
        let Some(region) = self.region else { return };
        let router = driver.router();
        if self.router != Some(driver.replacements()) {
            self.register(region, router);
            self.router = Some(driver.replacements());
        }
        for (record, port) in self.devices.iter().zip(self.machine.ports()) {
            record.set(Counter::PacketsIn, port.received.frames.get());
            record.set(Counter::BytesIn, port.received.bytes.get());
            record.set(Counter::PacketsOut, port.sent.frames.get());
            record.set(Counter::BytesOut, port.sent.bytes.get());
        }
        for (id, record) in &self.elements {
            let (packets_in, packets_out) = router.traffic(*id);
            record.set(Counter::PacketsIn, packets_in);
            record.set(Counter::PacketsOut, packets_out);
            record.set(Counter::Calls, router.task_runs(*id));
            record.set(Counter::Time, router.time(*id));
        }
    }

    fn register(&mut self, region: &'static Region, router: &Router) {
        region.truncate(u32::try_from(self.devices.len()).unwrap_or(u32::MAX));
        let record = |id| {
            Some((
                id,
                region.register(Subject::Element, router.name(id).as_bytes())?,
            ))
        };
        self.elements = router.elements().map_while(record).collect();
    }
}
