//! What mail says: plain text, one thing each, and how to do something about it. No secret stands in any but the one-time
//! link that it is about.

use model::{Alert, BreakGlass, Email, ObjectId, User};

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
         itself.\n\nAn administrator of the instance approves it, or switches it off, here:\n\n    \
         {base}/-/users/{username}"
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

/// To an address: whether it is the account's owner's.
pub(crate) fn verify_email(user: &User, link: &str, base: &str) -> Message {
    let body = format!(
        "This address was entered for the account {} at {base}. If it is yours, open this link within a day:\n\n    \
         {link}\n\nIf it is not, leave it: without the link nothing happens.",
        user.username
    );
    Message::new(&user.email, "Verify your e-mail address", &signed(&body, base))
}

/// To an account: the link by which its password is set.
pub(crate) fn reset_password(user: &User, link: &str, from: Option<&str>, base: &str) -> Message {
    let from = from.map(|address| format!(" from the address {}", inline(address))).unwrap_or_default();
    let body = format!(
        "A new password was asked for{from}, for your account {}. To set one, open this link within an hour; it is good \
         once:\n\n    {link}\n\nIf you did not ask, leave it: the password you have stays as it is.",
        user.username
    );
    Message::new(&user.email, "Set a new password", &signed(&body, base))
}

/// A credential that ends soon.
pub(crate) struct Ending {
    /// Its name.
    pub(crate) name: String,
    /// Its kind, in words.
    pub(crate) kind: String,
    /// What it is bound to.
    pub(crate) place: Option<String>,
    /// When it ends, in UTC.
    pub(crate) on: String,
}

/// To who made credentials, or whose they are, or who owns the workspace: that they end.
pub(crate) fn credentials_end(to: &Email, list: &[Ending], base: &str) -> Message {
    let mut body = String::from(match list {
        [_] => "A credential ends soon. What uses it stops working then, unless it is given a successor:\n",
        _ => {
            "Some credentials end soon. What uses them stops working then, unless they are given successors:\n"
        }
    });
    for Ending { name, kind, place, on } in list {
        let place = place.as_ref().map(|place| format!(" on {}", inline(place))).unwrap_or_default();
        body.push_str(&format!("\n    {on}  {} ({kind}{place})", inline(name)));
    }
    let subject = match list {
        [one] => format!("{} ends soon", inline(&one.name)),
        _ => format!("{} credentials end soon", list.len()),
    };
    Message::new(to, &subject, &signed(&body, base))
}

/// To an owner of a workspace: what became of break-glass there.
pub(crate) fn break_glass(to: &Email, one: &BreakGlass, news: &str, base: &str) -> Message {
    let BreakGlass { workspace_slug, username, reason, .. } = one;
    let until = match one.approved_on {
        Some(_) => format!("It ends by itself on {}. ", one.expires_on),
        None => String::new(),
    };
    let more = match one.ended_on {
        Some(_) => String::new(),
        None => format!(
            "\n\n{until}With it, they read what is private in the workspace, and change nothing; the workspace's audit \
             trail tells each access. An owner may end it at any time:\n\n    \
             {base}/{workspace_slug}/workspace/settings/break-glass"
        ),
    };
    let body = format!(
        "Break-glass on the workspace {workspace_slug}, for the administrator {username} and {}, {news}.\n\nReason: {}{more}",
        hours(one.hours),
        paragraph(reason),
    );
    Message::new(to, &format!("Break-glass on {workspace_slug}"), &signed(&body, base))
}

fn hours(number: i64) -> String {
    if number == 1 { "1 hour".to_owned() } else { format!("{number} hours") }
}

/// To who can give it: that somebody asks for break-glass.
pub(crate) fn break_glass_wanted(to: &Email, one: &BreakGlass, base: &str) -> Message {
    let BreakGlass { workspace_slug, username, reason, .. } = one;
    let body = format!(
        "{username} asks for break-glass on the workspace {workspace_slug}, for {}, and waits for another administrator \
         to give it.\n\nReason: {}\n\nTo give it, or to refuse it:\n\n    \
         {base}/-/break-glass",
        hours(one.hours),
        paragraph(reason),
    );
    Message::new(to, &format!("{username} asks for break-glass on {workspace_slug}"), &signed(&body, base))
}

/// Text of somebody's of several lines, set apart so that it cannot be taken for ours.
fn paragraph(text: &str) -> String {
    text.lines().map(|line| format!("\n    > {line}")).collect()
}

/// To a workspace's owners, or to the administrators of the instance: that something stands out.
pub(crate) fn alert(to: &Email, alert: &Alert, place: Option<&str>, base: &str) -> Message {
    let (at, path) = match place {
        Some(place) => (inline(place), format!("/{}/workspace/settings/audit/alerts", inline(place))),
        None => ("Bastide".to_owned(), "/-/audit/alerts".to_owned()),
    };
    let body = format!(
        "{}\n\nIf that is as it should be, there is nothing to do. All alerts, and the way to acknowledge them:\n\n    \
         {base}{path}\n\nWhat happened in detail stands in the audit trail. Of this pattern and subject no other alert comes \
         today.",
        inline(&alert.told)
    );
    Message::new(to, &format!("{at}: {}", alert.pattern.words()), &signed(&body, base))
}

/// To who started a run, or administers the repository: that what scanners found has failed it.
pub(crate) fn findings(
    to: &Email,
    (workspace, repository): (&str, &str),
    (number, commit): (i64, &ObjectId),
    verdict: &str,
    base: &str,
) -> Message {
    let short: String = commit.as_str().chars().take(12).collect();
    let place = format!("{base}/{workspace}/{repository}");
    let body = format!(
        "Run #{number} of a pipeline on {workspace}/{repository}, commit {short}, has failed.\n\nReason: {}\n\nThe run:\n\n    \
         {place}/pipelines/{number}\n\nWhat was found stands with the commit:\n\n    {place}/commits/{commit}\n\nAn owner of \
         the workspace decides which findings fail a run.",
        paragraph(&verdict.chars().take(1_000).collect::<String>())
    );
    let subject = format!("{workspace}/{repository}: findings failed run #{number}");
    Message::new(to, &subject, &signed(&body, base))
}
