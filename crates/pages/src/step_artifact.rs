//! What a step has left: a part of the page of its run.

use crate::measure::Moment;

/// An artifact.
#[derive(Clone, Debug, Default)]
pub struct ArtifactRow {
    /// The file.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Its length, for readers.
    pub size: String,
    /// Until when it is kept.
    pub until: Moment,
}
