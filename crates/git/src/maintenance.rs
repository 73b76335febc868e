//! Keeping a repository quick: packed refs, few packs, bitmaps, a commit graph; and no remains of pushes that were
//! cut off.
//!
//! Safe beside pushes and clones: git's own locks guard the refs, and no pack is removed whose objects are not in
//! another. Objects that nothing refers to are kept (in a cruft pack): what was overwritten can be brought back.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use model::{Clock, Error, Result, Timestamp};

use crate::command::{Bounds, GitCommand};
use crate::durability::sync_maintenance;
use crate::hook::Quarantine;
use crate::lock::try_maintenance;
use crate::repository::Repository;

/// Remains younger than this may belong to a push under way.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Below this all packs are made one; above, only those of similar size.
const FULL_REPACK_BELOW: u64 = 64 << 20;

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// False when another run was under way.
    pub ran: bool,
    /// Files and directories of pushes that were cut off.
    pub remains_removed: usize,
    /// What lies in the repository's directory afterwards, in bytes.
    pub size_bytes: u64,
}

/// Brings the repository into order. On disk when it returns.
///
/// # Errors
/// When git fails; the repository is whole even then.
pub async fn maintain(repository: &Repository, clock: &Clock) -> Result<Maintained> {
    let Some(_lock) = try_maintenance(repository)? else { return Ok(Maintained::default()) };
    let (top, before) = (repository.path().to_owned(), clock.now());
    let sweep = move || sweep(&top, before);
    let remains_removed =
        tokio::task::spawn_blocking(sweep).await.map_err(Error::internal)?.map_err(Error::internal)?;
    run(GitCommand::new(repository, "pack-refs").flag("--all").flag("--prune")).await?;
    repack(repository).await?;
    let graph = GitCommand::new(repository, "commit-graph")
        .operand_first("write")
        .flag("--reachable")
        .flag("--changed-paths")
        .flag("--split")
        .flag("--no-progress");
    run(graph).await?;
    sync_maintenance(repository).await?;
    Ok(Maintained { ran: true, remains_removed, size_bytes: size(repository).await? })
}

/// What lies in the repository's directory, in bytes.
///
/// # Errors
/// When the disk refuses.
pub async fn size(repository: &Repository) -> Result<u64> {
    let top = repository.path().to_owned();
    tokio::task::spawn_blocking(move || size_of(&top))
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)
}

async fn run(command: GitCommand) -> Result<()> {
    command.output(Vec::new(), Bounds::LONG).await.map(|_| ())
}

async fn repack(repository: &Repository) -> Result<()> {
    let packs = Packs::look(&repository.path().join("objects/pack")).map_err(Error::internal)?;
    if packs.count == 0 || packs.count == 1 && packs.bitmap {
        return Ok(());
    }
    let command =
        GitCommand::new(repository, "repack").flag("-d").flag("-l").flag("-q").flag("--write-bitmap-index");
    let command = if packs.bytes < FULL_REPACK_BELOW || !packs.bitmap {
        command.flag("--cruft")
    } else {
        command.flag("--geometric=2").flag("--write-midx")
    };
    run(command).await
}

/// The packs of a repository, cruft not counted.
struct Packs {
    count: usize,
    bytes: u64,
    bitmap: bool,
}

impl Packs {
    fn look(directory: &Path) -> io::Result<Self> {
        let mut packs = Self { count: 0, bytes: 0, bitmap: false };
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("bitmap") => packs.bitmap = true,
                Some("pack") if !path.with_extension("mtimes").exists() => {
                    packs.count += 1;
                    packs.bytes = packs.bytes.saturating_add(entry.metadata()?.len());
                }
                _ => {}
            }
        }
        Ok(packs)
    }
}

/// Removes quarantines, half-written packs and keep files that nobody works on any more.
fn sweep(top: &Path, now: Timestamp) -> io::Result<usize> {
    let mut removed = 0;
    for directory in [top.join("objects"), top.join("objects/pack")] {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if !is_remains(&name) || !is_stale(&metadata, now) {
                continue;
            }
            let gone = if metadata.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
            match gone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => removed += 1,
            }
        }
    }
    Ok(removed)
}

fn is_remains(name: &str) -> bool {
    let prefixes =
        [Quarantine::PREFIX, "tmp_pack_", "tmp_idx_", "tmp_rev_", "tmp_obj_", "tmp_graph_", ".tmp-"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
        || name.starts_with("pack-") && name.ends_with(".keep")
}

fn is_stale(metadata: &fs::Metadata, now: Timestamp) -> bool {
    let age = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let now = u64::try_from(now.seconds()).unwrap_or(0);
    age.is_some_and(|made| made.as_secs().saturating_add(STALE.as_secs()) < now)
}

fn size_of(directory: &Path) -> io::Result<u64> {
    let mut total = 0_u64;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let bytes = match entry.metadata() {
            // Moved away by a push or a repack while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Ok(metadata) if metadata.is_dir() => match size_of(&entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                other => other?,
            },
            other => other?.len(),
        };
        total = total.saturating_add(bytes);
    }
    Ok(total)
}
