//! From the entry to the image: everything that is done once.

use core::arch::{asm, x86_64};
use core::panic::PanicInfo;

use sprat_abi::boot::{Area, BootPage, DeviceEntry};
use sprat_abi::clock::ClockPage;
use sprat_abi::disk::{self, PLAN_MAGIC, Piece, PlanHead};

use crate::entry::MULTIBOOT2_MAGIC;
use crate::firmware::{Firmware, Physical};
use crate::frames::{Frames, PAGE};
use crate::tables::{Access, OutOfMemory, Tables};
use crate::window::Window;
use crate::{
    acpi, calls, clock, controller, devices, entry, instance, interrupts, power, serial, stacks,
};

/// Memory that is looked at: above what old firmware keeps for itself, below what is mapped at first.
const BOUNDS: (u64, u64) = (0x1_0000, 1 << 32);

// SAFETY: symbols of the linker script. Only their addresses mean something.
unsafe extern "C" {
    static boot_start: u8;
    static boot_constants: u8;
    static boot_variables: u8;
    static boot_end: u8;
}

/// The machine's memory, as it is mapped until the instance's page tables are made.
struct AsItLies;

impl Physical for AsItLies {
    fn bytes(&self, address: u64, length: usize) -> &[u8] {
        let end = address.saturating_add(length as u64);
        if address == 0 || end > BOUNDS.1 {
            return &[];
        }
        // SAFETY: the first four gigabytes are mapped, and what firmware tells lies still: nothing is
        // written anywhere before all of it was read. Where no memory is, reads give all ones.
        unsafe { core::slice::from_raw_parts(sprat_abi::pointer(address), length) }
    }
}

/// Entered once, from `entry`, with what the loader passed.
pub(crate) unsafe extern "C" fn start(information: u64, magic: u64) -> ! {
    serial::start();
    interrupts::start();
    enable_vectors();
    sprat_platform_memory::choose_instructions();
    clock::start();
    let firmware = if magic == u64::from(MULTIBOOT2_MAGIC) {
        Firmware::from_multiboot2(&AsItLies, information, BOUNDS)
    } else {
        Firmware::from_pvh(&AsItLies, information, BOUNDS)
            .unwrap_or_else(|| power::refuse(format_args!("the loader gave no map of the memory")))
    };
    let root = firmware.acpi.or_else(|| acpi::find_root(&AsItLies));
    power::remember(root.and_then(|root| acpi::find(&AsItLies, root)));
    // Read here for the last time: the payload's first pages are not mapped later.
    let (&plan, pieces) = read_plan(&firmware.frames);
    let mut frames = firmware.frames.clone();
    frames.exclude(address(&raw const boot_start), payload() + plan.length);
    let whole = frames.left();
    let made = lay_out(&firmware, &mut frames, &plan, pieces).unwrap_or_else(|_| {
        power::refuse(format_args!(
            "too little memory: the image takes {} KiB at least beside its own {} KiB, and {} KiB are free",
            needed(&plan, pieces) / 1024,
            plan.length / 1024,
            whole * PAGE / 1024,
        ))
    });
    instance::know(pieces, made.boot);
    // SAFETY: the plan's head, mapped until the next step; whoever watches reads it from outside.
    unsafe {
        let head = sprat_abi::pointer(payload()).cast::<PlanHead>();
        (&raw mut (*head).rings_at).write_volatile(made.rings);
    }
    // SAFETY: the tables map this code, its variables and its stack where they are, and everything that
    // is used from here on; what they do not map is not used again.
    unsafe { asm!("mov cr3, {}", in(reg) made.tables.root(), options(nostack)) };
    calls::start(
        made.boot,
        made.clock,
        controller::start(),
        plan.flags & disk::flags::WATCHED != 0,
    );
    crate::ports::enable_interrupts();
    // SAFETY: the plan's own entry and stack. The image expects the boot page's address in RDI.
    unsafe {
        asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "jmp {entry}",
            stack = in(reg) plan.stack_pointer,
            entry = in(reg) plan.entry,
            in("rdi") plan.boot_page,
            options(noreturn),
        )
    }
}

