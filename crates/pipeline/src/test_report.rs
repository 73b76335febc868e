//! What test tools report: JUnit's XML, which most of them write, to totals and test cases.
//!
//! The files are a step's own, so all of them are hostile: they are read in bounds, without document types and without
//! entities but XML's own. A file that is broken counts as nothing, however much of it could be read. Of many cases
//! those that failed are kept first; the totals count all.
//!
//! Not here: where the files lie, and who may see what they say.

use std::time::Duration;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use serde::{Deserialize, Serialize};

/// The names of the folders in which test tools leave their files.
pub const FOLDERS: [&str; 5] =
    ["test-results", "failsafe-reports", "test-reports", "TestResults", "surefire-reports"];
/// How deep below the clone such a folder may lie: `a/b/c/test-results` lies at 4.
pub const DEEPEST_FOLDER: usize = 4;
/// The largest file, in bytes.
pub const LARGEST_FILE: usize = 8 << 20;
/// The most files of one step.
pub const MOST_FILES: usize = 1000;
/// The most bytes of all of them.
pub const MOST_BYTES: usize = 64 << 20;
/// The most cases of one step that are kept.
pub const MOST_CASES: usize = 2000;
/// The largest total: what a run has of all its steps can be added up.
pub const LARGEST_TOTAL: u64 = 1 << 50;
/// The longest name of a suite, a class or a case, in characters.
pub const LONGEST_NAME: usize = 250;
/// The longest message of a failure, in characters.
pub const LONGEST_REASON: usize = 1000;
/// The longest output of a case, in characters.
pub const LONGEST_OUTPUT: usize = 16_000;
/// The most text that is kept of all messages and outputs of one step, in bytes.
pub const MOST_TEXT: usize = 1 << 20;
/// The largest report as a runner sends it, in bytes: what the other bounds add up to as JSON.
pub const LARGEST_REPORT: usize = 16 << 20;
/// How deep elements may stand within each other.
const DEEPEST: usize = 32;
/// How many attributes of an element are looked at.
const MOST_ATTRIBUTES: usize = 50;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestReportError {
    /// It is too large.
    #[error("it has more than {LARGEST_FILE} bytes")]
    TooLarge,
    /// It is no text.
    #[error("it is not text in UTF-8")]
    NoText,
    /// It is no XML.
    #[error("it is broken as XML")]
    Broken,
    /// It has a document type.
    #[error("it has a document type, which is not read")]
    DocumentType,
    /// It is nested too deep.
    #[error("its elements stand more than {DEEPEST} deep within each other")]
    TooDeep,
    /// It is of another kind.
    #[error("it is no report of JUnit's form: that begins with `testsuites` or `testsuite`")]
    Other,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStatus {
    /// It passed.
    Passed,
    /// What it checks does not hold.
    Failed,
    /// It could not be carried out.
    Error,
    /// It was left out.
    Skipped,
}

impl TestStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Failed, Self::Error, Self::Skipped];

    /// Its word: `passed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// A test case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCase {
    /// The suite that it stands in; may be empty.
    pub suite: String,
    /// Its class or file; may be empty.
    pub class_name: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: TestStatus,
    /// How long it took, in microseconds.
    pub duration: u64,
    /// Why it failed or was left out, where that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What else is told of a failure, and what was printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// How many cases ended how, those that are not kept among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestTotals {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Could not be carried out.
    pub errors: u64,
    /// Left out.
    pub skipped: u64,
    /// How long all of them took, in microseconds.
    pub duration: u64,
}

impl TestTotals {
    /// How many there are.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.errors).saturating_add(self.skipped)
    }

    fn count(&mut self, status: TestStatus, duration: u64) {
        let counted = match status {
            TestStatus::Passed => &mut self.passed,
            TestStatus::Failed => &mut self.failed,
            TestStatus::Error => &mut self.errors,
            TestStatus::Skipped => &mut self.skipped,
        };
        *counted = counted.saturating_add(1);
        self.duration = self.duration.saturating_add(duration);
    }
}

