//! Builds one image of a workspace and writes it with its sidecar: `build PACKAGE FOLDER [WORKSPACE]`;
//! or the boot monitor: `build boot-monitor FOLDER [WORKSPACE]`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sprat_image::{BuildOptions, Package, Progress, build, build_boot_monitor, inspect};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: build PACKAGE FOLDER [WORKSPACE]");
        return ExitCode::from(2);
    };
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = arguments.next().map_or(own, PathBuf::from);
    match run(&name, Path::new(&folder), &workspace) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, folder: &Path, workspace: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let workspace = workspace.canonicalize()?;
    let options = BuildOptions::new(workspace.join("target/images"));
    if name == "boot-monitor" {
        let built = build_boot_monitor(&workspace, &options, &mut |_| {})?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("boot-monitor"), &built.linked)?;
        return Ok(());
    }
    let package = Package {
        workspace: workspace.clone(),
        name: name.to_owned(),
    };
    let built = build(&package, &options, &mut |progress| match progress {
        Progress::Compiled { name, done, crates } => eprintln!("[{done}/{crates}] {name}"),
        Progress::Message(line) => eprintln!("{line}"),
        _ => {}
    })?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), &built.image)?;
    std::fs::write(folder.join(format!("{name}.symbols")), &built.sidecar)?;
    let inspection = inspect(&built.image, Some(&built.sidecar))?;
    println!(
        "{} {}: {} bytes, build {}",
        inspection.name,
        inspection.version,
        built.image.len(),
        built.build_id
    );
    for segment in &inspection.segments {
        println!(
            "  {} {:#x} {} bytes",
            segment.protection, segment.address, segment.memory
        );
    }
    for size in &inspection.crates {
        println!("  {:8} {:8} {}", size.text, size.data, size.name);
    }
    Ok(())
}
