//! `cargo xtask conformance`: Click's own cases, run by `sprat click` in place of `click`.
//!
//! The cases are not part of the project: they are looked for in `../shared/conformance`, and
//! where they are not there this says so.

use crate::report::Report;
use crate::{machine, process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What became of the cases.
#[derive(Debug, Default)]
struct Outcome {
    passed: Vec<String>,
    /// Case and what differed.
    failed: Vec<(String, String)>,
    /// Case and the class that it wants and there is not yet.
    lacking: Vec<(String, String)>,
    /// Case and the requirement that this machine does not meet.
    skipped: Vec<(String, String)>,
}

/// Runs the program that has every property on every target; the table is the test's own.
fn targets() -> Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(crate::root());
    command.args(["test", "--quiet", "--package", "self-booting"]);
    command.args(["--test", "targets", "--", "--nocapture"]);
    Ok(command.status()?.success())
}

/// Prints what passes, fails, and needs elements that are not there yet; or, for `targets`, what holds
/// on every target.
///
/// # Errors
/// The command or the runner cannot be started, or the runner's answer cannot be read.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    match arguments {
        [] => {}
        [what] if what == "targets" => return targets(),
        _ => return Err(Error::other("expected nothing, or `targets`")),
    }
    machine::install_programs();
    let Some(outcome) = measure()? else {
        println!("{ABSENT}");
        return Ok(true);
    };
    println!("\npassed:");
    for case in &outcome.passed {
        println!("  {case}");
    }
    for (title, cases) in [
        ("failed", &outcome.failed),
        ("needs an element that is not there yet", &outcome.lacking),
        ("skipped", &outcome.skipped),
    ] {
        println!("\n{title}:");
        for (case, why) in cases {
            println!("  {case}\n      {why}");
        }
    }
    println!("\nclasses wanted, by number of cases:");
    for (class, count) in wanted(&outcome.lacking) {
        println!("  {count:3} {class}");
    }
    println!(
        "\n{} passed, {} failed, {} need elements that are not there yet, {} skipped",
        outcome.passed.len(),
        outcome.failed.len(),
        outcome.lacking.len(),
        outcome.skipped.len()
    );
    Ok(outcome.failed.is_empty())
}

const ABSENT: &str = "    not run: Click's cases are not at ../shared/conformance";

/// As a step of the tests: what passed counts as passed; a case that fails and is not in the list
/// of known differences counts as failed.
///
/// # Errors
/// As for [`run`].
pub(crate) fn check() -> Result<Report> {
    let mut report = Report::default();
    let Some(outcome) = measure()? else {
        println!("{ABSENT}");
        return Ok(report);
    };
    let known = known_failures()?;
    for case in outcome.passed {
        if known.contains_key(&case) {
            println!("    {case} passes now: take it out of {LIST}");
        }
        report.passed += 1;
    }
    for (case, why) in outcome.failed {
        match known.get(&case) {
            Some(reason) => report.skipped.push(format!("conformance {case}: {reason}")),
            None => report.failed.push(format!("conformance {case}: {why}")),
        }
    }
    for (class, count) in wanted(&outcome.lacking) {
        report
            .skipped
            .push(format!("conformance: {count} cases want the class {class}"));
    }
    report.skipped.extend(
        outcome
            .skipped
            .into_iter()
            .map(|(case, why)| format!("conformance {case}: {why}")),
    );
    Ok(report)
}

/// Cases that are known to fail, each with the reason.
const LIST: &str = "tests/conformance-differences.txt";

/// Reads `case: reason` lines; `#` begins a comment.
fn known_failures() -> Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(crate::root().join(LIST)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .map(|(case, reason)| (case.trim().to_owned(), reason.trim().to_owned()))
        .collect())
}

