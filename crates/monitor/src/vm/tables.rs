//! Page tables of a sealed instance.
//!
//! They are computed as plain numbers and copied in; nothing maps them into the instance, so it can
//! neither read nor change them.

use crate::image::Protection;
use crate::memory::HUGE_PAGE;
use sprat_abi::PAGE_SIZE;

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const ENTRIES: u64 = 512;

/// One page of tables.
pub(crate) type Table = [u64; 512];

/// One stretch to map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) address: u64,
    /// Where it lies in the machine's memory.
    pub(crate) physical: u64,
    pub(crate) length: u64,
    pub(crate) protection: Protection,
    /// Whether the instance may use it, or only the exception stubs.
    pub(crate) user: bool,
}

/// The tables that map `stretches`; the first is the root. They are meant to lie one after the other
/// from `physical`.
pub(crate) fn build(stretches: &[Mapped], physical: u64) -> Vec<Table> {
    let mut tables = Builder {
        tables: vec![[0; 512]],
        physical,
    };
    for stretch in stretches {
        tables.map(stretch);
    }
    tables.tables
}

/// How many tables [`build`] makes at most: to set memory aside before it is known where things lie.
pub(crate) fn bound(stretches: &[(u64, u64)]) -> u64 {
    let spans = |size: u64| -> u64 {
        stretches
            .iter()
            .map(|(address, length)| (address + length).div_ceil(size) - address / size)
            .sum()
    };
    let large = |&(address, length): &(u64, u64)| {
        (length / HUGE_PAGE).saturating_sub(u64::from(!address.is_multiple_of(HUGE_PAGE)))
    };
    let saved: u64 = stretches.iter().map(large).sum();
    1 + spans(1 << 39) + spans(1 << 30) + spans(HUGE_PAGE) - saved
}

struct Builder {
    tables: Vec<Table>,
    physical: u64,
}

impl Builder {
    fn map(&mut self, stretch: &Mapped) {
        let mut leaf = PRESENT | ACCESSED;
        if stretch.user {
            leaf |= USER;
        }
        match stretch.protection {
            Protection::Read => leaf |= NO_EXECUTE,
            Protection::ReadWrite => leaf |= NO_EXECUTE | WRITE | DIRTY,
            Protection::ReadExecute => {}
        }
        let mut done = 0;
        while done < stretch.length {
            let (address, physical) = (stretch.address + done, stretch.physical + done);
            let fits = stretch.length - done >= HUGE_PAGE;
            let large =
                fits && address.is_multiple_of(HUGE_PAGE) && physical.is_multiple_of(HUGE_PAGE);
            let directory = self.descend(&[39, 30], address);
            if large {
                let index = slot(address, 21);
                debug_assert_eq!(self.tables[directory][index], 0, "nothing is mapped twice");
                self.tables[directory][index] = physical | leaf | LARGE;
                done += HUGE_PAGE;
            } else {
                let table = self.child(directory, slot(address, 21));
                let index = slot(address, 12);
                debug_assert_eq!(self.tables[table][index], 0, "nothing is mapped twice");
                self.tables[table][index] = physical | leaf;
                done += PAGE_SIZE;
            }
        }
    }

    /// The table that the root leads to through these levels.
    fn descend(&mut self, shifts: &[u32], address: u64) -> usize {
        shifts
            .iter()
            .fold(0, |table, &shift| self.child(table, slot(address, shift)))
    }

    /// The table that an entry leads to; made when there is none. Rights are left to the leaves.
    fn child(&mut self, table: usize, index: usize) -> usize {
        let entry = self.tables[table][index];
        if entry & PRESENT != 0 {
            return sprat_abi::length(((entry & ADDRESS) - self.physical) / PAGE_SIZE);
        }
        let child = self.tables.len();
        let physical = self.physical + child as u64 * PAGE_SIZE;
        self.tables.push([0; 512]);
        self.tables[table][index] = physical | PRESENT | WRITE | USER | ACCESSED;
        child
    }
}

