//! Identity tokens: `oidc: true`, audiences of its own, and, beyond Bitbucket, several tokens by name.

use serde::{Deserialize, Serialize};

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic, quoted},
    node::{Node, Value},
    read::{Reader, error_at},
};

/// The variable that holds a step's token.
pub const TOKEN_VARIABLE: &str = "BITBUCKET_STEP_OIDC_TOKEN";

/// What a step says of `oidc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oidc {
    /// `false`: no token.
    Off,
    /// `true`: a token for the audiences of the options, or of the workspace.
    On,
    /// For these.
    Tokens {
        /// Of the token in `BITBUCKET_STEP_OIDC_TOKEN`; nothing where only named tokens are asked for.
        audiences: Option<Vec<String>>,
        /// Tokens by the name of their variable.
        named: Vec<IdentityToken>,
    },
}

/// An identity token that a step gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityToken {
    /// The variable that holds it.
    pub variable: String,
    /// For whom it is; the workspace's default audience where none is named.
    pub audiences: Vec<String>,
}

/// The tokens that a step gets. Options name audiences; they do not ask for a token by themselves.
pub(crate) fn tokens(step: Option<&Oidc>, options: Option<&[String]>) -> Vec<IdentityToken> {
    let default = |audiences: Vec<String>| IdentityToken { variable: TOKEN_VARIABLE.to_owned(), audiences };
    match step {
        None | Some(Oidc::Off) => Vec::new(),
        Some(Oidc::On) => vec![default(options.unwrap_or_default().to_vec())],
        Some(Oidc::Tokens { audiences, named }) => {
            let own = audiences.clone().map(default);
            own.into_iter().chain(named.iter().cloned()).collect()
        }
    }
}

/// Reads `oidc` of a step.
pub(crate) fn read(reader: &mut Reader, node: &Node) -> Option<Oidc> {
    const WHAT: &str = "`oidc` is `true`, `false`, or a map with `audiences` or `tokens`";
    match &*node.value {
        Value::Map(_) => {}
        Value::Scalar(_) => {
            return reader.truth(node, "oidc").map(|on| if on { Oidc::On } else { Oidc::Off });
        }
        _ => {
            reader.expected(node, WHAT, None);
            return None;
        }
    }
    let mut fields = reader.map(node, WHAT)?;
    let audiences = fields.take("audiences").map(|node| read_audiences(reader, node));
    let named = fields.take("tokens").map(|node| read_tokens(reader, node));
    reader.finish(&fields, "`oidc`");
    if audiences.is_none() && named.is_none() {
        reader.push(error_at(node, Code::MissingKey, format!("{WHAT}; found neither")));
    }
    Some(Oidc::Tokens { audiences, named: named.unwrap_or_default() })
}

/// Reads `oidc` of the options.
pub(crate) fn read_options(reader: &mut Reader, node: &Node) -> Option<Vec<String>> {
    let mut fields = reader.map(node, "`oidc` of `options` is a map with `audiences`")?;
    let audiences = fields.take("audiences").map(|node| read_audiences(reader, node));
    reader.finish(&fields, "`oidc` of `options`");
    if audiences.is_none() {
        let message = "`oidc` of `options` has `audiences`, and there are none";
        reader.push(error_at(node, Code::MissingKey, message));
    }
    audiences
}

fn read_audiences(reader: &mut Reader, node: &Node) -> Vec<String> {
    let audiences = reader.texts(node, "`audiences` is a list of texts", "an audience is a text");
    reader.at_most(node.span, audiences.len(), bounds::AUDIENCES, "audiences");
    for audience in &audiences {
        if audience.chars().count() > bounds::AUDIENCE {
            let message = format!("an audience has at most {} characters", bounds::AUDIENCE);
            reader.push(Diagnostic::error(Code::WrongValue, audience.span, message));
        }
    }
    audiences.into_iter().map(|audience| audience.value).collect()
}

fn read_tokens(reader: &mut Reader, node: &Node) -> Vec<IdentityToken> {
    let entries = reader.named(node, "`tokens` is a map of variables, each with `audiences`");
    reader.at_most(node.span, entries.len(), bounds::TOKENS, "tokens");
    let mut tokens = Vec::new();
    for entry in entries {
        reader.variable_name(&entry.key, entry.key_span);
        if entry.key == TOKEN_VARIABLE {
            let message = format!("{} is the variable of the step's own token", quoted(&entry.key));
            let hint = "name its audiences as `audiences`, beside `tokens`";
            reader.push(Diagnostic::error(Code::Conflict, entry.key_span, message).hint(hint));
        }
        let Some(mut fields) = reader.map(&entry.value, "a token is a map with `audiences`") else {
            continue;
        };
        let audiences = fields.take("audiences").map(|node| read_audiences(reader, node));
        reader.finish(&fields, "a token");
        match audiences {
            Some(audiences) => tokens.push(IdentityToken { variable: entry.key.clone(), audiences }),
            None => {
                let message = format!("the token {} has `audiences`, and there are none", quoted(&entry.key));
                reader.push(Diagnostic::error(Code::MissingKey, entry.key_span, message));
            }
        }
    }
    tokens
}
