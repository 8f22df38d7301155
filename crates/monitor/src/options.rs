//! What an instance is started with.

use sprat_abi::boot::{DeviceKind, MAX_DEVICES};
use sprat_abi::manifest::{ANY_NAME, Manifest, NetworkSizes};
use std::fs::File;
use std::sync::Arc;

/// What an instance is started with. The default grants nothing and takes the manifest's sizes.
#[derive(Debug, Default)]
pub struct Options {
    /// The configuration text.
    pub configuration: Vec<u8>,
    /// Boot parameters, name and value.
    pub parameters: Vec<(String, String)>,
    /// The devices granted. Their order is that of the instance's device table.
    pub devices: Vec<Grant>,
    /// Bytes of heap instead of what the manifest asks for.
    pub heap: Option<u64>,
    /// Pool and ring sizes instead of what the manifest asks for.
    pub network: Option<NetworkSizes>,
    /// Put the buffer pool on huge pages: 2 MiB at the least. Without hardware virtualization, frames
    /// of 64 bytes pass some four hundredths faster so and long ones no faster, for four to five
    /// times the memory of an idle instance. So nobody gets them unasked.
    pub huge_pool: bool,
    /// The random bytes the instance is given, instead of fresh ones: for runs that repeat.
    pub seed: Option<[u8; 32]>,
}

/// A device granted to an instance.
#[derive(Debug)]
pub struct Grant {
    /// Its name, for a file the path as the user wrote it.
    pub name: String,
    /// What it is.
    pub device: GrantedDevice,
}

/// What a granted device is.
#[derive(Debug)]
pub enum GrantedDevice {
    /// Sends and receives Ethernet frames.
    Network {
        /// Its own Ethernet address.
        address: [u8; 6],
        /// Longest frame in bytes, Ethernet header included.
        frame_limit: u32,
        /// Bits of [`sprat_abi::boot::features`].
        features: u64,
    },
    /// Reads and writes blocks of [`sprat_abi::block::BLOCK_SIZE`] bytes, which the file holds from its
    /// start.
    Block {
        /// The file, open for reading, and for writing where the device can be written. Who else uses
        /// it meanwhile is for its owner to see to.
        file: Arc<File>,
        /// How many blocks there are.
        blocks: u64,
        /// Whether they cannot be written.
        read_only: bool,
    },
    /// A file to read. It must not shrink while the instance lives.
    InputFile(File),
    /// A file to write; [`Shared::read_output`](crate::Shared::read_output) has what comes out.
    OutputFile,
}

impl GrantedDevice {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        match self {
            Self::Network { .. } => DeviceKind::Network,
            Self::Block { .. } => DeviceKind::Block,
            Self::InputFile(_) => DeviceKind::InputFile,
            Self::OutputFile => DeviceKind::OutputFile,
        }
    }
}

/// What was granted does not go with what the image wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The image cannot do without a device that was not granted.
    #[error("the image cannot do without the {kind} device `{name}`, which was not granted", kind = .kind.name())]
    MissingDevice {
        /// Its name in the manifest.
        name: String,
        /// Its kind.
        kind: DeviceKind,
    },
    /// A device was granted that the image does not want.
    #[error("the image wants no {kind} device `{name}`", kind = .kind.name())]
    UnwantedDevice {
        /// Its name as granted.
        name: String,
        /// Its kind.
        kind: DeviceKind,
    },
    /// Two devices of one kind have one name.
    #[error("the {kind} device `{name}` is granted twice", kind = .kind.name())]
    DuplicateDevice {
        /// The name.
        name: String,
        /// The kind.
        kind: DeviceKind,
    },
    /// More devices than a device table has room for.
    #[error("{0} devices are granted, and an instance has {MAX_DEVICES} at most")]
    TooManyDevices(usize),
    /// The image cannot do without a parameter that was not given.
    #[error("the parameter `{0}` must be given")]
    MissingParameter(String),
    /// A parameter was given that the image does not take.
    #[error("the image takes no parameter `{0}`")]
    UnknownParameter(String),
    /// A parameter cannot be passed: an empty name, `=` in the name, or a zero byte.
    #[error(
        "the parameter `{0}` cannot be passed: a name is not empty and has no `=`, and no zero byte is allowed"
    )]
    BadParameter(String),
    /// Pool or ring sizes that cannot be.
    #[error("the {what} cannot be {value}")]
    BadSize {
        /// Which size.
        what: &'static str,
        /// What it was to be.
        value: u64,
    },
}

