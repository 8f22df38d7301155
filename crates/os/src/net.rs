//! TCP, UDP and names over a network device.
//!
//! [`Env::network`](crate::Env::network) starts a task that moves frames between the device and a
//! [`Stack`]; the sockets are the stack's. See [`sprat_net`]. With the feature `tls`, `tls` encrypts
//! what goes over them.

use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::{Future as _, poll_fn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::pin::pin;
use core::task::{Context, Poll};

use sprat_devices::Random as _;
use sprat_packet::Batch;
use sprat_platform::Platform as _;

pub use sprat_net::*;

#[cfg(feature = "tls")]
pub mod tls;

use crate::EnvError;
use crate::network::Device;
use crate::parameters::Given;
use crate::target::platform;
use crate::time::{Instant, sleep_until};

/// Frames taken from a device, and given to it, in one turn.
const BATCH: usize = 256;

/// A stack over a device, and the task that works it.
// In the application's own future, what it needs for a moment would be far away in memory, and long
// instructions.
#[inline(never)]
pub(crate) fn start(device: Device, configuration: Configuration) -> Stack {
    let mut seed = [0; 32];
    crate::random().fill(&mut seed);
    let options = Options {
        frame_limit: device.frame_limit().min(1514),
        configuration,
        waits_for: crate::task::waits_for,
        ..Options::new(device.address(), seed)
    };
    let stack = Stack::new(options, platform().pool(), Rc::new(crate::SystemClock));
    STACKS.with(|stacks| stacks.borrow_mut().push((device.name(), stack.clone())));
    crate::spawn_named(device.name(), work(device, stack.clone())).detach();
    stack
}

crate::local::local! {
    /// Every stack, with the name of its device.
    static STACKS: RefCell<Vec<(&'static str, Stack)>> = RefCell::new(Vec::new());
}

/// Writes what all stacks have counted, as Prometheus text.
pub(crate) fn write_counters(out: &mut dyn core::fmt::Write) -> core::fmt::Result {
    STACKS.with(|stacks| {
        for (device, stack) in stacks.borrow().iter() {
            for (name, value) in stack.counters().iter() {
                writeln!(out, "network_{name}{{device=\"{device}\"}} {value}")?;
            }
            writeln!(
                out,
                "network_sockets{{device=\"{device}\"}} {}",
                stack.sockets()
            )?;
        }
        Ok(())
    })
}

/// Moves frames for ever.
async fn work(mut device: Device, stack: Stack) {
    let mut received = Batch::new();
    let mut sent = Batch::new();
    let mut timer = pin!(sleep_until(Instant::from_nanoseconds(u64::MAX)));
    poll_fn(|context| {
        if sent.is_empty() {
            device.try_receive(&mut received, BATCH);
            stack.poll(&mut received, &mut sent, BATCH);
        }
        device.try_send(&mut sent);
        device.wake_when_ready(context);
        if !sent.is_empty() {
            // The ring is full; the device wakes us when there is room again.
            return Poll::<()>::Pending;
        }
        if device.has_frames() || stack.wants_poll(context).is_ready() {
            // Those who were woken come first.
            return again(context);
        }
        if let Some(deadline) = stack.next_deadline() {
            timer.set(sleep_until(Instant::from_nanoseconds(deadline)));
            if timer.as_mut().poll(context).is_ready() {
                return again(context);
            }
        }
        crate::task::waits_for("frames, sockets and timers");
        Poll::Pending
    })
    .await;
}

fn again(context: &mut Context<'_>) -> Poll<()> {
    context.waker().wake_by_ref();
    Poll::Pending
}

/// What the boot parameters say about the network.
#[inline(never)]
pub(crate) fn configuration() -> Result<Configuration, EnvError> {
    // They were read once before the application began; what is not text was refused then.
    let given = Given::read(platform().parameters()).unwrap_or_default();
    let text = |name| given.text(name).unwrap_or_default();
    let mut configuration = Configuration {
        search: words(text("search"))
            .into_iter()
            .map(String::from)
            .collect(),
        ..Configuration::default()
    };
    for server in words(text("dns")) {
        let server = parse("dns", server, "addresses of name servers")?;
        configuration.name_servers.push(server);
    }
    let mut gateways = (None, None);
    for gateway in words(text("gateway")) {
        match parse("gateway", gateway, "the address of a gateway")? {
            IpAddr::V4(gateway) => gateways.0 = Some(gateway),
            IpAddr::V6(gateway) => gateways.1 = Some(gateway),
        }
    }
    let addresses = text("ip");
    if !addresses.is_empty() {
        configuration.ipv4 = Ipv4::Off;
    }
    for address in words(addresses) {
        set_address(&mut configuration, address, gateways)?;
    }
    Ok(configuration)
}

const ADDRESSES: &str = if cfg!(feature = "ipv6") {
    "dhcp, slaac, off, or addresses such as 10.0.0.2/24"
} else {
    "dhcp, off, or an IPv4 address such as 10.0.0.2/24; this image carries no IPv6"
};

fn set_address(
    configuration: &mut Configuration,
    text: &str,
    gateways: (Option<Ipv4Addr>, Option<Ipv6Addr>),
) -> Result<(), EnvError> {
    match text {
        "dhcp" => configuration.ipv4 = Ipv4::Dhcp,
        "off" => configuration.ipv4 = Ipv4::Off,
        "slaac" if cfg!(feature = "ipv6") => configuration.ipv6 = Ipv6::Slaac,
        _ => {
            let wrong = || wrong("ip", text, ADDRESSES);
            let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
            let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
            match parse_address(address).ok_or_else(wrong)? {
                IpAddr::V4(address) if prefix <= 32 => {
                    configuration.ipv4 = Ipv4::Static {
                        address,
                        prefix,
                        gateway: gateways.0,
                    };
                }
                IpAddr::V6(address) if prefix <= 128 && cfg!(feature = "ipv6") => {
                    configuration.ipv6 = Ipv6::Static {
                        address,
                        prefix,
                        gateway: gateways.1,
                    };
                }
                _ => return Err(wrong()),
            }
        }
    }
    Ok(())
}

// As a vector, and of bytes: an iterator that decodes characters would be copied to each use.
#[inline(never)]
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.as_bytes().split(|byte| matches!(byte, b',' | b' ')) {
        // What was cut where a whole character ends is text.
        if let Ok(word) = core::str::from_utf8(word)
            && !word.is_empty()
        {
            words.push(word);
        }
    }
    words
}

fn parse(name: &'static str, text: &str, expected: &'static str) -> Result<IpAddr, EnvError> {
    parse_address(text).ok_or_else(|| wrong(name, text, expected))
}

fn wrong(name: &'static str, value: &str, expected: &'static str) -> EnvError {
    EnvError::Parameter {
        name,
        value: value.to_string(),
        expected,
    }
}
