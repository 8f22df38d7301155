//! Golden tests: configurations in simulated time, and what they must say and hold afterwards.
//!
//! One file holds a family's cases. A case is
//!
//! ```text
//! == Class, Class: the claim (where the expected text comes from)
//! its configuration, as many lines as it likes
//! -- file NAME
//! what a file holds that it reads
//! -- hex NAME
//! the same, in hexadecimal digits
//! -- warns
//! what is said while it is set up
//! -- says
//! standard error
//! -- prints
//! standard output
//! -- writes NAME
//! what a file holds that it wrote
//! -- read HANDLER
//! what a handler says at the end
//! -- refused
//! what is said instead of running
//! ```
//!
//! with those parts that matter to the claim, and `says` wherever it says anything. Lines that begin
//! with `##` are notes. That each class has a case is checked too; docs/elements/README.md says how
//! many.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use sprat_click::driver::Driver;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_packet::Pool;

/// How long a case may run in simulated time.
const LIMIT: Duration = Duration::from_mins(10);

struct Case {
    title: String,
    classes: Vec<String>,
    configuration: String,
    /// Name, what it is about, and text.
    parts: Vec<(String, String, String)>,
}

/// The cases of a family's file.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("##")) {
        if let Some(title) = line.strip_prefix("== ") {
            let (classes, _) = title.split_once(": ").expect("classes and a claim");
            cases.push(Case {
                title: title.to_owned(),
                classes: classes.split(", ").map(str::to_owned).collect(),
                configuration: String::new(),
                parts: Vec::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        if let Some(part) = line.strip_prefix("-- ") {
            let (name, about) = part.split_once(' ').unwrap_or((part, ""));
            case.parts
                .push((name.to_owned(), about.to_owned(), String::new()));
            continue;
        }
        let text = match case.parts.last_mut() {
            Some((_, _, text)) => text,
            None => &mut case.configuration,
        };
        text.push_str(line);
        text.push('\n');
    }
    cases
}

/// The bytes that hexadecimal digits stand for, in pairs.
fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// What differs, where something does.
fn difference(what: &str, wanted: &str, found: &str) -> Option<String> {
    let (wanted, found) = (wanted.trim_end(), found.trim_end());
    (wanted != found).then(|| format!("{what}: wanted\n{wanted}\nfound\n{found}\n"))
}

/// Runs a case; what is wrong with it.
fn run(case: &Case) -> String {
    let simulation = Simulation::new();
    for (name, about, text) in &case.parts {
        match name.as_str() {
            "file" => simulation.put_file(about, text.as_bytes()),
            "hex" => simulation.put_file(about, &bytes(text)),
            _ => {}
        }
    }
    let builder = Rc::new(Builder::new(
        sprat_elements::library(),
        simulation.clone(),
        Pool::growing(),
        parser(Rc::new(NoLibraries), Vec::new()),
    ));
    let part = |wanted: &str| {
        let mut parts = case.parts.iter();
        parts
            .find(|(name, _, _)| name == wanted)
            .map(|(_, _, text)| text.as_str())
    };
    let mut wrong = String::new();
    let router = match builder.build(&case.configuration, "config") {
        Ok((router, found)) => {
            if part("refused").is_some() {
                return "it is not refused".into();
            }
            let warns = part("warns").unwrap_or("");
            wrong.extend(difference("warns", warns, &found.to_string()));
            router
        }
        Err(error) => {
            let found = error.diagnostics.to_string();
            return difference("refused", part("refused").unwrap_or(""), &found)
                .unwrap_or_default();
        }
    };
    let mut driver = Driver::new(router);
    simulation.run(&mut driver, LIMIT);
    let says = simulation.take_errors();
    wrong.extend(difference("says", part("says").unwrap_or(""), &says));
    let prints = simulation.take_output();
    for (name, about, text) in &case.parts {
        wrong.extend(match name.as_str() {
            "prints" => difference("prints", text, &prints),
            "read" => {
                let (handler, parameters) = about.split_once(' ').unwrap_or((about, ""));
                match driver.router().read(handler, parameters) {
                    Ok(found) => difference(about, text, &found),
                    Err(error) => Some(format!("{about}: {error}\n")),
                }
            }
            "writes" => {
                let found = simulation.file(about).unwrap_or_default();
                difference(about, text, &String::from_utf8_lossy(&found))
            }
            "file" | "hex" | "says" | "warns" => None,
            other => Some(format!("no part is called '{other}'\n")),
        });
    }
    drop(driver.finish());
    wrong
}

fn files() -> Vec<(String, Vec<Case>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the cases")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|name| name == "golden"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a file of cases");
            let family = path.file_stem().expect("a name").to_string_lossy();
            (family.into_owned(), cases(&text))
        })
        .collect()
}

#[test]
fn every_case_says_and_holds_what_it_must() {
    let mut wrong = String::new();
    for (family, cases) in files() {
        for case in cases {
            let found = run(&case);
            if !found.is_empty() {
                let _ = write!(wrong, "\n{family}: {}\n{found}", case.title);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_class_has_a_case_in_which_it_stands() {
    let mut lacking: Vec<&str> = sprat_elements::CLASSES
        .concat()
        .iter()
        .map(|class| class.name)
        .collect();
    for (family, cases) in files() {
        for case in cases {
            for class in &case.classes {
                let word = |text: &str| {
                    text.split(|c: char| !c.is_ascii_alphanumeric())
                        .any(|word| word == class)
                };
                assert!(
                    word(&case.configuration),
                    "{family}: {}: {class} does not stand there",
                    case.title
                );
                lacking.retain(|name| name != class);
            }
        }
    }
    assert!(lacking.is_empty(), "no golden case: {}", lacking.join(" "));
}
