//! One program, every target: the properties that docs/reference/properties.md lists, as one table.
#![allow(missing_docs)]

mod machine;
mod peer;
mod properties;
mod run;

use std::fmt::Write as _;

use properties::{PROPERTIES, Property};
use run::{Programs, Target};
use self_booting::workspace;

/// What stands in the table.
enum Cell {
    Holds,
    /// The target has no such thing; why.
    Absent,
    Fails(String),
}

fn show(property: &Property, target: Target, programs: &Programs) -> Cell {
    if property.absent(target) {
        return Cell::Absent;
    }
    match property.check(&mut |script| run::run(target, programs, property.name, script)) {
        Ok(()) => Cell::Holds,
        Err(wrong) => Cell::Fails(wrong),
    }
}

#[test]
fn every_property_holds_on_every_target() {
    // One target, one property, or those whose names begin alike, where somebody looks for what is wrong.
    let chosen = |variable, name: &str| {
        std::env::var(variable).map_or(true, |begin| name.starts_with(&begin))
    };
    let mut targets = Target::all();
    targets.retain(|target| chosen("TARGET", target.name()));
    let programs = Programs::build();
    let mut table = String::from("property");
    let width = PROPERTIES
        .iter()
        .map(|property| property.name.len())
        .max()
        .unwrap_or(0);
    let _ = write!(table, "{:1$}", "", width - 8);
    for target in &targets {
        let _ = write!(table, "  {}", target.name());
    }
    println!("{table}");
    let mut failures = Vec::new();
    let (mut holding, mut absent) = (0, 0);
    for property in PROPERTIES {
        if !chosen("PROPERTY", property.name) {
            continue;
        }
        let mut line = format!("{:width$}", property.name);
        for target in &targets {
            let name = target.name();
            let word = match show(property, *target, &programs) {
                Cell::Holds => {
                    holding += 1;
                    "yes"
                }
                Cell::Absent => {
                    absent += 1;
                    "-"
                }
                Cell::Fails(wrong) => {
                    failures.push(format!("{} on {name}: {wrong}", property.name));
                    "NO"
                }
            };
            let _ = write!(line, "  {word:0$}", name.len());
        }
        println!("{line}");
    }
    println!(
        "{} properties on {} targets: {holding} hold, {} do not, {absent} have nothing to hold",
        PROPERTIES.len(),
        targets.len(),
        failures.len(),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_reference_lists_every_property_and_no_other() {
    let path = workspace().join("docs/reference/properties.md");
    let text = std::fs::read_to_string(path).expect("the reference");
    let listed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let checked: Vec<&str> = PROPERTIES.iter().map(|property| property.name).collect();
    assert!(checked.len() >= 40);
    assert_eq!(listed, checked);
}
