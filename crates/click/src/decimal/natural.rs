//! Natural numbers of any size.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Digits in base 2³², the least first; the last one is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

impl Natural {
    pub(super) fn new(value: u64) -> Self {
        let mut natural = Self(Vec::new());
        natural.push(value);
        natural
    }

    /// Appends a carry, which fits two digits.
    fn push(&mut self, mut carry: u64) {
        while carry != 0 {
            self.0.push(low(carry));
            carry >>= 32;
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bits it has, from its highest one.
    pub(super) fn bits(&self) -> usize {
        match self.0.last() {
            Some(last) => self.0.len() * 32 - last.leading_zeros() as usize,
            None => 0,
        }
    }

    pub(super) fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for digit in &mut self.0 {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = low(carry);
            carry >>= 32;
        }
        self.push(carry);
    }

    pub(super) fn multiply_power(&mut self, base: u32, exponent: usize) {
        for _ in 0..exponent {
            self.multiply_add(base, 0);
        }
    }

    pub(super) fn shift_left(&mut self, bits: usize) {
        self.multiply_add(1 << (bits % 32), 0);
        if !self.is_zero() {
            let zeros = core::iter::repeat_n(0, bits / 32);
            self.0.splice(0..0, zeros);
        }
    }

    /// Divides it and returns what is left.
    pub(super) fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0;
        for digit in self.0.iter_mut().rev() {
            let part = rest << 32 | u64::from(*digit);
            *digit = low(part / u64::from(divisor));
            rest = part % u64::from(divisor);
        }
        self.trim();
        low(rest)
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let digits = self.0.iter().rev();
        let length = self.0.len().cmp(&other.0.len());
        length.then_with(|| digits.cmp(other.0.iter().rev()))
    }

    /// Subtracts a number that is not larger.
    pub(super) fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        let others = other.0.iter().copied().chain(core::iter::repeat(0));
        for (digit, other) in self.0.iter_mut().zip(others) {
            let (part, first) = digit.overflowing_sub(other);
            let (part, second) = part.overflowing_sub(u32::from(borrow));
            *digit = part;
            borrow = first || second;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is carried on"
)]
fn low(value: u64) -> u32 {
    value as u32
}