fn slot(address: u64, shift: u32) -> usize {
    sprat_abi::length((address >> shift) % ENTRIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: u64 = 0x1000;

    /// What the processor finds for an address: physical address and leaf bits.
    fn walk(tables: &[Table], address: u64) -> Option<(u64, u64)> {
        let mut table = 0;
        for shift in [39, 30, 21, 12] {
            let entry = tables[table][slot(address, shift)];
            if entry & PRESENT == 0 {
                return None;
            }
            if shift == 12 || entry & LARGE != 0 {
                let within = address & ((1 << shift) - 1);
                return Some((
                    (entry & ADDRESS & !((1 << shift) - 1)) + within,
                    entry & !ADDRESS,
                ));
            }
            table = sprat_abi::length(((entry & ADDRESS) - ROOT) / PAGE_SIZE);
        }
        None
    }

    fn stretch(address: u64, physical: u64, length: u64, protection: Protection) -> Mapped {
        Mapped {
            address,
            physical,
            length,
            protection,
            user: true,
        }
    }

    #[test]
    fn every_stretch_has_its_rights_and_nothing_else_is_mapped() {
        let stretches = [
            stretch(0x20_1000, 0x10_0000, 0x2000, Protection::Read),
            stretch(0x20_3000, 0x20_0000, 0x1000, Protection::ReadExecute),
            stretch(0x2000_0000, 0x40_0000, 0x40_3000, Protection::ReadWrite),
            Mapped {
                user: false,
                ..stretch(0x20_0000, 0x30_0000, 0x1000, Protection::ReadExecute)
            },
        ];
        let tables = build(&stretches, ROOT);
        for s in &stretches {
            for page in (0..s.length).step_by(4096) {
                let (physical, bits) = walk(&tables, s.address + page + 5).expect("mapped");
                assert_eq!(physical, s.physical + page + 5);
                assert_eq!(bits & USER != 0, s.user);
                assert_eq!(bits & WRITE != 0, s.protection == Protection::ReadWrite);
                assert_eq!(
                    bits & NO_EXECUTE == 0,
                    s.protection == Protection::ReadExecute
                );
            }
            assert!(
                walk(&tables, s.address + s.length)
                    .is_none_or(|(to, _)| to != s.physical + s.length)
            );
        }
        assert_eq!(walk(&tables, 0), None);
        assert_eq!(walk(&tables, 0x1f_ffff), None);
        assert_eq!(walk(&tables, 0x20_4000), None);
        assert_eq!(walk(&tables, 0x2040_3000), None);
        assert_eq!(walk(&tables, 0x4000_0000), None);
    }

    #[test]
    fn big_stretches_take_large_pages() {
        let tables = build(
            &[stretch(
                0x2000_0000,
                0x40_0000,
                64 << 20,
                Protection::ReadWrite,
            )],
            ROOT,
        );
        assert_eq!(tables.len(), 3);
        let (_, bits) = walk(&tables, 0x2000_0000).expect("mapped");
        assert_ne!(bits & LARGE, 0);
    }

    #[test]
    fn the_bound_holds() {
        let cases: [&[(u64, u64)]; 3] = [
            &[
                (0x20_0000, 0x1000),
                (0x20_4000, 0x5_0000),
                (0x100_0000, 0x9_0000),
                (0x2000_0000, 64 << 20),
            ],
            &[(0x3fff_f000, 0x2000), (0x7f_ffff_f000, 0x3000)],
            &[
                (0x2000_0000, (64 << 20) + 4096),
                (0x2800_0000, 4096),
                (0x2820_0000, (3 << 20)),
            ],
        ];
        for case in cases {
            let stretches: Vec<Mapped> = case
                .iter()
                .map(|&(address, length)| stretch(address, address, length, Protection::Read))
                .collect();
            assert!(
                build(&stretches, 0).len() as u64 <= bound(case),
                "{case:x?}"
            );
        }
    }
}
