//! What is known of the instance, for reports.

use sprat_abi::PAGE_SIZE;
use sprat_abi::boot::{Area, BootPage};
use sprat_abi::disk::{self, Piece};

use crate::cell::Local;

/// Most pieces that are known: devices are 56 at most, and the rest of a plan is a handful.
const PIECES: usize = 80;

struct Known {
    pieces: [Piece; PIECES],
    count: usize,
    boot: Option<&'static BootPage>,
}

static KNOWN: Local<Known> = Local::new(Known {
    pieces: [Piece {
        address: 0,
        length: 0,
        offset: 0,
        stored: 0,
        protection: 0,
    }; PIECES],
    count: 0,
    boot: None,
});

/// Keeps what reports need. `boot` can be read only once the instance's tables are in use.
pub(crate) fn know(pieces: &[Piece], boot: &'static BootPage) {
    // SAFETY: called once, at boot; reports come later.
    let known = unsafe { KNOWN.get_mut() };
    let count = pieces.len().min(PIECES);
    known.pieces[..count].copy_from_slice(&pieces[..count]);
    known.count = count;
    known.boot = Some(boot);
}

fn contains(area: Area, address: u64) -> bool {
    (area.address..area.address + area.length).contains(&address)
}

/// What lies at an address.
pub(crate) fn region(address: u64) -> &'static str {
    let known = KNOWN.get();
    let Some(boot) = known.boot else {
        return "the boot monitor";
    };
    if address < PAGE_SIZE {
        return "page zero";
    }
    if contains(
        Area::new(boot.stack.address - PAGE_SIZE, PAGE_SIZE),
        address,
    ) {
        return "stack guard";
    }
    let mut pieces = known.pieces[..known.count].iter();
    let Some(piece) =
        pieces.find(|piece| contains(Area::new(piece.address, piece.length), address))
    else {
        return "nothing";
    };
    match piece.protection {
        _ if contains(boot.heap, address) => "heap",
        _ if contains(boot.stack, address) => "stack",
        _ if contains(boot.pool, address) => "buffer pool",
        disk::READ_EXECUTE => "image text",
        disk::READ_WRITE if contains(boot.image, address) => "image data",
        disk::READ_WRITE => "rings",
        _ if contains(boot.image, address) => "image read-only data",
        _ => "boot page",
    }
}

/// Eight bytes of the instance's stack.
pub(crate) fn stack_word(address: u64) -> Option<u64> {
    let stack = KNOWN.get().boot?.stack;
    let last = Area::new(stack.address, stack.length.saturating_sub(7));
    if !address.is_multiple_of(8) || !contains(last, address) {
        return None;
    }
    // SAFETY: aligned and inside the stack, which is mapped for ever.
    Some(unsafe { sprat_abi::pointer(address).cast::<u64>().read_volatile() })
}
