//! Whether a repository's pipelines run, and the number of the next run.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::pipeline_cache::CachesPart;
use crate::pipeline_ssh::SshPart;

/// How a repository's pipelines run.
#[derive(Clone, Debug, Template)]
#[template(path = "pipeline_config.html")]
pub struct PipelineConfigPage {
    /// What is around it.
    pub frame: Frame,
    /// The repository's full name.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// Whether they run.
    pub enabled: bool,
    /// Where they are switched on and off.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
    /// The runs.
    pub runs: String,
    /// The number of the next run.
    pub next: Field,
    /// Where that is set.
    pub raise: String,
    /// Proves that the form was made for this session.
    pub raise_token: String,
    /// How steps connect over SSH.
    pub ssh: SshPart,
    /// What caches keep.
    pub caches: CachesPart,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Moment;
    use crate::pipeline_cache::CacheRow;
    use crate::pipeline_run::Button;
    use crate::pipeline_ssh::KnownHostRow;

    #[test]
    fn what_is_shown_is_text_and_the_button_says_what_it_does() {
        let markup = "<script>alert(1)</script>\"'><img/src=x>";
        let button = || Button { href: markup.to_owned(), token: markup.to_owned() };
        let said = |enabled| {
            let page = PipelineConfigPage {
                frame: Frame::default(),
                on: markup.to_owned(),
                error: markup.to_owned(),
                enabled,
                action: markup.to_owned(),
                form_token: markup.to_owned(),
                runs: markup.to_owned(),
                next: Field::line("next", "Number").value(markup),
                raise: markup.to_owned(),
                raise_token: markup.to_owned(),
                ssh: SshPart {
                    public_key: if enabled { markup.to_owned() } else { String::new() },
                    generate: button(),
                    remove: button(),
                    set: button(),
                    key_fields: vec![Field::line("a", "A").value(markup).error(markup.to_owned())],
                    hosts: vec![KnownHostRow {
                        hostname: markup.to_owned(),
                        key_type: markup.to_owned(),
                        fingerprint: markup.to_owned(),
                        remove: button(),
                    }],
                    add: button(),
                    host_fields: Vec::new(),
                },
                caches: CachesPart {
                    rows: vec![CacheRow {
                        name: markup.to_owned(),
                        key: markup.to_owned(),
                        size: String::new(),
                        time: Moment::default(),
                        remove: button(),
                    }],
                },
            };
            crate::html(&page).unwrap()
        };
        let (on, off) = (said(true), said(false));
        for html in [&on, &off] {
            assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        }
        assert!(on.contains(">Switch pipelines off<") && off.contains(">Switch pipelines on<"));
    }
}
