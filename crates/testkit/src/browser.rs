//! A browser without a screen: it keeps its cookies, follows no redirect by itself, and sends the forms that it was
//! shown, with the fields that stand in them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header;
use reqwest::redirect::Policy;

use crate::server::{Answer, Server, read};

/// Somebody at a browser.
pub struct Browser<'a> {
    server: &'a Server,
    client: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A form as it stood on a page.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it is sent.
    pub action: String,
    /// Its fields as a browser would send them untouched.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The same with a field in place of all of its name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, plain) in
        [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">")]
    {
        text = text.replace(entity, plain);
    }
    text.replace("&quot;", "\"").replace("&#38;", "&").replace("&amp;", "&")
}

/// The value of an attribute in a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| unescaped(value))
}

fn fields(html: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for piece in html.split('<').skip(1) {
        let tag = piece.split_once('>').map_or(piece, |(tag, _)| tag);
        let Some(name) = attribute(&format!(" {tag}"), "name") else { continue };
        let kind = attribute(tag, "type").unwrap_or_default();
        if tag.starts_with("input") {
            let chosen = !matches!(kind.as_str(), "checkbox" | "radio") || tag.ends_with(" checked");
            if chosen {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        } else if tag.starts_with("textarea") {
            let text = piece.split_once('>').map_or("", |(_, text)| text);
            fields.push((name, unescaped(text)));
        } else if tag.starts_with("select") {
            let rest = html.split_once(piece).map_or("", |(_, rest)| rest);
            let options = rest.split("</select>").next().unwrap_or_default();
            let selected = options.split("<option").find(|option| option.contains(" selected"));
            fields.push((name, selected.and_then(|option| attribute(option, "value")).unwrap_or_default()));
        }
    }
    fields
}

/// The forms of a page, in order, but for those of the frame around it.
///
/// # Panics
/// When the page has no content.
#[must_use]
pub fn forms(page: &str) -> Vec<Form> {
    let main =
        page.split_once("<main").and_then(|(_, rest)| rest.split_once("</main>")).map(|(main, _)| main);
    let main = main.unwrap_or_else(|| panic!("no page: {page}"));
    main.split("<form ")
        .skip(1)
        .map(|piece| {
            let html = piece.split("</form>").next().unwrap_or_default();
            let tag = format!(" {}", html.split('>').next().unwrap_or_default());
            Form { action: attribute(&tag, "action").unwrap_or_default(), fields: fields(html) }
        })
        .collect()
}

impl<'a> Browser<'a> {
    /// A browser in which nobody is signed in.
    ///
    /// # Panics
    /// When there can be no client.
    #[must_use]
    pub fn new(server: &'a Server) -> Self {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { server, client, cookies: Mutex::default() }
    }

    /// A browser in which somebody is signed in by their password.
    ///
    /// # Panics
    /// When they cannot sign in.
    pub async fn signed_in(server: &'a Server, name: &str, password: &str) -> Browser<'a> {
        let browser = Self::new(server);
        let form = Form { action: "/sign-in".to_owned(), fields: Vec::new() };
        let answer = browser.submit(form.with("name", name).with("password", password)).await;
        assert_eq!(answer.status.as_u16(), 303, "{name} cannot sign in: {}", answer.text);
        browser
    }

    /// The cookies as they are sent.
    ///
    /// # Panics
    /// When another thread has failed over them.
    #[must_use]
    pub fn cookies(&self) -> String {
        let cookies = self.cookies.lock().expect("cookies");
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.header(header::ACCEPT, "text/html").header(header::COOKIE, self.cookies());
        let answer = read(request.send().await.expect("an answer")).await;
        let mut cookies = self.cookies.lock().expect("cookies");
        for value in answer.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok())
        {
            let pair = value.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                let _ = cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        drop(cookies);
        answer
    }

    /// A page.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(self.client.get(format!("{}{path}", self.server.url))).await
    }

    /// A page that must be there; its text.
    ///
    /// # Panics
    /// When it is not.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
        answer.text
    }

    /// The form on a page that is sent to `action`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn form(&self, path: &str, action: &str) -> Form {
        let page = self.page(path).await;
        form(&page, action)
    }

    /// Sends a form from this site.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn submit(&self, form: Form) -> Answer {
        let body = form
            .fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect::<Vec<_>>()
            .join("&");
        let request = self
            .client
            .post(format!("{}{}", self.server.url, form.action))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(body);
        self.ask(request).await
    }
}

/// The form of a page's text that is sent to `action`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn form(page: &str, action: &str) -> Form {
    let all = forms(page);
    let found = all.iter().find(|form| form.action == action).cloned();
    found.unwrap_or_else(|| panic!("no form for {action} among {all:?} in {page}"))
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_would_send_it() {
        let page = r#"<main id="content"><form method="post" action="/a?x=1&amp;y"><input type="hidden" name="t" value="&#34;&#60;">
            <input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked>
            <textarea id="p" name="p" rows="8">one
two</textarea><select id="s" name="s"><option value="a">A</option><option value="b" selected>B</option></select></form></main>"#;
        let form = form(page, "/a?x=1&y");
        let wanted = [("t", "\"<"), ("r", "2"), ("p", "one\ntwo"), ("s", "b")];
        assert_eq!(form.fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
