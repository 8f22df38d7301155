//! What a mistyped name may have been meant to be.

use alloc::vec::Vec;

/// The candidate that differs least from `name`, if it differs little: by letter case, or by one
/// edit for every four letters. Of equals the first counts.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (name.len() / 4).clamp(1, 3);
    let near = candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed);
    near.map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove or change (Levenshtein), letter case aside. Names
/// longer than 64 bytes are not compared.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(!x.eq_ignore_ascii_case(y));
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_not() {
        let classes = ["Queue", "Counter", "CheckIPHeader", "ToDevice"];
        for (typed, meant) in [
            ("Quue", Some("Queue")),
            ("queue", Some("Queue")),
            ("CheckIpHeadr", Some("CheckIPHeader")),
            ("PollDevice", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, classes), meant, "{typed}");
        }
    }
}
