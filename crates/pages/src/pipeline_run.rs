//! Runs of pipelines: the list, one with its steps and the log of one of them, and what it was planned from.

use askama::Template;

use crate::change::Line;
use crate::form::Field;
use crate::frame::{Frame, Pages};
use crate::log::LogLine;
use crate::measure::Moment;
use crate::step_artifact::ArtifactRow;
use crate::test_report::TestReportView;

/// Where something stands, in a word and a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `Passed`.
    pub word: &'static str,
    /// The look of its badge: `open`, `danger`, `warning` or nothing.
    pub look: &'static str,
}

/// A form that is one button.
#[derive(Clone, Debug, Default)]
pub struct Button {
    /// Where it goes.
    pub href: String,
    /// Proves that the form was made for this session.
    pub token: String,
}

/// A run in the list.
#[derive(Clone, Debug)]
pub struct PipelineRow {
    /// Its page.
    pub href: String,
    /// Its number.
    pub number: i64,
    /// Where it stands.
    pub standing: Standing,
    /// What it runs: a branch, or the name of a custom pipeline.
    pub what: String,
    /// The branch or tag; empty for a commit alone.
    pub on: String,
    /// The first line of the commit's message.
    pub subject: String,
    /// The first digits of the commit.
    pub commit: String,
    /// The commit's page.
    pub commit_href: String,
    /// Who started it.
    pub who: String,
    /// By what: `Push`.
    pub trigger: &'static str,
    /// When.
    pub time: Moment,
    /// For how long: `1 min 20 s`; empty while it runs.
    pub took: String,
}

/// The runs of a repository.
#[derive(Clone, Debug, Template)]
#[template(path = "pipelines.html")]
pub struct PipelinesPage {
    /// What is around it.
    pub frame: Frame,
    /// The repository's full name.
    pub on: String,
    /// Its runs, the newest first.
    pub runs: Vec<PipelineRow>,
    /// The filter by state that holds; empty where all are shown.
    pub state: String,
    /// Filters by state: what readers call them, and the address.
    pub filters: Vec<(String, String, bool)>,
    /// What starts a run by hand; none where the viewer may not.
    pub start: Option<Button>,
    /// What it asks: on what, and which pipeline.
    pub fields: Vec<Field>,
    /// What it asks besides, folded until something is typed: variables.
    pub variables: Field,
    /// The custom pipelines of the branch's file, by name: what `custom-names` suggests.
    pub names: Vec<String>,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// Other parts of the list.
    pub pages: Pages,
}

impl PipelinesPage {
    /// Whether something is wrong with what was sent: then the form stays open.
    fn is_wrong(&self) -> bool {
        let mut fields = self.fields.iter().chain([&self.variables]);
        !self.error.is_empty() || fields.any(|field| !field.error.is_empty())
    }
}

/// A step of a run.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Its log.
    pub href: String,
    /// What readers call it.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// For how long it ran; empty where it did not.
    pub took: String,
    /// What it waits for, in a sentence; empty where it waits for nothing.
    pub waits: String,
    /// What starts or approves it; none where it waits for nobody, or the viewer may not.
    pub start: Option<Button>,
    /// Whether that is an approval, of which its environment may ask for more.
    pub approves: bool,
    /// Why the viewer, who may approve others, does not approve this one, in a sentence; empty where nothing is to be said.
    pub not_approved: &'static str,
    /// Whether its log is shown.
    pub here: bool,
}

/// Steps that belong together.
#[derive(Clone, Debug)]
pub struct StepGroup {
    /// `Stage: Build`, `At the same time`; empty for a single step.
    pub name: String,
    /// Its steps.
    pub steps: Vec<StepRow>,
}

/// A part of a log: a command with what it printed, or what came before the first.
#[derive(Clone, Debug, Default)]
pub struct LogSection {
    /// The command; none before the first.
    pub command: Option<LogLine>,
    /// What it printed.
    pub lines: Vec<LogLine>,
}

/// The sections that lines make.
#[must_use]
pub fn sections(lines: Vec<LogLine>) -> Vec<LogSection> {
    let mut sections: Vec<LogSection> = Vec::new();
    for line in lines {
        match (line.command, sections.last_mut()) {
            (true, _) => sections.push(LogSection { command: Some(line), lines: Vec::new() }),
            (false, Some(last)) => last.lines.push(line),
            (false, None) => sections.push(LogSection { command: None, lines: vec![line] }),
        }
    }
    sections
}

