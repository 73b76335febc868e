//! The second step: what a person proves beside the password.

use model::{Result, User};
use store::Reader;

/// Whether this account must have a second step: whether a workspace that it is a member of requires one. The one
/// place that knows; what asks for a second step asks here.
pub(crate) fn is_required(_reader: &mut Reader<'_>, _user: &User) -> Result<bool> {
    // No workspace can require one yet.
    Ok(false)
}
