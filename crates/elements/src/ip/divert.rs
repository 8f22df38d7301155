//! Taking the packets out of a batch that fail a check.

use sprat_packet::{Batch, Packet};

/// Passes each packet of a batch through `check` once, in order, and those that fail to `refuse`.
///
/// Where none fails, as is usual, no packet is moved.
#[inline]
pub(crate) fn divert<E>(
    batch: &mut Batch,
    mut check: impl FnMut(&mut Packet) -> Result<(), E>,
    mut refuse: impl FnMut(Packet, E),
) {
    let mut failed = None;
    let mut checked = 0;
    for packet in batch.iter_mut() {
        checked += 1;
        if let Err(error) = check(packet) {
            failed = Some(error);
            break;
        }
    }
    if failed.is_none() {
        return;
    }
    let mut at = 0;
    batch.filter(|mut packet| {
        at += 1;
        let result = match at.cmp(&checked) {
            core::cmp::Ordering::Less => Ok(()),
            core::cmp::Ordering::Equal => failed.take().map_or(Ok(()), Err),
            core::cmp::Ordering::Greater => check(&mut packet),
        };
        match result {
            Ok(()) => Some(packet),
            Err(error) => {
                refuse(packet, error);
                None
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sprat_packet::Pool;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn each_packet_is_checked_once_and_kept_or_refused_in_order(good: Vec<bool>) {
            let pool = Pool::growing();
            let number = |packet: &Packet| usize::from(packet.data()[0]) << 8 | usize::from(packet.data()[1]);
            let mut batch: Batch = (0..good.len())
                .map(|number| pool.packet(&u16::try_from(number).unwrap().to_be_bytes()))
                .collect();
            let (mut checked, mut refused) = (Vec::new(), Vec::new());
            divert(
                &mut batch,
                |packet| {
                    checked.push(number(packet));
                    if good[number(packet)] { Ok(()) } else { Err(number(packet)) }
                },
                |packet, error| {
                    assert_eq!(number(&packet), error);
                    refused.push(error);
                },
            );
            let kept: Vec<usize> = batch.iter().map(number).collect();
            prop_assert_eq!(checked, (0..good.len()).collect::<Vec<_>>());
            prop_assert_eq!(kept, (0..good.len()).filter(|at| good[*at]).collect::<Vec<_>>());
            prop_assert_eq!(refused, (0..good.len()).filter(|at| !good[*at]).collect::<Vec<_>>());
        }
    }
}
