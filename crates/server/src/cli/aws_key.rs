//! `bastide aws key`: the key that is the server's own at Amazon, which it replaces by itself.

use std::path::PathBuf;

use axum::http::Method;
use clap::Subcommand;
use model::{Error, Result};
use serde_json::{Value, json};

use super::client::Client;
use super::installation::{Place, secret_file};
use super::output::Output;

const PATH: &str = "/api/aws-key";

/// The commands below `aws key`.
#[derive(Subcommand)]
pub(super) enum Key {
    /// Give the server an access key of a user of IAM's, which it proves, keeps sealed, and replaces by itself from then on
    Set {
        #[command(flatten)]
        place: Place,
        /// The file with the key, as `aws iam create-access-key` prints it, or its id and its secret on a line each; `-` is
        /// standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Show which key the server has, and when it is replaced; never its secret
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Replace it now, which may take a minute
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Have the server forget it; at Amazon it stays
    Remove {
        #[command(flatten)]
        place: Place,
    },
}

/// The id and the secret in what a file or Amazon's command line says.
fn read(text: &str) -> Result<(String, String)> {
    // What was read is not repeated: it may be a secret.
    let odd = || {
        Error::invalid(
            "this is no access key: give what `aws iam create-access-key --output json` prints, or its id and its secret \
             on a line each",
        )
    };
    if text.trim_start().starts_with('{') {
        let told: Value = serde_json::from_str(text).map_err(|_| odd())?;
        let part = |name: &str| {
            let inside = told.get("AccessKey").unwrap_or(&told).get(name);
            inside.and_then(Value::as_str).map(str::to_owned).ok_or_else(odd)
        };
        return Ok((part("AccessKeyId")?, part("SecretAccessKey")?));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [id, secret] => Ok(((*id).to_owned(), (*secret).to_owned())),
        _ => Err(odd()),
    }
}

/// Runs the command.
pub(super) async fn run(key: Key) -> Result<()> {
    let (place, method, path, body) = match key {
        Key::Set { place, file } => {
            let (id, secret) = read(secret_file(&file)?.expose())?;
            let body = json!({ "access_key_id": id, "secret_access_key": secret });
            (place, Method::PUT, PATH.to_owned(), Some(body))
        }
        Key::Show { place } => (place, Method::GET, PATH.to_owned(), None),
        Key::Rotate { place } => (place, Method::POST, format!("{PATH}/rotation"), None),
        Key::Remove { place } => (place, Method::DELETE, PATH.to_owned(), None),
    };
    let client = Client::connect(&place.find()?).await?;
    let answer = client.send(method, &path, body.as_ref()).await;
    client.close().await?;
    tell(&answer?.json()?)
}

fn tell(key: &Value) -> Result<()> {
    let output = Output::new();
    if key.is_null() {
        return output
            .line("the server has no key of its own any more; at Amazon it stays until it is removed there");
    }
    for (name, field) in [
        ("key", "access_key_id"),
        ("user", "user"),
        ("since", "since"),
        ("replaced", "rotates_on"),
        ("follows", "pending_key_id"),
        ("to remove", "old_key_id"),
        ("failed", "failed_on"),
        ("because", "last_error"),
    ] {
        if let Some(text) = key.get(field).and_then(Value::as_str) {
            output.line(format_args!("{name:<10} {text}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Would catch: a secret in the error of a command.
    #[test]
    fn a_key_is_read_as_amazon_prints_it_or_from_two_lines() {
        let wanted = ("AKIAIOSFODNN7EXAMPLE".to_owned(), "a/b+c".to_owned());
        let json = r#"{"AccessKey":{"UserName":"b","AccessKeyId":"AKIAIOSFODNN7EXAMPLE","Status":"Active",
            "SecretAccessKey":"a/b+c","CreateDate":"2030-01-01T00:00:00Z"}}"#;
        let bare = r#"{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"a/b+c"}"#;
        for text in [json, bare, "AKIAIOSFODNN7EXAMPLE\na/b+c", " AKIAIOSFODNN7EXAMPLE \r\n\n a/b+c\r\n"] {
            assert_eq!(read(text).unwrap(), wanted, "{text}");
        }
        for bad in ["", "hush", "{hush", "{\"AccessKeyId\":\"hush\"}", "hush\nhush\nhush", "[\"hush\"]"] {
            assert!(!read(bad).unwrap_err().to_string().contains("hush"), "{bad}");
        }
    }
}
