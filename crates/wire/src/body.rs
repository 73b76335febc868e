//! Reads JSON bodies, with errors that name the field.

use model::{Error, Result, Secret};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Reads a body. Whether fields that are not known are refused is the type's choice: Bitbucket's shapes pass over
/// them, `/api` refuses them.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // serde would also read an object's fields, one after the other, from an array.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::invalid("the body is an array: send a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    json.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

/// Reads a body that is an array of at most so many items.
pub fn read_list<T: DeserializeOwned>(bytes: &[u8], most: usize) -> Result<Vec<T>> {
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Err(Error::invalid("the body is no array: send a JSON array"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let items = serde_path_to_error::deserialize::<_, Vec<T>>(&mut json).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    json.end().map_err(|error| explain(".", &error))?;
    match items.len() > most {
        true => Err(Error::invalid(format!("the array has more than {most} items: send them in parts"))),
        false => Ok(items),
    }
}

fn explain(path: &str, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    if !error.is_data() {
        return Error::invalid(format!("the body is not JSON: {text}"));
    }
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let parent = if path == "." { "" } else { path };
    if let Some(name) = quoted_after(message, "missing field ") {
        let field = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        return Error::invalid_field(&field, "this field is required");
    }
    if let Some(name) = quoted_after(message, "unknown field ") {
        let known = message.split_once(", ").map_or("", |(_, known)| known);
        return Error::invalid_field(name, format!("there is no such field here: {known}"));
    }
    if parent.is_empty() {
        Error::invalid(format!("the body: {message}"))
    } else {
        Error::invalid_field(path, message)
    }
}

/// The name in backticks behind `lead`, where `message` begins so.
fn quoted_after<'a>(message: &'a str, lead: &str) -> Option<&'a str> {
    message.strip_prefix(lead)?.strip_prefix('`')?.split('`').next()
}

/// Takes a text into a [`Secret`] at once.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    // serde's own message would repeat what stands there.
    let text =
        Option::<String>::deserialize(deserializer).map_err(|_| serde::de::Error::custom("use a text"))?;
    Ok(text.map(Secret::new))
}

/// Tells a field that is `null` (`Some(None)`) from one that is absent (`None`, by `#[serde(default)]`).
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use model::Email;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    struct Outer {
        email: Email,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Inner {
        key: String,
    }

    #[test]
    fn an_error_names_its_field() {
        for (body, expected) in [
            (r#"{"email": "a@b.c", "#, "the body is not JSON: "),
            (r#"{"email": "a@b.c"} x"#, "the body is not JSON: "),
            (r#"["a@b.c"]"#, "the body is an array: send a JSON object"),
            ("1", "the body: invalid type: integer `1`, expected an object"),
            ("{}", "`email`: this field is required"),
            (r#"{"email": "ann"}"#, "`email`: use an e-mail address"),
            (r#"{"email": "a@b.c", "inner": {}}"#, "`inner.key`: this field is required"),
            (r#"{"email": "a@b.c", "inner": 1}"#, "`inner`: invalid type: integer `1`, expected an object"),
            (
                r#"{"email": "a@b.c", "inner": {"key": 1}}"#,
                "`inner.key`: invalid type: integer `1`, expected a string",
            ),
            (r#"{"emial": "a@b.c"}"#, "`emial`: there is no such field here: expected `email` or `inner`"),
        ] {
            let error = read::<Outer>(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
        let outer: Outer = read(br#"{"email": "a@b.c", "inner": {"key": "K", "more": 1}}"#).unwrap();
        assert_eq!((outer.email.as_str(), outer.inner.unwrap().key.as_str()), ("a@b.c", "K"));
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(read::<serde_json::Value>("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }
}
