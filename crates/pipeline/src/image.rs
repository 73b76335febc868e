//! The image that a step or a service runs in.

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::{Code, Diagnostic, quoted},
    node::{Node, Value},
    read::{Reader, error_at},
};

/// What runs where a file names no image.
pub const DEFAULT: &str = "atlassian/default-image:latest";

/// An image, and how it is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// With registry, tag and digest, as far as they are given.
    pub name: String,
    /// The user in the image; its own default where nothing is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<u32>,
    /// How the registry is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<RegistryAccess>,
}

/// How a registry is asked for an image. The texts usually name variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum RegistryAccess {
    /// By name and password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// Amazon's registry, by a long-lived key.
    AwsKeys {
        /// The id of the key.
        access_key: String,
        /// The key.
        secret_key: String,
    },
    /// Amazon's registry, by a role that the step's identity token may assume.
    AwsRole {
        /// The role.
        oidc_role: String,
    },
}

impl Default for Image {
    fn default() -> Self {
        Self { name: DEFAULT.to_owned(), run_as_user: None, access: None }
    }
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Option<Image> {
    const WHAT: &str = "an image is a name such as `alpine:3.20`, or a map with `name`";
    if let Value::Scalar(_) = &*node.value {
        return Some(Image { name: name(reader, node)?, run_as_user: None, access: None });
    }
    let mut fields = reader.map(node, WHAT)?;
    let name = match fields.take("name") {
        Some(node) => name(reader, node),
        None => {
            reader.push(error_at(node, Code::MissingKey, "an image has a `name`, and there is none"));
            None
        }
    };
    let run_as_user = fields.take("run-as-user").and_then(|node| reader.whole(node, "run-as-user", 0));
    let (username, password) = (fields.take("username"), fields.take("password"));
    // An address was once asked for, and still stands in old files.
    fields.take("email");
    let aws = fields.take("aws");
    reader.finish(&fields, "an image");
    let access = match (username, password, aws) {
        (None, None, None) => None,
        (Some(username), Some(password), None) => login(reader, username, password),
        (None, None, Some(aws)) => read_aws(reader, aws),
        (_, _, Some(aws)) => {
            let message = "an image is fetched by `username` and `password`, or by `aws`, not by both";
            reader.push(error_at(aws, Code::Conflict, message));
            None
        }
        (Some(only), None, None) | (None, Some(only), None) => {
            let message = "`username` and `password` of an image stand together, and one is missing";
            reader.push(error_at(only, Code::MissingKey, message));
            None
        }
    };
    Some(Image { name: name?, run_as_user, access })
}

fn name(reader: &mut Reader, node: &Node) -> Option<String> {
    let name = reader.filled(node, "the name of an image is a text")?.value;
    if name.contains(char::is_whitespace) {
        let message = format!("{} is not the name of an image: it contains a space", quoted(&name));
        reader.push(error_at(node, Code::WrongValue, message));
        return None;
    }
    Some(name)
}

fn login(reader: &mut Reader, username: &Node, password: &Node) -> Option<RegistryAccess> {
    let username = reader.filled(username, "`username` is a text");
    let password = secret(reader, password, "password");
    Some(RegistryAccess::Password { username: username?.value, password: password? })
}

fn read_aws(reader: &mut Reader, node: &Node) -> Option<RegistryAccess> {
    let mut fields = reader
        .map(node, "`aws` of an image is a map with `oidc-role`, or with `access-key` and `secret-key`")?;
    let role = fields.take("oidc-role");
    let (access_key, secret_key) = (fields.take("access-key"), fields.take("secret-key"));
    reader.finish(&fields, "`aws` of an image");
    match (role, access_key, secret_key) {
        (Some(role), None, None) => {
            let role = reader.filled(role, "`oidc-role` is the ARN of a role")?;
            Some(RegistryAccess::AwsRole { oidc_role: role.value })
        }
        (None, Some(access_key), Some(secret_key)) => {
            let access_key = reader.filled(access_key, "`access-key` is a text");
            let secret_key = secret(reader, secret_key, "secret-key");
            Some(RegistryAccess::AwsKeys { access_key: access_key?.value, secret_key: secret_key? })
        }
        _ => {
            let message = "`aws` of an image has either `oidc-role`, or both `access-key` and `secret-key`";
            reader.push(error_at(node, Code::Conflict, message));
            None
        }
    }
}

/// A secret should be the name of a variable, not itself.
fn secret(reader: &mut Reader, node: &Node, key: &str) -> Option<String> {
    let text = reader.filled(node, &format!("`{key}` is a text"))?;
    if !text.contains('$') {
        let message = format!("`{key}` stands in the file for everyone who can read it");
        let hint = "keep it in a secured variable and name that: `$NAME`";
        reader.push(Diagnostic::warning(Code::Unwise, text.span, message).hint(hint));
    }
    Some(text.value)
}
