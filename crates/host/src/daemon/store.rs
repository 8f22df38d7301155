//! What was declared, kept where a crash at any moment leaves either the old or the new.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase as _, TableDefinition};

use crate::desired::Desired;

const DECLARED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("declared");

/// The one key there is. Its form is what its number says.
const CURRENT: &str = "desired-1";

/// How long a daemon that was killed may take to be gone: who starts the next one need not wait.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the store {}: {what}", path.display())]
pub struct StoreError {
    path: PathBuf,
    what: String,
}

/// The store.
pub(super) struct Store {
    path: PathBuf,
    /// Not there after a write that failed: the database then has to be opened again.
    database: Option<Database>,
}

impl Store {
    /// Opens the store, and makes it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Some(open(path)?);
        let path = path.to_owned();
        Ok(Self { path, database })
    }

    /// What was declared last; nothing where nobody has.
    pub(super) fn load(&mut self) -> Result<Desired, StoreError> {
        let database = self.opened()?;
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = database.begin_read()?;
            match transaction.open_table(DECLARED) {
                Ok(table) => Ok(table.get(CURRENT)?.map(|value| value.value().to_vec())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let read = read();
        self.database = Some(database);
        match read.map_err(|error| self.failed(&error))? {
            Some(text) => serde_json::from_slice(&text).map_err(|error| self.failed(&error)),
            None => Ok(Desired::default()),
        }
    }

    /// Keeps what is declared now. It is on disk when this returns; where it cannot be, what was kept
    /// before still is.
    pub(super) fn save(&mut self, desired: &Desired) -> Result<(), StoreError> {
        let text = serde_json::to_vec(desired).map_err(|error| self.failed(&error))?;
        let database = self.opened()?;
        let write = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction
                .open_table(DECLARED)?
                .insert(CURRENT, &text[..])?;
            transaction.commit()?;
            Ok(())
        };
        match write() {
            Ok(()) => {
                self.database = Some(database);
                Ok(())
            }
            Err(error) => {
                // Opened again at once where that is possible, so that nobody else takes it.
                drop(database);
                self.database = open(&self.path).ok();
                Err(self.failed(&error))
            }
        }
    }

    /// The database, taken out; opened again where a write has failed.
    fn opened(&mut self) -> Result<Database, StoreError> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => open(&self.path),
        }
    }

    fn failed(&self, error: &dyn std::error::Error) -> StoreError {
        StoreError {
            path: self.path.clone(),
            what: error.to_string(),
        }
    }
}

/// Opens the database in a file. One who was killed may take a moment to be gone.
fn open(path: &Path) -> Result<Database, StoreError> {
    let begun = Instant::now();
    loop {
        let what = match Database::create(path) {
            Ok(database) => return Ok(database),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) if begun.elapsed() < FAREWELL => {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => "another daemon uses it".into(),
            Err(other) => other.to_string(),
        };
        let path = path.to_owned();
        return Err(StoreError { path, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_declared_is_there_again_and_one_daemon_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("daemon.redb");
        let mut desired = Desired::default();
        {
            let mut store = Store::open(&path).expect("opened");
            assert_eq!(store.load().expect("loaded"), desired);
            desired.ports.insert("wan".into(), "tap:tap0".into());
            store.save(&desired).expect("saved");
            let error = Store::open(&path).err().expect("a refusal").to_string();
            assert!(error.ends_with("another daemon uses it"), "{error}");
        }
        let mut store = Store::open(&path).expect("opened again");
        assert_eq!(store.load().expect("loaded"), desired);
    }

    #[test]
    fn a_store_that_is_damaged_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("daemon.redb");
        std::fs::write(&path, [7; 10_000]).expect("written");
        assert!(Store::open(&path).is_err());
    }
}
