//! Console, parameters, configuration, exit status: mostly for the outside to compare.

use alloc::format;
use alloc::vec::Vec;

use sprat::place;

use crate::{Options, Shown, expect};

pub(crate) fn show(options: &Options) -> Option<Shown> {
    Some(match options.property {
        "console-bytes" => {
            let bytes: Vec<u8> = (0..=255).collect();
            place::write_console(&bytes);
            Ok(())
        }
        "console-order" => {
            for number in 0..2000 {
                place::write_console(format!("{number}\n").as_bytes());
            }
            Ok(())
        }
        // Longer than any ring that it travels through.
        "console-long" => {
            place::write_console(&alloc::vec![b'x'; 300_000]);
            Ok(())
        }
        "console-log" => {
            sprat::log::info!("a line of log");
            Ok(())
        }
        "parameter-text" => {
            place::write_console(options.word.as_bytes());
            Ok(())
        }
        "parameter-default" => expect(options.word == "unsaid" && options.number == 41, || {
            format!("{} and {}", options.word, options.number)
        }),
        "parameter-number" => {
            place::write_console(format!("{}", options.number + 1).as_bytes());
            Ok(())
        }
        "configuration-text" => {
            place::write_console(place::configuration());
            Ok(())
        }
        "exit-zero" | "parameter-malformed" | "parameter-missing" => Ok(()),
        "exit-status" => sprat::exit(37),
        _ => return None,
    })
}
