//! Results as a table.

use std::fmt::Write as _;

/// One measured figure.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What was measured.
    pub(super) what: String,
    /// The figure, with its unit and spread.
    pub(super) measured: String,
    /// What it should be; empty where nothing is promised.
    pub(super) bar: String,
    /// Whether it is.
    pub(super) kept: Option<bool>,
}

impl Row {
    /// A figure with no promise about it.
    pub(super) fn plain(what: &str, measured: String) -> Row {
        Row {
            what: what.to_owned(),
            measured,
            bar: String::new(),
            kept: None,
        }
    }

    /// A figure that must not be above a bar.
    pub(super) fn at_most(what: &str, sample: &Sample, bar: f64, unit: &str) -> Row {
        Row {
            what: what.to_owned(),
            measured: sample.text(unit),
            bar: format!("≤ {bar} {unit}"),
            kept: Some(sample.median() <= bar),
        }
    }

    /// A figure that must not be below a bar.
    pub(super) fn at_least(what: &str, sample: &Sample, bar: f64, unit: &str) -> Row {
        Row {
            what: what.to_owned(),
            measured: sample.text(unit),
            bar: format!("≥ {bar} {unit}"),
            kept: Some(sample.median() >= bar),
        }
    }
}

/// The same figure, measured several times.
#[derive(Debug, Clone)]
pub(super) struct Sample(Vec<f64>);

impl Sample {
    /// Takes what a measurement gives, `count` times.
    pub(super) fn take(
        count: usize,
        mut measure: impl FnMut() -> std::io::Result<f64>,
    ) -> std::io::Result<Sample> {
        (0..count)
            .map(|_| measure())
            .collect::<std::io::Result<Vec<_>>>()
            .map(Sample::of)
    }

    /// Of values at hand.
    pub(super) fn of(mut values: Vec<f64>) -> Sample {
        values.sort_by(f64::total_cmp);
        Sample(values)
    }

    /// The value in the middle; not a number when there are none.
    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => self.0[middle],
            _ => (self.0[middle - 1] + self.0[middle]) / 2.0,
        }
    }

    /// The median with its unit, and the least and most.
    pub(super) fn text(&self, unit: &str) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) if self.0.len() > 1 => {
                format!(
                    "{} {unit} ({} to {})",
                    short(self.median()),
                    short(*least),
                    short(*most)
                )
            }
            (Some(only), _) => format!("{} {unit}", short(*only)),
            _ => "not measured".to_owned(),
        }
    }
}

/// Three digits or all before the point.
fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// The rows as a Markdown table, columns aligned.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut lines = vec![["what", "measured", "bar", "kept"].map(str::to_owned)];
    for row in rows {
        let kept = row.kept.map_or("", |kept| if kept { "yes" } else { "NO" });
        lines.push([
            row.what.clone(),
            row.measured.clone(),
            row.bar.clone(),
            kept.to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..4)
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((Sample::of(vec![3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((Sample::of(vec![4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(Sample::of(vec![]).median().is_nan());
    }

    #[test]
    fn a_bar_that_cannot_be_measured_is_not_kept() {
        assert_eq!(
            Row::at_most("a", &Sample::of(vec![]), 1.0, "ms").kept,
            Some(false)
        );
        assert_eq!(
            Row::at_least("a", &Sample::of(vec![2.0]), 1.0, "ms").kept,
            Some(true)
        );
    }

    #[test]
    fn tables_are_markdown() {
        let rows = [Row::at_most("boot", &Sample::of(vec![1.5]), 4.0, "ms")];
        assert_eq!(
            markdown(&rows),
            "| what | measured | bar    | kept |\n|------|----------|--------|------|\n| boot | 1.50 ms  | ≤ 4 ms | yes  |\n"
        );
    }
}
