//! Tells the host one lie in a ring; its configuration says which. Without one, it sends a buffer that there
//! is not.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]

use sealed::sprat_abi;
use sprat_abi::boot::{Area, Device};
use sprat_abi::control::{self, MessageHead};
use sprat_abi::frame::{FrameHead, MAX_CHAIN, Slot};
use sprat_abi::guest::Contract;
use sprat_abi::pointer;
use sprat_abi::ring::{Producer, RING_HEADER};

sealed::main!(lies);

/// Places of the two index lines in a ring.
const PRODUCER: u64 = 0;
const CONSUMER: u64 = 64;

/// Writes an index of a ring.
fn set_index(ring: Area, line: u64, value: u32) {
    // SAFETY: the line is the contract's, and writable.
    unsafe {
        pointer(ring.address + line)
            .cast::<u32>()
            .write_volatile(value)
    };
}

/// The ring of the file it may write.
fn file_ring(contract: &Contract) -> Area {
    let ring = contract.devices().find_map(|(_, _, device)| match device {
        Device::OutputFile(file) => Some(file.ring),
        _ => None,
    });
    ring.unwrap_or_default()
}

fn send(contract: &Contract, slots: &[Slot]) {
    let Some(network) = sealed::network(contract) else {
        return;
    };
    // SAFETY: the only sides in this image.
    if let Some((_, mut transmit)) = unsafe { contract.network(&network) } {
        let _ = transmit.push(slots);
    }
}

fn supply(contract: &Contract, buffers: &[u32]) {
    // SAFETY: the only producer in this image.
    let ring: Option<Producer<u32>> = unsafe { contract.supply() };
    if let Some(mut ring) = ring {
        let _ = ring.push(buffers);
    }
}

fn lies(contract: Contract) -> i32 {
    let page = contract.page();
    let own = page.first_own_buffer;
    let honest = Slot {
        buffer: own,
        length: 60,
        ..Slot::default()
    };
    let chained = Slot {
        flags: Slot::CHAINED,
        ..honest
    };
    let Some(network) = sealed::network(&contract) else {
        return 2;
    };
    match contract.configuration() {
        b"receive index" => set_index(network.receive, CONSUMER, 5),
        b"transmit index" => set_index(network.transmit, PRODUCER, 1 << 31),
        b"transmit buffer" | b"" => send(
            &contract,
            &[Slot {
                buffer: u32::MAX,
                ..honest
            }],
        ),
        b"transmit offset" => send(
            &contract,
            &[Slot {
                offset: 1925,
                ..honest
            }],
        ),
        b"transmit length" => send(
            &contract,
            &[Slot {
                length: u16::MAX,
                ..honest
            }],
        ),
        b"transmit twice" => send(&contract, &[honest, honest]),
        b"transmit not its own" => send(
            &contract,
            &[Slot {
                buffer: 1,
                ..honest
            }],
        ),
        b"transmit open chain" => send(&contract, &[chained]),
        b"transmit long chain" => {
            let mut slots = [chained; MAX_CHAIN + 4];
            for (slot, buffer) in slots.iter_mut().zip(own..) {
                slot.buffer = buffer;
            }
            send(&contract, &slots);
        }
        b"supply index" => set_index(page.supply, PRODUCER, u32::MAX),
        b"supply buffer" => supply(&contract, &[own, page.buffer_count]),
        b"supply twice" => supply(&contract, &[own, own]),
        b"console index" => set_index(page.console, PRODUCER, 1 << 20),
        b"file index" => {
            set_index(file_ring(&contract), PRODUCER, 1 << 30);
        }
        b"request index" => set_index(page.control_requests, CONSUMER, 77),
        b"answer index" => set_index(page.control_responses, PRODUCER, u32::MAX),
        b"answer length" => {
            // The head of a message that claims more than there is.
            let data_length = page.control_responses.address + RING_HEADER as u64 + 20;
            // SAFETY: inside the ring.
            unsafe { pointer(data_length).cast::<u32>().write_volatile(u32::MAX) };
            set_index(page.control_responses, PRODUCER, 24);
        }
        b"answer cut" => {
            // The head of a message that says it is longer than what was put in.
            let data_length = page.control_responses.address + RING_HEADER as u64 + 20;
            // SAFETY: inside the ring.
            unsafe { pointer(data_length).cast::<u32>().write_volatile(1000) };
            set_index(page.control_responses, PRODUCER, 32);
        }
        b"answer head" => set_index(page.control_responses, PRODUCER, 8),
        b"host's own indexes" => {
            for (ring, line) in [
                (network.receive, PRODUCER),
                (network.transmit, CONSUMER),
                (page.supply, CONSUMER),
                (page.console, CONSUMER),
                (file_ring(&contract), CONSUMER),
                (page.control_requests, PRODUCER),
                (page.control_responses, CONSUMER),
            ] {
                set_index(ring, line, 0xdead_beef);
            }
        }
        b"fields without meaning" => {
            let everything = Slot {
                flags: !Slot::CHAINED,
                reserved: u16::MAX,
                metadata: u32::MAX,
                ..honest
            };
            // SAFETY: the head of a buffer that is the instance's.
            unsafe {
                contract
                    .pool()
                    .head(own)
                    .cast::<[u8; FrameHead::SIZE]>()
                    .write([0xff; _])
            };
            send(&contract, &[everything]);
            // SAFETY: the only side in this image.
            if let Some((_, mut answers)) = unsafe { contract.control() } {
                let head = MessageHead {
                    id: u64::MAX,
                    kind: u16::MAX,
                    flags: u16::MAX,
                    status: u32::MAX,
                    ..MessageHead::default()
                };
                let _ = control::send(&mut answers, head, b"\xff\xfe", &[0xff; 100]);
            }
        }
        b"statistics" => {
            let region = page.statistics;
            // SAFETY: the region is the instance's to write.
            unsafe { pointer(region.address).write_bytes(0xff, sprat_abi::length(region.length)) };
        }
        _ => return 3,
    }
    contract.yield_until(sprat_abi::call::NO_DEADLINE);
    0
}
