//! Folders as one file: tar, compressed with gzip. What is unpacked was made by steps, so all of it is hostile.
//!
//! Nothing is written outside the folder, whatever an archive names and whatever links lie in the folder already. Links
//! that point out, devices, pipes and sockets are refused; modes lose their special bits; owners are not taken over.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, HeaderMode};

use crate::workspace::Owner;

/// How many files an archive may have.
const ENTRIES: u64 = 2_000_000;

/// Packs files, named from `root`, into a file. Links are packed as links.
pub(crate) fn pack(root: &Path, paths: &[PathBuf], into: &Path) -> io::Result<()> {
    let file = BufWriter::new(File::create(into)?);
    let mut builder = Builder::new(GzEncoder::new(file, Compression::fast()));
    builder.follow_symlinks(false);
    builder.mode(HeaderMode::Deterministic);
    for path in paths {
        let whole = root.join(path);
        let kind = fs::symlink_metadata(&whole)?.file_type();
        // Sockets and pipes mean nothing elsewhere.
        if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            builder.append_path_with_name(&whole, path)?;
        }
    }
    builder.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// All that lies below a folder, named from it, in order; links are not followed.
pub(crate) fn list(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The name of a path below a folder as files of pipelines write it, on every system; nothing where it is no text.
pub(crate) fn name(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

/// Unpacks an archive into a folder, of at most so many bytes.
pub(crate) fn unpack(from: &Path, root: &Path, limit: u64, owner: Owner) -> io::Result<()> {
    let root = root.canonicalize()?;
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(File::open(from)?)).take(limit));
    archive.set_preserve_permissions(false);
    archive.set_overwrite(true);
    let mut count = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        count += 1;
        if count > ENTRIES {
            return Err(refused("it has too many files"));
        }
        let path = inside(&entry.path()?)?;
        if path.as_os_str().is_empty() {
            continue;
        }
        let kind = entry.header().entry_type();
        let target = entry.link_name()?.map(|target| target.into_owned());
        match (kind, target) {
            (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Directory, _) => {
            }
            (EntryType::Symlink, Some(target)) => stays(&path, &target)?,
            (EntryType::Link, Some(target)) => drop(inside(&target)?),
            _ => {
                return Err(refused(&format!("`{}` is neither a file, a folder nor a link", path.display())));
            }
        }
        prepare(&root, &path, owner)?;
        if !entry.unpack_in(&root)? {
            return Err(refused(&format!("`{}` would lie outside", path.display())));
        }
        owner.give(&root.join(&path))?;
    }
    Ok(())
}

/// Makes the folders above a path, none of which may be a link; whatever lies at the path itself gives way.
fn prepare(root: &Path, path: &Path, owner: Owner) -> io::Result<()> {
    let mut whole = root.to_owned();
    for part in path.parent().unwrap_or(Path::new("")).components() {
        whole.push(part);
        match fs::symlink_metadata(&whole) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(refused(&format!("`{}` is no folder", whole.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&whole)?;
                owner.give(&whole)?;
            }
            Err(error) => return Err(error),
        }
    }
    // A link at the path would be written through.
    let whole = root.join(path);
    if fs::symlink_metadata(&whole).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(&whole)?;
    }
    Ok(())
}

/// A path of an archive, without `.`; an error where it leads out.
fn inside(path: &Path) -> io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(refused(&format!("`{}` leads out of the folder", path.display()))),
        }
    }
    Ok(clean)
}

/// Whether a link's target lies in the folder.
fn stays(path: &Path, target: &Path) -> io::Result<()> {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return Err(refused(&format!("the link `{}` leads out of the folder", path.display()))),
        }
    }
    Ok(())
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// An archive by hand: the crate would not write such names.
    fn archive(at: &Path, entries: &[(&str, EntryType, &str)]) {
        let mut encoder = GzEncoder::new(File::create(at).unwrap(), Compression::fast());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            let linked = matches!(kind, EntryType::Symlink | EntryType::Link);
            if linked {
                header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
            }
            header.set_size(if linked { 0 } else { text.len() as u64 });
            header.set_cksum();
            encoder.write_all(header.as_bytes()).unwrap();
            if !linked && !text.is_empty() {
                let mut block = text.as_bytes().to_vec();
                block.resize(block.len().next_multiple_of(512), 0);
                encoder.write_all(&block).unwrap();
            }
        }
        encoder.write_all(&[0; 1024]).unwrap();
        encoder.finish().unwrap();
    }

    fn attempt(entries: &[(&str, EntryType, &str)]) -> (tempfile::TempDir, io::Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("in");
        fs::create_dir(&root).unwrap();
        symlink("..", root.join("up")).unwrap();
        let file = folder.path().join("a.tar.gz");
        archive(&file, entries);
        let ended = unpack(&file, &root, 1 << 20, Owner::default());
        assert!(!folder.path().join("evil").exists(), "{entries:?} wrote outside");
        (folder, ended)
    }

    /// Each of these is a way that archives have led out of their folder.
    #[test]
    fn nothing_is_written_outside() {
        use EntryType::{Block, Fifo, Link, Regular, Symlink};
        let hostile: &[&[(&str, EntryType, &str)]] = &[
            &[("../evil", Regular, "x")],
            &[("/evil", Regular, "x")],
            &[("a/../../evil", Regular, "x")],
            &[("up/evil", Regular, "x")],
            &[("link", Symlink, ".."), ("link/evil", Regular, "x")],
            &[("link", Symlink, "/etc")],
            &[("a/link", Symlink, "b/../../../evil")],
            &[("hard", Link, "../a.tar.gz")],
            &[("hard", Link, "/etc/passwd")],
            &[("hard", Link, "up/a.tar.gz")],
            &[("pipe", Fifo, "")],
            &[("disk", Block, "")],
        ];
        for entries in hostile {
            assert!(attempt(entries).1.is_err(), "{entries:?} was taken");
        }
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_modes_lose_their_special_bits() {
        let (folder, ended) = attempt(&[("up", EntryType::Regular, "x")]);
        ended.unwrap();
        let file = folder.path().join("in/up");
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7000, 0);
    }

    #[test]
    fn a_folder_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("a/b/c"), "text").unwrap();
        symlink("b/c", from.join("a/link")).unwrap();
        let file = folder.path().join("x.tar.gz");
        pack(&from, &list(&from).unwrap(), &file).unwrap();
        unpack(&file, &to, 1 << 20, Owner::default()).unwrap();
        assert_eq!(fs::read_to_string(to.join("a/link")).unwrap(), "text");
    }

    /// A small file that becomes a large one is cut off.
    #[test]
    fn an_archive_is_not_larger_than_it_may() {
        let text = "x".repeat(10_000);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tar.gz");
        archive(&file, &[("a", EntryType::Regular, &text)]);
        assert!(unpack(&file, folder.path(), 5_000, Owner::default()).is_err());
    }
}
