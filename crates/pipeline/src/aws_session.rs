//! What a step's session at Amazon is called, and the tags that it has there. Both follow from the facts of the step alone.

use uuid::Uuid;

use crate::identity::{IdentityFacts, is_tag};

/// The longest name of a session, in characters.
const LONGEST_NAME: usize = 64;

/// The first digits of a UUID: enough to find a step by.
fn digits(uuid: Uuid) -> String {
    uuid.simple().to_string().chars().take(12).collect()
}

/// A part of a session's name: what Amazon does not take becomes `-`.
fn part(text: &str, longest: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' };
    text.chars().map(plain).take(longest).collect()
}

/// The name of a step's session, as Amazon's own records tell it: workspace, repository, build number, and the first digits
/// of the step's id, with dots between. Long names are cut; the tags have them whole.
#[must_use]
pub fn name(facts: &IdentityFacts) -> String {
    let tail = format!(".{}.{}", facts.build_number, digits(facts.step));
    let room = LONGEST_NAME.saturating_sub(tail.len()).saturating_sub(1);
    let (workspace, repository) = (&facts.workspace.name, &facts.repository.name);
    // The longer one gives way; both have at least half.
    let half = room / 2;
    let of_repository =
        repository.chars().count().min(room.saturating_sub(half.min(workspace.chars().count())));
    let workspace = part(workspace, room.saturating_sub(of_repository));
    format!("{workspace}.{}{tail}", part(repository, of_repository))
}

/// The tags of a step's session. A value that Amazon does not take is left out rather than changed: a tag that is not there
/// matches nothing, one that was changed to fit could match what it should not.
#[must_use]
pub fn tags(facts: &IdentityFacts) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    let mut put = |key, value: Option<String>| {
        if let Some(value) = value.filter(|value| is_tag(value)) {
            tags.push((key, value));
        }
    };
    put("workspace", Some(facts.workspace.name.clone()));
    put("workspace_id", Some(facts.workspace.uuid.to_string()));
    put("project", Some(facts.project.name.clone()));
    put("repository", Some(facts.full_name()));
    put("repository_id", Some(facts.repository.uuid.to_string()));
    put("ref", facts.git_ref());
    put("ref_protected", Some(facts.is_ref_protected().to_string()));
    put("environment", facts.environment.as_ref().map(|one| one.name.clone()));
    put("pipeline", Some(facts.pipeline.to_string()));
    put("step", Some(facts.step.to_string()));
    tags
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Reference;
    use crate::identity::tests::facts;

    fn is_name(name: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        (2..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain)
    }

    #[test]
    fn a_session_tells_whose_it_is() {
        let mut facts = facts();
        facts.workspace.name = "acme".to_owned();
        facts.repository.name = "web".to_owned();
        facts.build_number = 7;
        facts.step = Uuid::from_u128(0x1234_5678_9abc_4000_8000_0000_0000_0000);
        assert_eq!(name(&facts), "acme.web.7.123456789abc");
        facts.repository.name = "r".repeat(100);
        assert!(name(&facts).starts_with("acme.rrrr") && name(&facts).ends_with("rrr.7.123456789abc"));
        assert_eq!(name(&facts).len(), LONGEST_NAME);
        facts.workspace.name = "w".repeat(100);
        assert!(name(&facts).contains("www.rrr"));
        assert_eq!(name(&facts).len(), LONGEST_NAME);
    }

    #[test]
    fn tags_tell_the_ref_and_leave_out_what_does_not_fit() {
        let mut facts = facts();
        facts.reference = Reference::Branch { name: "a*b".to_owned() };
        let found = tags(&facts);
        assert!(found.iter().all(|(key, _)| *key != "ref"), "{found:?}");
        facts.reference = Reference::Branch { name: "main".to_owned() };
        assert!(tags(&facts).contains(&("ref", "refs/heads/main".to_owned())));
        facts.reference =
            Reference::PullRequest { id: 3, source: "x".to_owned(), destination: "main".to_owned() };
        assert!(tags(&facts).contains(&("ref", "refs/pull-requests/3".to_owned())));
    }

    proptest! {
        /// Would catch a session that Amazon refuses because of somebody's name.
        #[test]
        fn whatever_the_names_are_amazon_takes_the_session(
            workspace in ".{0,80}", repository in ".{0,80}", build in any::<u64>(), branch in ".{0,300}",
        ) {
            let mut facts = facts();
            facts.workspace.name = workspace;
            facts.repository.name = repository;
            facts.build_number = build;
            facts.reference = Reference::Branch { name: branch };
            prop_assert!(is_name(&name(&facts)), "{}", name(&facts));
            let tags = tags(&facts);
            prop_assert!(tags.len() <= 50);
            for (key, value) in tags {
                prop_assert!((1..=128).contains(&key.len()) && (1..=256).contains(&value.len()));
            }
        }
    }
}
