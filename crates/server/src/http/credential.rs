//! The credential that a request presents, read from its `Authorization` header. Whether it is worth anything is
//! for `service` to say.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use model::{Error, Result, Secret};
use service::Presented;

/// Takes the credential out of the headers, so that nothing behind can log or pass it on.
///
/// # Errors
/// [`Error::Unauthenticated`] for a header that is there but cannot be read, or is there twice: a client that sends
/// one means to be somebody.
pub fn take(headers: &mut HeaderMap) -> Result<Presented> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let presented = match (sent.next(), sent.next()) {
        (None, _) => Ok(Presented::Nothing),
        (Some(value), None) => value.to_str().ok().and_then(read).ok_or(Error::Unauthenticated),
        (Some(_), Some(_)) => Err(Error::Unauthenticated),
    };
    headers.remove(header::AUTHORIZATION);
    presented
}

fn read(value: &str) -> Option<Presented> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then(|| Presented::Bearer(Secret::new(rest.to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(rest).or_else(|_| STANDARD_NO_PAD.decode(rest)).ok()?;
    let pair = Secret::new(String::from_utf8(bytes).ok()?);
    let (user, password) = pair.expose().split_once(':')?;
    Some(Presented::Basic { user: user.to_owned(), password: Secret::new(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn taken(value: &str) -> Result<Presented> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        let presented = take(&mut headers);
        assert!(headers.is_empty());
        presented
    }

    #[test]
    fn both_schemes_are_read() {
        let Ok(Presented::Basic { user, password }) = taken("basic YW5uOmE6Yg==") else { panic!("basic") };
        assert_eq!((user.as_str(), password.expose()), ("ann", "a:b"));
        let Ok(Presented::Bearer(token)) = taken("Bearer bst_x") else { panic!("bearer") };
        assert_eq!(token.expose(), "bst_x");
        assert!(matches!(take(&mut HeaderMap::new()), Ok(Presented::Nothing)));
    }

    #[test]
    fn what_cannot_be_read_is_not_nobody() {
        for value in ["", "Bearer", "Bearer ", "Basic !", "Basic YW5u", "JWT x", "Basic /////w=="] {
            assert!(matches!(taken(value), Err(Error::Unauthenticated)), "{value}");
        }
        let mut twice = HeaderMap::new();
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert!(matches!(take(&mut twice), Err(Error::Unauthenticated)));
        assert!(twice.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(Basic |Bearer )?[ -~]{0,40}") {
            let _ = read(&text);
        }
    }
}
