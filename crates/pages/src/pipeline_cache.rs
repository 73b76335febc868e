//! What caches of a repository's pipelines keep: a part of the page of its pipelines.

use askama::Template;

use crate::measure::Moment;
use crate::pipeline_run::Button;

/// A version of a cache.
#[derive(Clone, Debug)]
pub struct CacheRow {
    /// Its name.
    pub name: String,
    /// The beginning of the hash of its key; empty where it has none.
    pub key: String,
    /// Its length, for readers.
    pub size: String,
    /// When it was kept.
    pub time: Moment,
    /// What removes it.
    pub remove: Button,
}

/// The part.
#[derive(Clone, Debug, Template)]
#[template(path = "part/pipeline_caches.html")]
pub struct CachesPart {
    /// The caches.
    pub rows: Vec<CacheRow>,
}

/// It escapes what it holds itself.
impl askama::filters::HtmlSafe for CachesPart {}
