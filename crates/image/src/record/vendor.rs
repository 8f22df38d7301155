//! Archives: crates as registries have them, and the gathered sources.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::RecordError;
use super::crates::Crate;
use super::stage::Files;
use crate::store::Digest;

/// The files of a compressed archive, by name.
fn read(title: &str, bytes: &[u8]) -> Result<Files, RecordError> {
    let refused = |error: std::io::Error| RecordError::object(title, error);
    let mut files = Files::new();
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    for entry in archive.entries().map_err(refused)? {
        let mut entry = entry.map_err(refused)?;
        let path = String::from_utf8(entry.path_bytes().into_owned());
        let path = path.map_err(|error| RecordError::object(title, error))?;
        if path.split('/').any(|part| part == "..") || path.starts_with('/') {
            return Err(RecordError::object(
                title,
                format!("{path} leads out of it"),
            ));
        }
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(refused)?;
            files.insert(path, content);
        }
    }
    Ok(files)
}

/// Adds the files of a crate where cargo looks for them.
pub(super) fn unpack(
    krate: &Crate,
    checksum: &Digest,
    bytes: &[u8],
    files: &mut Files,
) -> Result<(), RecordError> {
    let folder = krate.folder();
    for (path, content) in read(&folder, bytes)? {
        files.insert(format!("vendor/{path}"), content);
    }
    let checksum = format!("{{\"files\":{{}},\"package\":\"{}\"}}", checksum.hex());
    let name = format!("vendor/{folder}/.cargo-checksum.json");
    files.insert(name, checksum.into_bytes());
    Ok(())
}

/// One file of a crate.
pub(super) fn file(krate: &Crate, bytes: &[u8], name: &str) -> Result<Vec<u8>, RecordError> {
    let folder = krate.folder();
    read(&folder, bytes)?
        .remove(&format!("{folder}/{name}"))
        .ok_or_else(|| RecordError::object(&folder, format!("it has no {name}")))
}

/// Packs files: the same files give the same archive.
pub(super) fn pack(files: &Files) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    let mut packed = archive.into_inner()?;
    packed.flush()?;
    packed.finish()
}

/// Unpacks what [`pack`] made.
pub(super) fn sources(bytes: &[u8]) -> Result<Files, RecordError> {
    read("sources", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_and_the_same_files_give_the_same_archive() {
        let long = format!("{}/lib.rs", "a/long/folder".repeat(20));
        let files = Files::from([
            ("Cargo.toml".to_owned(), b"[package]".to_vec()),
            (long, vec![7; 100_000]),
            ("empty".to_owned(), Vec::new()),
        ]);
        let packed = pack(&files).expect("packed");
        assert_eq!(sources(&packed).expect("unpacked"), files);
        assert_eq!(pack(&files).expect("packed"), packed);
    }

    #[test]
    fn an_archive_that_leads_out_of_its_folder_is_refused() {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        let name = b"../evil";
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).expect("written");
        let packed = archive
            .into_inner()
            .and_then(GzEncoder::finish)
            .expect("packed");
        let refused = sources(&packed).expect_err("it leads out").to_string();
        assert!(refused.contains("../evil leads out of it"), "{refused}");
    }

    #[test]
    fn an_archive_cut_short_is_refused() {
        let files = Files::from([("a".to_owned(), vec![1; 1000])]);
        let packed = pack(&files).expect("packed");
        assert!(sources(&packed[..packed.len() / 2]).is_err());
    }
}
