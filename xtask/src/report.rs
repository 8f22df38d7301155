//! What a run of checks came to.

/// Counts and reasons, added up over every step of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Checks that held.
    pub(crate) passed: usize,
    /// One line for each check that did not hold.
    pub(crate) failed: Vec<String>,
    /// Why each check that was not made was not made.
    pub(crate) skipped: Vec<String>,
}

impl Report {
    /// A report of a single check.
    pub(crate) fn of(name: &str, held: bool) -> Report {
        let mut report = Report::default();
        if held {
            report.passed = 1;
        } else {
            report.failed.push(name.to_owned());
        }
        report
    }

    /// Adds another report to this one.
    pub(crate) fn add(&mut self, other: Report) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// Turns every skip that this machine gives no reason for into a failure.
    ///
    /// `available` says whether the machine has what the reason says was missing.
    pub(crate) fn refuse_skips(&mut self, available: impl Fn(&str) -> bool) {
        let (refused, kept): (Vec<_>, Vec<_>) =
            self.skipped.drain(..).partition(|why| available(why));
        self.skipped = kept;
        self.failed.extend(
            refused
                .into_iter()
                .map(|why| format!("skipped, though this machine has it: {why}")),
        );
    }

    /// Prints what failed and what was skipped, then the one line of counts.
    pub(crate) fn print(&self) {
        println!();
        for why in &self.skipped {
            println!("skipped: {why}");
        }
        for what in &self.failed {
            println!("failed: {what}");
        }
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        );
    }

    /// Whether nothing failed and something was checked.
    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_empty() && self.passed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_without_a_cause_is_a_failure() {
        let mut report = Report {
            passed: 2,
            failed: vec![],
            skipped: vec!["needs KVM".into(), "needs hugepages".into()],
        };
        report.refuse_skips(|why| why.contains("KVM"));
        assert_eq!(report.skipped, ["needs hugepages"]);
        assert_eq!(
            report.failed,
            ["skipped, though this machine has it: needs KVM"]
        );
        assert!(!report.is_good());
    }

    #[test]
    fn a_run_that_checked_nothing_is_not_good() {
        assert!(!Report::default().is_good());
        assert!(Report::of("format", true).is_good());
        assert!(!Report::of("format", false).is_good());
    }
}
