//! Builds one image of this workspace into a store, and again from its record: `record PACKAGE FOLDER`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sprat_image::record::{self, Grants, RecordError, Recording};
use sprat_image::store::Store;
use sprat_image::{BuildOptions, Package};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: record PACKAGE FOLDER");
        return ExitCode::from(2);
    };
    match run(&name, Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, folder: &Path) -> Result<(), RecordError> {
    let package = Package {
        workspace: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.."),
        name: name.to_owned(),
    };
    let store = Store::at(folder.join("store"));
    let options = BuildOptions::new(folder.join("unused"));
    let staging = folder.join("staging");
    let recording = Recording {
        name,
        staging: &staging,
        store: &store,
        key: None,
        boot: None,
    };
    let recorded = record::build(&package, &options, &recording, &mut |_| {})?;
    println!("{} {}", recorded.stored.digest, recorded.built.build_id);
    let again = folder.join("again");
    let nothing = |_: &[u8], _: &[u8], _: &Grants| Err("it does not boot by itself".into());
    let image = &recorded.stored;
    let verified = record::verify(&store, image, None, &again, &nothing, &mut |_| {})?;
    println!("{verified:?}");
    Ok(())
}