/// What a step's test tools report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// The totals.
    pub totals: TestTotals,
    /// The cases that are kept, those that failed first.
    pub cases: Vec<TestCase>,
}

impl TestReport {
    /// Whether it keeps to the bounds: asked of what somebody else has made.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let long = |text: &str, most: usize| text.chars().nth(most).is_some() || text.contains('\0');
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let total: usize = self.cases.iter().map(|case| text(&case.reason) + text(&case.output)).sum();
        let totals = [self.totals.passed, self.totals.failed, self.totals.errors, self.totals.skipped];
        self.cases.len() <= MOST_CASES
            && totals.iter().chain([&self.totals.duration]).all(|total| *total <= LARGEST_TOTAL)
            && u64::try_from(self.cases.len()).is_ok_and(|kept| kept <= self.totals.cases())
            && total <= MOST_TEXT
            && !self.cases.iter().any(|case| {
                [&case.suite, &case.class_name, &case.name].iter().any(|name| long(name, LONGEST_NAME))
                    || case.reason.as_ref().is_some_and(|reason| long(reason, LONGEST_REASON))
                    || case.output.as_ref().is_some_and(|output| long(output, LONGEST_OUTPUT))
            })
    }

    /// Takes outputs away, of the last cases first, until what is left is within the bound.
    fn bound_texts(&mut self) {
        let mut room = MOST_TEXT;
        for case in &mut self.cases {
            for text in [&mut case.reason, &mut case.output] {
                let length = text.as_ref().map_or(0, String::len);
                match room.checked_sub(length) {
                    Some(left) => room = left,
                    None => *text = None,
                }
            }
        }
    }
}

/// Takes in one file after another.
#[derive(Clone, Debug, Default)]
pub struct TestReader {
    totals: TestTotals,
    bad: Vec<TestCase>,
    good: Vec<TestCase>,
}

impl TestReader {
    /// Reads a file. One that is broken leaves everything as it was. `hide` is given each text whole, before it is cut to
    /// its bound: what is secret in it must not be cut in two, for nobody would know the halves.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(
        &mut self,
        bytes: &[u8],
        hide: &mut dyn FnMut(&str) -> String,
    ) -> Result<(), TestReportError> {
        if bytes.len() > LARGEST_FILE {
            return Err(TestReportError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TestReportError::NoText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file = File {
            found: Self::default(),
            hide,
            suites: Vec::new(),
            open: None,
            into: None,
            depth: 0,
            begun: false,
        };
        let found = file.read(text)?;
        self.totals = TestTotals {
            passed: self.totals.passed.saturating_add(found.totals.passed),
            failed: self.totals.failed.saturating_add(found.totals.failed),
            errors: self.totals.errors.saturating_add(found.totals.errors),
            skipped: self.totals.skipped.saturating_add(found.totals.skipped),
            duration: self.totals.duration.saturating_add(found.totals.duration),
        };
        for (into, from) in [(&mut self.bad, found.bad), (&mut self.good, found.good)] {
            let room = MOST_CASES.saturating_sub(into.len());
            into.extend(from.into_iter().take(room));
        }
        Ok(())
    }

    /// What all files said; nothing where they told of no case.
    #[must_use]
    pub fn finish(self) -> Option<TestReport> {
        let mut cases = self.bad;
        cases.extend(self.good);
        cases.truncate(MOST_CASES);
        let mut totals = self.totals;
        for total in [
            &mut totals.passed,
            &mut totals.failed,
            &mut totals.errors,
            &mut totals.skipped,
            &mut totals.duration,
        ] {
            *total = (*total).min(LARGEST_TOTAL);
        }
        let mut report = TestReport { totals, cases };
        report.bound_texts();
        (report.totals.cases() > 0).then_some(report)
    }
}

/// Which text is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Failure,
    Output,
}

