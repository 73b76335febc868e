//! A role at Amazon that a step takes on. Beyond Bitbucket: there, scripts exchange the identity token themselves.

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::{Code, Diagnostic, quoted},
    node::Node,
    read::{Reader, error_at},
};

/// How long the credentials live where nothing else is said, in seconds.
pub const SESSION: u32 = 3600;
const SHORTEST: u32 = 900;
const LONGEST: u32 = 43_200;

/// A role at Amazon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsRole {
    /// Its ARN; may name variables.
    pub role: String,
    /// How long the credentials live, in seconds.
    pub session_duration: u32,
    /// The region that the step's tools begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Option<AwsRole> {
    let mut fields = reader.map(node, "`aws` is a map with `role`")?;
    let role = fields.take("role").and_then(|node| reader.filled(node, "`role` is the ARN of a role"));
    let session_duration = fields.take("session-duration").and_then(|node| read_duration(reader, node));
    let region = fields.take("region").and_then(|node| reader.filled(node, "`region` is a text"));
    reader.finish(&fields, "`aws`");
    if !fields.has("role") {
        reader.push(error_at(node, Code::MissingKey, "`aws` has a `role`, and there is none"));
    }
    let role = role?;
    if !is_role(&role) {
        let message = format!("{} is not the ARN of a role", quoted(&role));
        let hint = "one looks like `arn:aws:iam::123456789012:role/name`; it may name variables";
        reader.push(Diagnostic::error(Code::WrongValue, role.span, message).hint(hint));
    }
    let session_duration = session_duration.unwrap_or(SESSION);
    Some(AwsRole { role: role.value, session_duration, region: region.map(|region| region.value) })
}

fn read_duration(reader: &mut Reader, node: &Node) -> Option<u32> {
    let seconds = reader.whole(node, "session-duration", SHORTEST)?;
    if seconds > LONGEST {
        let message =
            format!("`session-duration` is at most {LONGEST} seconds, twelve hours; found {seconds}");
        reader.push(error_at(node, Code::WrongValue, message));
    }
    Some(seconds.min(LONGEST))
}

/// Whether a text can be the ARN of a role. What variables stand for is not known yet.
fn is_role(text: &str) -> bool {
    if text.contains('$') {
        return true;
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, iam, "", account, resource] = parts.as_slice() else { return false };
    *arn == "arn"
        && partition.starts_with("aws")
        && *iam == "iam"
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}
