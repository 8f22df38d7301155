//! Random numbers.

/// A source of random numbers that nobody outside can foretell.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);

    /// 64 random bits.
    fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, each as likely as the other; zero where `bound` is.
    fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Whatever lies past the last whole multiple would favour low numbers.
        let excess = (u64::MAX % bound + 1) % bound;
        loop {
            let number = self.next();
            if number <= u64::MAX - excess {
                return number % bound;
            }
        }
    }
}

impl<R: Random + ?Sized> Random for &mut R {
    fn fill(&mut self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// ChaCha20 (RFC 8439) over a seed. After each block the key is replaced by a part of what came
/// out, so that numbers given out before cannot be computed from what lies in memory later.
#[derive(Clone)]
pub struct ChaCha {
    key: [u32; 8],
    block: [u8; 64],
    /// Bytes of the block that were given out or are the next key.
    used: usize,
}

impl ChaCha {
    /// The generator of a seed, which should be secret and differ between runs.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            key: key(&seed),
            block: [0; 64],
            used: 64,
        }
    }

    fn refill(&mut self) {
        self.block = block(&self.key, 0, [0; 3]);
        if let Some(next) = self.block.first_chunk::<32>() {
            self.key = key(next);
        }
        self.block[..32].fill(0);
        self.used = 32;
    }
}

impl Random for ChaCha {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                self.refill();
            }
            *byte = core::mem::take(&mut self.block[self.used]);
            self.used += 1;
        }
    }
}

impl core::fmt::Debug for ChaCha {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("ChaCha(..)")
    }
}

fn key(bytes: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

/// RFC 8439, section 2.3.
fn block(key: &[u32; 8], counter: u32, nonce: [u32; 3]) -> [u8; 64] {
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let [n0, n1, n2] = nonce;
    let start = [
        0x6170_7865,
        0x3320_646e,
        0x7962_2d32,
        0x6b20_6574,
        k0,
        k1,
        k2,
        k3,
        k4,
        k5,
        k6,
        k7,
        counter,
        n0,
        n1,
        n2,
    ];
    let mut state = start;
    for _ in 0..10 {
        for column in 0..4 {
            quarter_round(&mut state, [column, column + 4, column + 8, column + 12]);
        }
        for diagonal in 0..4 {
            quarter_round(
                &mut state,
                [
                    diagonal,
                    4 + (diagonal + 1) % 4,
                    8 + (diagonal + 2) % 4,
                    12 + (diagonal + 3) % 4,
                ],
            );
        }
    }
    let mut out = [0; 64];
    for (bytes, (word, start)) in out.chunks_exact_mut(4).zip(state.iter().zip(start)) {
        bytes.copy_from_slice(&word.wrapping_add(start).to_le_bytes());
    }
    out
}

fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (sum, addend, target, rotation) in
        [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]
    {
        state[sum] = state[sum].wrapping_add(state[addend]);
        state[target] = (state[target] ^ state[sum]).rotate_left(rotation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_function_is_that_of_rfc_8439() {
        // Section 2.3.2.
        let seed: [u8; 32] = core::array::from_fn(|index| u8::try_from(index).unwrap_or(0));
        let out = block(&key(&seed), 1, [0x0900_0000, 0x4a00_0000, 0]);
        assert_eq!(
            out[..16],
            [
                0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20,
                0x71, 0xc4
            ]
        );
        assert_eq!(
            out[48..],
            [
                0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50,
                0x3c, 0x4e
            ]
        );
    }

    #[test]
    fn a_seed_gives_its_own_numbers_and_never_the_same_block_twice() {
        let mut one = ChaCha::new([1; 32]);
        let mut other = ChaCha::new([2; 32]);
        let first: [u64; 16] = core::array::from_fn(|_| one.next());
        let second: [u64; 16] = core::array::from_fn(|_| one.next());
        assert_ne!(first, second);
        assert_ne!(first, core::array::from_fn(|_| other.next()));
        let mut again = ChaCha::new([1; 32]);
        assert_eq!(first, core::array::from_fn(|_| again.next()));
    }

    #[test]
    fn a_bound_is_never_reached_and_everything_below_it_is() {
        let mut random = ChaCha::new([3; 32]);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[usize::try_from(random.below(5)).expect("small")] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }
}