/// A case that is not read to its end.
#[derive(Debug)]
struct Open {
    case: TestCase,
    depth: usize,
    failure: String,
    output: String,
}

/// One file.
struct File<'a> {
    found: TestReader,
    hide: &'a mut dyn FnMut(&str) -> String,
    /// The names of the suites around, with how deep each begins.
    suites: Vec<(usize, String)>,
    open: Option<Open>,
    /// Where text goes, and how deep the element of that text begins.
    into: Option<(usize, Telling)>,
    depth: usize,
    begun: bool,
}

impl File<'_> {
    fn read(mut self, text: &str) -> Result<TestReader, TestReportError> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().map_err(|_| TestReportError::Broken)? {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.add(&text),
                Event::CData(text) => self.add(&text),
                Event::GeneralRef(entity) => {
                    let known = match entity.resolve_char_ref() {
                        Ok(Some(one)) => one,
                        Ok(None) => match &*entity {
                            "amp" => '&',
                            "lt" => '<',
                            "gt" => '>',
                            "quot" => '"',
                            "apos" => '\'',
                            _ => return Err(TestReportError::Broken),
                        },
                        // A character that XML does not know, as tools write of what was printed.
                        Err(_) => char::REPLACEMENT_CHARACTER,
                    };
                    self.add(known.encode_utf8(&mut [0; 4]));
                }
                Event::DocType(_) => return Err(TestReportError::DocumentType),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof if self.depth > 0 => return Err(TestReportError::Broken),
                Event::Eof if !self.begun => return Err(TestReportError::Other),
                Event::Eof => return Ok(self.found),
            }
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), TestReportError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TestReportError::TooDeep);
        }
        let name = start.local_name();
        let name: &str = name.as_ref();
        if self.depth == 1 {
            if !matches!(name, "testsuites" | "testsuite") {
                return Err(TestReportError::Other);
            }
            self.begun = true;
        }
        match (name, &mut self.open) {
            ("testsuite" | "testsuites", None) => {
                let [suite] = attributes(start, ["name"])?;
                self.suites.push((self.depth, suite));
            }
            ("testcase", None) => {
                let [name, class_name, time] = attributes(start, ["name", "classname", "time"])?;
                let suite = self.suites.last().map(|(_, name)| name.clone()).unwrap_or_default();
                let case = TestCase {
                    suite: cleaned(&(self.hide)(&suite), LONGEST_NAME),
                    class_name: cleaned(&(self.hide)(&class_name), LONGEST_NAME),
                    name: cleaned(&(self.hide)(&name), LONGEST_NAME),
                    status: TestStatus::Passed,
                    duration: microseconds(&time),
                    reason: None,
                    output: None,
                };
                self.open =
                    Some(Open { case, depth: self.depth, failure: String::new(), output: String::new() });
            }
            (kind @ ("failure" | "error" | "skipped"), Some(open)) if open.depth + 1 == self.depth => {
                let [message, of_type] = attributes(start, ["message", "type"])?;
                // Of several the first that is bad counts.
                if !open.case.status.is_bad() {
                    open.case.status = match kind {
                        "failure" => TestStatus::Failed,
                        "error" => TestStatus::Error,
                        _ => TestStatus::Skipped,
                    };
                    let told = if message.trim().is_empty() { of_type } else { message };
                    open.case.reason =
                        Some(cleaned(&(self.hide)(&told), LONGEST_REASON)).filter(|told| !told.is_empty());
                }
                self.into = Some((self.depth, Telling::Failure));
            }
            ("system-out" | "system-err", Some(open)) if open.depth + 1 == self.depth => {
                self.into = Some((self.depth, Telling::Output));
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        let (Some(open), Some((_, into))) = (&mut self.open, self.into) else { return };
        let kept = match into {
            Telling::Failure => &mut open.failure,
            Telling::Output => &mut open.output,
        };
        // Four bytes are the longest character. What is left out here must not cut a secret that is shown in part.
        let room = (LONGEST_OUTPUT * 4 + crate::bounds::SECRETS).saturating_sub(kept.len());
        let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        kept.push_str(text.get(..end).unwrap_or_default());
    }

    fn end(&mut self) -> Result<(), TestReportError> {
        if self.into.is_some_and(|(depth, _)| depth == self.depth) {
            self.into = None;
        }
        if self.suites.last().is_some_and(|(depth, _)| *depth == self.depth) {
            self.suites.pop();
        }
        if let Some(open) = self.open.take_if(|open| open.depth == self.depth) {
            self.close(open);
        }
        self.depth = self.depth.checked_sub(1).ok_or(TestReportError::Broken)?;
        Ok(())
    }

    fn close(&mut self, open: Open) {
        let mut case = open.case;
        self.found.totals.count(case.status, case.duration);
        let kept = if case.status.is_bad() { &mut self.found.bad } else { &mut self.found.good };
        if kept.len() >= MOST_CASES {
            return;
        }
        if case.status.is_bad() {
            let told = [open.failure.trim_end(), open.output.trim_end()];
            let told: Vec<_> = told.into_iter().filter(|text| !text.trim().is_empty()).collect();
            case.output =
                Some(cleaned(&(self.hide)(&told.join("\n")), LONGEST_OUTPUT)).filter(|text| !text.is_empty());
        }
        kept.push(case);
    }
}

