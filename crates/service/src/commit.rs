//! Commits and histories.

use git::Repository;
use git::commit::{Commit, Identity, LogQuery};
use git::path::RepoPath;
use git::refs::RefKind;
use model::{Error, ObjectId, Result, act};
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::people::People;
use crate::{Caller, Service};

/// The most tips that a history of everything starts from: the youngest.
const MOST_TIPS: usize = 10_000;

/// The most tips that a token holds, so that a walk stays in the history that it began in.
const TIPS_IN_TOKEN: usize = 16;

/// How far a walk may go.
const FARTHEST: u64 = 10_000_000;

/// Which commits are asked for.
#[derive(Clone, Debug, Default)]
pub struct CommitQuery {
    /// Reachable from one of these; from every branch and tag where none is named.
    pub include: Vec<String>,
    /// And from none of these.
    pub exclude: Vec<String>,
    /// Touching one of these files or directories, if any are named.
    pub paths: Vec<String>,
}

/// Some commits of a history.
#[derive(Clone, Debug)]
pub struct Commits {
    /// The repository.
    pub located: Located,
    /// The commits, newest first.
    pub commits: Vec<Commit>,
    /// Who wrote them.
    pub people: People,
    /// What leads on; none at the end.
    pub next: Option<String>,
}

/// One version of a file.
#[derive(Clone, Debug)]
pub struct FileVersion {
    /// The commit that made it so.
    pub commit: Commit,
    /// Where it lay then.
    pub path: Vec<u8>,
    /// What lay there; none where the commit removed it.
    pub entry: Option<git::tree::Entry>,
}

/// A file's versions.
#[derive(Clone, Debug)]
pub struct FileVersions {
    /// The repository.
    pub located: Located,
    /// The versions, newest first.
    pub versions: Vec<FileVersion>,
    /// Who wrote their commits.
    pub people: People,
    /// What leads on; none at the end.
    pub next: Option<String>,
}

/// Where a walk goes on: after so many commits of the history of these tips.
struct Place {
    skip: u64,
    tips: Vec<ObjectId>,
}

impl Place {
    fn parse(token: Option<&str>) -> Result<Self> {
        let Some(token) = token else { return Ok(Self { skip: 0, tips: Vec::new() }) };
        let odd = || Error::invalid_field("page", "follow the address in the last answer's `next`");
        let mut parts = token.split('.');
        let skip = parts.next().and_then(|digits| digits.parse().ok()).ok_or_else(odd)?;
        let tips = parts.map(str::parse).collect::<Result<Vec<_>, _>>().map_err(|_| odd())?;
        if skip > FARTHEST || tips.len() > TIPS_IN_TOKEN {
            return Err(odd());
        }
        Ok(Self { skip, tips })
    }

    fn after(skip: u64, tips: &[ObjectId]) -> String {
        let kept = if tips.len() <= TIPS_IN_TOKEN { tips } else { &[] };
        kept.iter().fold(skip.to_string(), |token, tip| format!("{token}.{tip}"))
    }
}

/// A path inside a tree, as clients write it: with or without slashes at its ends.
pub(crate) fn repo_path(field: &str, text: &str) -> Result<RepoPath> {
    RepoPath::new(text.trim_matches('/')).map_err(|error| Error::invalid_field(field, error))
}

pub(crate) async fn resolve_all(repository: &Repository, names: &[String]) -> Result<Vec<ObjectId>> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let id = git::refs::resolve(repository, name).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

async fn every_tip(repository: &Repository) -> Result<Vec<ObjectId>> {
    let mut refs = git::refs::list(repository, RefKind::Branches).await?;
    refs.extend(git::refs::list(repository, RefKind::Tags).await?);
    // What was made at no time is no commit.
    refs.retain(|one| one.made != 0);
    refs.sort_by_key(|one| std::cmp::Reverse(one.made));
    let mut seen = std::collections::HashSet::new();
    let tips = refs.iter().map(git::refs::Ref::commit).filter(|id| seen.insert((*id).clone()));
    Ok(tips.take(MOST_TIPS).cloned().collect())
}

