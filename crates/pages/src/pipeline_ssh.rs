//! How the steps of a repository's pipelines connect over SSH: a part of the page of its pipelines.

use askama::Template;

use crate::form::Field;
use crate::pipeline_run::Button;

/// A known host.
#[derive(Clone, Debug)]
pub struct KnownHostRow {
    /// Its name.
    pub hostname: String,
    /// The kind of its key.
    pub key_type: String,
    /// The fingerprint of its key.
    pub fingerprint: String,
    /// What removes it.
    pub remove: Button,
}

/// The part.
#[derive(Clone, Debug, Template)]
#[template(path = "part/pipeline_ssh.html")]
pub struct SshPart {
    /// The line of the public key; empty where there is none.
    pub public_key: String,
    /// What makes a key pair.
    pub generate: Button,
    /// What removes it.
    pub remove: Button,
    /// What sets another.
    pub set: Button,
    /// The fields of that.
    pub key_fields: Vec<Field>,
    /// The known hosts.
    pub hosts: Vec<KnownHostRow>,
    /// What adds one.
    pub add: Button,
    /// The fields of that.
    pub host_fields: Vec<Field>,
}

/// It escapes what it holds itself.
impl askama::filters::HtmlSafe for SshPart {}

impl SshPart {
    /// Whether a key was sent that is not taken.
    fn is_wrong(&self) -> bool {
        self.key_fields.iter().any(|field| !field.error.is_empty())
    }
}
