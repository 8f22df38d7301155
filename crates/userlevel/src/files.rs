//! Files and standard streams as elements see them.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek as _, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
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
        let metadata = file.metadata().map_err(|error| access_error(&error))?;
        if metadata.is_dir() {
            return Err(AccessError::System("Is a directory".into()));
        }
        match metadata.is_file().then(|| program(&file)).flatten() {
            Some(program) => Box::new(Decompressed::new(program, file)?),
            None => Box::new(file),
        }
    };
    Ok(Box::new(FileInput(BufReader::with_capacity(
        BUFFER, reader,
    ))))
}

/// The program that makes what it was of a compressed file.
fn program(mut file: &File) -> Option<&'static str> {
    let mut begin = [0; 4];
    let whole = file.read_exact(&mut begin);
    file.rewind().ok()?;
    whole.ok()?;
    match begin {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [b'B', b'Z', b'h', _] => Some("bzip2"),
        _ => None,
    }
}

/// What a program makes of a compressed file; the program ends with it.
struct Decompressed {
    program: Child,
    output: ChildStdout,
}

impl Decompressed {
    fn new(name: &str, file: File) -> Result<Self, AccessError> {
        let spawned = Command::new(name)
            .arg("-cd")
            .stdin(file)
            .stdout(Stdio::piped())
            .spawn();
        let mut program = spawned.map_err(|error| {
            AccessError::System(format!("compressed, and {name} cannot be run ({error})"))
        })?;
        match program.stdout.take() {
            Some(output) => Ok(Self { program, output }),
            None => Err(AccessError::Unsupported),
        }
    }
}

impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Drop for Decompressed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
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
    fn compressed_files_are_read_as_what_they_were() {
        let folder = tempfile::tempdir().unwrap();
        for (program, ending) in [("gzip", "gz"), ("bzip2", "bz2")] {
            let name = folder.path().join("file");
            std::fs::write(&name, "contents").unwrap();
            if !Command::new(program)
                .arg(&name)
                .status()
                .is_ok_and(|it| it.success())
            {
                println!("skipped: needs {program}");
                continue;
            }
            let name = name.with_extension(ending);
            let mut input = open_input(name.to_str().unwrap()).unwrap();
            let mut buffer = [0; 64];
            assert_eq!(input.read(&mut buffer), Ok(8));
            assert_eq!(&buffer[..8], b"contents");
            assert_eq!(input.read(&mut buffer), Ok(0));
        }
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
