//! Small objects, read without a process: what pages show of a repository, and what a tag points at in the end. As git
//! does it: packs first, then loose objects, then packs that came meanwhile.
//!
//! Everything else about objects is git's own to tell: histories, differences, what is long. What cannot be read here is
//! an error, never a guess; [`look`] leaves it to git.

mod index;
mod loose;
mod oid;
mod pack;
mod tree;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use oid::Oid;
pub(crate) use tree::TreeEntry;

use self::index::Index;
use self::loose::Loose;
use self::pack::Pack;
use crate::repository::{CONFIG_FILE, Repository};

/// How many packs are kept open at once.
const MOST_OPEN: usize = 32;

/// How often one look at the objects reads the packs' directory again.
const MOST_SCANS: u32 = 4;

/// How many answers about tags are remembered.
const MOST_KNOWN: usize = 4096;

/// How many bytes of objects one look reads: what needs more is git's, whose time is limited.
const MOST_READ: u64 = 64 << 20;

/// How many tags may point at each other.
const LONGEST_CHAIN: usize = 256;

/// How much of a loose tag is read: what it points at stands at its beginning.
const TAG_HEAD: u64 = 8192;

/// The longest commit that is read.
pub(crate) const LONGEST_COMMIT: u64 = 1 << 20;

/// The longest tag in a pack that is read.
const LONGEST_TAG: u64 = 1 << 20;

/// What is not as git writes it.
fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Looks at a repository's objects without starting git. `None` when git must be asked: the repository is not plainly one
/// of ours, or something in it cannot be read here.
pub(crate) async fn look<T: Send + 'static>(
    repository: &Repository,
    work: impl FnOnce(&Path, &mut Objects) -> io::Result<T> + Send + 'static,
) -> Option<T> {
    if repository.has_objects_elsewhere() {
        return None;
    }
    let top = repository.path().to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let mut objects = Objects::open(&top)?;
        work(&top, &mut objects)
    });
    match looked.await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::debug!(%error, "git is asked instead");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "looking at objects broke off");
            None
        }
    }
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"commit" => Some(Self::Commit),
            b"tree" => Some(Self::Tree),
            b"blob" => Some(Self::Blob),
            b"tag" => Some(Self::Tag),
            _ => None,
        }
    }
}

/// A pack by its path without an extension; open when it has been asked.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    pack: Option<Pack>,
}

#[derive(Clone, Copy, Debug)]
enum Location {
    Packed { place: usize, at: u64 },
    Loose,
}

/// A repository's objects, for as long as one answer takes.
#[derive(Debug)]
pub(crate) struct Objects {
    directory: PathBuf,
    places: Vec<Place>,
    scans: u32,
    open: usize,
    /// Where the last one was found: the next one is mostly there too.
    recent: usize,
    known: HashMap<Oid, Option<Oid>>,
    /// How many bytes may yet be read of objects.
    left: u64,
}

