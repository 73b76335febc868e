//! Refs: listing them, finding what a user's text names, moving one, the default branch.
//!
//! A user's text never reaches git as a revision expression: it is a branch's or tag's name, `HEAD`, or the digits
//! of an object's name, and nothing else is looked for.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use model::{Error, ObjectId, RefName, Result};

use crate::command::{Bounds, GitCommand};
use crate::commit::Commit;
use crate::durability::{sync_directory, sync_push};
use crate::lock::SharedLock;
use crate::ls_refs;
use crate::objects::{Kind, LONGEST_COMMIT, Objects, Oid, look};
use crate::ref_update::{PushOutcome, RefOutcome, RefUpdate};
use crate::repository::Repository;

/// Above this many refs all are listed at once instead of asked for by name.
const ASKED_BY_NAME: usize = 100;

/// The most refs that one listing gives.
pub const MOST_REFS: usize = 200_000;

/// The fewest digits that name an object.
const FEWEST_DIGITS: usize = 4;

/// Which refs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// `refs/heads/`.
    Branches,
    /// `refs/tags/`.
    Tags,
}

impl RefKind {
    /// What stands before their names.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Branches => "refs/heads/",
            Self::Tags => "refs/tags/",
        }
    }
}

/// One ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Its full name.
    pub name: RefName,
    /// What it points at.
    pub target: ObjectId,
    /// For an annotated tag, what that points at.
    pub peeled: Option<ObjectId>,
    /// When the commit or the tag was made, in seconds since the epoch; 0 for other objects.
    pub made: i64,
}

impl Ref {
    /// The commit, behind an annotated tag as well.
    #[must_use]
    pub fn commit(&self) -> &ObjectId {
        self.peeled.as_ref().unwrap_or(&self.target)
    }
}

const FORMAT: &str = "--format=%(refname)%00%(objectname)%00%(*objectname)%00%(creatordate:unix)";

/// All branches or all tags, by name.
///
/// # Errors
/// `TooLarge` when there are more than [`MOST_REFS`].
pub async fn list(repository: &Repository, kind: RefKind) -> Result<Vec<Ref>> {
    let found = query(GitCommand::new(repository, "for-each-ref").operand(kind.prefix())).await?;
    if found.len() > MOST_REFS {
        return Err(Error::TooLarge { limit: u64::try_from(MOST_REFS).unwrap_or(u64::MAX) });
    }
    Ok(found)
}

/// One ref, if it is there.
///
/// # Errors
/// When git cannot tell.
pub async fn find(repository: &Repository, name: &RefName) -> Result<Option<Ref>> {
    let wanted = name.clone();
    let found = look(repository, move |top, objects| {
        let Some(id) = ls_refs::target(top, wanted.as_str().as_bytes())? else { return Ok(None) };
        let (target, commit) = (id.id()?, objects.content(&id, Kind::Commit, LONGEST_COMMIT)?);
        let commit = Commit::from_object(target.clone(), &commit);
        let commit = commit.ok_or_else(|| io::Error::other("a commit that only git can read"))?;
        Ok(Some(Ref { name: wanted, target, peeled: None, made: commit.committer.seconds }))
    });
    if let Some(found) = found.await {
        return Ok(found);
    }
    Ok(find_all(repository, std::slice::from_ref(name)).await?.remove(name))
}

/// Those of the refs that are there.
pub(crate) async fn find_all(repository: &Repository, names: &[RefName]) -> Result<HashMap<RefName, Ref>> {
    let mut command = GitCommand::new(repository, "for-each-ref");
    if names.len() <= ASKED_BY_NAME {
        for name in names {
            command = command.reference(name);
        }
    }
    let wanted: std::collections::HashSet<&RefName> = names.iter().collect();
    let found = query(command).await?;
    // A name also matches all refs below it.
    Ok(found
        .into_iter()
        .filter(|one| wanted.contains(&one.name))
        .map(|one| (one.name.clone(), one))
        .collect())
}

