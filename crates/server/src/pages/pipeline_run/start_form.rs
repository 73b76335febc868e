//! The form that starts a run by hand: its fields, what they send, and where a refusal stands.

use std::collections::BTreeSet;

use model::{Error, Result, Secret};
use pages::form::{Field, Kind};
use service::{KnownPipelines, NewPipeline, NewRunVariable};
use wire::Parameters;

use crate::pages::resource_form::{Typed, text};

/// The most variables that the form takes.
const MOST_VARIABLES: usize = 50;
/// The file that says what runs.
const FILE: &str = "bitbucket-pipelines.yml";
const BRANCH: &str = "branch";
const TAG: &str = "tag";
const ON: [(&str, &str); 2] = [(BRANCH, "A branch"), (TAG, "A tag")];
/// The words by which a refusal of the target is known, and the field that it is about. What has none of them stands above
/// the form.
const PLACES: [(&str, &str); 6] = [
    ("there is no `refs/", "ref_name"),
    ("no name of a branch or tag", "ref_name"),
    ("there is no such commit", "commit"),
    ("the commit does not lie on this ref", "commit"),
    ("there is no custom pipeline", "custom"),
    ("; it is one of ", "variables"),
];

/// The branch whose custom pipelines are suggested.
pub(super) fn branch(typed: &Typed, default: &str) -> String {
    let named = typed.value_or("ref_name", default).trim().to_owned();
    let is_branch = typed.value_or("ref_type", BRANCH) == BRANCH;
    if is_branch && !named.is_empty() { named } else { default.to_owned() }
}

/// The fields, and the one for variables, which is folded. `of` is the branch whose pipelines are known.
pub(super) fn fields(typed: &Typed, default: &str, of: &str, known: &KnownPipelines) -> (Vec<Field>, Field) {
    let mut hint = "Leave it empty for what a push would start.".to_owned();
    if !known.names.is_empty() {
        hint.push_str(&format!(" Suggested are those of the file on {of}."));
    }
    if known.providers {
        hint.push_str(" A provider can make others, and is asked only when a run starts: type the name.");
    }
    let custom = typed.line("custom", "Custom pipeline").hint(hint).optional();
    let fields = vec![
        typed.line("ref_type", "Run on").kind(Kind::choice(&ON)).value(typed.value_or("ref_type", BRANCH)),
        typed.line("ref_name", "Name of the branch or tag").value(typed.value_or("ref_name", default)),
        typed
            .line("commit", "Commit")
            .hint("One that lies on it, by its id or the first digits. Leave it empty for the newest.")
            .optional(),
        if known.names.is_empty() { custom } else { custom.suggestions("custom-names") },
    ];
    let variables = typed
        .line("variables", "Values for this run")
        .hint(format!(
            "NAME=value, one a line, at most {MOST_VARIABLES}. Whoever sees the run sees them: keep secrets in the settings."
        ))
        .kind(Kind::Text)
        .optional();
    (fields, variables)
}

/// What the form asks for.
pub(super) fn wanted(form: &Parameters) -> Result<NewPipeline> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let name = text(form, "ref_name")?;
    if name.is_empty() {
        return Err(Error::invalid_field("ref_name", "name a branch or a tag"));
    }
    let (branch, tag) = match text(form, "ref_type")?.as_str() {
        "" | BRANCH => (Some(name), None),
        TAG => (None, Some(name)),
        _ => return Err(Error::invalid_field("ref_type", "choose a branch or a tag")),
    };
    Ok(NewPipeline {
        branch,
        tag,
        commit: some(text(form, "commit")?),
        custom: some(text(form, "custom")?),
        variables: variables(form.get("variables")?.unwrap_or_default())?,
        configuration: None,
    })
}

/// Lines of `NAME=value`. Values are told to nobody: not in a refusal either.
fn variables(text: &str) -> Result<Vec<NewRunVariable>> {
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let odd = |why: &str| Error::invalid_field("variables", format!("line {}: {why}", at + 1));
        let (name, value) = line.split_once('=').ok_or_else(|| odd("write NAME=value"))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(odd("write the variable's name before `=`"));
        }
        if !known.insert(name) {
            return Err(odd("this name stands in another line already"));
        }
        if found.len() >= MOST_VARIABLES {
            return Err(odd(&format!("set at most {MOST_VARIABLES} variables here")));
        }
        let value = Secret::new(value.to_owned());
        found.push(NewRunVariable { name: name.to_owned(), value, secured: false });
    }
    Ok(found)
}