fn address(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// Where the payload was loaded.
fn payload() -> u64 {
    address(&raw const boot_end)
}

/// The plan, if all of it is there.
fn read_plan(frames: &Frames) -> (&'static PlanHead, &'static [Piece]) {
    // SAFETY: memory right behind this program, which the loader put the payload in; any bytes are a
    // head.
    let plan = unsafe { &*sprat_abi::pointer(payload()).cast::<PlanHead>() };
    let room = frames.room_at(address(&raw const boot_start));
    let taken = payload() - address(&raw const boot_start);
    if room <= taken + PAGE {
        power::refuse(format_args!(
            "too little memory: {} KiB of it lie where the image is loaded",
            room / 1024
        ));
    }
    let damaged = || power::refuse(format_args!("the image is cut short or damaged"));
    if plan.magic != PLAN_MAGIC {
        damaged();
    }
    if plan.length > room - taken {
        power::refuse(format_args!(
            "too little memory: the image is {} KiB long, and {} KiB of memory lie where it is loaded",
            (taken + plan.length) / 1024,
            room / 1024,
        ));
    }
    let head = size_of::<PlanHead>();
    let Some(rest) = sprat_abi::length(plan.length).checked_sub(head) else {
        damaged()
    };
    let first = sprat_abi::pointer(payload() + head as u64);
    // SAFETY: memory, as the firmware's map says, and nothing writes it while this is read.
    let bytes = unsafe { core::slice::from_raw_parts(first.cast_const(), rest) };
    let table = sprat_abi::length(plan.pieces).saturating_mul(size_of::<Piece>());
    if disk::checksum(bytes) != plan.checksum || table > rest {
        damaged();
    }
    // SAFETY: inside the payload and aligned; any bytes are a piece. The boot page that lies there too
    // is written through its own address alone.
    let pieces = unsafe {
        core::slice::from_raw_parts(first.cast::<Piece>(), sprat_abi::length(plan.pieces))
    };
    (plan, pieces)
}

/// What the plan stores at an address of the instance's, while it lies where it was loaded.
pub(crate) fn planned(area: Area) -> Option<&'static [u8]> {
    // SAFETY: the payload was found whole before anything asks for parts of it.
    let plan = unsafe { &*sprat_abi::pointer(payload()).cast::<PlanHead>() };
    let first = sprat_abi::pointer(payload() + size_of::<PlanHead>() as u64);
    // SAFETY: as in `read_plan`.
    let pieces = unsafe {
        core::slice::from_raw_parts(first.cast::<Piece>(), sprat_abi::length(plan.pieces))
    };
    let inside = |piece: &&Piece| {
        area.address >= piece.address && area.address + area.length <= piece.address + piece.stored
    };
    let piece = pieces.iter().find(inside)?;
    let at = payload() + piece.offset + (area.address - piece.address);
    let length = sprat_abi::length(area.length);
    // SAFETY: inside the payload's memory.
    Some(unsafe { core::slice::from_raw_parts(sprat_abi::pointer(at), length) })
}

/// An instance's address space, and where some of it lies.
struct LaidOut {
    tables: Tables,
    boot: &'static BootPage,
    /// The physical address of the rings.
    rings: u64,
    /// Where the clock is mapped to be written.
    clock: u64,
}

/// Bytes of memory that an image cannot do without, beside its own.
fn needed(plan: &PlanHead, pieces: &[Piece]) -> u64 {
    let heap = plan.boot_page + core::mem::offset_of!(BootPage, heap) as u64;
    let heap = planned(Area::new(heap, 8)).and_then(|bytes| bytes.try_into().ok());
    let heap = heap.map_or(0, u64::from_le_bytes);
    let bytes = |piece: &Piece| match piece.address == heap {
        true => plan.least_heap,
        false => piece.length - piece.stored,
    };
    pieces.iter().map(bytes).sum()
}

/// Makes the page tables, and completes the boot page.
fn lay_out(
    firmware: &Firmware,
    frames: &mut Frames,
    plan: &PlanHead,
    pieces: &[Piece],
) -> Result<LaidOut, OutOfMemory> {
    // SAFETY: free memory, mapped where it lies until `start` changes the tables.
    let mut tables = unsafe { Tables::new(frames) }?;
    map_monitor(frames, &mut tables)?;
    let stored = pieces
        .iter()
        .find(|piece| (piece.address..piece.address + piece.stored).contains(&plan.boot_page));
    let Some(stored) = stored else {
        power::refuse(format_args!("the image is cut short or damaged"))
    };
    let in_memory = |address: u64| payload() + stored.offset + (address - stored.address);
    // SAFETY: the plan's boot page, where it was loaded: nobody else reads or writes it yet.
    let boot = unsafe { &mut *sprat_abi::pointer(in_memory(plan.boot_page)).cast::<BootPage>() };
    // The clock lies on the boot page's page, which the instance cannot write: it is the time stamp
    // counter's from now on.
    // SAFETY: as above; the clock follows the boot page.
    unsafe { &*sprat_abi::pointer(in_memory(boot.clock)).cast::<ClockPage>() }
        .write(calls::point());
    let (mut pool, mut rings, mut rings_from) = (0, 0, 0);
    for piece in pieces {
        let access = match piece.protection {
            disk::READ_WRITE => Access::ReadWrite,
            disk::READ_EXECUTE => Access::ReadExecute,
            _ => Access::Read,
        };
        let from = payload() + piece.offset;
        tables.map(frames, (piece.address, from), piece.stored, access)?;
        let zero = piece.length - piece.stored;
        if zero > 0 && piece.address != boot.heap.address {
            let memory = frames.take(zero / PAGE).ok_or(OutOfMemory)?;
            clear(memory, zero);
            if piece.address == boot.pool.address {
                pool = memory;
            }
            if (piece.address..piece.address + piece.length).contains(&boot.call_block) {
                (rings, rings_from) = (memory, piece.address + piece.stored);
            }
            tables.map(frames, (piece.address + piece.stored, memory), zero, access)?;
        }
    }
    // SAFETY: nobody else uses them before the image is entered.
    let devices = unsafe { devices::all() };
    let mut window = Window::new(&mut tables, frames, entry::first_tables());
    devices.find(firmware, &mut window)?;
    let clock = window.writable(in_memory(boot.clock))?;
    // SAFETY: the plan's device table, where it was loaded, which nobody else reads or writes yet; and
    // the pool and the rings are mapped by the pieces above.
    unsafe {
        let table = core::slice::from_raw_parts_mut(
            sprat_abi::pointer(in_memory(boot.device_table)).cast::<DeviceEntry>(),
            boot.device_count as usize,
        );
        devices.join_cards(boot, table, pool, &mut window)?;
        devices.join_drives(table, &|address| address - rings_from + rings);
    }
    boot.heap.length = map_heap(frames, &mut tables, boot.heap.address, boot.heap.length)?;
    if boot.heap.length < plan.least_heap {
        return Err(OutOfMemory);
    }
    boot.yield_call = (calls::yield_call as *const ()).addr() as u64;
    boot.exit_call = (calls::exit_call as *const ()).addr() as u64;
    if plan.flags & disk::flags::FIXED_SEED == 0 {
        boot.seed = calls::seed(devices.entropy());
    }
    // SAFETY: mapped there by the pieces above, once the tables are in use, and never written again.
    let boot = unsafe { &*sprat_abi::pointer(plan.boot_page).cast() };
    Ok(LaidOut {
        tables,
        boot,
        rings,
        clock,
    })
}

