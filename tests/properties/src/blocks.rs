//! Blocks of the device `data`: 64 of them, of which each begins with its number.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use sprat::devices::{Block as _, BlockError};
use sprat::{BlockDevice, Env};

use crate::{Shown, expect};

/// Bytes of a block.
const BLOCK: usize = 512;

pub(crate) fn show(property: &str) -> Option<Shown> {
    let device = match Env::take().block("data") {
        Ok(device) => device,
        Err(error) => return Some(Err(format!("{error}"))),
    };
    Some(match property {
        "block-size" => {
            let sizes = (device.block_size(), device.block_count());
            expect(sizes == (BLOCK, 64), || format!("{sizes:?}"))
        }
        "block-read" => sprat::run(read(device)),
        "block-write" => sprat::run(async move {
            // Longer than one request, and not from the first block on.
            let written: Vec<u8> = (0..60 * BLOCK)
                .map(|at| (at * 31 / 7).to_le_bytes()[0])
                .collect();
            device.write(3, &written).await.map_err(failed)?;
            device.flush().await.map_err(failed)?;
            let mut read = vec![0; written.len()];
            device.read(3, &mut read).await.map_err(failed)?;
            expect(read == written, || "other bytes came back".into())
        }),
        "block-order" => sprat::run(order(device)),
        "block-many" => sprat::run(many(device)),
        "block-outside" => sprat::run(async move {
            let mut block = [0; 2 * BLOCK];
            for first in [63, 64, u64::MAX] {
                let outside = [
                    device.read(first, &mut block).await,
                    device.write(first, &block).await,
                ];
                expect(outside == [Err(BlockError::OutOfRange); 2], || {
                    format!("from {first}: {outside:?}")
                })?;
            }
            // And the device goes on.
            read(device).await
        }),
        "block-read-only" => sprat::run(async move {
            let written = device.write(0, &[0xff; BLOCK]).await;
            expect(written == Err(BlockError::ReadOnly), || {
                format!("{written:?}")
            })?;
            read(device).await
        }),
        _ => return None,
    })
}

fn failed(error: BlockError) -> alloc::string::String {
    format!("{error:?}")
}

/// Every block begins with its number, read one by one and all at once.
async fn read(device: BlockDevice) -> Shown {
    let mut all = vec![0; 64 * BLOCK];
    device.read(0, &mut all).await.map_err(failed)?;
    for (number, expected) in (0..64).zip(all.chunks_exact(BLOCK)) {
        let mut block = [0; BLOCK];
        device.read(number, &mut block).await.map_err(failed)?;
        expect(block == expected, || {
            format!("block {number} is another one alone than with others")
        })?;
        expect(block[..8] == number.to_le_bytes(), || {
            format!("block {number} begins with {:?}", &block[..8])
        })?;
    }
    Ok(())
}

/// A block that is written over and over has what was written last, though nobody waits in between.
async fn order(device: BlockDevice) -> Shown {
    /// So few that none of them has to wait for room.
    const SEVERAL: u8 = 6;
    let tasks: Vec<_> = (1..=SEVERAL)
        .map(|value| {
            let device = device.clone();
            sprat::spawn(async move {
                let mut block = [0; BLOCK];
                device.write(7, &[value; BLOCK]).await.map_err(failed)?;
                device.read(7, &mut block).await.map_err(failed)?;
                Ok::<_, alloc::string::String>(block[0])
            })
        })
        .collect();
    for (value, task) in (1..).zip(tasks) {
        let read = task.await?;
        // Others may have written meanwhile, later ones alone.
        expect(read >= value, || format!("{read} after {value}"))?;
    }
    let mut block = [0; BLOCK];
    device.read(7, &mut block).await.map_err(failed)?;
    expect(block == [SEVERAL; BLOCK], || {
        format!("{} is left", block[0])
    })
}

/// More requests than there is room for at a time are all done.
async fn many(device: BlockDevice) -> Shown {
    let done = Rc::new(RefCell::new(0_u64));
    let tasks: Vec<_> = (0..200_u64)
        .map(|number| {
            let (device, done) = (device.clone(), done.clone());
            sprat::spawn(async move {
                let mut block = [0; BLOCK];
                let first = number % 64;
                device.read(first, &mut block).await.map_err(failed)?;
                expect(block[..8] == first.to_le_bytes(), || {
                    format!("block {first} begins with {:?}", &block[..8])
                })?;
                *done.borrow_mut() += 1;
                Ok::<_, alloc::string::String>(())
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    let done = *done.borrow();
    expect(done == 200, || format!("{done} are done"))
}
