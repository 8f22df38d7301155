//! TCP over a link that loses frames: the outside connects, and has back what it sends.

use alloc::rc::Rc;
use core::cell::Cell;
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat::devices::Random as _;
use sprat::net::{Configuration, Ipv4, Options, Stack, TcpOptions};
use sprat::network::Device;
use sprat::packet::Batch;
use sprat::time::sleep;
use sprat::{Env, SystemClock};

use crate::Shown;

/// The address that a network in user mode gives its instance.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// The port of who says everything again.
const PORT: u16 = 7;

/// Of so many frames each way one is lost. With one of nine, what is sent again is lost again often enough
/// that now and then a peer gives up: each time it waits twice as long (RFC 6298, section 5.5).
const LOSS: u32 = 20;

pub(crate) fn show(property: &str) -> Option<Shown> {
    let losing = match property {
        "tcp-echo" => false,
        "tcp-with-loss" => true,
        _ => return None,
    };
    Some(match Env::take().frames("eth0") {
        Ok(device) => sprat::run(echo(device, losing)),
        Err(error) => Err(alloc::format!("{error}")),
    })
}

async fn echo(device: Device, losing: bool) -> Shown {
    let configuration = Configuration {
        ipv4: Ipv4::Static {
            address: ADDRESS,
            prefix: 24,
            gateway: None,
        },
        ..Configuration::default()
    };
    let mut seed = [0; 32];
    sprat::random().fill(&mut seed);
    let options = Options {
        configuration,
        ..Options::new(device.address(), seed)
    };
    let stack = Stack::new(options, sprat::network::pool(), Rc::new(SystemClock));
    let listener = stack
        .listen((Ipv4Addr::UNSPECIFIED, PORT), TcpOptions::default())
        .map_err(|error| alloc::format!("{error}"))?;
    let lost = Rc::new(Cell::new(0));
    sprat::spawn(carry(device, stack.clone(), losing, lost.clone())).detach();
    let wrong = |error: sprat::net::Error| alloc::format!("{error}");
    let (mut stream, _) = listener.accept().await;
    let mut bytes = alloc::vec![0; 4096];
    loop {
        match stream.read(&mut bytes).await.map_err(wrong)? {
            // The outside ends when it has everything.
            0 if losing && lost.get() == 0 => return Err("no frame was lost".into()),
            0 => return Ok(()),
            count => stream.write_all(&bytes[..count]).await.map_err(wrong)?,
        }
    }
}

/// Moves frames between a device and a stack, but for those that are lost.
async fn carry(mut device: Device, stack: Stack, losing: bool, lost: Rc<Cell<usize>>) {
    let (mut received, mut sent) = (Batch::new(), Batch::new());
    let mut chance = Chance(1);
    let mut lose = |frames: &mut Batch| {
        let count = frames.len();
        frames.retain(|_| !losing || !chance.comes());
        lost.set(lost.get() + count - frames.len());
    };
    loop {
        device.try_receive(&mut received, 64);
        lose(&mut received);
        let mut new = Batch::new();
        stack.poll(&mut received, &mut new, 64);
        lose(&mut new);
        sent.append(&mut new);
        device.try_send(&mut sent);
        sleep(Duration::from_millis(1)).await;
    }
}

/// What comes once in [`LOSS`] times, at the same times in each run. Were it every ninth time exactly,
/// what is sent again could be lost again, in step, until a peer gives up.
struct Chance(u32);

impl Chance {
    /// A linear congruential generator; its upper bits vary the most.
    fn comes(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16).is_multiple_of(LOSS)
    }
}
