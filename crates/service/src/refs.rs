//! Branches and tags: listed, made and deleted through the API.

use git::commit::Commit;
use git::refs::{Ref, RefKind};
use git::tag::AnnotatedTag;
use git::{RefUpdate, Repository};
use model::{Error, ObjectId, RefName, Result, Timestamp, act};
use store::repository::Located;
use wire::query::{FieldKind, Typed};
use wire::sort::Sort;

use crate::access::RepositoryPath;
use crate::people::People;
use crate::select::{Field, select};
use crate::{Caller, Listing, Service, Window};

/// The fields by which lists of refs are filtered and sorted.
pub static REF_FIELDS: [(&str, FieldKind); 4] = [
    ("name", FieldKind::Text),
    ("type", FieldKind::Text),
    ("target.hash", FieldKind::Text),
    ("target.date", FieldKind::Time),
];

/// Which refs are asked for.
#[derive(Clone, Debug, Default)]
pub struct RefQuery {
    /// Only branches, or only tags; both without one.
    pub kind: Option<RefKind>,
    /// A filter over [`REF_FIELDS`].
    pub filter: Option<Typed>,
    /// An order over them; by full name without one.
    pub sort: Option<Sort>,
}

/// A branch or tag with what it points to.
#[derive(Clone, Debug)]
pub struct GitRef {
    /// Which of the two it is.
    pub kind: RefKind,
    /// Its name, without `refs/heads/` or `refs/tags/`.
    pub name: String,
    /// The commit that it leads to.
    pub commit: Commit,
    /// What an annotated tag says.
    pub tag: Option<AnnotatedTag>,
    /// Whether a branch restriction is about it.
    pub protected: bool,
}

/// Refs of a repository, with the accounts behind their commits.
#[derive(Clone, Debug)]
pub struct Refs {
    /// The repository.
    pub located: Located,
    /// The refs.
    pub listing: Listing<GitRef>,
    /// Who wrote what.
    pub people: People,
}

/// What is needed to make a branch or tag.
#[derive(Clone, Debug)]
pub struct NewRef {
    /// Which of the two.
    pub kind: RefKind,
    /// Its name, without `refs/heads/` or `refs/tags/`.
    pub name: String,
    /// What it shall point to: a commit's name, whole or abbreviated, or a branch's or tag's name.
    pub target: String,
    /// What a tag says; a sentence is made up for a tag without one.
    pub message: Option<String>,
}

fn full_name(kind: RefKind, name: &str) -> Result<RefName> {
    let odd = || Error::invalid_field("name", "not a name that git accepts, without `refs/` in front");
    if name.starts_with("refs/") {
        return Err(odd());
    }
    match kind {
        RefKind::Branches => RefName::branch(name),
        RefKind::Tags => RefName::tag(name),
    }
    .map_err(|_| odd())
}

fn word(kind: RefKind) -> &'static str {
    match kind {
        RefKind::Branches => "branch",
        RefKind::Tags => "tag",
    }
}

fn zero_like(id: &ObjectId) -> Result<ObjectId> {
    "0".repeat(id.as_str().len()).parse().map_err(Error::internal)
}

