//! What people see in a browser: view models in, HTML out.
//!
//! One file per noun, each with its template; the frame that all pages share; the stylesheet, the scripts and the icons,
//! which lie in the program; Markdown, diffs and times in a form for readers. What is not here: requests, sessions and
//! decisions. A page shows what it is given, so whatever may not be seen must not be put in.
//!
//! Every text is escaped by the templates. The exceptions are marked by the type [`Markup`], which only this crate makes.

pub mod access_token;
pub mod account;
pub mod address;
pub mod alert;
pub mod asset;
pub mod audit_event;
pub mod audit_refusal;
pub mod audit_sink;
pub mod aws_role;
pub mod branch_restriction;
pub mod break_glass;
pub mod change;
pub mod code;
pub mod commit;
pub mod design;
pub mod dynamic_pipeline;
pub mod environment;
pub mod error;
pub mod form;
pub mod frame;
pub mod git_ref;
pub mod group;
pub mod guardrail;
pub mod guardrail_effect;
pub mod home;
pub mod identity_provider;
pub mod identity_token;
pub mod log;
pub mod markdown;
pub mod measure;
pub mod member;
pub mod own_access;
pub mod own_rule;
pub mod permission;
pub mod pipeline_cache;
pub mod pipeline_config;
pub mod pipeline_run;
pub mod pipeline_schedule;
pub mod pipeline_ssh;
pub mod pipeline_variable;
pub mod principal;
pub mod project;
pub mod provider_sign_in;
pub mod report;
pub mod repository;
pub mod resource_form;
pub mod runner;
pub mod said;
pub mod second_step;
pub mod session;
pub mod source;
pub mod step_artifact;
pub mod test_report;
pub mod user;
pub mod user_credential;
pub mod workspace;
pub mod workspace_token;

use std::fmt;

pub use askama::Template;

/// HTML that this crate made, and that is shown as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    pub(crate) fn new(html: String) -> Self {
        Self(html)
    }

    /// The HTML.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// A page as HTML.
///
/// # Errors
/// [`model::Error::Internal`] when a template cannot be written out.
pub fn html(page: &impl Template) -> model::Result<String> {
    page.render().map_err(model::Error::internal)
}
