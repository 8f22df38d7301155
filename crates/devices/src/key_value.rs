//! Values by key.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::convert::Infallible;
use core::future::Future;

/// A store of values that can be read.
pub trait KeyValue {
    /// Why reading may fail.
    type Error: core::error::Error + 'static;

    /// The value of a key, where it has one.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Cow<'_, [u8]>>, Self::Error>>;
}

/// A store of values that can be changed.
pub trait KeyValueMut: KeyValue {
    /// Gives a key a value in place of the one it has.
    fn set(&self, key: &str, value: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;

    /// Takes a key's value away; whether it had one.
    fn remove(&self, key: &str) -> impl Future<Output = Result<bool, Self::Error>>;
}

/// The files of a folder that was built into the image, by their paths in it.
#[derive(Clone, Copy, Debug)]
pub struct Folder {
    files: &'static [(&'static str, &'static [u8])],
}

impl Folder {
    /// A folder of these files, which must be in the order of their names.
    #[must_use]
    pub const fn new(files: &'static [(&'static str, &'static [u8])]) -> Self {
        Self { files }
    }

    /// The contents of a file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&'static [u8]> {
        let found = self.files.binary_search_by_key(&path, |(path, _)| path);
        found.ok().map(|index| self.files[index].1)
    }

    /// The paths of all files, in order.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(path, _)| *path)
    }
}

impl KeyValue for Folder {
    type Error = Infallible;

    async fn get(&self, key: &str) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        Ok(self.file(key).map(Cow::Borrowed))
    }
}

/// Values in memory alone.
#[derive(Debug, Default)]
pub struct MemoryStore {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl KeyValue for MemoryStore {
    type Error = Infallible;

    async fn get(&self, key: &str) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        Ok(self.values.borrow().get(key).cloned().map(Cow::Owned))
    }
}

impl KeyValueMut for MemoryStore {
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), Infallible> {
        self.values.borrow_mut().insert(key.into(), value.into());
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<bool, Infallible> {
        Ok(self.values.borrow_mut().remove(key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::now;

    #[test]
    fn a_folder_has_its_files_and_no_others() {
        let folder = Folder::new(&[("a/b", b"1"), ("a/c", b"2"), ("d", b"3")]);
        for (path, value) in [
            ("a/b", Some(&b"1"[..])),
            ("a/c", Some(b"2")),
            ("d", Some(b"3")),
            ("a", None),
            ("", None),
            ("e", None),
        ] {
            let found = now(folder.get(path)).expect("no failure");
            assert_eq!(found.as_deref(), value, "{path}");
        }
        assert!(folder.paths().eq(["a/b", "a/c", "d"]));
    }

    #[test]
    fn a_memory_store_keeps_the_last_value() {
        let store = MemoryStore::default();
        assert_eq!(now(store.remove("k")), Ok(false));
        now(store.set("k", b"1")).expect("no failure");
        now(store.set("k", b"2")).expect("no failure");
        assert_eq!(now(store.get("k")), Ok(Some(Cow::Borrowed(&b"2"[..]))));
        assert_eq!(now(store.remove("k")), Ok(true));
        assert_eq!(now(store.get("k")), Ok(None));
    }
}
