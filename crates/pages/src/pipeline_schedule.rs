//! A repository's schedules: when runs start because it is time.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// What came of a schedule when it was due.
#[derive(Clone, Debug)]
pub struct ExecutionRow {
    /// When it was due.
    pub due: Moment,
    /// Why no run started; empty where one did.
    pub failed: String,
}

/// A schedule in the list.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    /// When, as it was written.
    pub cron: String,
    /// The next time; none where it is off.
    pub next: Option<Moment>,
    /// The branch.
    pub branch: String,
    /// The pipeline, in words.
    pub pipeline: String,
    /// Whether it is on.
    pub enabled: bool,
    /// What came of it lately, the newest first.
    pub executions: Vec<ExecutionRow>,
    /// Where it is switched on and off.
    pub switch: String,
    /// Proves that the form for switching was made for this session.
    pub switch_token: String,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

/// A repository's schedules.
#[derive(Clone, Debug, Template)]
#[template(path = "pipeline_schedules.html")]
pub struct PipelineSchedulesPage {
    /// What is around it.
    pub frame: Frame,
    /// The repository's full name.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The schedules.
    pub schedules: Vec<ScheduleRow>,
    /// Whether the viewer may change them.
    pub may_change: bool,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a branch or a pipeline whose name is markup.
    #[test]
    fn names_and_failures_are_text() {
        let text = || "<script>alert(1)</script>\"'><img/src=x>".to_owned();
        let row = |enabled: bool| ScheduleRow {
            cron: text(),
            next: enabled.then(Moment::default),
            branch: text(),
            pipeline: text(),
            enabled,
            executions: vec![ExecutionRow { due: Moment::default(), failed: text() }],
            switch: text(),
            switch_token: text(),
            remove: text(),
            remove_token: text(),
        };
        let page = PipelineSchedulesPage {
            frame: Frame::default(),
            on: text(),
            error: text(),
            schedules: vec![row(true), row(false)],
            may_change: true,
            fields: Vec::new(),
            action: text(),
            form_token: text(),
        };
        let html = crate::html(&page).unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        assert!(html.matches("alert(1)").count() >= 16, "{html}");
        assert!(html.contains(">Switch off<") && html.contains(">Switch on<"), "{html}");
    }
}
