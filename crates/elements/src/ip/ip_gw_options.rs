use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::ICMP_PARAMETER_PROBLEM;
use sprat_packet::headers::{Ipv4Mut, ip_option};
use sprat_packet::{Batch, Packet};

use super::check_ip_header::AddressList;

pub(super) const IP_GW_OPTIONS: Class = Class::of::<IPGWOptions>("IPGWOptions")
    .ports("1/1-2")
    .processing("a/ah");

/// IPGWOptions: does what a router must do with IP options.
///
/// ```click
/// IPGWOptions(MYADDR [, OTHERADDRS])
/// ```
///
/// Records MYADDR, the address of the interface by which packets leave, in Record Route options, and the
/// time in Timestamp options; the checksum is made anew. OTHERADDRS are the router's other addresses, for
/// Timestamp options that ask named routers. Source routes are not followed.
///
/// Packets whose options are malformed leave by output 1 where it is used and are dropped otherwise; the
/// parameter problem annotation names the bad byte, so connect it to `ICMPError(ADDR, parameterproblem)`.
///
/// Handlers: `drops` (read) packets with bad options.
///
/// See Click's manual page IPGWOptions(n), RFC 791 section 3.1 and RFC 1812 section 4.2.2.2.
pub(crate) struct IPGWOptions {
    router: OptionRouter,
    drops: u64,
}

/// The work itself, which other elements do as part of theirs.
pub(super) struct OptionRouter {
    address: Ipv4Addr,
    others: Vec<Ipv4Addr>,
}

/// Milliseconds since midnight, Universal Time.
fn milliseconds_of_day(context: &Context<'_>) -> u32 {
    let milliseconds = context
        .timestamp()
        .0
        .div_euclid(1_000_000)
        .rem_euclid(86_400_000);
    u32::try_from(milliseconds).unwrap_or(0)
}

/// The byte of the header that is wrong, counted from its start.
struct BadByte(usize);

/// The options begin behind the fixed header.
const OPTIONS: usize = 20;

impl OptionRouter {
    pub(super) fn new(address: Ipv4Addr, others: Vec<Ipv4Addr>) -> Self {
        Self { address, others }
    }

    /// Fills in the options; false if they are bad, and then the annotation says where.
    #[inline]
    pub(super) fn fill(&self, context: &Context<'_>, packet: &mut Packet) -> bool {
        if packet.network_header_len() <= OPTIONS {
            return true;
        }
        match self.fill_options(context, packet) {
            Ok(()) => true,
            Err(BadByte(place)) => {
                packet
                    .set_annotation_byte(ICMP_PARAMETER_PROBLEM, u8::try_from(place).unwrap_or(0));
                false
            }
        }
    }

    fn fill_options(&self, context: &Context<'_>, packet: &mut Packet) -> Result<(), BadByte> {
        let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
            return Err(BadByte(0));
        };
        let options = ip.option_bytes_mut();
        let (mut at, mut changed) = (0, false);
        while let Some(&kind) = options.get(at) {
            match kind {
                ip_option::END => break,
                ip_option::NO_OPERATION => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let length = options.get(at + 1).map_or(0, |length| usize::from(*length));
            let option = match options.get_mut(at..at + length) {
                Some(option) if length >= 2 => option,
                _ => return Err(BadByte(OPTIONS + at + 1)),
            };
            let bad = |within: usize| BadByte(OPTIONS + at + within);
            match kind {
                ip_option::RECORD_ROUTE => changed |= self.record_route(option).map_err(bad)?,
                ip_option::TIMESTAMP => changed |= self.timestamp(context, option).map_err(bad)?,
                _ => {}
            }
            at += length;
        }
        if changed {
            ip.fill_checksum();
        }
        Ok(())
    }

    /// Writes our address at the pointer, which counts from one. A full list stays as it is.
    fn record_route(&self, option: &mut [u8]) -> Result<bool, usize> {
        let pointer = option.get(2).map_or(0, |pointer| usize::from(*pointer));
        if pointer < 4 {
            return Err(2);
        }
        if pointer == option.len() + 1 {
            return Ok(false);
        }
        let place = option.get_mut(pointer - 1..pointer + 3).ok_or(2_usize)?;
        place.copy_from_slice(&self.address.octets());
        option[2] += 4;
        Ok(true)
    }

    fn timestamp(&self, context: &Context<'_>, option: &mut [u8]) -> Result<bool, usize> {
        const TIMES_ONLY: u8 = 0;
        const WITH_ADDRESSES: u8 = 1;
        const NAMED_ROUTERS: u8 = 3;
        let &[_, _, pointer, flags, ..] = &*option else {
            return Err(1);
        };
        let at = usize::from(pointer);
        if at < 5 {
            return Err(2);
        }
        let size = match flags & 0x0f {
            TIMES_ONLY => 4,
            WITH_ADDRESSES | NAMED_ROUTERS => 8,
            _ => return Err(3),
        };
        if at - 1 + size > option.len() {
            // Full. Routers that found no room are counted; those that are asked by name have one.
            if flags & 0x0f == NAMED_ROUTERS || flags >> 4 == 15 {
                return Err(3);
            }
            option[3] += 0x10;
            return Ok(true);
        }
        let time = milliseconds_of_day(context).to_be_bytes();
        let place = option.get_mut(at - 1..at - 1 + size).ok_or(2_usize)?;
        match flags & 0x0f {
            WITH_ADDRESSES => place[..4].copy_from_slice(&self.address.octets()),
            NAMED_ROUTERS => {
                let asked = Ipv4Addr::new(place[0], place[1], place[2], place[3]);
                if asked != self.address && !self.others.contains(&asked) {
                    return Ok(false);
                }
            }
            _ => {}
        }
        place[size - 4..].copy_from_slice(&time);
        option[2] += if size == 8 { 8 } else { 4 };
        Ok(true)
    }
}

impl Configure for IPGWOptions {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required("MYADDR");
        let AddressList(others) = arguments.position("OTHERADDRS").unwrap_or_default();
        arguments.finish()?;
        Ok(Self {
            router: OptionRouter::new(address?, others),
            drops: 0,
        })
    }
}

impl Element for IPGWOptions {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self { router, drops } = self;
        if batch
            .iter()
            .all(|packet| packet.network_header_len() <= OPTIONS)
        {
            return;
        }
        batch.filter(|mut packet| {
            if router.fill(context, &mut packet) {
                return Some(packet);
            }
            *drops += 1;
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
