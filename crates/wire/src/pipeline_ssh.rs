//! How the steps of a repository's pipelines connect over SSH.

use model::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::body;
use crate::format::{Braced, typed};

/// A key pair, without its private half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_ssh_key_pair")]
#[schemars(transform = typed("pipeline_ssh_key_pair"))]
pub struct SshKeyPair {
    /// The line of the public half.
    pub public_key: String,
}

/// A key pair as requests send it; without either half one is made.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_ssh_key_pair_input")]
pub struct SshKeyPairInput {
    /// The file of the private half.
    #[serde(default, deserialize_with = "body::secret")]
    #[schemars(with = "Option<String>")]
    pub private_key: Option<Secret>,
    /// The line of the public half.
    #[serde(default)]
    pub public_key: Option<String>,
}

/// A known host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_known_host")]
#[schemars(transform = typed("pipeline_known_host"))]
pub struct KnownHost {
    /// Its id.
    pub uuid: Braced,
    /// Its name or address; with a port as `[host]:port`.
    pub hostname: String,
    /// Its key.
    pub public_key: SshPublicKey,
}

/// A host's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_ssh_public_key")]
#[schemars(transform = typed("pipeline_ssh_public_key"))]
pub struct SshPublicKey {
    /// Its kind.
    pub key_type: String,
    /// The key in Base64.
    pub key: String,
    /// Its MD5.
    pub md5_fingerprint: String,
    /// Its SHA-256.
    pub sha256_fingerprint: String,
}

/// A known host as requests send it; what is absent stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_known_host_input")]
pub struct KnownHostInput {
    /// Its name or address.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Its key; fingerprints that are sent are passed over.
    #[serde(default)]
    pub public_key: Option<SshPublicKeyInput>,
}

/// A host's key, as requests send it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
#[schemars(rename = "pipeline_ssh_public_key_input")]
pub struct SshPublicKeyInput {
    /// Its kind.
    #[serde(default)]
    pub key_type: Option<String>,
    /// The key in Base64.
    #[serde(default)]
    pub key: Option<String>,
}
