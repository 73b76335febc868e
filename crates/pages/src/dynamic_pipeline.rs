//! Who has the last word about what pipelines do: the provider and the rules of a workspace or a repository.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;

/// The settings.
#[derive(Clone, Debug, Template)]
#[template(path = "dynamic_pipeline.html")]
pub struct DynamicPipelinePage {
    /// What is around it.
    pub frame: Frame,
    /// Whose pipelines: `the repository acme/one`.
    pub on: String,
    /// Who comes before and after, in a sentence.
    pub order: &'static str,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// Who set what stands here; empty where nobody has.
    pub set_by: String,
    /// The fields.
    pub fields: Vec<Field>,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// The one page that holds a new key.
#[derive(Clone, Debug, Template)]
#[template(path = "dynamic_pipeline_set.html")]
pub struct DynamicPipelineSetPage {
    /// What is around it.
    pub frame: Frame,
    /// Where the provider is asked.
    pub address: String,
    /// The key.
    pub secret: String,
    /// The settings.
    pub back: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_text() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let page = DynamicPipelinePage {
            frame: Frame::default(),
            on: markup.to_owned(),
            order: "Asked last.",
            error: markup.to_owned(),
            set_by: markup.to_owned(),
            fields: vec![Field::line("rules", "Rules").value(markup)],
            action: markup.to_owned(),
            form_token: markup.to_owned(),
        };
        let set = DynamicPipelineSetPage {
            frame: Frame::default(),
            address: markup.to_owned(),
            secret: markup.to_owned(),
            back: markup.to_owned(),
        };
        for html in [crate::html(&page).unwrap(), crate::html(&set).unwrap()] {
            assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        }
    }
}
