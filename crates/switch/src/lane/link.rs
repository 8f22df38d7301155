//! What a device of an instance is connected to.

use crate::port::{FRAME_LIMIT, Port};

/// A device of the instance and the ports that frames come from and go to.
pub struct Link {
    /// The device's name.
    pub device: String,
    ports: Ports,
    /// Frames the device sent while it has no output.
    pub unconnected: u64,
    /// Frames that came for the device and that the instance never took.
    pub untaken: u64,
}

/// The ports of one device.
enum Ports {
    /// One that frames come from and another that they go to.
    Apart {
        input: Option<Box<dyn Port>>,
        output: Option<Box<dyn Port>>,
    },
    /// One for both, as live ports are.
    Both(Box<dyn Port>),
}

impl Link {
    /// A device whose frames come from one port and go to another.
    #[must_use]
    pub fn new(device: &str, input: Option<Box<dyn Port>>, output: Option<Box<dyn Port>>) -> Self {
        Self {
            device: device.into(),
            ports: Ports::Apart { input, output },
            unconnected: 0,
            untaken: 0,
        }
    }

    /// A device with a port for both directions.
    #[must_use]
    pub fn both(device: &str, port: Box<dyn Port>) -> Self {
        Self {
            device: device.into(),
            ports: Ports::Both(port),
            unconnected: 0,
            untaken: 0,
        }
    }

    /// Where frames for the device come from.
    #[must_use]
    pub fn input(&self) -> Option<&dyn Port> {
        match &self.ports {
            Ports::Apart { input, .. } => input.as_deref(),
            Ports::Both(port) => Some(&**port),
        }
    }

    /// Where frames that the device sends go.
    #[must_use]
    pub fn output(&self) -> Option<&dyn Port> {
        match &self.ports {
            Ports::Apart { output, .. } => output.as_deref(),
            Ports::Both(port) => Some(&**port),
        }
    }

    /// The longest frame that its ports carry.
    #[must_use]
    pub fn frame_limit(&self) -> usize {
        self.ports()
            .map(Port::frame_limit)
            .min()
            .unwrap_or(FRAME_LIMIT)
    }

    pub(super) fn input_mut(&mut self) -> Option<&mut Box<dyn Port>> {
        match &mut self.ports {
            Ports::Apart { input, .. } => input.as_mut(),
            Ports::Both(port) => Some(port),
        }
    }

    pub(super) fn output_mut(&mut self) -> Option<&mut Box<dyn Port>> {
        match &mut self.ports {
            Ports::Apart { output, .. } => output.as_mut(),
            Ports::Both(port) => Some(port),
        }
    }

    /// Every port, once.
    pub(super) fn ports(&self) -> impl Iterator<Item = &dyn Port> {
        let (first, second) = match &self.ports {
            Ports::Apart { input, output } => (input.as_deref(), output.as_deref()),
            Ports::Both(port) => (Some(&**port), None),
        };
        first.into_iter().chain(second)
    }

    /// Every port, once.
    pub(super) fn ports_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn Port>> {
        let (first, second) = match &mut self.ports {
            Ports::Apart { input, output } => (input.as_mut(), output.as_mut()),
            Ports::Both(port) => (Some(port), None),
        };
        first.into_iter().chain(second)
    }
}