/// Runs the cases; `None` where there are none.
fn measure() -> Result<Option<Outcome>> {
    let Some(folder) = crate::root()
        .parent()
        .map(|parent| parent.join("shared/conformance"))
    else {
        return Ok(None);
    };
    let runner = folder.join("run.py");
    if !runner.is_file() {
        return Ok(None);
    }
    if !process::show(&mut process::cargo(&[
        "build",
        "--release",
        "--locked",
        "--package",
        "sprat-cli",
    ]))? {
        return Err(Error::other("sprat does not build"));
    }
    let cases = folder.join("click");
    println!(
        "    {} --click '{} click'",
        runner.display(),
        sprat().display()
    );
    let mut outcome = run_cases(&runner, &cases, std::slice::from_ref(&cases), 2)?;
    // On a busy machine a case that waits for real time may come too late: alone it does not.
    let again: Vec<PathBuf> = outcome
        .failed
        .iter()
        .map(|(name, _)| cases.join(name))
        .collect();
    if !again.is_empty() {
        outcome.failed.clear();
        let second = run_cases(&runner, &cases, &again, 1)?;
        outcome.passed.extend(second.passed);
        outcome.failed.extend(second.failed);
        outcome.lacking.extend(second.lacking);
        outcome.skipped.extend(second.skipped);
    }
    Ok(Some(outcome))
}

fn sprat() -> PathBuf {
    crate::target_folder().join("release/sprat")
}

/// Runs the cases at `paths`, named in the outcome by where they are below `cases`.
fn run_cases(runner: &Path, cases: &Path, paths: &[PathBuf], jobs: usize) -> Result<Outcome> {
    let mut python = Command::new("python3");
    python
        .arg(runner)
        .arg("--click")
        .arg(format!("{} click", sprat().display()))
        .args(["--jobs", &jobs.to_string(), "--json"])
        .args(paths)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = python.spawn()?;
    let group = child.id();
    let output = child.wait_with_output()?;
    // A case that was given up may have left a shell that loops: it is in the runner's group.
    Command::new("sh")
        .args(["-c", &format!("kill -KILL -- -{group} 2>/dev/null")])
        .status()?;
    // After the array of cases stands a line of counts.
    let text = String::from_utf8_lossy(&output.stdout);
    let end = text.rfind(']').map_or(0, |at| at + 1);
    let list: Vec<Value> = serde_json::from_str(&text[..end]).map_err(|error| {
        Error::other(format!(
            "{}: {error}\n{}",
            runner.display(),
            String::from_utf8_lossy(&output.stderr)
        ))
    })?;
    let mut outcome = Outcome::default();
    for case in list {
        let field = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let (path, result, why) = (field("case"), field("result"), field("why"));
        let name = path
            .strip_prefix(&*format!("{}/", cases.display()))
            .unwrap_or(&path)
            .to_owned();
        match result.as_str() {
            "passed" => outcome.passed.push(name),
            "skipped" => outcome.skipped.push((name, why)),
            _ => match missing_class(&why) {
                Some(class) => outcome.lacking.push((name, class)),
                None => outcome.failed.push((name, why)),
            },
        }
    }
    Ok(outcome)
}

/// The class in Click's message `unknown element class 'X'`; one that is used without a
/// declaration or arguments is an `undeclared element 'X'`.
fn missing_class(why: &str) -> Option<String> {
    let after = |words| why.split_once(words).map(|(_, rest)| rest);
    let rest = after("unknown element class ").or_else(|| after("undeclared element "))?;
    let name: String = rest
        .chars()
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Classes and how many cases want them, most wanted first.
fn wanted(lacking: &[(String, String)]) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, class) in lacking {
        *counts.entry(class).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_class_is_found_in_clicks_message() {
        let why = "script exited with 1: config:3: unknown element class 'RadixSort'\nRouter could not be initialized!";
        assert_eq!(missing_class(why).as_deref(), Some("RadixSort"));
        let why = "config:1: undeclared element 'RadixSort'";
        assert_eq!(missing_class(why).as_deref(), Some("RadixSort"));
        assert_eq!(missing_class("stdout: line 1: expected 'a', got 'b'"), None);
    }

    #[test]
    fn classes_are_listed_by_how_many_cases_want_them() {
        let lacking: Vec<_> = [("1", "B"), ("2", "A"), ("3", "B")]
            .map(|(case, class)| (case.to_owned(), class.to_owned()))
            .into();
        assert_eq!(wanted(&lacking), [("B", 2), ("A", 1)]);
    }
}