impl Objects {
    /// The objects of the repository at `top`.
    ///
    /// # Errors
    /// The disk's; and `Unsupported` for a repository that is not plainly one of ours: one with settings of its own,
    /// another format, objects elsewhere.
    pub(crate) fn open(top: &Path) -> io::Result<Self> {
        if fs::read(top.join("config"))? != CONFIG_FILE.as_bytes() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the repository has settings of its own"));
        }
        if top.join("objects/info/alternates").symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the repository has objects elsewhere"));
        }
        Ok(Self {
            directory: top.join("objects"),
            places: Vec::new(),
            scans: 0,
            open: 0,
            recent: 0,
            known: HashMap::new(),
            left: MOST_READ,
        })
    }

    /// The content of an object that is there, of this kind, and no longer than `longest`.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for any other object.
    pub(crate) fn content(&mut self, id: &Oid, kind: Kind, longest: u64) -> io::Result<Vec<u8>> {
        let other = || malformed("an object is of another kind");
        let longest = longest.min(self.left);
        let content = match self.locate(id)?.ok_or_else(|| malformed("an object is not there"))? {
            Location::Loose => {
                let loose = Loose::open(&self.loose_path(id))?;
                if loose.kind == kind { loose.content(longest) } else { Err(other()) }
            }
            Location::Packed { place, at } => {
                let pack = self.pack(place)?.ok_or_else(|| malformed("a pack is gone"))?;
                if pack.kind(at)? == kind { pack.content(at, longest) } else { Err(other()) }
            }
        }?;
        self.left = self.left.saturating_sub(u64::try_from(content.len()).unwrap_or(u64::MAX));
        Ok(content)
    }

    /// Of what kind an object that is there is, and how long.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` when it is not there.
    pub(crate) fn head(&mut self, id: &Oid) -> io::Result<(Kind, u64)> {
        match self.locate(id)?.ok_or_else(|| malformed("an object is not there"))? {
            Location::Loose => Loose::open(&self.loose_path(id)).map(|loose| (loose.kind, loose.size)),
            Location::Packed { place, at } => {
                let pack = self.pack(place)?.ok_or_else(|| malformed("a pack is gone"))?;
                Ok((pack.kind(at)?, pack.size(at)?))
            }
        }
    }

    /// The commit that an object is, or that a tag leads to.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for any other object.
    pub(crate) fn commit(&mut self, id: &Oid) -> io::Result<Oid> {
        let end = match self.head(id)? {
            (Kind::Tag, _) => self.peel(id)?.ok_or_else(|| malformed("a tag leads nowhere"))?,
            _ => *id,
        };
        match self.head(&end)? {
            (Kind::Commit, _) => Ok(end),
            _ => Err(malformed("an object is no commit")),
        }
    }

    /// What a tag points at, or the last of several that point at each other. `None` for an object that is no tag, and
    /// for a tag that cannot be followed to its end.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(crate) fn peel(&mut self, id: &Oid) -> io::Result<Option<Oid>> {
        if let Some(known) = self.known.get(id) {
            return Ok(*known);
        }
        let mut next = *id;
        for step in 0..LONGEST_CHAIN {
            let Some(location) = self.locate(&next)? else { return Ok(None) };
            let Some(tag) = self.tag(&next, location)? else {
                // The first is no tag; a later one is said to be one and is not.
                if step == 0 {
                    self.remember(*id, None);
                }
                return Ok(None);
            };
            match parse_tag(&tag) {
                Some((target, Kind::Tag)) => next = target,
                Some((target, _)) => {
                    self.remember(*id, Some(target));
                    return Ok(Some(target));
                }
                None => return Ok(None),
            }
        }
        Err(malformed("tags point at each other without end"))
    }

    fn remember(&mut self, id: Oid, peeled: Option<Oid>) {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(id, peeled);
    }

    /// The content of a tag, or at least its head; `None` for another kind.
    fn tag(&mut self, id: &Oid, location: Location) -> io::Result<Option<Vec<u8>>> {
        match location {
            Location::Loose => {
                let loose = Loose::open(&self.loose_path(id))?;
                if loose.kind == Kind::Tag { loose.beginning(TAG_HEAD).map(Some) } else { Ok(None) }
            }
            Location::Packed { place, at } => {
                let pack = self.pack(place)?.ok_or_else(|| malformed("a pack is gone"))?;
                match pack.kind(at)? {
                    Kind::Tag => pack.content(at, LONGEST_TAG).map(Some),
                    _ => Ok(None),
                }
            }
        }
    }

    fn locate(&mut self, id: &Oid) -> io::Result<Option<Location>> {
        loop {
            let found = match self.locate_packed(id)? {
                None if self.loose_path(id).symlink_metadata().is_ok() => Some(Location::Loose),
                found => found,
            };
            if let Some(location) = found {
                return Ok(Some(location));
            }
            // A repack may have moved it, or a push brought it, since the directory was read.
            if self.scans >= MOST_SCANS || !self.scan()? {
                return Ok(None);
            }
        }
    }

    fn locate_packed(&mut self, id: &Oid) -> io::Result<Option<Location>> {
        let count = self.places.len();
        let first = self.recent.min(count);
        for place in std::iter::once(first).chain((0..count).filter(|place| *place != first)) {
            let Some(pack) = self.pack(place)? else { continue };
            if let Some(at) = pack.index.find(id)? {
                self.recent = place;
                return Ok(Some(Location::Packed { place, at }));
            }
        }
        Ok(None)
    }

    /// The pack, opened; `None` when it is gone.
    fn pack(&mut self, place: usize) -> io::Result<Option<&Pack>> {
        if self.open >= MOST_OPEN && self.places.get(place).is_some_and(|place| place.pack.is_none()) {
            self.places.iter_mut().for_each(|place| place.pack = None);
            self.open = 0;
        }
        let Some(found) = self.places.get_mut(place) else { return Ok(None) };
        if found.pack.is_none() {
            let index = Index::open(&found.path.with_extension("idx"));
            let opened = index
                .and_then(|index| Ok(Pack { file: File::open(found.path.with_extension("pack"))?, index }));
            match opened {
                Ok(pack) => {
                    found.pack = Some(pack);
                    self.open += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(found.pack.as_ref())
    }

    /// Reads the packs' directory; tells whether there is a pack that was not known.
    fn scan(&mut self) -> io::Result<bool> {
        self.scans += 1;
        let entries = match fs::read_dir(self.directory.join("pack")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let mut new = false;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "idx") {
                continue;
            }
            let path = path.with_extension("");
            if !self.places.iter().any(|place| place.path == path) {
                self.places.push(Place { path, pack: None });
                new = true;
            }
        }
        Ok(new)
    }

    fn loose_path(&self, id: &Oid) -> PathBuf {
        let digits = hex::encode(id.bytes());
        let (first, rest) = digits.split_at(2);
        self.directory.join(first).join(rest)
    }
}

/// What a tag says it points at: the name and the kind.
fn parse_tag(content: &[u8]) -> Option<(Oid, Kind)> {
    let mut lines = content.split(|byte| *byte == b'\n');
    let target = Oid::parse(lines.next()?.strip_prefix(b"object ")?)?;
    let kind = Kind::parse(lines.next()?.strip_prefix(b"type ")?)?;
    lines.next()?.strip_prefix(b"tag ")?;
    // The name's line must have an end.
    lines.next()?;
    Some((target, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_what_it_points_at() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let target = Oid::parse(id.as_bytes()).unwrap();
        let parse = |text: String| parse_tag(text.as_bytes());
        let good = format!("object {id}\ntype commit\ntag v1\ntagger Ann <a@example.org> 1 +0000\n\nx\n");
        assert_eq!(parse(good), Some((target, Kind::Commit)));
        for bad in [
            format!("object {}\ntype commit\ntag v1\n", &id[1..]),
            format!("object {id}\ntype thing\ntag v1\n"),
            format!("type commit\nobject {id}\ntag v1\n"),
            format!("object {id}\ntype commit\ntag v1"),
            format!("object {id}\ntype commit"),
        ] {
            assert_eq!(parse(bad.clone()), None, "{bad}");
        }
    }
}
