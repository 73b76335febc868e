//! Getting names onto the disk: git syncs the files it writes (when told so), but never a directory, so that a
//! rename may be lost when the power fails. What must survive is synced here before anybody is told.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use model::{Error, RefName, Result};

use crate::repository::Repository;

/// Syncs one directory.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Syncs everything that a change of `refs` may have renamed: packs, loose refs, packed refs.
pub(crate) async fn sync_push(repository: &Repository, refs: &[RefName]) -> Result<()> {
    let top = repository.path().to_owned();
    let mut directories = BTreeSet::from([top.join("objects/pack"), top.join("objects"), top.clone()]);
    for name in refs {
        directories.extend(ref_directories(&top, name));
    }
    sync_all(directories).await
}

/// Syncs the directories that maintenance writes to.
pub(crate) async fn sync_maintenance(repository: &Repository) -> Result<()> {
    let top = repository.path().to_owned();
    let names = ["objects/pack", "objects/info", "objects/info/commit-graphs", "objects", "refs", ""];
    sync_all(names.iter().map(|name| top.join(name)).collect()).await
}

/// The directories from the ref's own up to `refs`. Those that git has removed with their last ref are left out by
/// [`sync_all`]; the removal itself is an entry of the parent.
fn ref_directories(top: &Path, name: &RefName) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut rest = name.as_str();
    while let Some((parent, _)) = rest.rsplit_once('/') {
        found.push(top.join(parent));
        rest = parent;
    }
    found
}

async fn sync_all(directories: BTreeSet<PathBuf>) -> Result<()> {
    let work = move || {
        for directory in directories {
            match sync_directory(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // `refs/heads/a` was a directory and is a ref now, or the other way round.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                other => other?,
            }
        }
        Ok::<(), io::Error>(())
    };
    let synced = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    synced.map_err(|error| Error::Internal(format!("a directory could not be synced: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_of_a_ref_up_to_refs_is_synced() {
        let name: RefName = "refs/heads/feature/one".parse().unwrap();
        let found = ref_directories(Path::new("/r"), &name);
        let expected = ["/r/refs/heads/feature", "/r/refs/heads", "/r/refs"].map(PathBuf::from);
        assert_eq!(found, expected);
    }
}
