//! What `#[sprat::main]` becomes.

use sprat_abi::boot::DeviceKind;
use sprat_abi::manifest::{ManifestBuilder, Memory, NetworkSizes};
use sprat_platform::Platform as _;

use crate::target::Current;

/// How much a service wants, as the attribute says it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    memory: Memory,
    network: NetworkSizes,
}

impl Sizes {
    /// What a service gets that says nothing.
    pub const DEFAULT: Self = Self {
        memory: Memory::DEFAULT,
        network: NetworkSizes::DEFAULT,
    };

    /// Bytes of heap.
    #[must_use]
    pub const fn heap(mut self, bytes: u64) -> Self {
        self.memory.heap = bytes;
        self
    }

    /// Bytes of stack.
    #[must_use]
    pub const fn stack(mut self, bytes: u64) -> Self {
        self.memory.stack = bytes;
        self
    }

    /// Frames that all network devices may hold; a quarter of them are for sending.
    #[must_use]
    pub const fn buffers(mut self, count: u32) -> Self {
        self.network.buffers = count;
        self.network.own_buffers = count / 4;
        self
    }
}

/// Adds what a service wants to its manifest.
#[doc(hidden)]
#[must_use]
pub const fn wants(
    builder: ManifestBuilder,
    needs: &[(&str, DeviceKind)],
    takes: &[(&str, DeviceKind)],
    sizes: Sizes,
) -> ManifestBuilder {
    let builder = builder.memory(sizes.memory).network_sizes(sizes.network);
    devices(devices(builder, needs, true), takes, false)
}

/// Adds devices to a manifest.
const fn devices(
    mut builder: ManifestBuilder,
    devices: &[(&str, DeviceKind)],
    required: bool,
) -> ManifestBuilder {
    let mut index = 0;
    while index < devices.len() {
        let (name, kind) = devices[index];
        builder = builder.device(name, kind, required);
        index += 1;
    }
    builder
}

/// Says which devices a service cannot do without, before it begins: an ordinary program makes its
/// networks by it.
#[doc(hidden)]
pub fn announce(needs: &[(&'static str, DeviceKind)]) {
    #[cfg(not(sprat_target = "vm"))]
    for (name, kind) in needs {
        if *kind == DeviceKind::Network {
            sprat_platform_unix::need_network(name);
        }
    }
    // A monitor reads them in the manifest.
    #[cfg(sprat_target = "vm")]
    let _ = needs;
}

/// Whether devices of a kind can be had on this target.
#[doc(hidden)]
#[must_use]
pub const fn is_offered(kind: DeviceKind) -> bool {
    let mut index = 0;
    while index < Current::OFFERS.len() {
        if Current::OFFERS[index] as u16 == kind as u16 {
            return true;
        }
        index += 1;
    }
    false
}

/// Makes an asynchronous function the beginning of the program: what `#[sprat::main]` becomes.
#[doc(hidden)]
#[macro_export]
macro_rules! service {
    (
        function: $function:ident,
        arguments: [$($argument:ident)*],
        parameters: $parameters:ty,
        needs: [$($name:literal: $kind:ident,)*],
        takes: [$($taken:literal: $of:ident,)*],
        sizes: [$($size:ident = $value:expr,)*],
    ) => {
        $crate::manifest! {
            parameters: $parameters,
            |manifest| $crate::service::wants(
                manifest,
                &[$(($name, $crate::abi::boot::DeviceKind::$kind)),*],
                &[$(($taken, $crate::abi::boot::DeviceKind::$of)),*],
                $crate::service::Sizes::DEFAULT$(.$size($value))*,
            )
        }

        $(const _: () = assert!(
            $crate::service::is_offered($crate::abi::boot::DeviceKind::$kind),
            concat!(
                "the need '", $name, ": ", stringify!($kind), "' cannot be met on the target ",
                $crate::target_name!(),
            ),
        );)*

        $crate::entry!(@entry {
            $crate::service::announce(&[$(($name, $crate::abi::boot::DeviceKind::$kind)),*]);
            $crate::start_async::<$parameters, _>(|options| {
                let env = $crate::Env::take();
                async move { $crate::service!(@call $function env options [$($argument)*]).await }
            })
        });
    };
    (@call $function:ident $env:ident $options:ident []) => {{
        let _ = ($env, $options);
        $function()
    }};
    (@call $function:ident $env:ident $options:ident [env]) => {{
        let () = $options;
        $function($env)
    }};
    (@call $function:ident $env:ident $options:ident [env options]) => {
        $function($env, $options)
    };
}
