//! Fields of the packet itself: its times, annotations and link header.

use core::fmt::Write;

use sprat_click::arguments::{Argument, NoNames, Timestamp};
use sprat_packet::EtherAddress;
use sprat_packet::annotations::{AGGREGATE, EXTRA_PACKETS, FIRST_TIMESTAMP};
use sprat_packet::headers::EthernetFields;

use super::fields::{Field, number};
use super::view::half_word;
use super::{Draft, View};
use crate::dump::text::Seconds;

const SECOND: i64 = 1_000_000_000;

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        &["timestamp", "utimestamp", "ts"],
        read_timestamp,
        |view, out| write!(out, "{}", Seconds(view.packet.timestamp())).ok(),
    )
    .below_ip(),
    Field::new(&["ntimestamp"], read_timestamp, |view, out| {
        write!(out, "{}", Seconds(view.packet.timestamp())).ok()
    })
    .below_ip(),
    Field::new(
        &["ts_sec", "sec"],
        |draft, word| {
            let fraction = draft.timestamp.rem_euclid(SECOND);
            draft.timestamp = i64::from(number::<u32>(word)?) * SECOND + fraction;
            Some(())
        },
        |view, out| write!(out, "{}", view.packet.timestamp().div_euclid(SECOND)).ok(),
    )
    .below_ip(),
    Field::new(
        &["ts_usec", "usec"],
        |draft, word| {
            let fraction = number::<u32>(word).filter(|fraction| *fraction < 1_000_000)?;
            draft.timestamp -= draft.timestamp.rem_euclid(SECOND);
            draft.timestamp += i64::from(fraction) * 1000;
            Some(())
        },
        |view, out| {
            let fraction = view.packet.timestamp().rem_euclid(SECOND);
            write!(out, "{}", fraction / 1000).ok()
        },
    )
    .below_ip(),
    Field::new(
        &["ts_usec1", "usec1"],
        |draft, word| {
            draft.timestamp = number::<i64>(word)?.checked_mul(1000)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.packet.timestamp().div_euclid(1000)).ok(),
    )
    .below_ip(),
    Field::new(
        &["first_timestamp", "first_utimestamp", "first_ts"],
        read_first_timestamp,
        |view, out| write!(out, "{}", Seconds(first_timestamp(view))).ok(),
    )
    .below_ip(),
    Field::new(&["first_ntimestamp"], read_first_timestamp, |view, out| {
        write!(out, "{}", Seconds(first_timestamp(view))).ok()
    })
    .below_ip(),
    Field::new(
        &["count", "packets", "pkt_count", "packet_count"],
        |draft, word| {
            draft.count = number(word)?;
            Some(())
        },
        |view, out| {
            let extra = view.packet.annotations().word(EXTRA_PACKETS);
            write!(out, "{}", u64::from(extra) + 1).ok()
        },
    )
    .below_ip(),
    Field::new(&["link", "paint"], read_link, |view, out| {
        write!(out, "{}", view.packet.annotations().paint()).ok()
    })
    .below_ip(),
    Field::new(&["direction"], read_link, |view, out| {
        match view.packet.annotations().paint() {
            0 => out.write_char('>').ok(),
            1 => out.write_char('<').ok(),
            other => write!(out, "{other}").ok(),
        }
    })
    .below_ip(),
    Field::new(
        &["aggregate", "agg"],
        |draft, word| {
            draft.aggregate = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.packet.annotations().word(AGGREGATE)).ok(),
    )
    .below_ip(),
    Field::written(&["capture_len", "caplen"], |view, out| {
        write!(out, "{}", view.packet.len()).ok()
    })
    .below_ip(),
    Field::new(
        &["wire_len", "wire_length"],
        |draft, word| {
            draft.wire_length = Some(number(word)?);
            Some(())
        },
        |view, out| write!(out, "{}", view.packet.len()).ok(),
    )
    .below_ip(),
    Field::new(
        &["eth_src", "ether_src"],
        |draft, word| {
            let address = EtherAddress::parse(word, &NoNames).ok()?;
            ethernet(draft).source = address;
            Some(())
        },
        |view, out| {
            write!(
                out,
                "{}",
                EtherAddress(*view.ethernet()?.get(6..)?.first_chunk()?)
            )
            .ok()
        },
    )
    .below_ip(),
    Field::new(
        &["eth_dst", "ether_dst"],
        |draft, word| {
            let address = EtherAddress::parse(word, &NoNames).ok()?;
            ethernet(draft).destination = address;
            Some(())
        },
        |view, out| write!(out, "{}", EtherAddress(*view.ethernet()?.first_chunk()?)).ok(),
    )
    .below_ip(),
    Field::new(
        &["eth_type", "ether_type"],
        |draft, word| {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            ethernet(draft).ethertype = u16::from_str_radix(digits, 16).ok()?;
            Some(())
        },
        |view, out| write!(out, "{:04X}", half_word(view.ethernet()?, 12)?).ok(),
    )
    .below_ip(),
];

fn read_timestamp(draft: &mut Draft, word: &str) -> Option<()> {
    draft.timestamp = Timestamp::parse(word, &NoNames).ok()?.0;
    Some(())
}

fn read_first_timestamp(draft: &mut Draft, word: &str) -> Option<()> {
    draft.first_timestamp = Some(Timestamp::parse(word, &NoNames).ok()?.0);
    Some(())
}

fn read_link(draft: &mut Draft, word: &str) -> Option<()> {
    draft.paint = match word {
        ">" | "L" => 0,
        "<" | "R" | "X" => 1,
        _ => number(word)?,
    };
    Some(())
}

fn first_timestamp(view: &View<'_>) -> i64 {
    let annotation = view.packet.annotations().double(FIRST_TIMESTAMP);
    annotation.cast_signed()
}

/// The link header of a packet to be: one of IPv4, unless said otherwise.
fn ethernet(draft: &mut Draft) -> &mut EthernetFields {
    draft.ethernet.get_or_insert(EthernetFields {
        destination: EtherAddress([0; 6]),
        source: EtherAddress([0; 6]),
        ethertype: 0x0800,
    })
}
