//! How a device is divided: two blocks that each may say which log counts, then the two logs.

use alloc::vec;
use sprat_devices::Block;

use crate::LogError;
use crate::checksum::crc32c;

const MAGIC: [u8; 8] = *b"SPRATLOG";

const VERSION: u32 = 1;

/// Bytes of a head: magic, version, half, generation, nonce, checksum.
const HEAD: usize = 36;

/// Blocks before the two halves.
const HEADS: u64 = 2;

/// Blocks of a half at the least.
const LEAST: u64 = 4;

/// How a device is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) block_size: usize,
    /// Blocks of each half.
    pub(crate) half: u64,
}

impl Layout {
    pub(crate) fn of(block: &impl Block) -> Result<Self, LogError> {
        let (block_size, count) = (block.block_size(), block.block_count());
        let half = count.saturating_sub(HEADS) / 2;
        // Places in a half are counted in bytes.
        let sound = block_size.is_power_of_two()
            && block_size >= HEAD
            && half.checked_mul(block_size as u64).is_some();
        match sound && half >= LEAST {
            true => Ok(Self { block_size, half }),
            false => Err(LogError::Small),
        }
    }

    /// The first block of a half.
    pub(crate) fn start(&self, half: Half) -> u64 {
        match half {
            Half::First => HEADS,
            Half::Second => HEADS + self.half,
        }
    }

    /// Bytes of a half.
    pub(crate) fn bytes(&self) -> u64 {
        self.half * self.block_size as u64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    First,
    Second,
}

impl Half {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Says that the log in one half counts. Of two, the later one is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) half: Half,
    pub(crate) generation: u64,
    /// Tells this log from all that were in the same blocks before.
    pub(crate) nonce: u64,
}

enum Found {
    Nothing,
    Head(Head),
    /// A head that was not written whole.
    Torn,
}

impl Head {
    /// The head of the log that counts; none on a device that holds nothing.
    pub(crate) async fn read(block: &impl Block) -> Result<Option<Self>, LogError> {
        let mut heads = [None; 2];
        let mut torn = 0;
        for (place, head) in (0..).zip(&mut heads) {
            let mut bytes = vec![0; block.block_size()];
            block.read(place, &mut bytes).await?;
            match Self::from_bytes(&bytes)? {
                Found::Head(found) => *head = Some(found),
                Found::Nothing => {}
                Found::Torn => torn += 1,
            }
        }
        let latest = heads
            .into_iter()
            .flatten()
            .max_by_key(|head| head.generation);
        // The first head may be torn, before there is a log; afterwards one of the two is whole.
        match latest.is_none() && torn > 1 {
            true => Err(LogError::Damaged),
            false => Ok(latest),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Found, LogError> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(LogError::Small);
        };
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Found::Nothing);
        }
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, v2, v3, half @ ..] = *head;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC || rest.iter().any(|byte| *byte != 0) {
            return Err(LogError::Foreign);
        }
        let version = u32::from_le_bytes([v0, v1, v2, v3]);
        let [half, _, _, _, g0, g1, g2, g3, g4, g5, g6, g7, nonce @ ..] = half;
        let [n0, n1, n2, n3, n4, n5, n6, n7, sum @ ..] = nonce;
        if u32::from_le_bytes(sum) != crc32c(0, &head[..HEAD - 4]) {
            return Ok(Found::Torn);
        }
        if version != VERSION {
            return Err(LogError::Version(version));
        }
        Ok(Found::Head(Self {
            half: if half == 0 { Half::First } else { Half::Second },
            generation: u64::from_le_bytes([g0, g1, g2, g3, g4, g5, g6, g7]),
            nonce: u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
        }))
    }

    /// Writes it over the one before the last, and waits until it lasts.
    pub(crate) async fn write(&self, block: &impl Block) -> Result<(), LogError> {
        let mut bytes = vec![0; block.block_size()];
        let half = [u8::from(self.half == Half::Second), 0, 0, 0];
        let mut at = 0;
        for part in [
            &MAGIC[..],
            &VERSION.to_le_bytes(),
            &half,
            &self.generation.to_le_bytes(),
            &self.nonce.to_le_bytes(),
        ] {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let sum = crc32c(0, &bytes[..at]);
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        block.write(self.generation % 2, &bytes).await?;
        block.flush().await?;
        Ok(())
    }

    /// What the checksums of its log begin with.
    pub(crate) fn seed(&self) -> u32 {
        let seed = crc32c(0, &self.generation.to_le_bytes());
        crc32c(seed, &self.nonce.to_le_bytes())
    }
}
