//! How the steps of a repository's pipelines connect over SSH: the key pair, and known hosts.

use axum::http::StatusCode;
use model::{Error, KnownHostId, Result};
use service::{KnownHostChange, KnownHostView, NewKeyPair};
use wire::pipeline_ssh::{KnownHost, KnownHostInput, SshKeyPair, SshKeyPairInput, SshPublicKey};

use super::{Shape, list_request, located, no_filter, optional_json, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// `GET …/pipelines_config/ssh/key_pair`: the public half.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn key_pair(cx: Cx) -> Result<Response> {
    let public_key = cx.service()?.ssh_key_pair(&cx.caller, &repository_path(&cx)?).await?;
    send(&cx, StatusCode::OK, &SshKeyPair { public_key })
}

/// `PUT …/pipelines_config/ssh/key_pair`: sets the pair; without either half one is made.
///
/// # Errors
/// When the caller may not, or the halves are no pair.
pub async fn put_key_pair(mut cx: Cx) -> Result<Response> {
    let SshKeyPairInput { private_key, public_key } = optional_json(&mut cx).await?;
    let new = NewKeyPair { private_key, public_key };
    let public_key = cx.service()?.set_ssh_key_pair(&cx.caller, &repository_path(&cx)?, new).await?;
    send(&cx, StatusCode::OK, &SshKeyPair { public_key })
}

/// `DELETE …/pipelines_config/ssh/key_pair`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete_key_pair(cx: Cx) -> Result<Response> {
    cx.service()?.remove_ssh_key_pair(&cx.caller, &repository_path(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn shown(view: KnownHostView) -> KnownHost {
    KnownHost {
        uuid: view.row.id.into(),
        hostname: view.row.hostname,
        public_key: SshPublicKey {
            key_type: view.row.key_type,
            key: view.row.public_key,
            md5_fingerprint: view.md5_fingerprint,
            sha256_fingerprint: view.sha256_fingerprint,
        },
    }
}

fn change(input: KnownHostInput) -> KnownHostChange {
    let key = input.public_key.unwrap_or_default();
    KnownHostChange { hostname: input.hostname, key_type: key.key_type, key: key.key }
}

fn id(cx: &Cx) -> Result<KnownHostId> {
    cx.param("known_host_uuid").parse().map_err(|_| Error::not_found("the known host"))
}

/// The collection's own address, or that of one in it.
fn address(cx: &Cx, one: &[&str]) -> String {
    let (workspace, slug) = (cx.param("workspace"), cx.param("repo_slug"));
    let hosts = ["repositories", workspace, slug, "pipelines_config", "ssh", "known_hosts"];
    Shape::of(cx).api(&[hosts.as_slice(), one].concat())
}

/// `GET …/pipelines_config/ssh/known_hosts`
///
/// # Errors
/// When the caller may not see them.
pub async fn list_hosts(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let found = cx.service()?.known_hosts(&cx.caller, &repository_path(&cx)?, window).await?;
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &address(&cx, &[]), shown))
}

/// `POST …/pipelines_config/ssh/known_hosts`
///
/// # Errors
/// When the caller may not, or there is one of this name.
pub async fn create_host(mut cx: Cx) -> Result<Response> {
    let new = change(cx.json().await?);
    let made = cx.service()?.add_known_host(&cx.caller, &repository_path(&cx)?, new).await?;
    let address = address(&cx, &[&made.row.id.braced()]);
    located(send(&cx, StatusCode::CREATED, &shown(made))?, &address)
}

/// `GET …/pipelines_config/ssh/known_hosts/{known_host_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get_host(cx: Cx) -> Result<Response> {
    let found = cx.service()?.known_host(&cx.caller, &repository_path(&cx)?, id(&cx)?).await?;
    send(&cx, StatusCode::OK, &shown(found))
}

/// `PUT …/pipelines_config/ssh/known_hosts/{known_host_uuid}`: what is absent stays as it is.
///
/// # Errors
/// When the caller may not, there is none, or another one has this name.
pub async fn put_host(mut cx: Cx) -> Result<Response> {
    let change = change(cx.json().await?);
    let path = repository_path(&cx)?;
    let after = cx.service()?.update_known_host(&cx.caller, &path, id(&cx)?, change).await?;
    send(&cx, StatusCode::OK, &shown(after))
}

/// `DELETE …/pipelines_config/ssh/known_hosts/{known_host_uuid}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete_host(cx: Cx) -> Result<Response> {
    cx.service()?.remove_known_host(&cx.caller, &repository_path(&cx)?, id(&cx)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
