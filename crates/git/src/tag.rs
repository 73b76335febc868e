//! Annotated tags: objects of their own, with a message and who made them. A lightweight tag is a ref and nothing
//! else, and the business of [`crate::refs`].

use std::collections::HashMap;

use model::{Error, ObjectId, RefName, Result};

use crate::command::{Bounds, GitCommand};
use crate::commit::Identity;
use crate::durability::sync_directory;
use crate::repository::Repository;

/// A longer tag is shown without its message: nobody wrote that by hand.
const LONGEST: u64 = 1 << 20;

/// An annotated tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnotatedTag {
    /// Who made it; the oldest tags do not say.
    pub tagger: Option<Identity>,
    /// The whole message, in UTF-8.
    pub message: String,
}

/// Those of the objects that are annotated tags, read.
///
/// # Errors
/// When git cannot tell.
pub async fn read_all(repository: &Repository, ids: &[ObjectId]) -> Result<HashMap<ObjectId, AnnotatedTag>> {
    let mut wanted = Vec::new();
    let check = GitCommand::new(repository, "cat-file")
        .flag("--batch-check=%(objectname) %(objecttype) %(objectsize)");
    let output = check.output(lines(ids), Bounds::QUICK).await?;
    for line in String::from_utf8_lossy(&output).lines() {
        let mut words = line.split(' ');
        let (id, kind, size) = (words.next(), words.next(), words.next());
        let short = size.and_then(|size| size.parse::<u64>().ok()).is_some_and(|size| size <= LONGEST);
        if kind == Some("tag") && short {
            wanted.extend(id.and_then(|id| id.parse().ok()));
        }
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let bounds = Bounds { bytes: 128 << 20, ..Bounds::QUICK };
    let read = GitCommand::new(repository, "cat-file").flag("--batch");
    let output = read.output(lines(&wanted), bounds).await?;
    parse_batch(&output).ok_or_else(|| Error::internal("git cat-file printed what cannot be read"))
}

/// Makes the object of an annotated tag; the ref is not made. On disk when it returns.
///
/// # Errors
/// `Invalid` when the message or the name of who makes it cannot be in a tag.
pub async fn create(
    repository: &Repository,
    name: &RefName,
    commit: &ObjectId,
    tagger: &Identity,
    message: &str,
) -> Result<ObjectId> {
    let short = name.as_tag().ok_or_else(|| Error::invalid(format!("`{name}` is not a tag")))?;
    let odd = |text: &str| text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'));
    if odd(&tagger.name) || odd(&tagger.email) {
        return Err(Error::invalid_field("tagger", "use names without line ends and angle brackets"));
    }
    if message.contains('\0') || u64::try_from(message.len()).unwrap_or(u64::MAX) > LONGEST / 2 {
        return Err(Error::invalid_field("message", "write a shorter message, without NUL"));
    }
    let (name, email, seconds) = (tagger.name.trim(), &tagger.email, tagger.seconds.max(0));
    let text = format!(
        "object {commit}\ntype commit\ntag {short}\ntagger {name} <{email}> {seconds} +0000\n\n{}\n",
        message.trim_end()
    );
    let output = GitCommand::new(repository, "mktag").output(text.into_bytes(), Bounds::QUICK).await?;
    let id: ObjectId = String::from_utf8_lossy(&output).trim_end().parse().map_err(Error::internal)?;
    let objects = repository.path().join("objects");
    let first = objects.join(id.as_str().get(..2).unwrap_or_default());
    let sync = move || sync_directory(&first).and_then(|()| sync_directory(&objects));
    tokio::task::spawn_blocking(sync).await.map_err(Error::internal)?.map_err(Error::internal)?;
    Ok(id)
}

fn lines(ids: &[ObjectId]) -> Vec<u8> {
    ids.iter().flat_map(|id| format!("{id}\n").into_bytes()).collect()
}

/// `id type size`, a line end, so many bytes, a line end.
fn parse_batch(mut output: &[u8]) -> Option<HashMap<ObjectId, AnnotatedTag>> {
    let mut tags = HashMap::new();
    while !output.is_empty() {
        let end = output.iter().position(|b| *b == b'\n')?;
        let mut head = std::str::from_utf8(output.get(..end)?).ok()?.split(' ');
        let (id, size) = (head.next()?.parse().ok()?, head.nth(1)?.parse::<usize>().ok()?);
        let body = output.get(end + 1..)?;
        tags.insert(id, parse_tag(body.get(..size)?));
        output = body.get(size..)?.strip_prefix(b"\n")?;
    }
    Some(tags)
}

/// A head of lines, an empty line, the message.
fn parse_tag(object: &[u8]) -> AnnotatedTag {
    let text = String::from_utf8_lossy(object);
    let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let tagger = head.lines().find_map(|line| line.strip_prefix("tagger ")).and_then(parse_person);
    AnnotatedTag { tagger, message: message.to_owned() }
}

/// `Ann Lee <ann@example.com> 1700000000 +0100`.
fn parse_person(text: &str) -> Option<Identity> {
    let (name, rest) = text.split_once(" <").or_else(|| Some(("", text.strip_prefix('<')?)))?;
    let (email, when) = rest.split_once('>')?;
    let (seconds, offset_minutes) = crate::commit::parse_date(when.trim_start());
    Some(Identity { name: name.to_owned(), email: email.to_owned(), seconds, offset_minutes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_read_with_and_without_a_tagger() {
        let id = "a".repeat(40);
        let body =
            "object x\ntype commit\ntag v1\ntagger Ann <ann@example.com> 1700000000 +0100\n\none\n\ntwo\n";
        let old = "object x\ntype commit\ntag v0\n\nzero\n";
        let output =
            format!("{id} tag {}\n{body}\n{} tag {}\n{old}\n", body.len(), "b".repeat(40), old.len());
        let tags = parse_batch(output.as_bytes()).unwrap();
        let tag = &tags[&id.parse::<ObjectId>().unwrap()];
        assert_eq!(tag.message, "one\n\ntwo\n");
        let tagger = tag.tagger.as_ref().unwrap();
        assert_eq!((tagger.name.as_str(), tagger.offset_minutes), ("Ann", 60));
        assert_eq!(tags[&"b".repeat(40).parse::<ObjectId>().unwrap()].tagger, None);
    }

    proptest! {
        #[test]
        fn arbitrary_output_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_batch(&bytes);
            let _ = parse_tag(&bytes);
        }
    }
}