impl Service {
    /// A part of a history, newest first. `token` is the last part's `next`.
    pub async fn commits(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        query: CommitQuery,
        token: Option<&str>,
        limit: u64,
    ) -> Result<Commits> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let place = Place::parse(token)?;
        let paths = query.paths.iter().map(|path| repo_path("path", path)).collect::<Result<_>>()?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let include = match (place.tips.is_empty(), query.include.is_empty()) {
            (false, _) => place.tips,
            (true, false) => resolve_all(&repository, &query.include).await?,
            (true, true) => every_tip(&repository).await?,
        };
        let exclude = resolve_all(&repository, &query.exclude).await?;
        let log = LogQuery {
            include,
            exclude,
            paths,
            skip: place.skip,
            limit: limit.saturating_add(1),
            ..LogQuery::default()
        };
        let (commits, more) = cut(git::commit::log(&repository, &log).await?, limit);
        let next = more.then(|| Place::after(place.skip.saturating_add(limit), &log.include));
        let people = self.commit_people(commits.iter()).await?;
        Ok(Commits { located: ground.subject.clone(), commits, people, next })
    }

    /// One commit, by its name, or by a branch's or tag's.
    pub async fn commit(&self, caller: &Caller, path: &RepositoryPath, revision: &str) -> Result<Commits> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let id = git::refs::resolve(&repository, revision).await?;
        self.one_commit(ground.subject.clone(), &repository, &id).await
    }

    pub(crate) async fn one_commit(
        &self,
        located: Located,
        repository: &Repository,
        id: &ObjectId,
    ) -> Result<Commits> {
        let commits = vec![git::commit::read(repository, id).await?];
        let people = self.commit_people(commits.iter()).await?;
        Ok(Commits { located, commits, people, next: None })
    }

    /// A part of a file's versions, newest first, through its renames where `follow` says so.
    pub async fn file_history(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        file: &str,
        follow: bool,
        (token, limit): (Option<&str>, u64),
    ) -> Result<FileVersions> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let place = Place::parse(token)?;
        let file = repo_path("path", file)?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let include = match place.tips.is_empty() {
            true => vec![git::refs::resolve(&repository, revision).await?],
            false => place.tips,
        };
        // The name that a file had on a later part of the walk is only known from the part before it.
        let log = LogQuery {
            include,
            paths: vec![file.clone()],
            follow,
            limit: place.skip.saturating_add(limit).saturating_add(1).min(git::commit::MOST_COMMITS),
            ..LogQuery::default()
        };
        let history = git::commit::log(&repository, &log).await?;
        if history.is_empty() {
            return Err(Error::not_found(format!("the file `{file}`")));
        }
        let end = place.skip.saturating_add(limit);
        let (history, more) = cut(history, end);
        let versions = versions(&repository, history, file, follow, place.skip).await?;
        let next = more.then(|| Place::after(end, &log.include));
        let people = self.commit_people(versions.iter().map(|version| &version.commit)).await?;
        Ok(FileVersions { located: ground.subject.clone(), versions, people, next })
    }

    pub(crate) async fn commit_people<'a>(
        &self,
        commits: impl Iterator<Item = &'a Commit>,
    ) -> Result<People> {
        let emails = commits.flat_map(|commit| [&commit.author.email, &commit.committer.email]);
        self.people(emails.map(String::as_str)).await
    }

    /// The caller as git names people. Git takes neither line ends nor angle brackets in a name.
    pub(crate) fn author(&self, caller: &Caller) -> Identity {
        let (name, email) = match (caller.as_user(), caller.credential()) {
            (Some(user), _) => (user.display_name.to_string(), user.email.to_string()),
            (None, Some(token)) => {
                (token.name.to_string(), format!("{}@bots.{}", token.id, self.settings.host()))
            }
            (None, None) => ("operator".to_owned(), format!("operator@{}", self.settings.host())),
        };
        let name: String = name.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect();
        let name = if name.trim().is_empty() { "unnamed".to_owned() } else { name };
        Identity { name, email, seconds: self.clock.now().seconds(), offset_minutes: 0 }
    }
}

/// The first so many, and whether there are more.
fn cut(mut commits: Vec<Commit>, limit: u64) -> (Vec<Commit>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = commits.len() > limit;
    commits.truncate(limit);
    (commits, more)
}

/// What lay at the path at each commit; where nothing did, the newer commit tells under which name it lay before.
async fn versions(
    repository: &Repository,
    history: Vec<Commit>,
    file: RepoPath,
    follow: bool,
    skip: u64,
) -> Result<Vec<FileVersion>> {
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let (mut path, mut newer): (RepoPath, Option<Commit>) = (file, None);
    let mut versions = Vec::new();
    for (at, commit) in history.into_iter().enumerate() {
        if at < skip && !follow {
            continue;
        }
        let mut entry = git::tree::find(repository, &commit.id, &path).await?;
        if follow
            && entry.is_none()
            && let Some(newer) = &newer
            && let Some(before) = name_before(repository, newer, &path).await?
        {
            path = before;
            entry = git::tree::find(repository, &commit.id, &path).await?;
        }
        newer = Some(commit.clone());
        if at >= skip {
            versions.push(FileVersion { commit, path: path.as_bytes().to_vec(), entry });
        }
    }
    Ok(versions)
}

async fn name_before(repository: &Repository, commit: &Commit, path: &RepoPath) -> Result<Option<RepoPath>> {
    let query = git::diff::DiffQuery::new(commit.parents.first().cloned(), commit.id.clone());
    // A commit that renames more than anybody reads is not looked through.
    let stats = match git::diff::stat(repository, &query, 10_000).await {
        Err(Error::TooLarge { .. }) => return Ok(None),
        other => other?,
    };
    let renamed = stats.into_iter().find(|stat| {
        stat.status == git::diff::FileStatus::Renamed && stat.new_path.as_deref() == Some(path.as_bytes())
    });
    Ok(renamed.and_then(|stat| stat.old_path).and_then(|old| RepoPath::new(old).ok()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_leads_back_to_its_place(skip in 0..FARTHEST, tips in proptest::collection::vec("[0-9a-f]{40}", 1..TIPS_IN_TOKEN)) {
            let tips: Vec<ObjectId> = tips.iter().map(|tip| tip.parse().unwrap()).collect();
            let token = Place::after(skip, &tips);
            prop_assert!(token.len() <= wire::page::LONGEST_TOKEN);
            let place = Place::parse(Some(&token)).unwrap();
            prop_assert_eq!((place.skip, place.tips), (skip, tips));
        }

        #[test]
        fn arbitrary_tokens_never_panic(token in ".{0,100}") {
            let _ = Place::parse(Some(&token));
        }
    }
}
