//! What a service is given: its devices by name, and everything that is there without a name.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use sprat_devices::ChaCha;

use crate::block::{self, BlockDevice};
use crate::{network, place};

/// Why a service is not given what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvError {
    /// There is no device of that name, or it was taken.
    Device {
        /// The name asked for.
        name: String,
        /// What kind of device.
        kind: &'static str,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A boot parameter that says how a device is set up is wrong.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it says.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
}

impl fmt::Display for EnvError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { name, kind, known } => {
                write!(out, "there is no {kind} '{name}'")?;
                match known.split_first() {
                    None => Ok(()),
                    Some((first, others)) => {
                        write!(out, ": there is {first}")?;
                        others.iter().try_for_each(|other| write!(out, ", {other}"))
                    }
                }
            }
            Self::Parameter {
                name,
                value,
                expected,
            } => write!(out, "parameter '{name}' is '{value}': expected {expected}"),
        }
    }
}

impl core::error::Error for EnvError {}

/// What a service is given. What it does not take costs nothing.
pub struct Env {
    devices: Vec<network::Device>,
    #[cfg(feature = "net")]
    stacks: Vec<(&'static str, crate::net::Stack)>,
}

impl Env {
    /// Everything that this instance was given. Devices can be taken once.
    #[doc(hidden)]
    #[must_use]
    pub fn take() -> Self {
        Self {
            devices: network::take_all(),
            #[cfg(feature = "net")]
            stacks: Vec::new(),
        }
    }

    /// A network device, for who handles frames alone.
    ///
    /// # Errors
    /// When there is none of that name, or it was taken.
    pub fn frames(&mut self, name: &str) -> Result<network::Device, EnvError> {
        let found = self.devices.iter().position(|device| device.name() == name);
        match found {
            Some(index) => Ok(self.devices.remove(index)),
            None => Err(EnvError::Device {
                name: name.to_string(),
                kind: "network device",
                known: self.devices.iter().map(network::Device::name).collect(),
            }),
        }
    }

    /// The network behind a device, set up as the boot parameters `ip`, `gateway`, `dns` and
    /// `search` say; by DHCP where they say nothing. It has an address when
    /// [`configured`](crate::net::Stack::configured) returns.
    ///
    /// # Errors
    /// When there is no such device, or a parameter is wrong.
    #[cfg(feature = "net")]
    pub fn network(&mut self, name: &str) -> Result<crate::net::Stack, EnvError> {
        if let Some((_, stack)) = self.stacks.iter().find(|(known, _)| *known == name) {
            return Ok(stack.clone());
        }
        let configuration = crate::net::configuration()?;
        self.network_with(name, configuration)
    }

    /// The network behind a device, set up in the application's own way.
    ///
    /// # Errors
    /// When there is no such device, or it was taken.
    #[cfg(feature = "net")]
    pub fn network_with(
        &mut self,
        name: &str,
        configuration: crate::net::Configuration,
    ) -> Result<crate::net::Stack, EnvError> {
        let device = self.frames(name)?;
        let known = device.name();
        let stack = crate::net::start(device, configuration);
        self.stacks.push((known, stack.clone()));
        Ok(stack)
    }

    /// A block device. Asked for again, the same one: its handles share it.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn block(&self, name: &str) -> Result<BlockDevice, EnvError> {
        let devices = block::all();
        let found = devices.iter().find(|device| device.name() == name);
        found.cloned().ok_or_else(|| EnvError::Device {
            name: name.to_string(),
            kind: "block device",
            known: devices.iter().map(BlockDevice::name).collect(),
        })
    }

    /// The contents of a file that was granted under this name.
    ///
    /// # Errors
    /// When none was.
    pub fn file(&self, name: &str) -> Result<&'static [u8], EnvError> {
        place::input_file(name).ok_or_else(|| EnvError::Device {
            name: name.to_string(),
            kind: "file to read",
            known: place::input_files(),
        })
    }

    /// The console.
    #[must_use]
    pub fn console(&self) -> crate::SystemConsole {
        crate::SystemConsole
    }

    /// A generator of random numbers of its own.
    #[must_use]
    pub fn random(&self) -> ChaCha {
        crate::random()
    }
}