async fn query(command: GitCommand) -> Result<Vec<Ref>> {
    let bounds = Bounds { bytes: 256 << 20, ..Bounds::QUICK };
    let output = command.flag(FORMAT).output(Vec::new(), bounds).await?;
    // A ref whose name is not ours to hold (it is not UTF-8) came by other ways than a push, and is not shown.
    Ok(output.split(|b| *b == b'\n').filter_map(parse_ref).collect())
}

fn parse_ref(line: &[u8]) -> Option<Ref> {
    let mut fields = std::str::from_utf8(line).ok()?.split('\0');
    Some(Ref {
        name: fields.next()?.parse().ok()?,
        target: fields.next()?.parse().ok()?,
        peeled: fields.next()?.parse().ok(),
        made: fields.next()?.parse().unwrap_or(0),
    })
}

/// What became of the updates, by the refs alone. For settling a push that nobody else will: under
/// [`crate::lock::try_exclusive`].
///
/// # Errors
/// When git cannot tell.
pub async fn judge(repository: &Repository, updates: &[RefUpdate]) -> Result<PushOutcome> {
    let names: Vec<RefName> = updates.iter().map(|update| update.name.clone()).collect();
    let found = find_all(repository, &names).await?;
    let judge_one = |update: &RefUpdate| {
        let applied = match found.get(&update.name) {
            Some(now) => now.target == update.new,
            None => update.is_deletion(),
        };
        RefOutcome { update: update.clone(), applied, refusal: None }
    };
    Ok(PushOutcome { refs: updates.iter().map(judge_one).collect(), finished: false })
}

/// The same as [`judge`], after what it found is on disk.
///
/// # Errors
/// When git cannot tell or the disk refuses.
pub async fn judge_durably(repository: &Repository, updates: &[RefUpdate]) -> Result<PushOutcome> {
    let names: Vec<RefName> = updates.iter().map(|update| update.name.clone()).collect();
    sync_push(repository, &names).await?;
    judge(repository, updates).await
}

/// The commit that a user's text names: a whole object name, a branch, a tag, `HEAD`, or at least four leading
/// digits of a commit's name, tried in this order.
///
/// # Errors
/// `NotFound` when it names no commit here.
pub async fn resolve(repository: &Repository, text: &str) -> Result<ObjectId> {
    let missing = || Error::not_found(format!("commit `{}`", text.escape_debug()));
    let wanted = text.to_owned();
    if let Some(Some(found)) =
        look(repository, move |top, objects| resolve_at_hand(top, objects, &wanted)).await
    {
        return Ok(found);
    }
    let commit = |expression: String| async move { commit_named(repository, expression).await };
    if let Ok(id) = text.parse::<ObjectId>() {
        return commit(format!("{id}^{{commit}}")).await?.ok_or_else(missing);
    }
    if text == "HEAD" {
        return commit("HEAD^{commit}".to_owned()).await?.ok_or_else(missing);
    }
    if let (Ok(branch), Ok(tag)) = (RefName::branch(text), RefName::tag(text)) {
        let mut found = find_all(repository, &[branch.clone(), tag.clone()]).await?;
        if let Some(one) = found.remove(&branch).or_else(|| found.remove(&tag)) {
            // A tag may point at a tag, or at no commit at all.
            return commit(format!("{}^{{commit}}", one.target)).await?.ok_or_else(missing);
        }
    }
    let is_digits = text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digits && (FEWEST_DIGITS..40).contains(&text.len()) {
        let digits = text.to_ascii_lowercase();
        let found = commit(format!("{digits}^{{commit}}")).await?;
        // Git would also find a ref that is called like the digits.
        return found.filter(|id| id.as_str().starts_with(&digits)).ok_or_else(missing);
    }
    Err(missing())
}