/// Maps this program, and the interrupt controller.
fn map_monitor(frames: &mut Frames, tables: &mut Tables) -> Result<(), OutOfMemory> {
    let text = address(&raw const boot_start);
    let constants = address(&raw const boot_constants);
    let variables = address(&raw const boot_variables);
    let mut map = |from: u64, to: u64, access| tables.map(frames, (from, from), to - from, access);
    map(text, constants, Access::ReadExecute)?;
    map(constants, variables, Access::Read)?;
    let guards = stacks::guards();
    for page in (variables..payload()).step_by(stacks::PAGE) {
        if !guards.contains(&page) {
            map(page, page + PAGE, Access::ReadWrite)?;
        }
    }
    tables.map(
        frames,
        (interrupts::CONTROLLER, controller::address()),
        PAGE,
        Access::Device,
    )
}

/// Maps as much heap as there is memory left for, at most `wanted`; how much that is.
fn map_heap(
    frames: &mut Frames,
    tables: &mut Tables,
    address: u64,
    wanted: u64,
) -> Result<u64, OutOfMemory> {
    let left = frames.left();
    // A table maps 512 pages; a few more are for the levels above and for where a stretch ends.
    let pages = (wanted / PAGE).min(left.saturating_sub(left / 512 + 8));
    let mut mapped = 0;
    while mapped < pages {
        let Some((memory, count)) = frames.take_most(pages - mapped) else {
            break;
        };
        clear(memory, count * PAGE);
        let at = address + mapped * PAGE;
        tables.map(frames, (at, memory), count * PAGE, Access::ReadWrite)?;
        mapped += count;
    }
    Ok(mapped * PAGE)
}

/// Clears memory that is free.
fn clear(physical: u64, length: u64) {
    // SAFETY: just taken from the free memory, and mapped where it lies until `start` changes the
    // tables.
    unsafe { sprat_abi::pointer(physical).write_bytes(0, sprat_abi::length(length)) };
}

/// Lets the image use the vector instructions that the processor has.
fn enable_vectors() {
    const XSAVE: u32 = 1 << 26;
    const AVX: u32 = 1 << 28;
    /// Floating point, SSE and AVX, and the three parts of AVX-512.
    const STATES: u32 = 0b111 | 0b111 << 5;
    let features = x86_64::__cpuid(1).ecx;
    if features & (XSAVE | AVX) != XSAVE | AVX {
        return;
    }
    let states = x86_64::__cpuid_count(13, 0).eax & STATES;
    // SAFETY: the processor has the instructions, and these states, as it says; without all three of
    // AVX-512's none of them may be on.
    unsafe {
        let states = if states >> 5 == 0b111 {
            states
        } else {
            states & 0b111
        };
        asm!(
            "mov {value}, cr4",
            "or {value}, 0x40000",
            "mov cr4, {value}",
            "xsetbv",
            value = out(reg) _,
            in("ecx") 0,
            in("eax") states,
            in("edx") 0,
            options(nostack),
        );
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    power::refuse(format_args!(
        "the boot monitor panicked: {}",
        info.message()
    ))
}

/// The precompiled standard crates name it; a panic ends the machine before any cleanup.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    power::off(power::FAILED)
}