impl Options {
    /// Checks that the grants and parameters go with what an image wants.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self, manifest: &Manifest<'_>) -> Result<(), OptionsError> {
        if self.devices.len() > MAX_DEVICES {
            return Err(OptionsError::TooManyDevices(self.devices.len()));
        }
        for (index, grant) in self.devices.iter().enumerate() {
            let kind = grant.device.kind();
            let same = |other: &Grant| other.device.kind() == kind && other.name == grant.name;
            if self.devices[..index].iter().any(same) {
                return Err(OptionsError::DuplicateDevice {
                    name: grant.name.clone(),
                    kind,
                });
            }
            let wanted = |name: &str| name == ANY_NAME || name == grant.name;
            if !manifest
                .devices()
                .any(|device| device.kind == kind as u16 && wanted(device.name))
            {
                return Err(OptionsError::UnwantedDevice {
                    name: grant.name.clone(),
                    kind,
                });
            }
        }
        for device in manifest.devices().filter(|device| device.required) {
            let Some(kind) = DeviceKind::from_value(device.kind) else {
                continue;
            };
            let granted = |grant: &Grant| {
                grant.device.kind() == kind
                    && (device.name == ANY_NAME || grant.name == device.name)
            };
            if !self.devices.iter().any(granted) {
                return Err(OptionsError::MissingDevice {
                    name: device.name.into(),
                    kind,
                });
            }
        }
        self.check_parameters(manifest)?;
        if let Some(sizes) = self.network {
            check_sizes(sizes)?;
        }
        Ok(())
    }

    fn check_parameters(&self, manifest: &Manifest<'_>) -> Result<(), OptionsError> {
        for (name, value) in &self.parameters {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(OptionsError::BadParameter(name.clone()));
            }
            if !manifest
                .parameters()
                .any(|taken| taken.name == ANY_NAME || taken.name == name)
            {
                return Err(OptionsError::UnknownParameter(name.clone()));
            }
        }
        let missing = manifest.parameters().find(|taken| {
            taken.default.is_none()
                && taken.name != ANY_NAME
                && !self.parameters.iter().any(|(name, _)| name == taken.name)
        });
        match missing {
            Some(parameter) => Err(OptionsError::MissingParameter(parameter.name.into())),
            None => Ok(()),
        }
    }
}

fn check_sizes(sizes: NetworkSizes) -> Result<(), OptionsError> {
    let bad = |what, value: u32| {
        Err(OptionsError::BadSize {
            what,
            value: u64::from(value),
        })
    };
    if !(16..=1 << 20).contains(&sizes.buffers) {
        return bad("number of buffers", sizes.buffers);
    }
    if sizes.own_buffers > sizes.buffers {
        return bad("number of own buffers", sizes.own_buffers);
    }
    if !sizes.ring_slots.is_power_of_two() || !(16..=1 << 16).contains(&sizes.ring_slots) {
        return bad("ring size", sizes.ring_slots);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sprat_abi::manifest::{ManifestBuilder, ParameterType};

    const WANTS: ManifestBuilder = ManifestBuilder::new("sample", "1")
        .device("eth0", DeviceKind::Network, true)
        .device(ANY_NAME, DeviceKind::OutputFile, false)
        .parameter("gateway", ParameterType::Address, None, "")
        .parameter("verbose", ParameterType::Flag, Some("false"), "");

    fn network(name: &str) -> Grant {
        let device = GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, 1],
            frame_limit: 1514,
            features: 0,
        };
        Grant {
            name: name.into(),
            device,
        }
    }

    fn output(name: &str) -> Grant {
        Grant {
            name: name.into(),
            device: GrantedDevice::OutputFile,
        }
    }

    #[test]
    fn grants_must_go_with_the_manifest() {
        let manifest = Manifest::parse(WANTS.description()).expect("well formed");
        let gateway = || vec![("gateway".to_owned(), "10.0.0.1".to_owned())];
        let (network_kind, output_kind) = (DeviceKind::Network, DeviceKind::OutputFile);
        let cases = [
            (
                vec![network("eth0"), output("a"), output("b")],
                gateway(),
                Ok(()),
            ),
            (
                vec![],
                gateway(),
                Err(OptionsError::MissingDevice {
                    name: "eth0".into(),
                    kind: network_kind,
                }),
            ),
            (
                vec![network("eth0"), network("eth1")],
                gateway(),
                Err(OptionsError::UnwantedDevice {
                    name: "eth1".into(),
                    kind: network_kind,
                }),
            ),
            (
                vec![network("eth0"), output("a"), output("a")],
                gateway(),
                Err(OptionsError::DuplicateDevice {
                    name: "a".into(),
                    kind: output_kind,
                }),
            ),
            (
                vec![network("eth0")],
                vec![],
                Err(OptionsError::MissingParameter("gateway".into())),
            ),
            (
                vec![network("eth0")],
                [gateway(), vec![("nonsense".into(), String::new())]].concat(),
                Err(OptionsError::UnknownParameter("nonsense".into())),
            ),
        ];
        for (devices, parameters, expected) in cases {
            let options = Options {
                devices,
                parameters,
                ..Options::default()
            };
            assert_eq!(options.check(&manifest), expected);
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let sizes = NetworkSizes::DEFAULT;
        assert!(check_sizes(sizes).is_ok());
        assert!(
            check_sizes(NetworkSizes {
                ring_slots: 1000,
                ..sizes
            })
            .is_err()
        );
        assert!(
            check_sizes(NetworkSizes {
                buffers: 3,
                ..sizes
            })
            .is_err()
        );
        assert!(
            check_sizes(NetworkSizes {
                own_buffers: 4096,
                ..sizes
            })
            .is_err()
        );
    }
}
