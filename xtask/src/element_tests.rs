//! Which tests each element has, for the table of classes.

use std::fs;
use std::io::Result;
use std::path::Path;

/// The tests of the element library.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    /// The test code of each source file.
    sources: Vec<String>,
    /// The classes that each golden case is about.
    golden: Vec<Vec<String>>,
}

impl Tests {
    /// Reads the library's tests.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn read() -> Result<Self> {
        let library = crate::root().join("crates/elements");
        let mut tests = Self::default();
        tests.read_sources(&library.join("src"))?;
        // Elements that speak to the host are tested where it is.
        tests.read_sources(&crate::root().join("crates/userlevel/tests"))?;
        for entry in fs::read_dir(library.join("tests/golden"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|name| name == "golden") {
                let text = fs::read_to_string(path)?;
                tests.golden.extend(text.lines().filter_map(case_classes));
            }
        }
        Ok(tests)
    }

    fn read_sources(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.read_sources(&path)?;
            } else if path.extension().is_some_and(|name| name == "rs") {
                let text = fs::read_to_string(&path)?;
                let name = path.to_string_lossy();
                self.sources
                    .extend(test_code(&name, &text).map(str::to_owned));
            }
        }
        Ok(())
    }

    /// How many unit tests are about a class: those that name it, or all of a file where only what
    /// they share names it.
    pub(crate) fn unit(&self, class: &str) -> usize {
        self.sources.iter().map(|code| count(code, class)).sum()
    }

    /// How many golden cases are about a class.
    pub(crate) fn golden(&self, class: &str) -> usize {
        self.golden
            .iter()
            .filter(|classes| classes.iter().any(|name| name == class))
            .count()
    }
}

/// The classes in a case's title, `== Class, Class: claim`.
fn case_classes(line: &str) -> Option<Vec<String>> {
    let (classes, _) = line.strip_prefix("== ")?.split_once(": ")?;
    Some(classes.split(", ").map(str::to_owned).collect())
}

/// The part of a source file that is tests.
fn test_code<'a>(path: &str, text: &'a str) -> Option<&'a str> {
    let whole = path.ends_with("tests.rs") || path.contains("/tests/");
    let begin = if whole { 0 } else { text.find("#[cfg(test)]")? };
    let code = &text[begin..];
    code.contains("#[test]").then_some(code)
}

fn count(code: &str, class: &str) -> usize {
    let names = |text: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == class)
    };
    if !names(code) {
        return 0;
    }
    let tests: Vec<&str> = code.split("#[test]").skip(1).collect();
    match tests.iter().filter(|test| names(test)).count() {
        0 => tests.len(),
        named => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_counts_for_the_classes_that_it_names() {
        let code = "#[test]\nfn a() { \"Idle -> Tee\" }\n#[test]\nfn b() { \"Idle\" }";
        assert_eq!(count(code, "Idle"), 2);
        assert_eq!(count(code, "Tee"), 1);
        assert_eq!(count(code, "T"), 0);
    }

    #[test]
    fn what_tests_share_counts_for_all_of_them() {
        let code = "fn bench() { \"Idle\" }\n#[test]\nfn a() {}\n#[test]\nfn b() {}";
        assert_eq!(count(code, "Idle"), 2);
    }

    #[test]
    fn titles_name_classes() {
        let classes = case_classes("== Idle, Tee: take and give (by hand)").expect("a title");
        assert_eq!(classes, ["Idle", "Tee"]);
        assert_eq!(case_classes("Idle -> Tee"), None);
    }
}
