//! The `packed-refs` file, read from front to back or from a name on. It is replaced as a whole and never changed, so
//! that what was opened stays what it was.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::loose::LooseRef;
use super::name::{Prefixes, is_good};
use crate::objects::Oid;

/// The longest line that is read: a longer name fits in no packet.
const LONGEST_LINE: u64 = 65_536;

/// A stretch of the file as short as this is read through rather than halved.
const STRETCH: u64 = 4096;

const HEADER: &[u8] = b"# pack-refs with:";

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What the file says of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peeled {
    /// Nothing: the object must be asked.
    Unknown,
    /// That it is no tag.
    NoTag,
    /// What it points at in the end.
    At(Oid),
}

/// One ref of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackedRef {
    pub(super) name: Vec<u8>,
    /// Zero for a ref that cannot be.
    pub(super) id: Oid,
    pub(super) peeled: Peeled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Only where a line says so.
    Nothing,
    /// Of all below `refs/tags/`.
    Tags,
    /// Of all.
    All,
}

/// The file, open at a place.
#[derive(Debug)]
pub(super) struct Packed {
    reader: BufReader<File>,
    known: Known,
    begin: u64,
    end: u64,
    next: Option<PackedRef>,
}

impl Packed {
    /// Opens the file of the repository at `top`, at its first ref. `None` when there is none. Asks for the loose refs,
    /// since they must have been read before: a ref that is packed in between would be in neither otherwise.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` for a file that is not sorted or not as git writes it.
    pub(super) fn open_after(_loose: &[LooseRef], top: &Path) -> io::Result<Option<Self>> {
        Self::open(top)
    }

    fn open(top: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(top.join("packed-refs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let end = file.metadata()?.len();
        if end == 0 {
            return Ok(None);
        }
        let mut packed = Self {
            reader: BufReader::with_capacity(16 * 1024, file),
            known: Known::Nothing,
            begin: 0,
            end,
            next: None,
        };
        packed.reader.seek(SeekFrom::Start(end - 1))?;
        if packed.line()?.as_deref() != Some(b"") {
            return Err(malformed("packed-refs: the last line has no end"));
        }
        packed.reader.seek(SeekFrom::Start(0))?;
        let header = packed.line()?.unwrap_or_default();
        let traits = header.strip_prefix(HEADER).ok_or_else(|| malformed("packed-refs has no header"))?;
        let has = |wanted: &[u8]| traits.split(|byte| *byte == b' ').any(|word| word == wanted);
        if !has(b"sorted") {
            return Err(malformed("packed-refs is not sorted"));
        }
        packed.known = match (has(b"fully-peeled"), has(b"peeled")) {
            (true, _) => Known::All,
            (false, true) => Known::Tags,
            (false, false) => Known::Nothing,
        };
        packed.begin = packed.reader.stream_position()?;
        packed.read_next()?;
        Ok(Some(packed))
    }

    /// What one ref points at.
    ///
    /// # Errors
    /// As [`Self::open_after`].
    pub(super) fn find(top: &Path, name: &[u8]) -> io::Result<Option<Oid>> {
        let Some(mut packed) = Self::open(top)? else { return Ok(None) };
        packed.seek(name)?;
        Ok(packed.next.filter(|found| found.name == name).map(|found| found.id))
    }

    /// The next ref that is asked for; it stays the next until [`Self::take`].
    ///
    /// # Errors
    /// As [`Self::open_after`].
    pub(super) fn next(&mut self, prefixes: &Prefixes) -> io::Result<Option<&PackedRef>> {
        while let Some(next) = &self.next
            && !prefixes.match_name(&next.name)
        {
            match prefixes.after(&next.name) {
                Some(prefix) => self.seek(prefix)?,
                None => self.next = None,
            }
        }
        Ok(self.next.as_ref())
    }

    /// Takes the next ref.
    ///
    /// # Errors
    /// As [`Self::open_after`].
    pub(super) fn take(&mut self) -> io::Result<Option<PackedRef>> {
        let taken = self.next.take();
        self.read_next()?;
        Ok(taken)
    }

    /// Goes to the first ref that is not below this name.
    fn seek(&mut self, name: &[u8]) -> io::Result<()> {
        // All refs that begin before `low` are below the name, those that begin at `high` or behind are not.
        let (mut low, mut high) = (self.begin, self.end);
        while high - low > STRETCH {
            let middle = low + (high - low) / 2;
            match self.name_behind(middle)? {
                Some((at, found)) if at < high && found.as_slice() < name => low = at,
                _ => high = middle,
            }
        }
        self.reader.seek(SeekFrom::Start(low))?;
        self.read_next()?;
        while self.next.as_ref().is_some_and(|next| next.name.as_slice() < name) {
            self.read_next()?;
        }
        Ok(())
    }

    /// The first ref that begins at `from` or behind: where, and its name.
    fn name_behind(&mut self, from: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
        self.reader.seek(SeekFrom::Start(from.saturating_sub(1)))?;
        self.line()?;
        loop {
            let at = self.reader.stream_position()?;
            let Some(line) = self.line()? else { return Ok(None) };
            if !line.starts_with(b"^") {
                return Ok(Some((at, parse(&line)?.1.to_vec())));
            }
        }
    }

    fn read_next(&mut self) -> io::Result<()> {
        self.next = None;
        let Some(line) = self.line()? else { return Ok(()) };
        let (id, name) = parse(&line)?;
        let id = if is_good(name) { id } else { Oid::ZERO };
        let said = match self.known {
            Known::All => Peeled::NoTag,
            Known::Tags if name.starts_with(b"refs/tags/") => Peeled::NoTag,
            _ => Peeled::Unknown,
        };
        let peeled = if self.reader.fill_buf()?.first() == Some(&b'^') {
            let line = self.line()?.unwrap_or_default();
            let target = line.strip_prefix(b"^").and_then(Oid::parse);
            Peeled::At(target.ok_or_else(|| malformed("packed-refs: a line of a tag cannot be read"))?)
        } else {
            said
        };
        self.next = Some(PackedRef {
            name: name.to_vec(),
            id,
            peeled: if id.is_zero() { Peeled::NoTag } else { peeled },
        });
        Ok(())
    }

    /// The next line without its end.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) => Err(malformed("packed-refs: a line is too long or has no end")),
        }
    }
}

