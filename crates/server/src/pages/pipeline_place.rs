//! Where a page about pipelines is in the settings: at a workspace or at a repository, as the path says.

use std::sync::Arc;

use model::Result;
use pages::frame::Frame;
use service::{Located, RepositoryPath};

use super::repository_path;
use super::settings::{self, RepositorySection, Section};
use crate::http::Cx;

/// Whose settings they are.
pub(super) enum Place {
    Workspace(String),
    Repository(RepositoryPath, Arc<Located>),
}

impl Place {
    pub(super) async fn of(cx: &Cx) -> Result<Self> {
        if cx.param("repo_slug").is_empty() {
            return Ok(Self::Workspace(settings::slug(cx).await?));
        }
        let path = repository_path(cx)?;
        let located = cx.service()?.repository(&cx.caller, &path).await?;
        Ok(Self::Repository(path, located))
    }

    /// For readers: `the repository acme/one`.
    pub(super) fn whose(&self) -> String {
        match self {
            Self::Workspace(slug) => format!("the workspace {slug}"),
            Self::Repository(_, located) => {
                format!("the repository {}/{}", located.workspace.slug, located.repository.slug)
            }
        }
    }

    /// The address of a part of the settings.
    pub(super) fn address(&self, part: &str) -> String {
        match self {
            Self::Workspace(slug) => settings::address(slug, part),
            Self::Repository(_, located) => settings::repository_address(located, part),
        }
    }

    pub(super) async fn frame(&self, cx: &Cx, title: &str, at: (Section, RepositorySection)) -> Frame {
        match self {
            Self::Workspace(slug) => settings::workspace(cx, slug, title, at.0).await,
            Self::Repository(_, located) => settings::repository(cx, located, title, at.1).await,
        }
    }
}
