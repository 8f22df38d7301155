//! How instances ended, kept as files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::protocol::Crash;

/// Reports of an instance that are kept.
const MOST_REPORTS: usize = 16;

/// Writes a report of an instance's end, and removes the one of the time farthest from now if that is
/// one too many; says where it is, or what was in the way. The instance is replaced all the same.
pub(super) fn write(folder: &Path, instance: &str, at: u64, report: &str) -> String {
    let path = folder.join(format!("{instance}-{at:014}.txt"));
    let written = match fs::write(&path, report) {
        Ok(()) => path.display().to_string(),
        Err(error) => {
            // Half a report says less than none.
            let _ = fs::remove_file(&path);
            format!("{}: {error}", path.display())
        }
    };
    let mut reports = reports(folder, instance);
    // The oldest; but where the clock was put back, those of a time that is still to come: by their
    // names they are newer than what has just happened.
    reports.sort_by_key(|(time, _)| time.abs_diff(at));
    for (_, report) in reports.iter().skip(MOST_REPORTS) {
        let _ = fs::remove_file(report);
    }
    written
}

/// The reports there are of an instance, each with its time in milliseconds since 1970.
fn reports(folder: &Path, instance: &str) -> Vec<(u64, PathBuf)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let report = |file: fs::DirEntry| {
        let name = file.file_name();
        let rest = name.to_str()?.strip_prefix(instance)?.strip_prefix('-')?;
        let time = rest.strip_suffix(".txt")?;
        let digits = time.bytes().all(|byte| byte.is_ascii_digit());
        Some((time.parse().ok().filter(|_| digits)?, file.path()))
    };
    files.filter_map(report).collect()
}

/// How an instance ended, newest first, as far as that is kept.
pub(super) fn read(folder: &Path, instance: &str) -> Vec<Crash> {
    let mut reports = reports(folder, instance);
    reports.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let crash = |(at, path): (u64, PathBuf)| {
        // One may be removed meanwhile.
        let report = fs::read(&path).ok()?;
        Some(Crash {
            at,
            file: path.display().to_string(),
            report: String::from_utf8_lossy(&report).into_owned(),
        })
    };
    reports.into_iter().filter_map(crash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of the reports that are left, in order.
    fn left(folder: &Path) -> Vec<u64> {
        let mut times: Vec<u64> = reports(folder, "fw").iter().map(|(at, _)| *at).collect();
        times.sort_unstable();
        times
    }

    #[test]
    fn the_newest_sixteen_reports_of_each_instance_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "fw-2", 1, "another's");
        for at in 0..20 {
            write(folder.path(), "fw", at, &format!("the {at}th"));
        }
        assert_eq!(left(folder.path()), Vec::from_iter(4..20));
        let oldest = folder.path().join("fw-00000000000004.txt");
        assert_eq!(fs::read_to_string(oldest).expect("readable"), "the 4th");
        assert_eq!(reports(folder.path(), "fw-2").len(), 1);
    }

    #[test]
    fn a_report_stays_that_was_written_after_the_clock_was_put_back() {
        let folder = tempfile::tempdir().expect("a folder");
        for at in 1000..1016 {
            write(folder.path(), "fw", at, "before");
        }
        for at in 10..12 {
            let path = write(folder.path(), "fw", at, "since");
            assert_eq!(fs::read_to_string(path).expect("readable"), "since");
        }
        let expected: Vec<u64> = (10..12).chain(1000..1014).collect();
        assert_eq!(left(folder.path()), expected);
    }
}
