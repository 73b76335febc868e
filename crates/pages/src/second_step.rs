//! One's own second steps: authenticator apps, passkeys, and the recovery codes that stand in for either.

use askama::Template;
use qrcode::{Color, EcLevel, QrCode};

use crate::Markup;
use crate::form::Field;
use crate::frame::Frame;
use crate::measure::Moment;

/// Modules of blank that a reader of QR codes needs around them.
const QUIET: usize = 4;

/// A second step in the list.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Its id.
    pub id: String,
    /// The name that its owner gave it.
    pub name: String,
    /// `Authenticator app` or `Passkey`.
    pub kind: &'static str,
    /// When it was added.
    pub created: Moment,
    /// When it last let its owner in.
    pub last_used: Option<Moment>,
    /// What is lost with it, in a sentence.
    pub loss: &'static str,
}

/// The second steps of an account.
#[derive(Clone, Debug, Template)]
#[template(path = "second_steps.html")]
pub struct SecondStepsPage {
    /// What is around it.
    pub frame: Frame,
    /// The steps, the oldest first.
    pub steps: Vec<StepRow>,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
    /// Whether a workspace, or the instance, requires one.
    pub required: bool,
    /// What is wrong with what was sent.
    pub error: String,
    /// What a new authenticator app is called.
    pub totp_name: Field,
    /// What a new passkey is called; none where this site's address has no name to bind it to.
    pub passkey_name: Option<Field>,
    /// Proves that the form for an app was made for this session.
    pub totp_token: String,
    /// The same, for a passkey.
    pub passkey_token: String,
    /// The same, for removing.
    pub remove_token: String,
    /// The same, for new recovery codes.
    pub codes_token: String,
}

/// An authenticator app that waits for its first code.
#[derive(Clone, Debug, Template)]
#[template(path = "totp.html")]
pub struct TotpPage {
    /// What is around it.
    pub frame: Frame,
    /// The picture that an app reads.
    pub picture: Markup,
    /// The secret in groups, for typing.
    pub secret: String,
    /// Stands for the enrolment.
    pub challenge: String,
    /// The code.
    pub field: Field,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// What is asked of a browser's passkeys.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// `create` or `get`.
    pub verb: &'static str,
    /// Whether the script begins at once.
    pub at_once: bool,
    /// What the button says.
    pub button: &'static str,
    /// Where the answer goes.
    pub action: &'static str,
    /// Stands for the question.
    pub challenge: String,
    /// The question, as JSON.
    pub options: String,
    /// Where to go after.
    pub next: String,
    /// What was being sent when proof was asked for, encoded.
    pub kept: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// A passkey that is being made, or asked for.
#[derive(Clone, Debug, Template)]
#[template(path = "passkey.html")]
pub struct PasskeyPage {
    /// What is around it.
    pub frame: Frame,
    /// What to do.
    pub lead: &'static str,
    /// The question.
    pub prompt: Prompt,
    /// Where another way is: its name and address.
    pub instead: crate::frame::Way,
}

/// Recovery codes, this once.
#[derive(Clone, Debug, Template)]
#[template(path = "recovery_codes.html")]
pub struct RecoveryCodesPage {
    /// What is around it.
    pub frame: Frame,
    /// What has just happened.
    pub done: String,
    /// The codes.
    pub codes: Vec<String>,
    /// Where to go on.
    pub onward: String,
}

/// A text as a QR code, in the foreground's colour on white: apps read no light on dark.
///
/// # Errors
/// [`model::Error::Internal`] when the text is too long for one.
pub fn qr(text: &str) -> model::Result<Markup> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|_| model::Error::internal("no QR code"))?;
    let width = code.width();
    let side = width + 2 * QUIET;
    let mut path = String::new();
    for (row, modules) in code.to_colors().chunks(width.max(1)).enumerate() {
        for (column, _) in modules.iter().enumerate().filter(|(_, module)| **module == Color::Dark) {
            path.push_str(&format!("M{} {}h1v1h-1z", column + QUIET, row + QUIET));
        }
    }
    Ok(Markup::new(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code for an authenticator app\" \
         shape-rendering=\"crispEdges\"><path fill=\"currentColor\" d=\"{path}\"/></svg>"
    )))
}

/// A secret in groups of four, which eyes can follow.
#[must_use]
pub fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that holds its text in clear would be a secret in the page's source twice over.
    #[test]
    fn a_qr_code_is_a_picture_of_modules() {
        let html = qr("otpauth://totp/x:ann?secret=MZXW6YTBOI").unwrap().to_string();
        assert!(html.starts_with("<svg") && !html.contains("MZXW") && !html.contains("style="), "{html}");
        assert!(html.matches("h1v1h-1z").count() > 200, "{html}");
        assert!(qr(&"x".repeat(5_000)).is_err());
    }

    #[test]
    fn a_secret_is_read_in_groups() {
        assert_eq!(grouped("MZXW6YTBOI"), "MZXW 6YTB OI");
        assert_eq!(grouped(""), "");
    }
}