/// A refusal of the target, at the field that it is about.
pub(super) fn placed(error: Error) -> Error {
    let Error::Invalid { fields, .. } = &error else { return error };
    let Some(text) = fields.get("target").map(|texts| texts.join("; ")) else { return error };
    match PLACES.iter().find(|(words, _)| text.contains(words)) {
        Some((_, field)) => Error::invalid_field(field, text),
        // A sentence begins with a capital letter, and a file's name does not.
        None if text.starts_with(FILE) => Error::invalid(format!("in {text}")),
        None => Error::invalid(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().fold(Parameters::default(), |form, (name, value)| form.with(name, value))
    }

    fn told(pairs: &[(&str, &str)]) -> (String, String) {
        match wanted(&form(pairs)) {
            Err(Error::Invalid { fields, .. }) => {
                let (name, texts) = fields.into_iter().next().unwrap();
                (name, texts.join("; "))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Would catch: a tag that is started as a branch, a commit or a variable that is typed and not asked for, a value that
    /// is cut at its second `=`.
    #[test]
    fn what_is_typed_is_what_is_asked_for() {
        let typed = "A=1\r\n\r\n B = x=y \r\nEMPTY=\r\n";
        let new = wanted(&form(&[
            ("ref_type", "tag"),
            ("ref_name", " v1 "),
            ("commit", "abc"),
            ("custom", "release"),
            ("variables", typed),
        ]))
        .unwrap();
        assert_eq!((new.branch.as_deref(), new.tag.as_deref()), (None, Some("v1")));
        assert_eq!((new.commit.as_deref(), new.custom.as_deref()), (Some("abc"), Some("release")));
        let found: Vec<(&str, &str, bool)> =
            new.variables.iter().map(|one| (one.name.as_str(), one.value.expose(), one.secured)).collect();
        assert_eq!(found, [("A", "1", false), ("B", " x=y ", false), ("EMPTY", "", false)]);
        let new = wanted(&form(&[("ref_name", "main")])).unwrap();
        assert_eq!(
            (new.branch.as_deref(), new.tag, new.commit, new.custom),
            (Some("main"), None, None, None)
        );
        assert!(new.variables.is_empty());
    }

    /// Would catch: what was typed and is gone when the start is refused; suggestions of a branch for a tag; a form that knows
    /// only what the file has, where a provider makes more.
    #[test]
    fn what_was_typed_is_kept_and_pipelines_are_suggested() {
        let known = KnownPipelines { names: vec!["nightly".to_owned()], providers: true };
        let sent = form(&[("ref_type", "tag"), ("ref_name", "v1"), ("variables", "A=1\r\nB")]);
        let typed = Typed::default().refused(sent.clone(), wanted(&sent).unwrap_err()).unwrap();
        let of = branch(&typed, "main");
        let (kept, values) = fields(&typed, "main", &of, &known);
        let told: Vec<(&str, &str)> = kept.iter().map(|field| (field.name, field.value.as_str())).collect();
        assert_eq!(told, [("ref_type", "tag"), ("ref_name", "v1"), ("commit", ""), ("custom", "")]);
        assert_eq!((values.value.as_str(), values.error.as_str()), ("A=1\r\nB", "line 2: write NAME=value"));
        assert_eq!(typed.elsewhere(&kept, &["variables"]), "");
        let hint = &kept[3].hint;
        assert!(hint.contains("of the file on main") && hint.contains("only when a run starts"), "{hint}");
        assert_eq!(kept[3].suggestions, "custom-names");
        let (fresh, _) = fields(&Typed::default(), "main", "main", &KnownPipelines::default());
        assert_eq!((fresh[0].value.as_str(), fresh[1].value.as_str()), ("branch", "main"));
        assert!(fresh[3].suggestions.is_empty() && !fresh[3].hint.contains("only when a run starts"));
        let other = Typed::default().refused(form(&[("ref_name", "one")]), Error::invalid("no")).unwrap();
        assert_eq!(branch(&other, "main"), "one");
    }

    /// Would catch: a line that is left out without a word, variables without an end, a refusal that repeats a value.
    #[test]
    fn what_cannot_be_read_is_told_at_its_field() {
        assert_eq!(told(&[("ref_name", " ")]).0, "ref_name");
        assert_eq!(told(&[("ref_name", "main"), ("ref_type", "commit")]).0, "ref_type");
        let many = (0..=MOST_VARIABLES).map(|at| format!("A{at}=1\n")).collect::<String>();
        for (typed, line) in [("A=1\ns3cret", "line 2"), ("=s3cret", "line 1"), ("A=1\n\nA=s3cret", "line 3")]
        {
            let (field, text) = told(&[("ref_name", "main"), ("variables", typed)]);
            assert!(
                field == "variables" && text.starts_with(line) && !text.contains("s3cret"),
                "{field}: {text}"
            );
        }
        let (field, text) = told(&[("ref_name", "main"), ("variables", &many)]);
        assert!(field == "variables" && text.contains("at most 50"), "{field}: {text}");
    }

    /// Would catch: a value that a custom pipeline asks for and the form tells of somewhere else.
    #[test]
    fn a_refusal_stands_at_the_field_that_it_is_about() {
        for (text, field) in [
            ("`LEVEL` must be given; it is one of `a` and `b`", "variables"),
            ("there is no `refs/heads/gone` here", "ref_name"),
            ("there is no such commit here", "commit"),
            ("there is no custom pipeline `x`", "custom"),
        ] {
            let error = placed(Error::invalid_field("target", text));
            assert!(
                matches!(&error, Error::Invalid { fields, .. } if fields.contains_key(field)),
                "{error:?}"
            );
        }
        let error = placed(Error::invalid_field("target", "bitbucket-pipelines.yml, line 3: not yet"));
        assert!(matches!(&error, Error::Invalid { fields, .. } if fields.is_empty()), "{error:?}");
        assert_eq!(error.to_string(), "in bitbucket-pipelines.yml, line 3: not yet");
        let other = placed(Error::invalid_field("variables", "set at most 100"));
        assert!(
            matches!(&other, Error::Invalid { fields, .. } if fields.contains_key("variables")),
            "{other:?}"
        );
    }
}