/// The log of a step.
#[derive(Clone, Debug, Default)]
pub struct LogView {
    /// The step's name.
    pub step: String,
    /// The image or the machine that it ran on.
    pub machine: String,
    /// The runner that has or had it; empty where none has.
    pub runner: String,
    /// What came of it, in a sentence; empty while it runs.
    pub verdict: String,
    /// Which attempt is shown, where there was more than one: the word and the address of each.
    pub attempts: Vec<(String, String, bool)>,
    /// Logs of the services beside it.
    pub services: Vec<(String, String, bool)>,
    /// The lines.
    pub sections: Vec<LogSection>,
    /// How many bytes of the beginning are left out; 0 where all is shown.
    pub left_out: String,
    /// The whole log as a file.
    pub raw: String,
    /// Where what is added comes from; empty where nothing is.
    pub stream: String,
}

/// A run.
#[derive(Clone, Debug, Template)]
#[template(path = "pipeline.html")]
pub struct PipelinePage {
    /// What is around it.
    pub frame: Frame,
    /// The run.
    pub run: PipelineRow,
    /// Why it could not be run; empty where it could.
    pub error: String,
    /// Its steps.
    pub groups: Vec<StepGroup>,
    /// What was set for it: name and value.
    pub variables: Vec<(String, String)>,
    /// The log of one of them.
    pub log: Option<LogView>,
    /// What it has left.
    pub artifacts: Vec<ArtifactRow>,
    /// What its test tools reported.
    pub tests: Option<TestReportView>,
    /// What stops it; none where it cannot be.
    pub stop: Option<Button>,
    /// What runs what failed again; none where nothing can be.
    pub rerun: Option<Button>,
    /// Its configuration.
    pub configuration: String,
    /// Whether the page is loaded again until something changes.
    pub waits: bool,
}

/// A line of a text.
#[derive(Clone, Debug)]
pub struct TextLine {
    /// From 1.
    pub number: usize,
    /// The line.
    pub text: String,
}

/// What is different between two texts.
#[derive(Clone, Debug)]
pub struct PatchView {
    /// The lines.
    pub lines: Vec<Line>,
    /// Whether there are more.
    pub cut: bool,
}

/// What a run was planned from.
#[derive(Clone, Debug, Template)]
#[template(path = "pipeline_configuration.html")]
pub struct PipelineConfigurationPage {
    /// What is around it.
    pub frame: Frame,
    /// The run.
    pub run: PipelineRow,
    /// Where it came from, in a sentence.
    pub source: String,
    /// Who changed it after that, in their order.
    pub changed_by: Vec<String>,
    /// The text.
    pub lines: Vec<TextLine>,
    /// What is different from the file in the repository, as a patch; none where it is the same or there is no file.
    pub changes: Option<PatchView>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Kind;
    use crate::log::LogReader;
    use crate::test_report::FailedCase;

    #[test]
    fn what_commands_print_stands_below_them() {
        let mut reader = LogReader::default();
        let sections = sections(reader.push(b"Setting up\n+ make\nok\n+ make test\n"));
        let told: Vec<(Option<&str>, usize)> = sections
            .iter()
            .map(|one| (one.command.as_ref().map(|line| line.spans[0].text.as_str()), one.lines.len()))
            .collect();
        assert_eq!(told, [(None, 1), (Some("+ make"), 1), (Some("+ make test"), 0)]);
    }

    fn row(text: &str) -> PipelineRow {
        PipelineRow {
            href: text.to_owned(),
            number: 1,
            standing: Standing { word: "Passed", look: "open" },
            what: text.to_owned(),
            on: text.to_owned(),
            subject: text.to_owned(),
            commit: "abc".to_owned(),
            commit_href: text.to_owned(),
            who: text.to_owned(),
            trigger: "Push",
            time: Moment::default(),
            took: String::new(),
        }
    }

