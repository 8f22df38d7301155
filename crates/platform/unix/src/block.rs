//! Files as block devices. Everything is done when it is begun.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sprat_platform::{Block, BlockRequest, Status};

const BLOCK_SIZE: usize = 512;

const TRANSFER_LIMIT: usize = 256 << 10;

/// A file that holds blocks.
pub struct HostBlock {
    name: &'static str,
    index: usize,
    file: File,
    block_count: u64,
    finished: Vec<Option<(Status, Vec<u8>)>>,
}

/// Opens a file for [`HostBlock::new`]; its whole blocks are the device's.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).open(path)?;
    file.try_lock().map_err(io::Error::from)?;
    Ok(file)
}

impl HostBlock {
    pub(crate) fn new(name: &'static str, index: usize, mut file: File) -> Self {
        let length = file.seek(SeekFrom::End(0)).unwrap_or(0);
        Self {
            name,
            index,
            file,
            block_count: length / BLOCK_SIZE as u64,
            finished: Vec::new(),
        }
    }

    fn serve(&self, request: BlockRequest<'_>) -> io::Result<(Status, Vec<u8>)> {
        let place = |first: u64, length: usize| {
            let count = (length / BLOCK_SIZE) as u64;
            let end = first.checked_add(count)?;
            (end <= self.block_count).then_some(first * BLOCK_SIZE as u64)
        };
        let mut read = Vec::new();
        match request {
            BlockRequest::Read { first, length } => match place(first, length) {
                Some(place) => {
                    read.resize(length, 0);
                    self.file.read_exact_at(&mut read, place)?;
                }
                None => return Ok((Status::OutOfRange, read)),
            },
            BlockRequest::Write { first, data } => match place(first, data.len()) {
                Some(place) => self.file.write_all_at(data, place)?,
                None => return Ok((Status::OutOfRange, read)),
            },
            BlockRequest::Flush => self.file.sync_data()?,
        }
        Ok((Status::Done, read))
    }
}

impl Block for HostBlock {
    fn name(&self) -> &'static str {
        self.name
    }

    fn index(&self) -> usize {
        self.index
    }

    fn block_size(&self) -> usize {
        BLOCK_SIZE
    }

    fn block_count(&self) -> u64 {
        self.block_count
    }

    fn transfer_limit(&self) -> usize {
        TRANSFER_LIMIT
    }

    fn begin(&mut self, request: BlockRequest<'_>) -> Option<u32> {
        let result = self.serve(request).unwrap_or_else(|error| {
            let status = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Status::NoSpace,
                _ => Status::Failed,
            };
            (status, Vec::new())
        });
        let free = self.finished.iter().position(Option::is_none);
        let place = free.unwrap_or(self.finished.len());
        match self.finished.get_mut(place) {
            Some(slot) => *slot = Some(result),
            None => self.finished.push(Some(result)),
        }
        u32::try_from(place).ok()
    }

    fn finish(&mut self, ticket: u32, data: &mut [u8]) -> Option<Status> {
        let (status, read) = self.finished.get_mut(ticket as usize)?.take()?;
        if status == Status::Done && read.len() == data.len() {
            data.copy_from_slice(&read);
        }
        Some(status)
    }

    fn forget(&mut self, ticket: u32) {
        if let Some(slot) = self.finished.get_mut(ticket as usize) {
            *slot = None;
        }
    }
}
