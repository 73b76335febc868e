//! Targets over `model`: what is parsed once and then trusted everywhere.

use std::fmt::Display;
use std::str::FromStr;

use model::{
    AddressRange, AuditEvent, CronPattern, DisplayName, Email, Glob, GroupSlug, ObjectId, ProjectKey,
    RefName, RepositorySlug, ScopeSet, Timestamp, Token, Username, WorkspaceSlug,
};

/// Of every length and kind, with checksums that do not hold: a mutation cannot guess one that does.
pub const TOKENS: &[&str] = &[
    "bst_rat_0000000000000000000000000000000000000000000000000",
    "bst_api_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    "bst_app_",
];

/// One in canonical form.
pub const AUDIT_EVENTS: &[&str] = &[concat!(
    r#"{"v":1,"id":"00000000-0000-4000-8000-000000000001","time":"2030-01-31T12:00:00.000000+00:00","#,
    r#""request_id":"00000000-0000-4000-8000-000000000002","actor":"user:ann","actor_id":null,"credential":null,"#,
    r#""address":"127.0.0.1","action":"repository.push","resource":"repository:acme/one","#,
    r#""resource_id":"repository:{x}","workspace_id":null,"outcome":"done","reasons":["a"],"before":null,"#,
    r#""after":{"z":1,"a":[true,null]}}"#
)];

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// What was accepted is written as it was read.
fn same<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// A secret of the published form, and nothing else, is a token.
pub fn token(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.secret().expose(), text);
        assert_eq!(text.len(), "bst_xxx_".len() + 43 + 6);
    }
}

/// A ref's name can be told to git and written to a line of text.
pub fn ref_name(data: &[u8]) {
    let Some(text) = text(data) else { return };
    same::<RefName>(text);
    for made in [RefName::branch(text), RefName::tag(text)].into_iter().flatten() {
        same::<RefName>(made.as_str());
        assert!(made.as_str().starts_with("refs/") && !made.as_str().contains(['\n', '\0', ' ']));
    }
}

/// An object's name is hexadecimal and never an option.
pub fn object_id(data: &[u8]) {
    let Some(text) = text(data) else { return };
    same::<ObjectId>(text);
    if let Ok(id) = text.parse::<ObjectId>() {
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

/// Names are written as they were given; slugs are one component of a path.
pub fn name(data: &[u8]) {
    let Some(text) = text(data) else { return };
    same::<WorkspaceSlug>(text);
    same::<GroupSlug>(text);
    same::<ProjectKey>(text);
    same::<Username>(text);
    same::<Email>(text);
    same::<DisplayName>(text);
    same::<RepositorySlug>(text);
    if let Ok(slug) = text.parse::<RepositorySlug>() {
        assert!(!slug.as_str().contains(['/', '\\', '\0']) && !slug.as_str().starts_with(['.', '-']));
    }
    let made = model::name::slug_from(text);
    assert!(made.is_empty() || made.parse::<RepositorySlug>().is_ok(), "{made:?}");
}

/// A set of scopes is written in a form that is read back as the same set, and closing it only adds.
pub fn scope_set(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(set) = text.parse::<ScopeSet>() {
        assert!(set.closed().contains_all(set));
        let again = set.names().join(" ").parse::<ScopeSet>().expect("its own names are read back");
        assert!(again.contains_all(set) && set.contains_all(again));
    }
}

/// A time is read back from what it is written as.
pub fn timestamp(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>().expect("its own form is read back"), time);
    }
}

/// A range of addresses is read back from the one form that it is kept in, and holds its own beginning.
pub fn address_range(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(range) = text.parse::<AddressRange>() else { return };
    let kept = range.to_string();
    assert_eq!(kept.parse::<AddressRange>(), Ok(range));
    let first =
        kept.split('/').next().and_then(|first| first.parse().ok()).expect("it begins with an address");
    assert!(range.contains(first) && range.holds(range));
}

/// A pattern of branch names, and a name: the pattern is read back from its own form, and one without a star matches itself
/// alone.
pub fn branch_glob(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (pattern, branch) = text.split_once('\n').unwrap_or((text, text));
    let Ok(glob) = pattern.parse::<Glob>() else { return };
    assert_eq!(glob.to_string().parse::<Glob>(), Ok(glob.clone()));
    let matches = glob.matches(branch);
    assert!(pattern.contains('*') || matches == (pattern == branch));
}

/// A pattern of times: read back from its own form, and what comes next comes later.
pub fn cron(data: &[u8]) {
    let Some(Ok(pattern)) = text(data).map(str::parse::<CronPattern>) else { return };
    assert_eq!(pattern.as_str().parse::<CronPattern>().as_ref(), Ok(&pattern));
    let now = Timestamp::from_micros(1_790_000_000_000_000);
    if let Some(next) = pattern.next_after(now) {
        assert!(next > now && pattern.next_after(next).is_none_or(|later| later > next));
    }
}

/// Only canonical bytes are an audit event.
pub fn audit_event(data: &[u8]) {
    if let Ok(event) = AuditEvent::from_bytes(data) {
        assert_eq!(event.to_bytes().expect("it can be written"), data);
    }
}
