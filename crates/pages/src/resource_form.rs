//! Forms that make a workspace, project or repository, or change and delete one.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;

/// What ends with a resource, and the name that is typed to end it.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// `Delete the repository`.
    pub heading: String,
    /// What will be lost, in sentences.
    pub lost: String,
    /// The name that is typed.
    pub field: Field,
    /// What the button says.
    pub button: String,
}

/// The form.
#[derive(Clone, Debug, Template)]
#[template(path = "resource_form.html")]
pub struct ResourceFormPage {
    /// What is around it.
    pub frame: Frame,
    /// What the page is.
    pub heading: String,
    /// What to know before; empty where nothing.
    pub lead: String,
    /// What is wrong with the form as a whole.
    pub error: String,
    /// The fields.
    pub fields: Vec<Field>,
    /// What the button says.
    pub button: &'static str,
    /// Where the forms go.
    pub action: String,
    /// Proves that the forms were made for this session.
    pub form_token: String,
    /// How it is deleted; none where it is being made, or the viewer may not.
    pub deletion: Option<Deletion>,
}
