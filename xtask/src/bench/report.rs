//! What a benchmark found, and docs/benchmarks.md, which keeps the findings of benchmarks that were not run again.

use std::fmt::Write as _;

/// What one benchmark found.
pub(super) struct Finding {
    goal: String,
    verdict: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    note: String,
}

impl Finding {
    /// An empty finding with its goal in words and the headings of its table.
    pub(super) fn new(goal: &str, header: &[&str]) -> Self {
        Self {
            goal: goal.to_owned(),
            verdict: String::new(),
            header: header.iter().map(|text| (*text).to_owned()).collect(),
            rows: Vec::new(),
            note: String::new(),
        }
    }

    /// The benchmark did not come to an end.
    pub(super) fn failed(reason: &str) -> Self {
        let mut finding = Self::new("", &[]);
        finding.verdict = format!("not measured: {reason}");
        finding
    }

    /// One line of the table.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// What was measured against the goal; several are joined.
    pub(super) fn measured(&mut self, text: &str) {
        if !self.verdict.is_empty() {
            self.verdict.push_str("; ");
        }
        self.verdict.push_str(text);
    }

    /// What a reader must know to understand the figures.
    pub(super) fn note(&mut self, text: &str) {
        text.clone_into(&mut self.note);
    }

    /// As Markdown.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if !self.goal.is_empty() {
            let _ = writeln!(text, "Goal: {}.", self.goal);
        }
        let verdict = if self.verdict.is_empty() { "the baseline alone" } else { &self.verdict };
        let _ = writeln!(text, "Measured: {verdict}.");
        if !self.rows.is_empty() {
            let _ =
                writeln!(text, "\n| {} |\n|{}", self.header.join(" | "), "---|".repeat(self.header.len()));
            for row in &self.rows {
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
        if !self.note.is_empty() {
            let _ = writeln!(text, "\n{}", self.note);
        }
        text
    }
}

/// The whole document: the sections measured now, and those of `before` that were not.
pub(super) fn document(machine: &str, before: &str, findings: &[(&str, &str, Finding)]) -> String {
    let mut text = "# Benchmarks\n\nWritten by `cargo xtask bench`. Each section compares with a baseline that ran on the \
                    same machine in alternating rounds; only the ratios travel.\n"
        .to_owned();
    let measured = |name: &str| findings.iter().find(|(known, ..)| *known == name);
    for (name, section) in sections(before) {
        if measured(name).is_none() {
            let _ = write!(text, "\n## {section}");
        }
    }
    for (name, about, finding) in findings {
        let _ = write!(text, "\n## {name}: {about}\n\n{machine}\n\n{}", finding.text());
    }
    text
}

fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("\n## ").skip(1).map(|section| (section.split(':').next().unwrap_or_default(), section))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(cell: &str) -> Finding {
        let mut finding = Finding::new("twice as fast", &["host", "requests/s"]);
        finding.row([cell.to_owned(), "7".to_owned()]);
        finding.measured("3.0 times");
        finding
    }

    #[test]
    fn a_benchmark_that_runs_again_replaces_its_section_alone() {
        let first = document("m", "", &[("a", "one", finding("old a")), ("b", "two", finding("old b"))]);
        let second = document("m", &first, &[("b", "two", finding("new b"))]);
        assert!(
            second.contains("old a") && second.contains("new b") && !second.contains("old b"),
            "{second}"
        );
        assert_eq!(second.matches("\n## ").count(), 2);
        assert_eq!(document("m", &second, &[]), second);
    }
}
