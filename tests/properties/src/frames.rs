//! Frames: what comes in at `eth0` and goes out there.

use alloc::format;

use sprat::network::Device;
use sprat::packet::Batch;
use sprat::time::Instant;

use crate::{Shown, expect};

/// Frames handed over at a time.
const BATCH: usize = 64;

pub(crate) fn show(property: &str) -> Option<Shown> {
    let mut devices = sprat::network::take_all();
    Some(match property {
        // Every frame goes back as it is, until the outside asks for the end.
        "frames-echo" | "frames-shortest-and-longest" | "frames-many" => {
            echo(devices.into_iter().next())
        }
        "frames-names" => {
            let names: alloc::vec::Vec<_> = devices.iter().map(|device| device.name()).collect();
            expect(names == ["eth0", "eth1"], || format!("{names:?}"))
        }
        "frames-addresses" => {
            let addresses = devices.iter().map(|device| device.address());
            let ours = addresses.eq([[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]]);
            expect(ours, || "other addresses than were granted".into())
        }
        // From each device to the other.
        "frames-cross" => {
            let [first, second] = &mut devices[..] else {
                return Some(Err("there are not two devices".into()));
            };
            while !sprat::control::stopping() {
                pass(first, Some(second));
                pass(second, Some(first));
                if !first.has_frames() && !second.has_frames() {
                    sprat::wait_until(None);
                }
            }
            Ok(())
        }
        // One that is too long for the link is dropped, the next is sent.
        "frames-too-long" => {
            let Some(device) = devices.first_mut() else {
                return Some(Err("no device".into()));
            };
            let pool = sprat::network::pool();
            let mut frames = Batch::new();
            for length in [1515, 60] {
                let mut packet = pool.packet_uninitialised(64, length);
                packet.data_mut().fill(0x5a);
                frames.push(packet);
            }
            let taken = device.try_send(&mut frames);
            expect(taken == 2, || format!("{taken} taken"))
        }
        _ => return None,
    })
}

fn echo(device: Option<Device>) -> Shown {
    let mut device = device.ok_or("no device")?;
    while !sprat::control::stopping() {
        pass(&mut device, None);
        if !device.has_frames() {
            sprat::wait_until(None);
        }
    }
    Ok(())
}

/// Sends on what a device received, by another or by itself.
fn pass(from: &mut Device, mut to: Option<&mut Device>) {
    let mut frames = Batch::new();
    from.try_receive(&mut frames, BATCH);
    while !frames.is_empty() {
        match to.as_deref_mut() {
            Some(other) => other.try_send(&mut frames),
            None => from.try_send(&mut frames),
        };
        if !frames.is_empty() {
            sprat::wait_until(Some(Instant::from_nanoseconds(0)));
        }
    }
}
