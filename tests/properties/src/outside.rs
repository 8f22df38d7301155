//! What is granted and asked from outside: files, handlers, the end.

use alloc::format;
use alloc::vec::Vec;

use sprat::OutputFile as _;
use sprat::control::{Handlers, Refusal};
use sprat::place;

use crate::{Shown, expect};

pub(crate) fn show(property: &str) -> Option<Shown> {
    Some(match property {
        "file-read" => {
            let bytes = place::input_file("given.txt").unwrap_or(b"missing");
            place::write_console(bytes);
            Ok(())
        }
        "file-missing" => expect(place::input_file("other.txt").is_none(), || {
            "a file that was not granted".into()
        }),
        "file-write" => {
            let Some((_, mut file)) = place::take_output_files().into_iter().next() else {
                return Some(Err("no file".into()));
            };
            // Longer than the ring that it travels through.
            for number in 0..40_000_u32 {
                file.write(format!("{number}\n").as_bytes());
            }
            Ok(())
        }
        "handler-answers" => {
            sprat::control::serve_with(Kept(b"first".to_vec()));
            while !sprat::control::stopping() {
                sprat::wait_until(None);
            }
            Ok(())
        }
        "stop-request" => {
            while !sprat::control::stopping() {
                sprat::wait_until(None);
            }
            place::write_console(b"stopping");
            Ok(())
        }
        _ => return None,
    })
}

/// One value that is read and written.
struct Kept(Vec<u8>);

impl Handlers for Kept {
    fn read(&mut self, handler: &[u8], _: &[u8]) -> Result<Vec<u8>, Refusal> {
        match handler {
            b"kept" => Ok(self.0.clone()),
            _ => Err(Refusal::NoHandler("no such handler".into())),
        }
    }

    fn write(&mut self, handler: &[u8], value: &[u8]) -> Result<Vec<u8>, Refusal> {
        match handler {
            b"kept" => {
                self.0 = value.to_vec();
                Ok(Vec::new())
            }
            _ => Err(Refusal::NoHandler("no such handler".into())),
        }
    }
}
