//! The archive that a kernel unpacks as its first file system (cpio(5), "New ASCII Format").

use std::collections::BTreeSet;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const NEXT: usize = 4;

/// An archive in the making.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a file, with the folders that lead to it.
    pub(super) fn file(&mut self, path: &str, contents: &[u8], program: bool) {
        let path = path.trim_start_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(path, if program { PROGRAM } else { FILE }, contents);
    }

    /// Adds a folder, with those that lead to it, where it is not there yet.
    pub(super) fn folder(&mut self, path: &str) {
        if self.folders.contains(path) {
            return;
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.folders.insert(path.to_owned());
        self.entry(path, FOLDER, &[]);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let fields = [
            self.entries as usize,
            mode as usize,
            0, // owner
            0, // group
            1, // links
            0, // time
            contents.len(),
            0,
            0,
            0,
            0,
            path.len() + 1,
            0, // no checksum
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(NEXT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_its_files_in_folders() {
        let mut archive = Archive::default();
        archive.file("/a/b/c", b"hello", true);
        archive.file("a/d", b"", false);
        let bytes = archive.finish();
        assert_eq!(bytes.len() % NEXT, 0);
        // Magic, number, mode, owner, group, links, time, size, four devices, length of the name, sum.
        let c = "070701\
            00000003000081ed0000000000000000000000010000000000000005\
            000000000000000000000000000000000000000600000000a/b/c\0";
        let text = String::from_utf8_lossy(&bytes);
        let at = text.find(c).expect("there");
        assert!(text[at + c.len()..].starts_with("hello\x00\x00\x00070701"));
        let names: Vec<_> = ["a\0", "a/b\0", "a/b/c\0", "a/d\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| text.matches(&format!("00000000{name}")).count())
            .collect();
        assert_eq!(names, [1; 5]);
    }
}
