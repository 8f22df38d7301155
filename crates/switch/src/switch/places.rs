//! The places of instances: who is there, who comes and who goes.

use sprat_monitor::{Death, Instance};

use super::held::Held;
use super::{Event, InstanceCounters, InstanceId, Place, PortId, Remains, Switch, number};
use crate::port::DropCause;

impl Switch {
    /// Adds the place of an instance with devices of these names. It is empty at first.
    pub fn add_place(&mut self, name: &str, devices: &[String]) -> InstanceId {
        let instance = self.instances.len();
        let ports = (0..).zip(devices).map(|(network, device)| {
            self.attach(
                format!("{name}.{device}"),
                Place::Device { instance, network },
            )
        });
        let ports = ports.collect();
        self.instances.push(Held::new(name.into(), ports));
        InstanceId(number(instance))
    }

    /// Puts an instance in an empty place: it has the devices of that place, in their order. Frames
    /// that were kept for it are delivered.
    ///
    /// # Panics
    /// If an instance is there already.
    pub fn put(&mut self, place: InstanceId, instance: Box<dyn Instance>) {
        let index = place.index();
        let held = &mut self.instances[index];
        assert!(held.instance.is_none(), "an empty place");
        held.begin(instance);
        self.wake(index);
        self.deliver_kept(index);
    }

    /// Takes the instance out of its place.
    pub fn take(&mut self, place: InstanceId) -> Option<Remains> {
        let index = place.index();
        let mut instance = self.instances[index].instance.take()?;
        instance.kill();
        self.forget(index);
        Some(Remains(instance))
    }

    /// Asks an instance to come to an end by itself.
    pub fn stop(&mut self, place: InstanceId) {
        self.instances[place.index()].stopping = true;
        self.wake(place.index());
    }

    /// Whether frames that come for the place while it is empty are kept for the instance to come,
    /// as many as `SwitchOptions::awaiting` says. Otherwise they are dropped.
    pub fn keep_frames(&mut self, place: InstanceId, keep: bool) {
        self.instances[place.index()].keeps = keep;
        self.settle_kept(place.index());
    }

    /// Whether frames that come for the place are kept though an instance is there, as many as
    /// `SwitchOptions::awaiting` says: while what it holds is carried to another, or to it from
    /// another. What it has received before it works on all the same.
    pub fn pause(&mut self, place: InstanceId, paused: bool) {
        self.instances[place.index()].paused = paused;
        self.settle_kept(place.index());
    }

    /// Whether frames wait that were kept for the place.
    #[must_use]
    pub fn has_kept(&self, place: InstanceId) -> bool {
        !self.instances[place.index()].kept.is_empty()
    }

    /// Frames that are not to be kept any more go to the instance, or are lost where none is there.
    fn settle_kept(&mut self, index: usize) {
        let held = &mut self.instances[index];
        if held.paused || held.kept.is_empty() {
            return;
        }
        if held.instance.is_some() {
            self.deliver_kept(index);
        } else if !held.keeps {
            let lost = held.kept.drain(..).map(|kept| held.ports[kept.network]);
            for port in lost.collect::<Vec<_>>() {
                self.ports[port].counters.drop_frame(DropCause::Ended);
            }
        }
    }

    /// The name of an instance's place.
    #[must_use]
    pub fn instance_name(&self, place: InstanceId) -> &str {
        &self.instances[place.index()].name
    }

    /// The ports of an instance's devices.
    pub fn devices(&self, place: InstanceId) -> impl ExactSizeIterator<Item = PortId> + '_ {
        let ports = self.instances[place.index()].ports.iter();
        ports.map(|port| PortId(number(*port)))
    }

    /// The instance, where one is there.
    pub fn instance(&mut self, place: InstanceId) -> Option<&mut dyn Instance> {
        match &mut self.instances[place.index()].instance {
            Some(instance) => Some(&mut **instance),
            None => None,
        }
    }

    /// What the instances of a place have done.
    #[must_use]
    pub fn instance_counters(&self, place: InstanceId) -> &InstanceCounters {
        &self.instances[place.index()].counters
    }

    /// Ends an instance.
    pub(super) fn end(&mut self, index: usize, mut instance: Box<dyn Instance>, death: Death) {
        instance.kill();
        self.collect_console(index, &mut *instance);
        self.forget(index);
        self.events.push(Event::Ended {
            instance: InstanceId(number(index)),
            death: Box::new(death),
            remains: Remains(instance),
        });
    }

    /// Forgets what there was to do for an instance that is gone.
    pub(super) fn forget(&mut self, index: usize) {
        self.timers.set(index, None);
        self.instances[index].rest();
        self.abandon_requests(index);
    }
}
