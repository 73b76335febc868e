//! How the steps of a repository's pipelines connect over SSH: a part of the page of its pipelines, and its forms.

use model::{Error, Result, Secret};
use pages::form::{Field, Kind};
use pages::pipeline_run::Button;
use pages::pipeline_ssh::{KnownHostRow, SshPart};
use service::{KnownHostChange, NewKeyPair, RepositoryPath, Window};
use wire::Parameters;

use super::pipeline_config::{again, back};
use super::resource_form::{Typed, text};
use super::{form, repository_path};
use crate::http::{Cx, Response};

/// More than a repository can have.
const ALL: Window = Window { limit: 1_000, offset: 0 };

/// A key as it was pasted: browsers send a line break as two characters.
fn pasted(form: &Parameters, name: &str) -> Result<String> {
    Ok(form.get(name)?.unwrap_or_default().replace("\r\n", "\n"))
}

/// The part. `here` is the address of the page.
pub(super) async fn part(cx: &Cx, path: &RepositoryPath, here: &str, typed: &Typed) -> Result<SshPart> {
    let service = cx.service()?;
    let public_key = match service.ssh_key_pair(&cx.caller, path).await {
        Ok(line) => line,
        Err(Error::NotFound { .. }) => String::new(),
        Err(error) => return Err(error),
    };
    let button = |end: &str| {
        let href = format!("{here}/{end}");
        Button { token: form::token(cx, &href), href }
    };
    let hosts = service.known_hosts(&cx.caller, path, ALL).await?;
    let hosts = hosts.values.into_iter().map(|view| KnownHostRow {
        remove: button(&format!("known-hosts/{}", view.row.id)),
        hostname: view.row.hostname,
        key_type: view.row.key_type,
        fingerprint: view.sha256_fingerprint,
    });
    Ok(SshPart {
        public_key,
        generate: button("ssh-key/generate"),
        remove: button("ssh-key/remove"),
        set: button("ssh-key"),
        key_fields: key_fields(typed),
        hosts: hosts.collect(),
        add: button("known-hosts"),
        host_fields: host_fields(typed),
    })
}

fn key_fields(typed: &Typed) -> Vec<Field> {
    vec![
        // What was sent is not sent back: it is a secret.
        Field::line("private_key", "Private key")
            .kind(Kind::Text)
            .error(typed.error("private_key"))
            .hint("The whole file, in OpenSSH's form and without a passphrase. It is shown to nobody again."),
        typed
            .line("public_key", "Public key")
            .hint("Left empty, it is made of the private key; else it is checked that both are one pair.")
            .optional(),
    ]
}

fn host_fields(typed: &Typed) -> Vec<Field> {
    vec![
        typed.line("hostname", "Host").hint("Such as git.example.com, or git.example.com:7999."),
        typed.line("host_key", "Key").hint("A kind and a key: ssh-ed25519 AAAAC3Nz…"),
    ]
}

/// The fields of the part, for telling what is wrong elsewhere.
pub(super) fn fields(typed: &Typed) -> Vec<Field> {
    key_fields(typed).into_iter().chain(host_fields(typed)).collect()
}

/// `POST …/settings/pipelines/ssh-key/generate`
///
/// # Errors
/// When the caller may not.
pub async fn generate(cx: Cx, _: Parameters) -> Result<Response> {
    cx.service()?.set_ssh_key_pair(&cx.caller, &repository_path(&cx)?, NewKeyPair::default()).await?;
    back(&cx, "#ssh").await
}

/// `POST …/settings/pipelines/ssh-key`: sets a key of somebody's own.
///
/// # Errors
/// When the caller may not. What is wrong with the key is told beside it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let (private, public) = (pasted(&form, "private_key")?, text(&form, "public_key")?);
    let ended = if private.trim().is_empty() {
        Err(Error::invalid_field("private_key", "paste the whole file of the private key"))
    } else {
        let new = NewKeyPair { private_key: Some(Secret::new(private)), public_key: Some(public) };
        cx.service()?.set_ssh_key_pair(&cx.caller, &path, new).await
    };
    match ended {
        Ok(_) => back(&cx, "#ssh").await,
        Err(error) => again(&cx, form, error).await,
    }
}

/// `POST …/settings/pipelines/ssh-key/remove`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    cx.service()?.remove_ssh_key_pair(&cx.caller, &repository_path(&cx)?).await?;
    back(&cx, "#ssh").await
}

/// `POST …/settings/pipelines/known-hosts`: adds one.
///
/// # Errors
/// When the caller may not. What is wrong with it is told in the form.
pub async fn add_host(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let line = text(&form, "host_key")?;
    let mut words = line.split_ascii_whitespace();
    let new = KnownHostChange {
        hostname: Some(text(&form, "hostname")?),
        key_type: words.next().map(str::to_owned),
        key: Some(words.next().unwrap_or_default().to_owned()),
    };
    match cx.service()?.add_known_host(&cx.caller, &path, new).await {
        Ok(_) => back(&cx, "#known-hosts").await,
        Err(Error::Invalid { message, mut fields }) => {
            // The form has both words of the key in one field.
            if let Some(texts) = fields.remove("public_key") {
                fields.insert("host_key".to_owned(), texts);
            }
            again(&cx, form, Error::Invalid { message, fields }).await
        }
        Err(error) => again(&cx, form, error).await,
    }
}

/// `POST …/settings/pipelines/known-hosts/{known_host_uuid}`: removes one.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove_host(cx: Cx, _: Parameters) -> Result<Response> {
    let id = cx.param("known_host_uuid").parse().map_err(|_| Error::not_found("the known host"))?;
    cx.service()?.remove_known_host(&cx.caller, &repository_path(&cx)?, id).await?;
    back(&cx, "#known-hosts").await
}
