//! What mail says: plain text, one thing each, and how to do something about it. No secret stands in any but the one-time
//! link that it is about.

use model::{Email, User};

use super::{Message, inline};

/// The end of every message: where it comes from.
fn signed(body: &str, base: &str) -> String {
    format!("{body}\n\n-- \nBastide at {base}\n")
}

/// That mail leaves.
pub(super) fn test(to: &Email, base: &str) -> Message {
    let body = "Mail from this installation arrives. Somebody ran `bastide admin mail test` on its machine.";
    Message::new(to, "Mail from Bastide arrives", &signed(body, base))
}

/// To who can approve: that an account waits.
pub(crate) fn approval_wanted(to: &Email, user: &User, base: &str) -> Message {
    let (name, username) = (inline(user.display_name.as_str()), &user.username);
    let body = format!(
        "{name} ({username}) has an account that waits for somebody to approve it. Until then it reaches nothing but \
         itself.\n\nTo approve it, on the server's machine or with an administrator's credential:\n\n    \
         curl -X PUT {base}/api/users/{username}/approval"
    );
    Message::new(to, &format!("{username} waits for approval"), &signed(&body, base))
}

/// To the account: that it was approved.
pub(crate) fn approved(user: &User, base: &str) -> Message {
    let body = format!(
        "Your account {} was approved. It reaches what is public from now on, and whatever somebody grants to it.",
        user.username
    );
    Message::new(&user.email, "Your account was approved", &signed(&body, base))
}