/// The same for a whole name, a branch or a tag. `None` for anything else, which git has to look for.
fn resolve_at_hand(top: &Path, objects: &mut Objects, text: &str) -> io::Result<Option<ObjectId>> {
    let id = match text.parse::<ObjectId>() {
        Ok(id) => Oid::of(&id),
        Err(_) if text == "HEAD" => return Ok(None),
        Err(_) => {
            let names = [RefName::branch(text), RefName::tag(text)];
            let mut found = None;
            for name in names.into_iter().flatten() {
                if found.is_none() {
                    found = ls_refs::target(top, name.as_str().as_bytes())?;
                }
            }
            found
        }
    };
    id.map(|id| objects.commit(&id)?.id()).transpose()
}

/// What git finds for an expression that was built here from checked parts.
async fn commit_named(repository: &Repository, expression: String) -> Result<Option<ObjectId>> {
    let command = GitCommand::new(repository, "cat-file").flag("--batch-check=%(objectname)");
    let output = command.output(format!("{expression}\n").into_bytes(), Bounds::QUICK).await?;
    let text = String::from_utf8_lossy(&output);
    Ok(text.trim_end().parse().ok())
}

/// Moves refs all together, each only from its old value: zero as old makes one, zero as new deletes one. On disk
/// when it returns.
///
/// # Errors
/// `Conflict` when one of them is not at its old value, is locked, or its name collides with another's.
pub async fn update(repository: &Repository, updates: &[RefUpdate]) -> Result<()> {
    let lock = SharedLock::take(repository).await?;
    update_locked(repository, updates, &lock).await
}

/// [`update`] for one who holds the lock.
pub(crate) async fn update_locked(
    repository: &Repository,
    updates: &[RefUpdate],
    lock: &SharedLock,
) -> Result<()> {
    // NUL-separated, so that no name can end a command and begin another.
    let mut commands = b"start\0".to_vec();
    for one in updates {
        commands.extend(format!("update {}\0{}\0{}\0", one.name, one.new, one.old).into_bytes());
    }
    commands.extend_from_slice(b"prepare\0commit\0");
    let finished = GitCommand::new(repository, "update-ref")
        .flag("--stdin")
        .flag("-z")
        .flag("--no-deref")
        .inherit(lock.descriptor()?)
        .finish(commands, Bounds::QUICK)
        .await?;
    if !finished.status.success() {
        tracing::info!(stderr = finished.stderr, "refs were not moved");
        return Err(Error::Conflict(
            "a ref has changed in the meantime, or its name collides with another's: look and try again"
                .to_owned(),
        ));
    }
    let names: Vec<RefName> = updates.iter().map(|update| update.name.clone()).collect();
    sync_push(repository, &names).await
}

/// The default branch, whether or not it exists yet.
///
/// # Errors
/// When `HEAD` does not name a branch.
pub async fn default_branch(repository: &Repository) -> Result<RefName> {
    let output =
        GitCommand::new(repository, "symbolic-ref").operand("HEAD").output(Vec::new(), Bounds::QUICK).await?;
    let text = String::from_utf8_lossy(&output);
    text.trim_end().parse().map_err(|_| Error::internal("HEAD does not name a branch"))
}

/// Makes another branch the default; it need not exist. On disk when it returns.
///
/// # Errors
/// When the ref is not a branch.
pub async fn set_default_branch(repository: &Repository, branch: &RefName) -> Result<()> {
    if branch.as_branch().is_none() {
        return Err(Error::invalid(format!("`{branch}` is not a branch")));
    }
    let _lock = SharedLock::take(repository).await?;
    let command = GitCommand::new(repository, "symbolic-ref").operand("HEAD").reference(branch);
    command.output(Vec::new(), Bounds::QUICK).await?;
    let top = repository.path().to_owned();
    let sync = move || {
        // Git syncs this file in no version.
        std::fs::File::open(top.join("HEAD"))?.sync_all()?;
        sync_directory(&top)
    };
    tokio::task::spawn_blocking(sync).await.map_err(Error::internal)?.map_err(Error::internal)
}
