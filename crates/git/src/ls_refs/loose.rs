//! Refs that are files of their own below `refs`, and what a symbolic ref stands for.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::name::{Prefixes, is_good};
use super::packed::Packed;
use crate::objects::Oid;

/// How many refs may stand for each other, as in git.
const LONGEST_CHAIN: usize = 5;

/// More loose refs than this are not kept in memory: that answer is git's.
const MOST_LOOSE: usize = 50_000;

/// A longer file is no ref.
const LONGEST_FILE: u64 = 4096;

/// What is not for us to tell of.
fn unusual(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

/// What a ref's file holds.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Missing,
    Broken,
    Symbolic(Vec<u8>),
    Id(Oid),
}

/// Where a ref ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At an object.
    At(Oid),
    /// At a name that is not there.
    Missing,
    /// At what cannot be read, or nowhere.
    Broken,
}

/// What a ref comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The last name, where it is a symbolic ref.
    pub(super) target: Option<Vec<u8>>,
    pub(super) end: End,
}

/// One ref.
#[derive(Debug)]
pub(super) struct LooseRef {
    pub(super) name: Vec<u8>,
    /// Zero for one that cannot be read: git tells of it, so that nobody takes the rest for everything.
    pub(super) id: Oid,
    /// What a symbolic ref stands for.
    pub(super) target: Option<Vec<u8>>,
    /// A symbolic ref that leads nowhere is not told of; it hides a packed one of its name all the same.
    pub(super) dangling: bool,
}

/// `HEAD`, resolved.
///
/// # Errors
/// The disk's, and for a `HEAD` with which git would not take the directory for a repository.
pub(super) fn head(top: &Path) -> io::Result<Resolved> {
    match read(top, b"HEAD")? {
        Content::Missing | Content::Broken => Err(unusual("HEAD is not one that git writes")),
        Content::Symbolic(_) | Content::Id(_) => resolve(top, b"HEAD"),
    }
}

/// The loose refs that are asked for, by name. One that is packed meanwhile is read from there.
///
/// # Errors
/// The disk's, and `Unsupported` for what is better left to git.
pub(super) fn list(top: &Path, prefixes: &Prefixes) -> io::Result<Vec<LooseRef>> {
    let mut found = Vec::new();
    let mut directories = vec![b"refs/".to_vec()];
    while let Some(directory) = directories.pop() {
        if !prefixes.reach_into(&directory) {
            continue;
        }
        let entries = match fs::read_dir(path(top, &directory)) {
            // Git removes a directory with its last ref.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let own = entry.file_name().into_vec();
            if own.starts_with(b".") || own.ends_with(b".lock") {
                continue;
            }
            let kind = entry.file_type()?;
            let mut name = directory.clone();
            name.extend_from_slice(&own);
            if kind.is_dir() {
                name.push(b'/');
                directories.push(name);
            } else if !kind.is_file() {
                return Err(unusual("a ref is not a file"));
            } else if prefixes.match_name(&name) {
                found.extend(look(top, name)?);
                if found.len() > MOST_LOOSE {
                    return Err(unusual("more loose refs than are kept in memory"));
                }
            }
        }
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Reads a ref whose file was there a moment ago; `None` when it is gone.
fn look(top: &Path, name: Vec<u8>) -> io::Result<Option<LooseRef>> {
    let resolved =
        if is_good(&name) { resolve(top, &name)? } else { Resolved { target: None, end: End::Broken } };
    let (id, dangling) = match (resolved.end, &resolved.target) {
        (End::At(id), target) => (id, id.is_zero() && target.is_some()),
        (End::Missing, None) => return Ok(None),
        (End::Missing | End::Broken, target) => (Oid::ZERO, target.is_some()),
    };
    Ok(Some(LooseRef { name, id, target: resolved.target, dangling }))
}

/// Follows a ref to its object.
///
/// # Errors
/// The disk's, and `Unsupported` for what is better left to git.
pub(super) fn resolve(top: &Path, name: &[u8]) -> io::Result<Resolved> {
    let mut target: Option<Vec<u8>> = None;
    for _ in 0..LONGEST_CHAIN {
        let end = match read(top, target.as_deref().unwrap_or(name))? {
            Content::Symbolic(next) if !is_good(&next) => {
                return Ok(Resolved { target: Some(next), end: End::Broken });
            }
            Content::Symbolic(next) if !next.starts_with(b"refs/") => {
                return Err(unusual("a symbolic ref stands for what is no ref"));
            }
            Content::Symbolic(next) => {
                target = Some(next);
                continue;
            }
            Content::Broken => End::Broken,
            Content::Missing => End::Missing,
            Content::Id(id) => End::At(id),
        };
        return Ok(Resolved { target, end });
    }
    Ok(Resolved { target, end: End::Broken })
}

/// Reads one ref: its file, or else what is packed.
fn read(top: &Path, name: &[u8]) -> io::Result<Content> {
    let packed = || Ok(Packed::find(top, name)?.map_or(Content::Missing, Content::Id));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path(top, name), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return packed(),
        Err(error) => return Err(error.into()),
    };
    let mut text = Vec::new();
    match file.take(LONGEST_FILE + 1).read_to_end(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => return packed(),
        other => other?,
    };
    if u64::try_from(text.len()).is_ok_and(|length| length > LONGEST_FILE) {
        return Err(unusual("a ref's file is too long"));
    }
    Ok(parse(&text))
}

fn parse(text: &[u8]) -> Content {
    // Git reads it as a text that a zero byte ends.
    let text = text.trim_ascii_end();
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if let Some(target) = text.strip_prefix(b"ref:") {
        return Content::Symbolic(target.trim_ascii_start().to_vec());
    }
    match Oid::parse_front(text) {
        Some((id, rest)) if rest.first().is_none_or(u8::is_ascii_whitespace) => Content::Id(id),
        _ => Content::Broken,
    }
}

fn path(top: &Path, name: &[u8]) -> PathBuf {
    top.join(std::ffi::OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_read_as_git_reads_it() {
        let digits = "0123456789abcdef0123456789ABCDEF01234567";
        let id = Oid::parse(digits.as_bytes()).unwrap();
        for good in
            [digits.to_owned(), format!("{digits}\n"), format!("{digits} more\n"), format!("{digits}\0x")]
        {
            assert_eq!(parse(good.as_bytes()), Content::Id(id), "{good:?}");
        }
        for bad in ["", "\n", "ref", &digits[1..], &format!("{digits}0"), &format!(" {digits}")] {
            assert_eq!(parse(bad.as_bytes()), Content::Broken, "{bad:?}");
        }
        for symbolic in ["ref: refs/heads/x\n", "ref:refs/heads/x", "ref: \t refs/heads/x \n\n"] {
            assert_eq!(
                parse(symbolic.as_bytes()),
                Content::Symbolic(b"refs/heads/x".to_vec()),
                "{symbolic:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_files_never_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&text);
        }
    }
}
