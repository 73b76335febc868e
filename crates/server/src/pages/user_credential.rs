//! App passwords and API tokens: made by their owner, shown once.

use axum::http::StatusCode;
use model::{CredentialKind, Error, Result, Scope, Vocabulary};
use pages::access_token::{MadeTokenPage, ScopeChoice};
use pages::measure::Moment;
use pages::user_credential::NewUserCredentialPage;
use service::{AtLeast, Minted, NewCredential, RepositoryQuery, Window};
use wire::Parameters;

use super::access_token::{Typed, choice, error_of, expiry_field, name_field, wrong_parts};
use super::account::{Section, frame};
use super::{form, now, page};
use crate::http::{Cx, Response};

/// What is said of one kind.
struct Words {
    kind: CredentialKind,
    title: &'static str,
    lead: &'static str,
    noun: &'static str,
    action: &'static str,
}

const APP_PASSWORD: Words = Words {
    kind: CredentialKind::AppPassword,
    title: "Create app password",
    lead: "For git, and for clients that know Bitbucket's classic scopes. It reaches what you reach, as far as the scopes \
        that you choose allow.",
    noun: "the app password",
    action: "/account/app-passwords/new",
};

const API_TOKEN: Words = Words {
    kind: CredentialKind::ApiToken,
    title: "Create API token",
    lead: "For clients that know Bitbucket's flat scopes, and for Bastide's own interface. It reaches what you reach, as \
        far as the scopes that you choose allow; none of them includes another.",
    noun: "the API token",
    action: "/account/api-tokens/new",
};

fn words(cx: &Cx) -> &'static Words {
    if cx.route.path.contains("/app-passwords") { &APP_PASSWORD } else { &API_TOKEN }
}

/// What a scope is about: `repository` of `repository:write` and of `write:repository:bitbucket`.
fn subject(scope: Scope) -> String {
    let name = scope.as_str();
    let word = match scope.vocabulary() {
        Vocabulary::Classic => name.split(':').next().unwrap_or(name),
        Vocabulary::Flat => name.split(':').nth(1).unwrap_or(name),
        Vocabulary::Api => return "Bastide's own interface".to_owned(),
    };
    let word = word.replace("pullrequest", "pull request").replace('-', " ");
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn form_page(cx: &Cx, typed: &Typed, wrong: Option<&Error>) -> NewUserCredentialPage {
    let words = words(cx);
    let (fields, error) = wrong_parts(wrong);
    let mut groups: Vec<(String, bool, Vec<ScopeChoice>)> = Vec::new();
    for scope in words.kind.may_hold().iter() {
        let (about, choice) = (subject(scope), choice(scope, typed));
        match groups.iter_mut().find(|(known, ..)| *known == about) {
            Some((_, open, choices)) => {
                *open |= choice.chosen;
                choices.push(choice);
            }
            None => groups.push((about, choice.chosen, vec![choice])),
        }
    }
    NewUserCredentialPage {
        frame: frame(cx, words.title, Section::Account),
        lead: words.lead,
        error,
        name: name_field(typed, error_of(&fields, "name")),
        groups,
        scopes_error: error_of(&fields, "scopes"),
        expiry: expiry_field(typed, error_of(&fields, "expires_on")),
        action: words.action,
        form_token: form::token(cx, words.action),
    }
}

/// `GET /account/app-passwords/new`, `GET /account/api-tokens/new`
///
/// # Errors
/// When nobody is signed in.
pub async fn new(cx: Cx) -> Result<Response> {
    let window = Window { limit: 1, offset: 0 };
    cx.service()?.own_credentials(&cx.caller, words(&cx).kind, window).await?;
    page(StatusCode::OK, &form_page(&cx, &Typed::nothing(), None))
}

/// `POST` to the same: the one answer that holds the secret.
///
/// # Errors
/// When the scopes are wide and the session has not stepped up. What is wrong with the form is told in it.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    let (words, typed) = (words(&cx), Typed::of(&form)?);
    let made = match typed.name.parse() {
        Err(error) => Err(Error::invalid_field("name", error)),
        Ok(name) => {
            let expires_on = typed.expires_on(now(&cx));
            let new = NewCredential { name, scopes: typed.scopes.clone(), expires_on };
            cx.service()?.create_own_credential(&cx.caller, words.kind, new).await
        }
    };
    match made {
        Ok(minted) => page(StatusCode::CREATED, &made_page(&cx, words, &minted).await?),
        Err(error @ (Error::Invalid { .. } | Error::Conflict(_))) => {
            page(StatusCode::BAD_REQUEST, &form_page(&cx, &typed, Some(&error)))
        }
        Err(error) => Err(error),
    }
}

async fn made_page(cx: &Cx, words: &Words, minted: &Minted) -> Result<MadeTokenPage> {
    let user = cx.caller.as_user().ok_or(Error::Unauthenticated)?;
    let holds: Vec<&str> = minted.credential.scopes.closed().iter().map(Scope::as_str).collect();
    let any = |names: &[&str]| names.iter().any(|name| holds.contains(name));
    // Commands that work when pasted name what is there: the repository that changed last.
    let query = RepositoryQuery { workspace: None, at_least: AtLeast::Read, filter: None, sort: None };
    let window = Window { limit: 1, offset: 0 };
    let found = cx.service()?.repositories(&cx.caller, query, window).await?.values.into_iter().next();
    let base = &cx.app.settings.base_url;
    let reads = any(&["repository", "read:repository:bitbucket"]);
    let at = found.filter(|_| reads).map(|located| (located.workspace.slug, located.repository.slug));
    let login = match words.kind {
        CredentialKind::ApiToken => user.email.to_string(),
        _ => user.username.to_string(),
    };
    let told_at = match &at {
        Some((workspace, slug)) => Some(format!("/2.0/repositories/{workspace}/{slug}")),
        None if any(&["account", "read:user:bitbucket"]) => Some("/2.0/user".to_owned()),
        None => None,
    };
    Ok(MadeTokenPage {
        frame: frame(cx, minted.credential.name.as_str(), Section::Account),
        name: minted.credential.name.to_string(),
        bound_to: String::new(),
        replaced: String::new(),
        secret: minted.token.secret().expose().to_owned(),
        expires: minted.credential.expires_on.map(|time| Moment::of(time, now(cx))),
        able: minted.credential.scopes.iter().map(|scope| scope.sentence().to_owned()).collect(),
        ask: words.noun,
        clone: at.map(|(workspace, slug)| {
            let address = wire::Base::new(base).clone_https(workspace.as_str(), slug.as_str()).href;
            format!("git clone {}", address.replacen("://", &format!("://{}@", user.username), 1))
        }),
        curl: told_at.map(|path| format!("curl -u {login} {base}{path}")),
        curl_note: "curl asks for the password: paste the secret there, so that it stays out of the shell's history.",
        list: "/account#credentials".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_stand_together_by_what_they_are_about() {
        let about = |name: &str| subject(name.parse().unwrap());
        assert_eq!(about("repository:write"), about("write:repository:bitbucket"));
        assert_eq!(about("pullrequest"), "Pull request");
        assert_eq!(about("audit:read"), "Bastide's own interface");
    }
}
