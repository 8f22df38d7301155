//! `ar` archives: a configuration with the files that belong to it.

use alloc::string::String;

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub data: &'a [u8],
}

/// True when these bytes begin an archive.
#[must_use]
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The files of an archive in order, with BSD's and System V's long names; `None` if a header or
/// a size makes no sense.
#[must_use]
pub fn members(bytes: &[u8]) -> Option<impl Iterator<Item = Member<'_>>> {
    let mut list = alloc::vec::Vec::new();
    let mut long_names: &[u8] = &[];
    let mut rest = bytes.strip_prefix(MAGIC)?;
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(HEADER)?;
        if &header[58..] != b"`\n" {
            return None;
        }
        let size = number(&header[48..58])?;
        let (data, after) = after.split_at_checked(size)?;
        // Members begin at even offsets; the last may lack its padding.
        rest = after.get(size % 2..).unwrap_or(&[]);
        let name = header[..16].trim_ascii_end();
        if name == b"//" {
            long_names = data;
        } else if name != b"/" {
            let (name, data) = resolve_name(name, data, long_names)?;
            list.push(Member {
                name: String::from_utf8_lossy(name).into_owned(),
                data,
            });
        }
    }
    Some(list.into_iter())
}

fn resolve_name<'a>(
    name: &'a [u8],
    data: &'a [u8],
    long_names: &'a [u8],
) -> Option<(&'a [u8], &'a [u8])> {
    if let Some(length) = name.strip_prefix(b"#1/") {
        let (name, data) = data.split_at_checked(number(length)?)?;
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        return Some((&name[..end], data));
    }
    if let Some(offset) = name.strip_prefix(b"/") {
        let name = long_names.get(number(offset)?..)?;
        let end = name.iter().position(|&b| b == b'/' || b == b'\n')?;
        return Some((&name[..end], data));
    }
    Some((name.strip_suffix(b"/").unwrap_or(name), data))
}

fn number(field: &[u8]) -> Option<usize> {
    core::str::from_utf8(field.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn header(name: &str, size: usize) -> String {
        format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, "644"
        )
    }

    #[test]
    fn members_are_found_by_short_and_long_names() {
        let text = format!(
            "!<arch>\n{}{}{}{}{}{}",
            header("//", 22),
            "a_rather_long_name.o/\n",
            header("config/", 5),
            "Idle;\n",
            header("/0", 1),
            "x"
        );
        let members: Vec<_> = members(text.as_bytes()).unwrap().collect();
        assert_eq!(members.len(), 2);
        assert_eq!(
            (members[0].name.as_str(), members[0].data),
            ("config", &b"Idle;"[..])
        );
        assert_eq!(
            (members[1].name.as_str(), members[1].data),
            ("a_rather_long_name.o", &b"x"[..])
        );
    }

    #[test]
    fn a_size_past_the_end_is_refused() {
        let text = format!("!<arch>\n{}short", header("config", 6));
        assert!(members(text.as_bytes()).is_none());
        assert!(members(b"!<arch>\nconfig").is_none());
    }
}
