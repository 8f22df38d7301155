//! What memory an instance has touched.

use crate::instance::MemoryUse;
use crate::memory::{Mapping, SystemError};
use std::fs;

/// A name that no mapping has.
const NOTHING: &str = "\0";

/// The use of a mapping of this process.
pub(crate) fn of_mapping(mapping: &Mapping) -> Result<MemoryUse, SystemError> {
    let start = mapping.base().addr() as u64;
    let range = start..start + mapping.length();
    let text = fs::read_to_string("/proc/self/smaps")
        .map_err(|error| SystemError::new("reading /proc/self/smaps", error))?;
    Ok(sum(&text, |address| range.contains(&address), NOTHING))
}

/// The use of all mappings of another process. Pages of the file in memory called `own` are its own.
pub(crate) fn of_process(process: libc::pid_t, own: &str) -> Result<MemoryUse, SystemError> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps"))
        .map_err(|error| SystemError::new("reading a process's smaps", error))?;
    Ok(sum(&text, |_| true, own))
}

/// Adds up the mappings that `counts` is true for, by their first addresses.
fn sum(smaps: &str, counts: impl Fn(u64) -> bool, own: &str) -> MemoryUse {
    let mut total = MemoryUse::default();
    let (mut counted, mut is_own, mut huge) = (false, false, 0);
    for line in smaps.lines() {
        let Some((name, rest)) = line.split_once([' ', '-']) else {
            continue;
        };
        if let Some(name) = name.strip_suffix(':') {
            let kilobytes = || {
                rest.trim()
                    .strip_suffix(" kB")
                    .and_then(|n| n.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            match name {
                _ if !counted => {}
                // Pages of an unwritten file that only this process happens to map are still the file's.
                "Rss" if is_own => {
                    total.private += kilobytes() << 10;
                    total.shared += kilobytes() << 10;
                }
                "Anonymous" if !is_own => total.private += kilobytes() << 10,
                "Rss" => total.shared += kilobytes() << 10,
                // Reserved huge pages are not in `Rss`.
                "Private_Hugetlb" => huge += kilobytes() << 10,
                _ => {}
            }
        } else if let Ok(address) = u64::from_str_radix(name, 16) {
            counted = counts(address);
            is_own = rest.contains(own);
        }
    }
    total.shared -= total.private.min(total.shared);
    total.private += huge;
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_pages_are_private_and_the_others_shared() {
        let smaps = "\
1000-5000 rw-p 00000000 00:00 0 \n\
Size:                 16 kB\n\
Rss:                   8 kB\n\
Anonymous:             8 kB\n\
VmFlags: rd wr\n\
7000-9000 r-xp 00000000 00:01 77                         /memfd:sprat-image (deleted)\n\
Rss:                   4 kB\n\
Anonymous:             0 kB\n\
200000-400000 rw-p 00000000 00:0f 9                  /anon_hugepage (deleted)\n\
Rss:                   0 kB\n\
Anonymous:             0 kB\n\
Private_Hugetlb:    2048 kB\n\
b000-c000 rw-p 00000000 00:00 0 \n\
Rss:                   4 kB\n\
Anonymous:             4 kB\n";
        let all = sum(smaps, |_| true, NOTHING);
        assert_eq!(
            all,
            MemoryUse {
                private: (2048 + 12) << 10,
                shared: 4 << 10
            }
        );
        let first = sum(smaps, |address| address < 0xb000, NOTHING);
        assert_eq!(
            first,
            MemoryUse {
                private: 8 << 10,
                shared: 4 << 10
            }
        );
    }
}
