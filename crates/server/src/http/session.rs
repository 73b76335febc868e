//! The cookie that holds a session's secret. Over TLS its name begins with `__Host-`, so that no other host and no
//! plain connection can set it; over plain HTTP it is taken from this machine alone.

use axum::http::{HeaderMap, HeaderValue, header};
use model::{Error, Result, Secret};

const SECURE: &str = "__Host-session";
const PLAIN: &str = "session";

fn name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

/// Takes the secret out of the headers, so that nothing behind can log or pass it on.
pub(super) fn take(headers: &mut HeaderMap, secure: bool) -> Option<Secret> {
    let name = name(secure);
    let (mut found, mut kept) = (None, Vec::new());
    for value in headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()) {
        for pair in value.split(';').map(str::trim) {
            match pair.split_once('=') {
                Some((key, value)) if key == name => found = Some(Secret::new(value.to_owned())),
                Some((SECURE | PLAIN, _)) => {}
                _ => kept.push(pair.to_owned()),
            }
        }
    }
    headers.remove(header::COOKIE);
    if let Ok(rest) = HeaderValue::from_str(&kept.join("; ")) {
        headers.insert(header::COOKIE, rest);
    }
    found
}

/// The header that gives a browser the secret, for so many seconds; an empty one takes it away.
///
/// # Errors
/// When the secret cannot stand in a header: none of ours.
pub fn cookie(secret: Option<&Secret>, secure: bool, seconds: i64) -> Result<HeaderValue> {
    let value = secret.map_or("", Secret::expose);
    let seconds = if secret.is_some() { seconds.max(0) } else { 0 };
    let only = if secure { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{only}", name(secure));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| Error::internal("a secret that is no cookie"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_taken_out_and_everything_else_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("theme=dark; __Host-session=s; session=t"));
        assert_eq!(take(&mut headers.clone(), false).unwrap().expose(), "t");
        assert_eq!(take(&mut headers, true).unwrap().expose(), "s");
        assert_eq!(headers.get(header::COOKIE).unwrap(), "theme=dark");
        assert!(take(&mut headers, true).is_none());
    }

    #[test]
    fn the_cookie_is_for_this_host_and_out_of_reach_of_scripts() {
        let secret = Secret::new("s".to_owned());
        let secure = cookie(Some(&secret), true, 60).unwrap();
        let text = secure.to_str().unwrap();
        assert_eq!(text, "__Host-session=s; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(cookie(None, true, 60).unwrap().to_str().unwrap().contains("Max-Age=0"));
    }
}
