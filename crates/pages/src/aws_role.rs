//! Roles at Amazon: a workspace's, one with who may use it, and one that is to be, with what it must trust.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// Who may use a role, in words.
#[derive(Clone, Debug)]
pub struct GrantRow {
    /// Of which repository: `payroll`, or every one.
    pub repository: String,
    /// What else must hold, a sentence each; none where nothing must.
    pub conditions: Vec<String>,
    /// By what the form names it that takes it away.
    pub key: String,
}

/// A role in the list.
#[derive(Clone, Debug)]
pub struct AwsRoleRow {
    /// What people call it.
    pub name: String,
    /// Where its page is.
    pub href: String,
    /// Its ARN.
    pub arn: String,
    /// The account that it is in.
    pub account: String,
    /// Who asks Amazon for it, in a few words.
    pub mode: &'static str,
    /// By what the account knows the workspace; empty where that does not matter.
    pub external_id: String,
    /// Who may use it.
    pub grants: Vec<GrantRow>,
}

/// A workspace's roles.
#[derive(Clone, Debug, Template)]
#[template(path = "aws_roles.html")]
pub struct AwsRolesPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace.
    pub workspace: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The roles, by name.
    pub roles: Vec<AwsRoleRow>,
    /// Whether the viewer may add one.
    pub may_change: bool,
    /// What is asked of a role that is to be.
    pub fields: Vec<Field>,
    /// Who may use it.
    pub grant_fields: Vec<Field>,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// A text that makes a role, to be copied.
#[derive(Clone, Debug)]
pub struct Making {
    /// The id of the text in the page.
    pub id: &'static str,
    /// What it is: `Terraform`.
    pub form: &'static str,
    /// The text.
    pub text: String,
    /// What the button says.
    pub copy: &'static str,
}

/// How a role comes to trust.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "part/aws_trust.html")]
pub struct AwsTrust {
    /// The ARN of the role.
    pub arn: String,
    /// Whether the server takes it on, with its own identity.
    pub by_server: bool,
    /// Who the server is at Amazon; empty where it is nobody, or does not know.
    pub server: String,
    /// By what the account knows the workspace.
    pub external_id: String,
    /// What keeps it from working, or from being as narrow as it was meant.
    pub warnings: Vec<String>,
    /// The trust policy, JSON.
    pub policy: String,
    /// The whole role.
    pub makings: Vec<Making>,
    /// What the operator runs to see what the server's identity needs.
    pub setup: String,
}

impl askama::filters::HtmlSafe for AwsTrust {}

/// A role that is to be: what must be made at Amazon before it is saved.
#[derive(Clone, Debug, Template)]
#[template(path = "aws_role_new.html")]
pub struct NewAwsRolePage {
    /// What is around it.
    pub frame: Frame,
    /// The role's name.
    pub name: String,
    /// Why it was not saved.
    pub error: String,
    /// How it comes to trust.
    pub trust: AwsTrust,
    /// Who may use it, where anybody may.
    pub grants: Vec<GrantRow>,
    /// What was typed, to be sent again.
    pub typed: Vec<(&'static str, String)>,
    /// Where the form goes, and where all roles are.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// One role.
#[derive(Clone, Debug, Template)]
#[template(path = "aws_role.html")]
pub struct AwsRolePage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// What is in the list.
    pub row: AwsRoleRow,
    /// How it comes to trust.
    pub trust: AwsTrust,
    /// Where it is asked for; empty where it says nothing.
    pub region: String,
    /// The longest session, in words.
    pub longest_session: String,
    /// When it was named here.
    pub created: Moment,
    /// What was proved when it was saved.
    pub proof: String,
    /// All roles.
    pub list: String,
    /// Whether the viewer may change it.
    pub may_change: bool,
    /// The form that adds a grant.
    pub grant_fields: Vec<Field>,
    /// Where that goes.
    pub grant: String,
    /// Proves that the form was made for this session.
    pub grant_token: String,
    /// Where grants are taken away.
    pub revoke: String,
    /// Proves that those forms were made for this session.
    pub revoke_token: String,
    /// The form that changes it.
    pub fields: Vec<Field>,
    /// Where that goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
    /// Where it is removed.
    pub remove: String,
    /// Proves that the form for removing was made for this session.
    pub remove_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        "<script>alert(1)</script>\"'><img/src=x>".to_owned()
    }

    fn inert(html: &str, at_least: usize) {
        assert!(!html.contains("<script>alert") && !html.contains("<img/src"), "{html}");
        assert!(html.matches("alert(1)").count() >= at_least, "{html}");
    }

    fn row() -> AwsRoleRow {
        let grant = GrantRow { repository: text(), conditions: vec![text()], key: text() };
        AwsRoleRow {
            name: text(),
            href: text(),
            arn: text(),
            account: text(),
            mode: "The server",
            external_id: text(),
            grants: vec![grant],
        }
    }

    fn trust() -> AwsTrust {
        AwsTrust {
            arn: text(),
            by_server: true,
            server: text(),
            external_id: text(),
            warnings: vec![text()],
            policy: text(),
            makings: vec![Making { id: "terraform", form: "Terraform", text: text(), copy: "Copy" }],
            setup: text(),
        }
    }

    /// Attack: a name, a branch or an answer of Amazon's that is markup.
    #[test]
    fn what_others_name_is_text() {
        let list = AwsRolesPage {
            frame: Frame::default(),
            workspace: text(),
            error: text(),
            roles: vec![row()],
            may_change: true,
            fields: Vec::new(),
            grant_fields: Vec::new(),
            action: text(),
            form_token: text(),
        };
        inert(&crate::html(&list).unwrap(), 8);
        let one = AwsRolePage {
            frame: Frame::default(),
            error: text(),
            row: row(),
            trust: trust(),
            region: text(),
            longest_session: text(),
            created: Moment::default(),
            proof: text(),
            list: text(),
            may_change: true,
            grant_fields: Vec::new(),
            grant: text(),
            grant_token: text(),
            revoke: text(),
            revoke_token: text(),
            fields: Vec::new(),
            action: text(),
            form_token: text(),
            remove: text(),
            remove_token: text(),
        };
        inert(&crate::html(&one).unwrap(), 20);
        let new = NewAwsRolePage {
            frame: Frame::default(),
            name: text(),
            error: text(),
            trust: trust(),
            grants: row().grants,
            typed: vec![("arn", text())],
            action: text(),
            form_token: text(),
        };
        inert(&crate::html(&new).unwrap(), 10);
    }

    #[test]
    fn a_server_without_an_identity_says_who_gives_it_one() {
        let told = |trust: AwsTrust| trust.to_string();
        assert!(told(AwsTrust { server: String::new(), ..trust() }).contains("has no identity at Amazon"));
        assert!(!told(trust()).contains("has no identity at Amazon"));
        let by_token = AwsTrust { by_server: false, server: String::new(), ..trust() };
        assert!(!told(by_token).contains("has no identity at Amazon"));
    }
}
