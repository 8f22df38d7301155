//! Giving out addresses.

use super::{Content, LayoutError, Piece};
use crate::image::{Image, Protection};
use crate::memory::HUGE_PAGE;
use sprat_abi::boot::Area;
use sprat_abi::{IMAGE_END, PAGE_SIZE};

/// Highest address that anything may have: the lower half, less a good margin.
const ADDRESS_LIMIT: u64 = 1 << 46;

/// Gives out places, one after the other.
pub(super) struct Cursor(pub(super) u64);

impl Cursor {
    pub(super) fn take(&mut self, length: u64, alignment: u64) -> u64 {
        let at = self.0.next_multiple_of(alignment);
        self.0 = at + length;
        at
    }
}

/// The address space so far: its pieces, and where the next big one goes.
pub(super) struct Space {
    pub(super) pieces: Vec<Piece>,
    high: Cursor,
}

impl Space {
    pub(super) fn new() -> Self {
        Self {
            pieces: vec![],
            high: Cursor(IMAGE_END),
        }
    }

    /// Puts something where it has to lie.
    pub(super) fn put(&mut self, area: Area, protection: Protection, content: Content) {
        if area.length > 0 {
            self.pieces.push(Piece {
                address: area.address,
                length: area.length,
                protection,
                content,
            });
        }
    }

    /// Puts something big behind all others: from a multiple of 2 MiB, of whole pages, and with at
    /// least a page unmapped behind it.
    pub(super) fn append(
        &mut self,
        length: u64,
        protection: Protection,
        content: Content,
    ) -> Result<Area, LayoutError> {
        if length > ADDRESS_LIMIT {
            return Err(LayoutError::Large);
        }
        let length = length.next_multiple_of(PAGE_SIZE);
        let area = Area::new(self.high.take(length, HUGE_PAGE), length);
        self.high.take(PAGE_SIZE, 1);
        if self.high.0 > ADDRESS_LIMIT {
            return Err(LayoutError::Large);
        }
        self.put(area, protection, content);
        Ok(area)
    }

    /// Puts the segments of an image where they were linked for.
    pub(super) fn put_image(&mut self, image: &Image) {
        let base = image.span().start;
        for segment in image.segments() {
            let pages = &segment.pages;
            self.put(
                Area::new(pages.start, pages.end - pages.start),
                segment.protection,
                Content::Image(pages.start - base),
            );
        }
    }
}
