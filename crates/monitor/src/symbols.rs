//! Names for addresses, from the file that lies beside an image.
//!
//! A loaded image has no symbols. They lie in a file called `NAME.symbols` next to it, or in a directory
//! by build id as distributions keep them: `.build-id/ab/cdef....debug`.

use crate::report::Name;
use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, Error, RunTimeEndian, SectionId};
use object::{Object, ObjectSection, ObjectSymbol};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why symbols cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolsError {
    /// The file cannot be read, or is damaged.
    #[error("the symbols in {path} cannot be read: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why, in the words of the library that reads it.
        reason: String,
    },
    /// The file belongs to another image.
    #[error("the symbols in {path} have build id {found}, and the image has {wanted}")]
    BuildId {
        /// The file.
        path: PathBuf,
        /// Its build id.
        found: String,
        /// The image's.
        wanted: String,
    },
}

/// The symbols of one image.
pub struct Symbols {
    lines: Context<EndianArcSlice<RunTimeEndian>>,
    /// Function addresses and names, for images with a symbol table and no line tables.
    table: Vec<(u64, u64, String)>,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbols({} functions)", self.table.len())
    }
}

/// A build id as it is written: `none` if it is empty.
#[must_use]
pub fn build_id_text(id: &[u8]) -> String {
    if id.is_empty() {
        return "none".into();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Symbols {
    /// Reads the symbols in a file, which must be those of the image with this build id.
    ///
    /// # Errors
    /// If the file cannot be read or belongs to another image.
    pub fn load(path: &Path, build_id: &[u8]) -> Result<Self, SymbolsError> {
        let bytes = std::fs::read(path).map_err(|error| SymbolsError::Read {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Self::parse(path, &bytes, build_id)
    }

    /// Reads symbols that are at hand; `path` is what they are called in errors.
    ///
    /// # Errors
    /// If they are damaged or belong to another image.
    pub fn parse(path: &Path, bytes: &[u8], build_id: &[u8]) -> Result<Self, SymbolsError> {
        let failed = |reason: String| SymbolsError::Read {
            path: path.to_owned(),
            reason,
        };
        let file = object::File::parse(bytes).map_err(|error| failed(error.to_string()))?;
        let found = file.build_id().ok().flatten().unwrap_or_default();
        if found != build_id {
            let (found, wanted) = (build_id_text(found), build_id_text(build_id));
            return Err(SymbolsError::BuildId {
                path: path.to_owned(),
                found,
                wanted,
            });
        }
        let mut table: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.kind() == object::SymbolKind::Text)
            .filter_map(|symbol| {
                Some((
                    symbol.address(),
                    symbol.size(),
                    symbol.name().ok()?.to_owned(),
                ))
            })
            .collect();
        table.sort();
        let section = |id: SectionId| -> Result<_, Error> {
            let section = file.section_by_name(id.name());
            let data = section.and_then(|section| section.uncompressed_data().ok());
            let data = Arc::from(&*data.unwrap_or_default());
            Ok(EndianArcSlice::new(data, RunTimeEndian::Little))
        };
        let lines = Dwarf::load(section).and_then(Context::from_dwarf);
        let lines = lines.map_err(|error| failed(error.to_string()))?;
        Ok(Self { lines, table })
    }

    /// Looks for the symbols of an image: `IMAGE.symbols`, then each directory by build id, then the
    /// image itself, which may not have been stripped. `None` if there are none that fit.
    #[must_use]
    pub fn find(image: &Path, build_id: &[u8], directories: &[&Path]) -> Option<Self> {
        let mut beside = image.as_os_str().to_owned();
        beside.push(".symbols");
        let text = build_id_text(build_id);
        let by_id = directories.iter().filter_map(|directory| {
            let (first, rest) = text.split_at_checked(2)?;
            Some(
                directory
                    .join(".build-id")
                    .join(first)
                    .join(format!("{rest}.debug")),
            )
        });
        std::iter::once(PathBuf::from(beside))
            .chain(by_id)
            .chain([image.to_owned()])
            .filter_map(|path| Self::load(&path, build_id).ok())
            .find(|symbols| !symbols.table.is_empty())
    }

    /// The functions at an address, inlined ones first; empty if none is known.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Vec<Name> {
        let mut names = vec![];
        if let Ok(mut frames) = self.lines.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                let place = frame
                    .location
                    .as_ref()
                    .and_then(|place| Some((place.file?.to_owned(), place.line.unwrap_or(0))));
                let demangled = frame.function.as_ref().map(|function| function.demangle());
                match demangled {
                    Some(Ok(function)) => names.push(Name {
                        function: function.into_owned(),
                        place,
                    }),
                    // Line tables alone name only functions that others are inlined into.
                    _ => names.extend(
                        self.lookup_table(address)
                            .map(|name| Name { place, ..name }),
                    ),
                }
            }
        }
        if names.is_empty() {
            names.extend(self.lookup_table(address));
        }
        names
    }

    fn lookup_table(&self, address: u64) -> Option<Name> {
        let after = self.table.partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = self.table.get(after.checked_sub(1)?)?;
        (address - start < (*size).max(1)).then(|| Name {
            function: format!("{:#}", rustc_demangle::demangle(name)),
            place: None,
        })
    }
}
