//! What went wrong: what was asked, which rule refused it, who can change that, and the request's id.

use askama::Template;

use crate::frame::Frame;

/// The page of an error.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// What is around it.
    pub frame: Frame,
    /// What happened, in a few words.
    pub heading: String,
    /// What happened, in a sentence.
    pub text: String,
    /// The ids of the policies that refused.
    pub reasons: Vec<String>,
    /// What to do next.
    pub advice: String,
    /// Whether signing in may help.
    pub offers_sign_in: bool,
    /// The page that tells why; none where there is nothing more to tell.
    pub why: Option<String>,
    /// The request's id.
    pub request_id: String,
}
