//! How the steps of a repository's pipelines connect over SSH: the key pair by which they show who they are, and the
//! hosts that they know.
//!
//! The private half is sealed for its repository. It leaves here by [`ssh_for`] alone, for a step that runs: no answer,
//! event, error or log holds it.

use keyring::{Keyring, SshKeyError, SshPrivateKey, SshPublicKey};
use model::{Error, KnownHostId, RepositoryId, Result, Secret, act};
use pipeline::protocol::SshAccess;
use serde_json::{Value, json};
use store::Reader;
use store::pipeline_ssh::{KeyPairRow, KnownHostRow};

use crate::access::RepositoryPath;
use crate::{Caller, Listing, Service, Window};

/// The most known hosts of a repository.
const MOST_HOSTS: usize = 100;
/// The longest name of a host, in bytes.
const LONGEST_HOST: usize = 255;

/// A key pair that is set. Without either half one is made.
#[derive(Clone, Default)]
pub struct NewKeyPair {
    /// The file of the private half.
    pub private_key: Option<Secret>,
    /// The line of the public half; made of the private one where it is absent.
    pub public_key: Option<String>,
}

/// What is asked of a known host. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct KnownHostChange {
    /// Its name or address, with a port where it is not 22.
    pub hostname: Option<String>,
    /// The kind of its key.
    pub key_type: Option<String>,
    /// Its key in Base64.
    pub key: Option<String>,
}

/// A known host with its key.
#[derive(Clone, Debug)]
pub struct KnownHostView {
    /// The host.
    pub row: KnownHostRow,
    /// The MD5 of its key, as older programs show it.
    pub md5_fingerprint: String,
    /// The SHA-256 of its key, as `ssh-keygen -l` shows it.
    pub sha256_fingerprint: String,
}

/// What the private half is sealed for.
fn context(repository: RepositoryId) -> [String; 3] {
    ["ssh_key_pair".to_owned(), repository.to_string(), "private_key".to_owned()]
}

/// What a step gets; nothing where the repository has neither key nor known host.
pub(crate) fn ssh_for(
    reader: &mut Reader<'_>,
    keyring: &Keyring,
    repository: RepositoryId,
) -> Result<Option<SshAccess>> {
    let private_key = match store::pipeline_ssh::key_pair(reader, repository)? {
        Some(row) => {
            let context = context(repository);
            let context = context.each_ref().map(String::as_str);
            let opened = keyring.open(&context, &row.private_key).map_err(Error::internal)?;
            let key = opened.to_secret().map_err(Error::internal)?;
            Some(key.expose().to_owned())
        }
        None => None,
    };
    let hosts = store::pipeline_ssh::known_hosts(reader, repository)?;
    let known_hosts: Vec<String> =
        hosts.iter().map(|row| format!("{} {} {}", row.hostname, row.key_type, row.public_key)).collect();
    let any = private_key.is_some() || !known_hosts.is_empty();
    Ok(any.then_some(SshAccess { private_key, known_hosts }))
}

fn wrong(field: &'static str) -> impl Fn(SshKeyError) -> Error {
    move |error| Error::invalid_field(field, error.to_string())
}

fn missing_key() -> Error {
    Error::not_found("the SSH key pair")
}

fn missing_host() -> Error {
    Error::not_found("the known host")
}

/// A host as `known_hosts` has it: `host`, or `[host]:port`.
fn hostname(text: &str) -> Result<String> {
    let odd = || {
        let message =
            "use a host's name or address, such as `git.example.com`, with `:port` where it is not 22";
        Error::invalid_field("hostname", message)
    };
    let text = text.trim().to_ascii_lowercase();
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => {
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(odd)?) })
        }
        // Several colons are an address of version 6.
        None if text.matches(':').count() == 1 => {
            let (host, port) = text.split_once(':').ok_or_else(odd)?;
            (host, Some(port))
        }
        None => (text.as_str(), None),
    };
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':'));
    if host.is_empty() || host.len() > LONGEST_HOST || !plain || host.starts_with('-') {
        return Err(odd());
    }
    Ok(
        match port
            .map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(odd))
            .transpose()?
        {
            None | Some(22) => host.to_owned(),
            Some(port) => format!("[{host}]:{port}"),
        },
    )
}

