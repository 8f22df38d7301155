//! How instances ended, kept as files.

use std::fs;
use std::path::{Path, PathBuf};

/// Reports of an instance that are kept.
const MOST_REPORTS: usize = 16;

/// Writes a report of an instance's end, and removes the oldest one too many; says where it is, or
/// what was in the way. The instance is replaced all the same.
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
    let old = reports.len().saturating_sub(MOST_REPORTS);
    for report in reports.drain(..old) {
        let _ = fs::remove_file(report);
    }
    written
}

/// The reports there are of an instance, oldest first.
fn reports(folder: &Path, instance: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut reports: Vec<PathBuf> = files
        .filter(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.strip_prefix(instance)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|rest| rest.strip_suffix(".txt"))
                .is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|file| file.path())
        .collect();
    reports.sort();
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sixteen_reports_of_each_instance_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "fw-2", 1, "another's");
        for at in 0..20 {
            write(folder.path(), "fw", at, &format!("the {at}th"));
        }
        let left = reports(folder.path(), "fw");
        assert_eq!(left.len(), 16);
        assert_eq!(fs::read_to_string(&left[0]).expect("readable"), "the 4th");
        assert_eq!(reports(folder.path(), "fw-2").len(), 1);
    }
}