impl Service {
    /// Branches, tags or both.
    pub async fn refs(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        query: RefQuery,
        window: Window,
    ) -> Result<Refs> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let kinds = query.kind.map_or(vec![RefKind::Branches, RefKind::Tags], |kind| vec![kind]);
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(git::refs::list(&repository, kind).await?.into_iter().map(|one| (kind, one)));
        }
        let chosen = select(found, field, query.filter.as_ref(), query.sort, window);
        let mut values = described(&repository, chosen.values).await?;
        self.mark_protected(&ground.subject, &mut values).await?;
        let people = self.ref_people(&values).await?;
        Ok(Refs {
            located: ground.subject.clone(),
            listing: Listing { values, size: chosen.size, more: false },
            people,
        })
    }

    /// One branch or tag.
    pub async fn git_ref(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        kind: RefKind,
        name: &str,
    ) -> Result<Refs> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let repository = self.git.open(ground.subject.repository.id)?;
        let missing = || Error::not_found(format!("the {} `{}`", word(kind), name.escape_debug()));
        let full = full_name(kind, name).map_err(|_| missing())?;
        let found = git::refs::find(&repository, &full).await?.ok_or_else(missing)?;
        self.one_ref(ground.subject.clone(), &repository, kind, found).await
    }

    /// A branch of a repository, where it exists.
    pub(crate) async fn branch_of(&self, located: &Located, name: &str) -> Result<Option<Refs>> {
        let Ok(full) = RefName::branch(name) else { return Ok(None) };
        let repository = self.git.open(located.repository.id)?;
        match git::refs::find(&repository, &full).await? {
            Some(found) => {
                self.one_ref(located.clone(), &repository, RefKind::Branches, found).await.map(Some)
            }
            None => Ok(None),
        }
    }

    async fn one_ref(
        &self,
        located: Located,
        repository: &Repository,
        kind: RefKind,
        found: Ref,
    ) -> Result<Refs> {
        let mut values = described(repository, vec![(kind, found)]).await?;
        self.mark_protected(&located, &mut values).await?;
        let people = self.ref_people(&values).await?;
        let size = i64::try_from(values.len()).ok();
        Ok(Refs { located, listing: Listing { values, size, more: false }, people })
    }

    async fn mark_protected(&self, located: &Located, refs: &mut [GitRef]) -> Result<()> {
        let protection = self.protection(located).await?;
        for one in refs.iter_mut().filter(|one| one.kind == RefKind::Branches) {
            one.protected = RefName::branch(&one.name).is_ok_and(|name| protection.protect(&name));
        }
        Ok(())
    }

    async fn ref_people(&self, refs: &[GitRef]) -> Result<People> {
        let mut emails = Vec::with_capacity(refs.len().saturating_mul(3));
        for one in refs {
            emails.push(one.commit.author.email.as_str());
            emails.push(one.commit.committer.email.as_str());
            let tagger = one.tag.as_ref().and_then(|tag| tag.tagger.as_ref());
            emails.extend(tagger.map(|person| person.email.as_str()));
        }
        self.people(emails.into_iter()).await
    }

    /// Makes a branch, or an annotated tag.
    pub async fn create_ref(&self, caller: &Caller, path: &RepositoryPath, new: NewRef) -> Result<Refs> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::RefCreate, ground.as_ref())?;
        let name = full_name(new.kind, &new.name)?;
        let id = ground.subject.repository.id;
        let repository = self.git.open(id)?;
        let commit = git::refs::resolve(&repository, &new.target).await.map_err(|error| match error {
            Error::NotFound { .. } => Error::invalid_field(
                "target.hash",
                format!("`{}` names no commit of the repository", new.target.escape_debug()),
            ),
            other => other,
        })?;
        if git::refs::find(&repository, &name).await?.is_some() {
            let message = format!("the {} `{}` exists already", word(new.kind), new.name);
            return Err(Error::invalid_field("name", message));
        }
        let target = match new.kind {
            RefKind::Branches => commit,
            RefKind::Tags => self.create_tag(caller, &repository, &name, &commit, &new).await?,
        };
        let update = RefUpdate { old: zero_like(&target)?, new: target.clone(), name: name.clone() };
        let wanted = update.clone();
        self.change_ref(caller, permit, &ground.subject, update, |repository| async move {
            git::refs::update(&repository, &[wanted]).await
        })
        .await?;
        let found = git::refs::find(&repository, &name).await?;
        let found = found.ok_or_else(|| Error::not_found(format!("the {}", word(new.kind))))?;
        self.one_ref(ground.subject.clone(), &repository, new.kind, found).await
    }

    async fn create_tag(
        &self,
        caller: &Caller,
        repository: &Repository,
        name: &RefName,
        commit: &ObjectId,
        new: &NewRef,
    ) -> Result<ObjectId> {
        let short = commit.as_str().get(..7).unwrap_or_default();
        let made_up = format!("Added tag {} for changeset {short}", new.name);
        let message = new.message.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(&made_up);
        git::tag::create(repository, name, commit, &self.author(caller), message).await
    }

    /// Deletes a branch or tag. The default branch stays.
    pub async fn delete_ref(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        kind: RefKind,
        name: &str,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::RefDelete, ground.as_ref())?;
        let missing = || Error::not_found(format!("the {} `{}`", word(kind), name.escape_debug()));
        let full = full_name(kind, name).map_err(|_| missing())?;
        let id = ground.subject.repository.id;
        let repository = self.git.open(id)?;
        let found = git::refs::find(&repository, &full).await?.ok_or_else(missing)?;
        if kind == RefKind::Branches && name == ground.subject.repository.default_branch {
            return Err(Error::invalid(format!(
                "`{name}` is the repository's main branch: make another one that first"
            )));
        }
        let update = RefUpdate { new: zero_like(&found.target)?, old: found.target, name: full };
        let wanted = update.clone();
        self.change_ref(caller, permit, &ground.subject, update, |repository| async move {
            git::refs::update(&repository, &[wanted]).await
        })
        .await
    }
}

fn field((kind, one): &(RefKind, Ref), name: &str) -> Field {
    match name {
        "name" => Field::Natural(short_name(one).to_owned()),
        "type" => Field::Text(word(*kind).to_owned()),
        "target.hash" => Field::Text(one.commit().to_string()),
        _ => Field::Time(Timestamp::from_micros(one.made.saturating_mul(1_000_000))),
    }
}

fn short_name(one: &Ref) -> &str {
    one.name.as_branch().or_else(|| one.name.as_tag()).unwrap_or(one.name.as_str())
}

/// The refs with what they point to. A tag of something that is no commit is left out: the contract has no form for
/// it.
async fn described(repository: &Repository, refs: Vec<(RefKind, Ref)>) -> Result<Vec<GitRef>> {
    let ids: Vec<ObjectId> = refs.iter().map(|(_, one)| one.commit().clone()).collect();
    let annotated: Vec<ObjectId> =
        refs.iter().filter(|(_, one)| one.peeled.is_some()).map(|(_, one)| one.target.clone()).collect();
    let mut tags = git::tag::read_all(repository, &annotated).await?;
    let commits: Vec<Option<Commit>> = match git::commit::read_all(repository, &ids).await {
        Ok(commits) => commits.into_iter().map(Some).collect(),
        Err(_) => {
            // One of them is no commit, or a tag of a tag: then each by itself.
            let mut commits = Vec::with_capacity(ids.len());
            for id in &ids {
                commits.push(commit_behind(repository, id).await?);
            }
            commits
        }
    };
    let described = refs.into_iter().zip(commits).filter_map(|((kind, one), commit)| {
        let tag = tags.remove(&one.target);
        Some(GitRef { kind, name: short_name(&one).to_owned(), commit: commit?, tag, protected: false })
    });
    Ok(described.collect())
}

async fn commit_behind(repository: &Repository, id: &ObjectId) -> Result<Option<Commit>> {
    match git::refs::resolve(repository, id.as_str()).await {
        Ok(id) => git::commit::read(repository, &id).await.map(Some),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
