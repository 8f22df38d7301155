//! Where everything lies in a machine's memory.

use super::supervisor;
use super::tables::{self, Mapped};
use crate::image::Image;
use crate::layout::{Content, Plan, SUPERVISOR_ADDRESS};
use crate::memory::{HUGE_PAGE, Mapping, SystemError};
use crate::options::{GrantedDevice, Options};
use sprat_abi::PAGE_SIZE;
use std::os::fd::AsFd;

/// Memory comes in steps of so many bytes: machines that are ready fit instances that are alike.
const MEMORY_STEP: u64 = 16 << 20;

/// Where everything lies in the machine's memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) tables: u64,
    pub(super) tables_bound: u64,
    pub(super) supervisor: u64,
    pub(super) contract: u64,
    pub(super) pool: u64,
    pub(super) image: u64,
    pub(super) length: u64,
    pub(super) mapped: Vec<Mapped>,
}

impl Places {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut stretches: Vec<_> = plan
            .pieces
            .iter()
            .map(|piece| (piece.address, piece.length))
            .collect();
        stretches.push((SUPERVISOR_ADDRESS, supervisor::LENGTH));
        let tables_bound = tables::bound(&stretches);
        let mut end = 0;
        let mut take = |length: u64, alignment: u64| {
            let at = u64::next_multiple_of(end, alignment);
            end = at + length.next_multiple_of(PAGE_SIZE);
            at
        };
        let tables = take(tables_bound * PAGE_SIZE, PAGE_SIZE);
        let supervisor = take(supervisor::LENGTH, PAGE_SIZE);
        let contract = take(plan.contract_length, PAGE_SIZE);
        let image = take(plan.boot.image.length, PAGE_SIZE);
        let mut mapped = vec![
            Mapped {
                address: SUPERVISOR_ADDRESS,
                physical: supervisor,
                length: PAGE_SIZE,
                protection: crate::Protection::ReadExecute,
                user: false,
            },
            Mapped {
                address: SUPERVISOR_ADDRESS + PAGE_SIZE,
                physical: supervisor + PAGE_SIZE,
                length: PAGE_SIZE,
                protection: crate::Protection::ReadWrite,
                user: false,
            },
        ];
        let mut pool = 0;
        // Small things first, then the big ones, each aligned for huge pages.
        let mut pieces: Vec<_> = plan.pieces.iter().collect();
        pieces.sort_by_key(|piece| piece.length >= HUGE_PAGE);
        for piece in pieces {
            let alignment = if piece.length >= HUGE_PAGE {
                HUGE_PAGE
            } else {
                PAGE_SIZE
            };
            let physical = match piece.content {
                Content::Contract(offset) => contract + offset,
                Content::Image(offset) => image + offset,
                Content::Zero | Content::File(_) => take(piece.length, alignment),
                Content::Pool => {
                    // Huge pages may be asked for, whole ones.
                    pool = take(piece.length.next_multiple_of(HUGE_PAGE), HUGE_PAGE);
                    pool
                }
            };
            let (address, length, protection) = (piece.address, piece.length, piece.protection);
            mapped.push(Mapped {
                address,
                physical,
                length,
                protection,
                user: true,
            });
        }
        Self {
            tables,
            tables_bound,
            supervisor,
            contract,
            pool,
            image,
            length: end,
            mapped,
        }
    }

    /// How much memory the machine has: room for all of it, and for other tables at its end.
    pub(super) fn memory_length(&self) -> u64 {
        (self.length + self.tables_bound * PAGE_SIZE).next_multiple_of(MEMORY_STEP)
    }

    /// Where page tables go if the machine has already had some in the usual place: where KVM has no
    /// hardware to walk them it keeps its own copy of each that was ever used, and a change that the
    /// host makes to one escapes it.
    pub(super) fn other_tables(&self) -> u64 {
        self.memory_length() - self.tables_bound * PAGE_SIZE
    }

    /// Puts page tables and supervisor pages into memory that is still zero.
    pub(super) fn put_tables(&self, memory: &Mapping, at: u64) {
        let tables = tables::build(&self.mapped, at);
        debug_assert!(tables.len() as u64 <= self.tables_bound);
        for (index, table) in tables.iter().enumerate() {
            // Most of a table is zero.
            let used = table
                .iter()
                .rposition(|&entry| entry != 0)
                .map_or(0, |last| last + 1);
            let first = table.iter().position(|&entry| entry != 0).unwrap_or(0);
            let bytes: Vec<u8> = table[first..used]
                .iter()
                .flat_map(|entry| entry.to_le_bytes())
                .collect();
            memory.write(at + index as u64 * PAGE_SIZE + first as u64 * 8, &bytes);
        }
        memory.write(self.supervisor, &supervisor::page());
    }

    /// Puts an image's memory in its place.
    pub(super) fn put_image(&self, memory: &Mapping, image: &Image) -> Result<(), SystemError> {
        let file = image.memory();
        memory.place_private(self.image, file.length(), file.as_fd(), true)
    }

    /// Puts the files that are granted in their places.
    pub(super) fn put_files(
        &self,
        memory: &Mapping,
        plan: &Plan,
        options: &Options,
    ) -> Result<(), SystemError> {
        for piece in &plan.pieces {
            if let Content::File(index) = piece.content
                && let Some(GrantedDevice::InputFile(file)) =
                    options.devices.get(index).map(|grant| &grant.device)
                && let Some((physical, _)) = self.locate(piece.address)
            {
                memory.place_private(physical, piece.length, file.as_fd(), false)?;
            }
        }
        Ok(())
    }

    /// Where an address of the instance lies in the machine's memory, and how many bytes follow it.
    pub(super) fn locate(&self, address: u64) -> Option<(u64, u64)> {
        self.mapped.iter().find_map(|stretch| {
            let within = address.checked_sub(stretch.address)?;
            (within < stretch.length).then(|| (stretch.physical + within, stretch.length - within))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Elf;
    use sprat_abi::boot::MonitorKind;

    #[test]
    fn nothing_that_an_instance_may_use_lies_where_its_page_tables_do() {
        let image = Image::load(&Elf::new(&[0xf4]).bytes()).expect("a sound image");
        let plan = Plan::new(&image, &Options::default(), MonitorKind::Vm).expect("fits");
        let places = Places::new(&plan);
        let bound = places.tables_bound * PAGE_SIZE;
        let tables = places.tables..places.tables + bound;
        let other = places.other_tables()..places.other_tables() + bound;
        assert_eq!(other.end, places.memory_length());
        let stubs = places.supervisor..places.supervisor + supervisor::LENGTH;
        for stretch in places.mapped.iter().filter(|stretch| stretch.user) {
            let end = stretch.physical + stretch.length;
            for kept in [&tables, &other, &stubs] {
                assert!(
                    end <= kept.start || stretch.physical >= kept.end,
                    "{stretch:x?}"
                );
            }
            assert!(end <= places.length);
        }
        // No two stretches share memory, but that the instance's view of the contract is in parts.
        let mut all: Vec<_> = places
            .mapped
            .iter()
            .map(|s| s.physical..s.physical + s.length)
            .collect();
        all.sort_by_key(|range| range.start);
        assert!(
            all.windows(2).all(|pair| pair[0].end <= pair[1].start),
            "{all:x?}"
        );
    }
}
