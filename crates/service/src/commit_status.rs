//! Build statuses of commits: seeing and telling them.

use model::commit_status::RESERVED_KEYS;
use model::{BuildState, CommitStatus, CommitStatusId, Error, ObjectId, RepositoryId, Result, act};
use serde_json::{Value, json};
use store::commit_status::Filter;
use store::repository::Located;
use store::{Reader, Writer};
use wire::query::Typed;
use wire::sort::Sort;

use crate::access::RepositoryPath;
use crate::field::Fields;
use crate::setter::OWN;
use crate::{Caller, Listing, Service, Window};

/// The most keys on one commit.
const MOST: i64 = 500;
/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;
/// The longest name of a build, in characters.
const LONGEST_NAME: usize = 255;
/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1_000;
/// The longest name of a branch or tag, in bytes.
const LONGEST_REFNAME: usize = 1_000;

/// What is told of a build, in the request's own words.
#[derive(Clone, Debug, Default)]
pub struct CommitStatusChange {
    /// The key.
    pub key: Option<String>,
    /// How the build stands.
    pub state: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// A sentence about it.
    pub description: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// The branch or tag that was built.
    pub refname: Option<String>,
}

/// Which of a commit's statuses are asked for.
#[derive(Clone, Debug, Default)]
pub struct CommitStatusQuery {
    /// Those of this branch or tag.
    pub refname: Option<String>,
    /// A filter over [`crate::COMMIT_STATUS_FIELDS`].
    pub filter: Option<Typed>,
    /// An order over them; the newest first without one.
    pub sort: Option<Sort>,
}

/// A state, where it is told, and what goes with it.
struct Told {
    state: Option<BuildState>,
    name: Option<String>,
    description: Option<String>,
    url: Option<String>,
    refname: Option<String>,
}

impl Told {
    fn read(fields: &mut Fields, change: &CommitStatusChange) -> Self {
        Self {
            state: fields.word("state", change.state.as_deref()),
            name: fields.text("name", change.name.as_deref(), LONGEST_NAME),
            description: fields.text("description", change.description.as_deref(), LONGEST_DESCRIPTION),
            url: fields.address("url", change.url.as_deref()),
            refname: fields.name("refname", change.refname.as_deref(), LONGEST_REFNAME),
        }
    }
}

fn missing(key: &str) -> Error {
    Error::not_found(format!("the build status `{}`", key.escape_debug()))
}

/// A key that anybody may use.
fn free_key(fields: &mut Fields, key: Option<&str>) -> Option<String> {
    let key = fields.name("key", key, LONGEST_KEY)?;
    if key.to_ascii_lowercase().starts_with(RESERVED_KEYS) {
        fields.wrong(
            "key",
            format_args!("keys that begin with `{RESERVED_KEYS}` are for pipelines: use another"),
        );
        return None;
    }
    Some(key)
}

/// A status in the audit trail.
fn shown(one: &CommitStatus) -> Value {
    json!({
        "commit": one.commit.as_str(), "key": one.key, "state": one.state.as_str(), "name": one.name, "url": one.url,
        "refname": one.refname, "belongs_to": one.setter,
    })
}

/// Writes a status: a new one, or over the one of its key.
fn put(writer: &mut Writer<'_>, before: Option<&CommitStatus>, after: &CommitStatus) -> Result<()> {
    match before {
        Some(_) => store::commit_status::update(writer, after),
        None if store::commit_status::count(writer, after.repository, &after.commit)? >= MOST => {
            Err(Error::Conflict(format!("a commit has at most {MOST} keys: overwrite one of them")))
        }
        None => store::commit_status::insert(writer, after),
    }
}

/// What Bastide says of a build of its own.
#[derive(Clone, Debug)]
pub(crate) struct OwnStatus {
    /// What stands behind [`RESERVED_KEYS`] in the key.
    pub(crate) key: String,
    pub(crate) state: BuildState,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) refname: Option<String>,
}

/// Tells of a build of Bastide's own, in the transaction of what it tells of. The event of that transaction says so, as
/// far as it needs to be said.
pub(crate) fn put_own(
    writer: &mut Writer<'_>,
    repository: RepositoryId,
    commit: &ObjectId,
    own: OwnStatus,
) -> Result<()> {
    let mut key = format!("{RESERVED_KEYS}{}", own.key);
    key.truncate(key.floor_char_boundary(LONGEST_KEY));
    let before = store::commit_status::find(writer, repository, commit, &key)?;
    let now = writer.now();
    let after = CommitStatus {
        id: before.as_ref().map_or_else(|| CommitStatusId::new(writer.random()), |before| before.id),
        repository,
        commit: commit.clone(),
        key,
        state: own.state,
        name: own.name,
        description: own.description,
        url: own.url,
        refname: own.refname,
        setter: OWN.to_owned(),
        created_on: before.as_ref().map_or(now, |before| before.created_on),
        updated_on: now,
    };
    // What others have told must not keep Bastide from telling.
    match before {
        Some(_) => store::commit_status::update(writer, &after),
        None => store::commit_status::insert(writer, &after),
    }
}