fn parse(line: &[u8]) -> io::Result<(Oid, &[u8])> {
    let found = Oid::parse_front(line).and_then(|(id, rest)| Some((id, rest.strip_prefix(b" ")?)));
    // Git's own has nothing but these; names without `refs/` would be told in another order.
    found
        .filter(|(_, name)| name.starts_with(b"refs/") && !name.contains(&0))
        .ok_or_else(|| malformed("packed-refs: a line cannot be read"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn everything() -> Prefixes {
        Prefixes::new(Vec::new())
    }

    fn read(content: &str, prefixes: &Prefixes) -> io::Result<Vec<PackedRef>> {
        let top = tempfile::tempdir().unwrap();
        std::fs::write(top.path().join("packed-refs"), content).unwrap();
        let mut found = Vec::new();
        if let Some(mut packed) = Packed::open(top.path())? {
            while packed.next(prefixes)?.is_some() {
                found.extend(packed.take()?);
            }
        }
        Ok(found)
    }

    #[test]
    fn what_git_does_not_write_is_refused_before_anything_is_told() {
        let id = "1".repeat(40);
        for bad in [
            format!("{id} refs/heads/main\n"),
            format!("# pack-refs with: peeled \n{id} refs/heads/main\n"),
            format!("# pack-refs with: sorted \n{id} refs/heads/main"),
            "# pack-refs with: sorted \nrefs/heads/main\n".to_owned(),
            format!("# pack-refs with: sorted \n{id} HEAD\n"),
            format!("# pack-refs with: sorted \n{id} refs/tags/a\n^12\n"),
            format!("# pack-refs with: sorted \n{id} refs/heads/{}\n", "x".repeat(70_000)),
        ] {
            assert!(read(&bad, &everything()).is_err(), "{bad}");
        }
        assert_eq!(read("", &everything()).unwrap(), []);
    }

    proptest! {
        /// Would catch a search that stops a line early or late, or takes a tag's second line for a ref.
        #[test]
        fn seeking_finds_what_reading_through_finds(count in 0..400_usize, tags in any::<u64>(), asked in proptest::collection::vec("refs/(heads|tags)/[0-9]{0,3}", 1..5)) {
            let mut content = String::from("# pack-refs with: peeled fully-peeled sorted \n");
            let id = "a".repeat(40);
            for directory in ["heads", "tags"] {
                for number in 0..count {
                    let _ = writeln!(content, "{id} refs/{directory}/{number:03}");
                    if tags >> (number % 64) & 1 == 1 {
                        let _ = writeln!(content, "^{id}");
                    }
                }
            }
            let prefixes = Prefixes::new(asked.into_iter().map(String::into_bytes).collect());
            let mut all = read(&content, &everything()).unwrap();
            prop_assert_eq!(all.len(), 2 * count);
            all.retain(|found| prefixes.match_name(&found.name));
            prop_assert_eq!(read(&content, &prefixes).unwrap(), all);
        }
    }
}