    /// Would catch: lines that came and went and are told apart by colour alone, or by nothing; and a line that is markup.
    #[test]
    fn what_came_and_what_went_have_a_sign_and_a_look() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let patch = format!("--- f\n+++ final\n@@ -1,2 +1,2 @@\n same\n-old{markup}\n+new\n");
        let (lines, _) = crate::change::lines_of(&patch, crate::change::Limits::WHOLE);
        let page = PipelineConfigurationPage {
            frame: Frame::default(),
            run: row(markup),
            source: markup.to_owned(),
            changed_by: vec![markup.to_owned()],
            lines: vec![TextLine { number: 1, text: markup.to_owned() }],
            changes: Some(PatchView { lines, cut: true }),
        };
        let html = crate::html(&page).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        for told in [
            "<tr class=\"hunk\"><td>@@ -1,2 +1,2 @@",
            "<tr><td> same",
            "<tr class=\"r\"><td>-old",
            "<tr class=\"a\"><td>+new",
            "More is different",
        ] {
            assert!(html.contains(told), "{told}: {html}");
        }
    }

    fn start_page(text: &str, names: Vec<String>, error: &str, variables: Field) -> String {
        let custom = Field::line("custom", text).value(text).hint(text).optional();
        let page = PipelinesPage {
            frame: Frame::default(),
            on: text.to_owned(),
            runs: vec![row(text)],
            state: String::new(),
            filters: Vec::new(),
            start: Some(Button { href: text.to_owned(), token: text.to_owned() }),
            fields: vec![if names.is_empty() { custom } else { custom.suggestions("custom-names") }],
            variables,
            names,
            error: error.to_owned(),
            pages: Pages::default(),
        };
        crate::html(&page).unwrap()
    }

    fn variables() -> Field {
        Field::line("variables", "Values for this run").kind(Kind::Text).optional()
    }

    /// Would catch: a name, a value or a refusal that is markup, and suggestions that no field takes.
    #[test]
    fn a_custom_pipeline_is_suggested_or_typed() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let typed = || variables().value(format!("A=</textarea>{markup}")).error(markup);
        let both = start_page(markup, vec!["nightly".to_owned(), markup.to_owned()], markup, typed());
        let neither = start_page(markup, Vec::new(), markup, typed());
        for html in [&both, &neither] {
            assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
            assert!(!html.contains("A=</textarea>"), "{html}");
        }
        assert!(
            both.contains("<option value=\"nightly\">") && both.contains("list=\"custom-names\""),
            "{both}"
        );
        assert!(!neither.contains("datalist") && !neither.contains("custom-names"), "{neither}");
    }

    /// Would catch: a refused form that is folded away with what was typed and why it was refused.
    #[test]
    fn a_form_is_open_where_something_is_wrong_or_was_typed() {
        let (form, folded) = ("<details class=\"start\" open>", "<details class=\"more\" open>");
        for (error, field, is_open, is_unfolded) in [
            ("", variables(), false, false),
            ("refused", variables(), true, false),
            ("refused", variables().value("A=1"), true, true),
            ("", variables().error("line 1: write NAME=value"), true, true),
        ] {
            let html = start_page("main", Vec::new(), error, field);
            assert_eq!((html.contains(form), html.contains(folded)), (is_open, is_unfolded), "{html}");
            assert_eq!(html.contains("Not started:"), !error.is_empty(), "{html}");
        }
    }

    /// The attack: a log, a branch and a step's name that are markup.
    #[test]
    fn what_a_pipeline_says_is_text() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let button = || Button { href: markup.to_owned(), token: markup.to_owned() };
        let mut reader = LogReader::default();
        let lines = reader.push(format!("+ {markup}\n{markup}\n").as_bytes());
        let run = row(markup);
        let step = StepRow {
            href: markup.to_owned(),
            name: markup.to_owned(),
            standing: Standing::default(),
            took: String::new(),
            waits: markup.to_owned(),
            start: Some(button()),
            approves: true,
            not_approved: "",
            here: true,
        };
        let page = PipelinePage {
            frame: Frame::default(),
            run,
            error: markup.to_owned(),
            groups: vec![StepGroup { name: markup.to_owned(), steps: vec![step] }],
            variables: vec![(markup.to_owned(), markup.to_owned())],
            log: Some(LogView {
                step: markup.to_owned(),
                verdict: markup.to_owned(),
                runner: markup.to_owned(),
                sections: sections(lines),
                ..LogView::default()
            }),
            artifacts: vec![ArtifactRow {
                href: "/acme".to_owned(),
                name: markup.to_owned(),
                ..ArtifactRow::default()
            }],
            tests: Some(TestReportView {
                failed: vec![FailedCase {
                    of: markup.to_owned(),
                    name: markup.to_owned(),
                    standing: Standing::default(),
                    reason: markup.to_owned(),
                    output: markup.to_owned(),
                }],
                ..TestReportView::default()
            }),
            stop: Some(button()),
            rerun: Some(button()),
            configuration: markup.to_owned(),
            waits: false,
        };
        let html = crate::html(&page).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        assert!(html.matches("alert(1)").count() >= 16, "{html}");
    }
}
