//! Files and standard streams as elements see them.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::rc::Rc;

use sprat_click::environment::{AccessError, Input, Output};

use crate::standard_output::StandardOutput;

/// Bytes read and written at a time.
const BUFFER: usize = 1 << 16;

/// What a system error means to an element.
pub(crate) fn access_error(error: &std::io::Error) -> AccessError {
    match error.kind() {
        ErrorKind::NotFound => AccessError::NotFound,
        ErrorKind::PermissionDenied => AccessError::PermissionDenied,
        _ => {
            // Rust adds the number to the system's text.
            let text = error.to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            AccessError::System(text[..end].into())
        }
    }
}

/// Opens a file to be read; `-` is the standard input.
pub(crate) fn open_input(name: &str) -> Result<Box<dyn Input>, AccessError> {
    let reader: Box<dyn Read> = if name == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(name).map_err(|error| access_error(&error))?;
        if file.metadata().is_ok_and(|data| data.is_dir()) {
            return Err(AccessError::System("Is a directory".into()));
        }
        Box::new(file)
    };
    Ok(Box::new(FileInput(BufReader::with_capacity(
        BUFFER, reader,
    ))))
}

/// Opens a file to be written; `-` is the standard output.
pub(crate) fn open_output(
    name: &str,
    append: bool,
    standard: &Rc<StandardOutput>,
) -> Result<Box<dyn Output>, AccessError> {
    if name == "-" {
        return Ok(Box::new(SharedOutput(standard.clone())));
    }
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(name)
        .map_err(|error| access_error(&error))?;
    Ok(Box::new(FileOutput(BufWriter::with_capacity(BUFFER, file))))
}

struct FileInput(BufReader<Box<dyn Read>>);

impl Input for FileInput {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, AccessError> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map_err(|error| access_error(&error)),
            }
        }
    }
}

struct FileOutput(BufWriter<File>);

impl Output for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<(), AccessError> {
        self.0
            .write_all(bytes)
            .map_err(|error| access_error(&error))
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        self.0.flush().map_err(|error| access_error(&error))
    }
}

struct SharedOutput(Rc<StandardOutput>);

impl Output for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<(), AccessError> {
        self.0.write(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_the_systems_words_without_its_numbers() {
        let missing = open_input("/nonexistent/file").err();
        assert_eq!(missing, Some(AccessError::NotFound));
        assert_eq!(
            open_input("/").err(),
            Some(AccessError::System("Is a directory".into()))
        );
    }

    #[test]
    fn appending_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("file");
        let name = name.to_str().unwrap();
        let standard = Rc::new(StandardOutput::default());
        for (text, append) in [("old", false), ("a", false), ("b", true)] {
            let mut output = open_output(name, append, &standard).unwrap();
            output.write(text.as_bytes()).unwrap();
        }
        let mut input = open_input(name).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(input.read(&mut buffer), Ok(2));
        assert_eq!(&buffer[..2], b"ab");
    }
}
