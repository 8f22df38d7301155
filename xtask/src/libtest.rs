//! Reads what Rust's test harness prints.
//!
//! Cargo runs many harnesses one after the other; their outputs arrive as one stream. With
//! `--show-output` the harness also shows what passing tests printed, which is where a test
//! says `skipped: <why>`.

use crate::report::Report;

/// What the person at the screen should see of one line.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Show {
    /// A failure, a summary, or something that is not the harness's: show it.
    Yes,
    /// One of very many lines that say all is well.
    No,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
enum Section {
    #[default]
    Results,
    Successes,
    Failures,
}

/// The state of reading.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    section: Section,
    /// The test whose output is being shown.
    current: Option<String>,
    /// The last passing test that said it was skipped, so that it is taken from the count once.
    skipped: Option<String>,
    /// How many such tests the harnesses count among the passed, though they checked nothing.
    counted_wrongly: usize,
    /// Harnesses that began and have not said their result.
    open: usize,
    report: Report,
}

impl Reader {
    /// Takes one line, without its end.
    pub(crate) fn line(&mut self, line: &str) -> Show {
        if is_start(line) {
            self.open += 1;
            self.section = Section::Results;
            return Show::No;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.open = self.open.saturating_sub(1);
            self.section = Section::Results;
            self.report.passed += count(result, "passed");
            return Show::Yes;
        }
        match line {
            "successes:" => self.section = Section::Successes,
            "failures:" => self.section = Section::Failures,
            _ => {}
        }
        if let Some(name) = line.strip_prefix("---- ") {
            let name = name.trim_end_matches(" ----").trim_end_matches(" stdout");
            self.current = Some(name.to_owned());
        }
        match self.section {
            Section::Results => self.result(line),
            Section::Successes => {
                self.output_of_passed(line);
                Show::No
            }
            Section::Failures => Show::Yes,
        }
    }

    fn result(&mut self, line: &str) -> Show {
        let Some(rest) = line.strip_prefix("test ") else {
            return if line.is_empty() { Show::No } else { Show::Yes };
        };
        if let Some((name, why)) = rest.split_once(" ... ignored") {
            let why = why.trim_start_matches([',', ' ']);
            let why = if why.is_empty() {
                "marked as ignored"
            } else {
                why
            };
            self.report.skipped.push(format!("{name}: {why}"));
            return Show::No;
        }
        if let Some(name) = rest.strip_suffix(" ... FAILED") {
            self.report.failed.push(format!("test {name}"));
            return Show::Yes;
        }
        if rest.ends_with(" ... ok") {
            Show::No
        } else {
            Show::Yes
        }
    }

    fn output_of_passed(&mut self, line: &str) {
        let Some(why) = line.trim_start().strip_prefix("skipped: ") else {
            return;
        };
        let name = self.current.clone().unwrap_or_default();
        self.report.skipped.push(format!("{name}: {why}"));
        if self.skipped.as_ref() != Some(&name) {
            self.counted_wrongly += 1;
            self.skipped = Some(name);
        }
    }

    /// The counts, once the stream has ended. `good` is whether cargo itself ended well.
    pub(crate) fn finish(mut self, what: &str, good: bool) -> Report {
        for _ in 0..self.open {
            self.report
                .failed
                .push(format!("{what}: a test program died before its end"));
        }
        if !good && self.report.failed.is_empty() {
            self.report
                .failed
                .push(format!("{what}: did not build or did not run"));
        }
        self.report.passed = self.report.passed.saturating_sub(self.counted_wrongly);
        self.report
    }
}

fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .is_some_and(|rest| rest.ends_with(" tests") || rest.ends_with(" test"))
}

/// Reads `3` out of `ok. 3 passed; 0 failed; ...`.
fn count(result: &str, word: &str) -> usize {
    result
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, good: bool) -> Report {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader.finish("tests", good)
    }

    #[test]
    fn counts_of_several_harnesses_are_added() {
        let report = read(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             running 1 test\ntest c ... ok\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            true,
        );
        assert_eq!(
            report,
            Report {
                passed: 3,
                failed: vec![],
                skipped: vec![]
            }
        );
    }

    #[test]
    fn a_test_that_says_skipped_is_not_counted_as_passed() {
        let report = read(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\nsuccesses:\n\n---- b stdout ----\n\
             skipped: needs KVM\nskipped: needs root\n\nsuccesses:\n    a\n    b\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            true,
        );
        assert_eq!(
            report,
            Report {
                passed: 1,
                failed: vec![],
                skipped: vec!["b: needs KVM".into(), "b: needs root".into()]
            }
        );
    }

    #[test]
    fn failures_are_named_and_ignored_tests_are_skips() {
        let report = read(
            "running 3 tests\ntest a ... FAILED\ntest b ... ignored, too slow\ntest c ... ok\n\nfailures:\n\n\
             ---- a stdout ----\nskipped: not in a failing test\n\nfailures:\n    a\n\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            false,
        );
        assert_eq!(
            report,
            Report {
                passed: 1,
                failed: vec!["test a".into()],
                skipped: vec!["b: too slow".into()]
            }
        );
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let report = read("running 2 tests\ntest a ... ok\n", false);
        assert_eq!(report.failed, ["tests: a test program died before its end"]);
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        assert_eq!(
            read("", false).failed,
            ["tests: did not build or did not run"]
        );
    }
}
