//! Identity tokens: what a repository's say and how others come to trust them, and a workspace's keys that sign them.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// How somebody comes to trust a repository's tokens: what to give them, ready to be pasted.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The id of the text in the page.
    pub id: &'static str,
    /// Whose it is: `Amazon Web Services`.
    pub whom: &'static str,
    /// What it is, and where it goes.
    pub what: &'static str,
    /// The text.
    pub text: String,
    /// What the button says: `Copy policy`.
    pub copy: &'static str,
}

/// A repository's identity tokens.
#[derive(Clone, Debug, Template)]
#[template(path = "openid_connect.html")]
pub struct OpenIdConnectPage {
    /// What is around it.
    pub frame: Frame,
    /// The repository's full name.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The issuer's address.
    pub issuer: String,
    /// For whom tokens are that name nobody.
    pub audience: String,
    /// Where the keys are.
    pub keys: String,
    /// What a token says, as lines of JSON.
    pub sample: String,
    /// What keeps others from trusting them.
    pub warnings: Vec<String>,
    /// How others come to trust them.
    pub trust: Vec<Trust>,
    /// The form.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// A key in the list.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its id.
    pub kid: String,
    /// How it signs.
    pub algorithm: String,
    /// Its state in a word.
    pub state: &'static str,
    /// How the word looks.
    pub look: &'static str,
    /// What that means, in a sentence.
    pub means: &'static str,
    /// When it was made.
    pub created: Moment,
    /// What comes next, and when: `signs`, `is published no more`.
    pub next: Option<(&'static str, Moment)>,
    /// Where it is revoked, and what proves that the form was made for this session; none where there is nothing to
    /// revoke.
    pub revoke: Option<(String, String)>,
}

/// A workspace's identity tokens.
#[derive(Clone, Debug, Template)]
#[template(path = "identity_tokens.html")]
pub struct IdentityTokensPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace.
    pub workspace: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The issuer's address.
    pub issuer: String,
    /// For whom tokens are that name nobody.
    pub audience: String,
    /// Where the keys are.
    pub published: String,
    /// What keeps others from trusting the issuer.
    pub warnings: Vec<String>,
    /// The form.
    pub fields: Vec<Field>,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
    /// The keys, the youngest first.
    pub keys: Vec<KeyRow>,
    /// The field of the form that rotates.
    pub after: Field,
    /// Where that form goes.
    pub rotate: String,
    /// Proves that the form was made for this session.
    pub rotate_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKUP: &str = "<script>alert(1)</script>\"'><img/src=x>";

    fn text() -> String {
        MARKUP.to_owned()
    }

    fn inert(html: &str, at_least: usize) {
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        assert!(html.matches("alert(1)").count() >= at_least, "{html}");
    }

    /// Attack: a repository or a template whose name is markup, in the sample and the policies.
    #[test]
    fn samples_and_policies_are_text() {
        let trust =
            Trust { id: "aws", whom: "Somebody", what: "A policy", text: text(), copy: "Copy policy" };
        let page = OpenIdConnectPage {
            frame: Frame::default(),
            on: text(),
            error: text(),
            issuer: text(),
            audience: text(),
            keys: text(),
            sample: text(),
            warnings: vec![text()],
            trust: vec![trust],
            fields: Vec::new(),
            action: text(),
            form_token: text(),
        };
        inert(&crate::html(&page).unwrap(), 9);
    }

    #[test]
    fn keys_are_text_and_only_what_is_published_is_revoked() {
        let key = |revoke| KeyRow {
            kid: text(),
            algorithm: text(),
            state: "Signing",
            look: "open",
            means: "It signs.",
            created: Moment::default(),
            next: Some(("signs", Moment { text: text(), ..Moment::default() })),
            revoke,
        };
        let page = IdentityTokensPage {
            frame: Frame::default(),
            workspace: text(),
            error: text(),
            issuer: text(),
            audience: text(),
            published: text(),
            warnings: vec![text()],
            fields: Vec::new(),
            action: text(),
            form_token: text(),
            keys: vec![key(Some((text(), text()))), key(None)],
            after: Field::line("activates_after", "Signs"),
            rotate: text(),
            rotate_token: text(),
        };
        let html = crate::html(&page).unwrap();
        inert(&html, 12);
        assert_eq!(html.matches(">Revoke key<").count(), 1, "{html}");
    }
}