/// The values of some attributes, empty where there are none.
fn attributes<const N: usize>(
    start: &BytesStart<'_>,
    names: [&str; N],
) -> Result<[String; N], TestReportError> {
    let mut values = [const { String::new() }; N];
    // Looking for two of one name would take as long as there are many, squared.
    for attribute in start.attributes().with_checks(false).take(MOST_ATTRIBUTES) {
        let attribute = attribute.map_err(|_| TestReportError::Broken)?;
        for (name, value) in names.iter().zip(&mut values) {
            if attribute.key.as_ref() == *name {
                *value = unescape(&attribute.value).map_err(|_| TestReportError::Broken)?.into_owned();
            }
        }
    }
    Ok(values)
}

/// A time in seconds, as tools write it: `0.25`, `1,234.5`. What is none is 0.
fn microseconds(text: &str) -> u64 {
    let seconds = text.trim().replace(',', "").parse::<f64>().unwrap_or(0.0);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(time.as_micros()).unwrap_or(0).min(1 << 40)
}

/// A text without what controls, and not for ever long.
fn cleaned(text: &str, most: usize) -> String {
    let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    cut(&text.chars().filter(kept).collect::<String>(), most)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<TestReport>, TestReportError> {
        let mut reader = TestReader::default();
        reader.read(text.as_bytes(), &mut str::to_owned)?;
        Ok(reader.finish())
    }

    #[test]
    fn cases_are_told_with_how_they_ended() {
        let report = read(concat!(
            "<?xml version=\"1.0\"?><testsuites><testsuite name=\"math\" tests=\"9\">",
            "<properties><property name=\"a\" value=\"b\"/></properties>",
            "<testcase classname=\"Add\" name=\"one &amp; one\" time=\"0.25\"/>",
            "<testcase classname=\"Add\" name=\"two\" time=\"1,000.5\"><system-out>printed</system-out>",
            "<failure message=\"1 &lt; 2&#10;more\" type=\"T\">at <![CDATA[<line 3>]]>&#x21;</failure></testcase>",
            "<testcase name=\"three\"><error type=\"Crash\"/></testcase>",
            "<testcase name=\"four\"><skipped/></testcase></testsuite></testsuites>",
        ));
        let report = report.unwrap().unwrap();
        let totals = TestTotals { passed: 1, failed: 1, errors: 1, skipped: 1, duration: 1_000_750_000 };
        assert_eq!(report.totals, totals);
        let told: Vec<_> = report.cases.iter().map(|case| (case.name.as_str(), case.status)).collect();
        assert_eq!(
            told,
            [
                ("two", TestStatus::Failed),
                ("three", TestStatus::Error),
                ("one & one", TestStatus::Passed),
                ("four", TestStatus::Skipped)
            ]
        );
        let failed = &report.cases[0];
        assert_eq!((failed.suite.as_str(), failed.class_name.as_str()), ("math", "Add"));
        assert_eq!(failed.reason.as_deref(), Some("1 < 2\nmore"));
        assert_eq!(failed.output.as_deref(), Some("at <line 3>!\nprinted"));
        assert_eq!(report.cases[1].reason.as_deref(), Some("Crash"));
        assert!(report.is_bounded());
    }

    #[test]
    fn a_file_that_is_none_says_so_and_leaves_what_was_read() {
        for (text, error) in [
            ("<testsuite><testcase name='a'>", TestReportError::Broken),
            ("<testsuite><testcase name='a'></testsuite>", TestReportError::Broken),
            ("<testsuite>&x;</testsuite>", TestReportError::Broken),
            ("<html/>", TestReportError::Other),
            ("", TestReportError::Other),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite/>", TestReportError::DocumentType),
        ] {
            let mut reader = TestReader::default();
            reader.read(b"<testsuite><testcase name='before'/></testsuite>", &mut str::to_owned).unwrap();
            assert_eq!(reader.read(text.as_bytes(), &mut str::to_owned), Err(error), "{text}");
            assert_eq!(reader.finish().unwrap().cases.len(), 1, "{text}");
        }
        let deep = "<testsuite>".repeat(DEEPEST + 1);
        assert_eq!(read(&deep), Err(TestReportError::TooDeep));
        assert_eq!(read("<testsuite/>"), Ok(None));
    }

    /// Would catch a failure that a thousand passed cases push out, and totals that forget what is not kept.
    #[test]
    fn what_failed_is_kept_first() {
        let passed = "<testcase name='ok'/>".repeat(MOST_CASES + 5);
        let text =
            format!("<testsuite>{passed}<testcase name='bad'><failure>no</failure></testcase></testsuite>");
        let report = read(&text).unwrap().unwrap();
        assert_eq!(report.totals.passed, u64::try_from(MOST_CASES).unwrap() + 5);
        assert_eq!((report.cases.len(), report.cases[0].name.as_str()), (MOST_CASES, "bad"));
    }

    #[test]
    fn texts_are_bounded() {
        let long = "é".repeat(LONGEST_OUTPUT * 3);
        let case = format!("<testcase name='{long}'><failure message='a'>{long}</failure></testcase>");
        let report = read(&format!("<testsuite>{}</testsuite>", case.repeat(40))).unwrap().unwrap();
        assert!(report.is_bounded() && report.cases[0].output.is_some() && report.cases[39].output.is_none());
    }

    /// Attack: a secret that lies across the place where a text is cut, so that a part of it is shown.
    #[test]
    fn a_secret_is_hidden_before_a_text_is_cut() {
        for (before, most) in [
            (LONGEST_NAME - 3, LONGEST_NAME),
            (LONGEST_REASON - 3, LONGEST_REASON),
            (LONGEST_OUTPUT - 3, LONGEST_OUTPUT),
        ] {
            let told = format!("{}tr0ub4dor", "x".repeat(before));
            let case =
                format!("<testcase name='{told}'><failure message='{told}'>{told}</failure></testcase>");
            let mut reader = TestReader::default();
            let text = format!("<testsuite name='{told}'>{case}</testsuite>");
            reader
                .read(text.as_bytes(), &mut |text| text.replace("tr0ub4dor", &"$NAME".repeat(1000)))
                .unwrap();
            let report = reader.finish().unwrap();
            assert!(report.is_bounded());
            let shown = format!("{report:?}");
            assert!(!shown.contains("tr0") && shown.contains("x$"), "{most}");
        }
    }
}