fn view(row: KnownHostRow) -> Result<KnownHostView> {
    let key = SshPublicKey::from_base64(&row.public_key).map_err(Error::internal)?;
    Ok(KnownHostView {
        md5_fingerprint: key.md5_fingerprint(),
        sha256_fingerprint: key.sha256_fingerprint(),
        row,
    })
}

/// A known host in the audit trail.
fn shown(row: &KnownHostRow) -> Value {
    json!({ "known_host": row.id, "hostname": row.hostname, "key_type": row.key_type, "key": row.public_key })
}

/// Puts a change on a host.
fn apply(row: &mut KnownHostRow, change: &KnownHostChange) -> Result<()> {
    if let Some(name) = &change.hostname {
        row.hostname = hostname(name)?;
    }
    if let Some(key) = &change.key {
        let key = SshPublicKey::from_base64(key).map_err(wrong("public_key"))?;
        (row.key_type, row.public_key) = (key.kind().to_owned(), key.base64());
    }
    if change.key_type.as_ref().is_some_and(|kind| *kind != row.key_type) {
        return Err(Error::invalid_field("public_key", format!("the key is of the kind `{}`", row.key_type)));
    }
    Ok(())
}

impl Service {
    /// The line of the public half of a repository's key pair.
    pub async fn ssh_key_pair(&self, caller: &Caller, path: &RepositoryPath) -> Result<String> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineVariableRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let row = self.store.read(move |reader| store::pipeline_ssh::key_pair(reader, repository)).await?;
        Ok(row.ok_or_else(missing_key)?.public_key)
    }

    /// Sets a repository's key pair, or makes one; gives the line of the public half. Steps that run keep the one before.
    pub async fn set_ssh_key_pair(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: NewKeyPair,
    ) -> Result<String> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let public = new.public_key.filter(|line| !line.trim().is_empty());
        let key = match new.private_key.filter(|key| !key.expose().trim().is_empty()) {
            Some(text) => SshPrivateKey::read(&text).map_err(wrong("private_key"))?,
            None if public.is_some() => {
                let message =
                    "a public key alone opens nothing: send both halves, or neither to have a pair made";
                return Err(Error::invalid_field("private_key", message));
            }
            None => SshPrivateKey::generate(&self.random).map_err(Error::internal)?,
        };
        if let Some(line) = public {
            let told = SshPublicKey::from_line(&line).map_err(wrong("public_key"))?;
            if told != *key.public() {
                return Err(wrong("public_key")(SshKeyError::NoPair));
            }
        }
        let repository = ground.subject.repository.id;
        let context = context(repository);
        let context = context.each_ref().map(String::as_str);
        let row = KeyPairRow {
            repository,
            private_key: self
                .keyring
                .seal(&context, key.text().expose().as_bytes())
                .map_err(Error::internal)?,
            public_key: key.public().line(),
            created_on: self.clock.now(),
        };
        self.store
            .write(&permit, move |writer| {
                let before = store::pipeline_ssh::key_pair(writer, repository)?;
                store::pipeline_ssh::set_key_pair(writer, &row)?;
                let before = before.map_or(Value::Null, |row| json!({ "ssh_public_key": row.public_key }));
                writer.note(before, json!({ "ssh_public_key": row.public_key }));
                Ok(row.public_key.clone())
            })
            .await
    }

    /// Removes a repository's key pair. Steps that run keep it.
    pub async fn remove_ssh_key_pair(&self, caller: &Caller, path: &RepositoryPath) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        self.store
            .write(&permit, move |writer| {
                let before = store::pipeline_ssh::key_pair(writer, repository)?.ok_or_else(missing_key)?;
                store::pipeline_ssh::remove_key_pair(writer, repository)?;
                writer.note(json!({ "ssh_public_key": before.public_key }), Value::Null);
                Ok(())
            })
            .await
    }

    /// A part of a repository's known hosts, by name.
    pub async fn known_hosts(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        window: Window,
    ) -> Result<Listing<KnownHostView>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineVariableRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let rows =
            self.store.read(move |reader| store::pipeline_ssh::known_hosts(reader, repository)).await?;
        Ok(Listing::cut(rows.into_iter().map(view).collect::<Result<_>>()?, window))
    }

    /// One of them.
    pub async fn known_host(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: KnownHostId,
    ) -> Result<KnownHostView> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineVariableRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let row =
            self.store.read(move |reader| store::pipeline_ssh::known_host(reader, repository, id)).await?;
        view(row.ok_or_else(missing_host)?)
    }

    /// Adds a known host.
    pub async fn add_known_host(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: KnownHostChange,
    ) -> Result<KnownHostView> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        if new.hostname.is_none() {
            return Err(Error::invalid_field("hostname", "this field is required"));
        }
        if new.key.is_none() {
            return Err(Error::invalid_field("public_key", "give the host's `key_type` and `key`"));
        }
        let mut row = KnownHostRow {
            id: KnownHostId::new(&self.random),
            repository,
            hostname: String::new(),
            key_type: String::new(),
            public_key: String::new(),
            created_on: self.clock.now(),
        };
        apply(&mut row, &new)?;
        let row = self
            .store
            .write(&permit, move |writer| {
                if store::pipeline_ssh::known_hosts(writer, repository)?.len() >= MOST_HOSTS {
                    return Err(Error::Conflict(format!("a repository knows at most {MOST_HOSTS} hosts")));
                }
                store::pipeline_ssh::add_known_host(writer, &row)?;
                writer.note(Value::Null, shown(&row));
                Ok(row.clone())
            })
            .await?;
        view(row)
    }

    /// Changes a known host.
    pub async fn update_known_host(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: KnownHostId,
        change: KnownHostChange,
    ) -> Result<KnownHostView> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let row = self
            .store
            .write(&permit, move |writer| {
                let before =
                    store::pipeline_ssh::known_host(writer, repository, id)?.ok_or_else(missing_host)?;
                let mut after = before.clone();
                apply(&mut after, &change)?;
                store::pipeline_ssh::update_known_host(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await?;
        view(row)
    }

    /// Removes a known host.
    pub async fn remove_known_host(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        id: KnownHostId,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        self.store
            .write(&permit, move |writer| {
                let before =
                    store::pipeline_ssh::known_host(writer, repository, id)?.ok_or_else(missing_host)?;
                store::pipeline_ssh::remove_known_host(writer, repository, id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a name that adds a line or a wildcard to `known_hosts`, by which a step would believe any host.
    #[test]
    fn a_hosts_name_is_one_name() {
        for (text, kept) in [
            ("git.Example.com", "git.example.com"),
            ("git.example.com:22", "git.example.com"),
            ("git.example.com:7999", "[git.example.com]:7999"),
            ("[git.example.com]:7999", "[git.example.com]:7999"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:2222", "[2001:db8::1]:2222"),
            (" 127.0.0.1 ", "127.0.0.1"),
        ] {
            assert_eq!(hostname(text).ok().as_deref(), Some(kept));
        }
        for text in [
            "",
            "*",
            "*.example.com",
            "a b",
            "a\nb",
            "a,b",
            "!a",
            "@cert-authority",
            "|1|x",
            "a:0",
            "a:x",
            "[a",
            "[a]x",
            "-a",
        ] {
            assert!(hostname(text).is_err(), "{text}");
        }
    }
}