impl Service {
    /// The whole name of the commit that a request names by it, by a part of it, or by a branch or tag.
    pub(crate) async fn commit_id(&self, located: &Located, revision: &str) -> Result<ObjectId> {
        let repository = self.git.open(located.repository.id)?;
        git::refs::resolve(&repository, revision).await
    }

    /// What is said of builds of a commit.
    pub async fn commit_statuses(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        query: CommitStatusQuery,
        window: Window,
    ) -> Result<(Located, Listing<CommitStatus>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let commit = self.commit_id(&located, revision).await?;
        let repository = located.repository.id;
        let filter = Filter { refname: query.refname, filter: query.filter, sort: query.sort };
        let read = move |reader: &mut Reader<'_>| {
            let part = (window.limit, window.offset);
            let (found, size) = store::commit_status::list(reader, repository, &commit, &filter, part)?;
            Ok(Listing::new(found, size))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// What is said under one key.
    pub async fn commit_status(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        key: &str,
    ) -> Result<(Located, CommitStatus)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let commit = self.commit_id(&located, revision).await?;
        let (repository, key) = (located.repository.id, key.to_owned());
        let found = self.store.read(move |reader| {
            store::commit_status::find(reader, repository, &commit, &key)?.ok_or_else(|| missing(&key))
        });
        Ok((located, found.await?))
    }

    /// Tells of a build: under a new key, or anew under one that belongs to the caller.
    pub async fn set_commit_status(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        revision: &str,
        new: CommitStatusChange,
    ) -> Result<(Located, CommitStatus)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::CommitStatusSet, ground.as_ref())?;
        let mut fields = Fields::default();
        let key = free_key(&mut fields, new.key.as_deref());
        let (key, told) = (fields.required("key", key), Told::read(&mut fields, &new));
        let state = fields.required("state", told.state);
        fields.finish()?;
        let (Some(key), Some(state)) = (key, state) else {
            return Err(Error::internal("a status without a key or a state"));
        };
        let setter = self.setter(caller, ground.as_ref());
        let (located, now) = (ground.subject.clone(), self.clock.now());
        let commit = self.commit_id(&located, revision).await?;
        let repository = located.repository.id;
        let made = self
            .store
            .write(&permit, move |writer| {
                let before = store::commit_status::find(writer, repository, &commit, &key)?;
                let belongs_to = match &before {
                    Some(before) => setter.succeeds(&before.setter, &format!("the key `{key}`"))?,
                    None => setter.name().to_owned(),
                };
                let id = before.as_ref().map(|before| before.id);
                let after = CommitStatus {
                    id: id.unwrap_or_else(|| CommitStatusId::new(writer.random())),
                    repository,
                    commit: commit.clone(),
                    key: key.clone(),
                    state,
                    name: told.name.clone(),
                    description: told.description.clone(),
                    url: told.url.clone(),
                    refname: told.refname.clone(),
                    setter: belongs_to,
                    created_on: before.as_ref().map_or(now, |before| before.created_on),
                    updated_on: now,
                };
                put(writer, before.as_ref(), &after)?;
                writer.note(before.as_ref().map_or(Value::Null, shown), shown(&after));
                Ok(after)
            })
            .await?;
        Ok((located, made))
    }

    /// Changes what is told under a key that belongs to the caller. What is absent stays as it is.
    pub async fn update_commit_status(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (revision, key): (&str, &str),
        change: CommitStatusChange,
    ) -> Result<(Located, CommitStatus)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::CommitStatusSet, ground.as_ref())?;
        let mut fields = Fields::default();
        if change.key.as_ref().is_some_and(|sent| sent != key) {
            fields
                .wrong("key", "a key does not change: leave it out, or tell of the build under another key");
        }
        let _ = free_key(&mut fields, Some(key));
        let told = Told::read(&mut fields, &change);
        fields.finish()?;
        let setter = self.setter(caller, ground.as_ref());
        let (located, now) = (ground.subject.clone(), self.clock.now());
        let commit = self.commit_id(&located, revision).await?;
        let (repository, key) = (located.repository.id, key.to_owned());
        let after = self
            .store
            .write(&permit, move |writer| {
                let before = store::commit_status::find(writer, repository, &commit, &key)?;
                let before = before.ok_or_else(|| missing(&key))?;
                // What is sent empty is taken away, what is absent stays.
                let newer = |sent: &Option<String>, told: &Option<String>, before: &Option<String>| {
                    if sent.is_some() { told.clone() } else { before.clone() }
                };
                let after = CommitStatus {
                    state: told.state.unwrap_or(before.state),
                    name: newer(&change.name, &told.name, &before.name),
                    description: newer(&change.description, &told.description, &before.description),
                    url: newer(&change.url, &told.url, &before.url),
                    refname: newer(&change.refname, &told.refname, &before.refname),
                    setter: setter.succeeds(&before.setter, &format!("the key `{key}`"))?,
                    updated_on: now,
                    ..before.clone()
                };
                store::commit_status::update(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await?;
        Ok((located, after))
    }
}
