//! `bastide admin identity-tokens`: what verifiers fetch, as files, for a host that they reach when they do not reach this
//! server.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use model::{Error, Result, WorkspaceId, WorkspaceSlug};
use serde_json::Value;

use super::client::Client;
use super::installation::Place;
use super::output::Output;

/// The commands below `admin identity-tokens`.
#[derive(Subcommand)]
pub(super) enum IdentityTokens {
    /// Write an issuer's configuration and keys as files, to be served below the issuer's own address
    Export {
        #[command(flatten)]
        place: Place,
        /// The workspace, by slug or UUID
        #[arg(long)]
        workspace: String,
        /// Where the files go; the folders of the issuer's path are made in it
        #[arg(long)]
        directory: PathBuf,
    },
}

/// Runs the command.
pub(super) async fn run(command: IdentityTokens) -> Result<()> {
    let IdentityTokens::Export { place, workspace, directory } = command;
    let client = Client::connect(&place.find()?).await?;
    let exported = export(&client, &workspace, &directory).await;
    client.close().await?;
    exported
}

/// A workspace's name as a segment of a path.
fn segment(workspace: &str) -> Result<String> {
    let bare = workspace.trim_start_matches('{').trim_end_matches('}');
    if let Ok(id) = format!("{{{bare}}}").parse::<WorkspaceId>() {
        return Ok(format!("%7B{id}%7D"));
    }
    let slug = workspace.parse::<WorkspaceSlug>();
    slug.map(|slug| slug.to_string()).map_err(|_| Error::invalid(format!("`{workspace}` is no workspace")))
}

fn text<'a>(document: &'a Value, name: &str) -> Result<&'a str> {
    document.get(name).and_then(Value::as_str).ok_or_else(|| Error::internal(format!("no `{name}`")))
}

async fn export(client: &Client, workspace: &str, directory: &Path) -> Result<()> {
    let workspace = segment(workspace)?;
    let oidc = format!("/2.0/workspaces/{workspace}/pipelines-config/identity/oidc");
    let configuration = client.get(&format!("{oidc}/.well-known/openid-configuration"), &[]).await?.json()?;
    let keys = client.get(&format!("{oidc}/keys.json"), &[]).await?.json()?;
    if keys.get("keys").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(Error::Conflict(
            "the workspace has no key yet: the first token of a step makes one, or an owner with `POST \
             /api/workspaces/{workspace}/identity-tokens/keys`; then export again"
                .to_owned(),
        ));
    }
    let issuer = text(&configuration, "issuer")?;
    let (_, rest) = issuer.split_once("://").unwrap_or(("", issuer));
    let (_, path) = rest.split_once('/').unwrap_or((rest, ""));
    let folder = path.split('/').fold(directory.to_path_buf(), |folder, part| folder.join(part));
    let output = Output::new();
    for (name, document) in [("keys.json", &keys), (".well-known/openid-configuration", &configuration)] {
        let file = folder.join(name);
        write(&file, document)?;
        output.line(file.display().to_string())?;
    }
    Ok(())
}

/// Writes a file whole or not at all: something may be copying it away.
fn write(file: &Path, document: &Value) -> Result<()> {
    let failed = |error| Error::invalid(format!("`{}` cannot be written: {error}", file.display()));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let bytes = serde_json::to_vec_pretty(document).map_err(Error::internal)?;
    let new = file.with_added_extension("new");
    fs::write(&new, bytes).map_err(failed)?;
    fs::rename(&new, file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_a_segment() {
        let id = "922e118c-f34f-4226-a897-0e0afbec553d";
        for text in [id.to_owned(), format!("{{{id}}}")] {
            assert_eq!(segment(&text).unwrap(), format!("%7B{id}%7D"));
        }
        assert_eq!(segment("acme").unwrap(), "acme");
        assert!(segment("../x").is_err());
    }
}
