//! Accounts: their passwords, whether anybody approved them, what a session and a credential may make of them.

use std::io::Write;

use model::{CredentialKind, Email, Error, Secret, UserState, WorkspaceSlug};
use service::{
    Door, NewCredential, NewUser, Presented, RequiredScopes, STEP_UP_REQUIRED, SignInSettings, UserChange,
    UserQuery, Window,
};

use crate::house::{House, PASSWORD, secret};

const WINDOW: Window = Window { limit: 10, offset: 0 };

/// Attack: a session that was left open changes the password, without knowing it or after stealing the cookie.
#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let house = House::new().await;
    house.user("ann").await;
    let other = house.sign_in("ann").await;
    let cookie = house.sign_in("ann").await.secret;
    let ann = house.page(cookie.secret()).await.unwrap();
    let new = secret("a parliament of rooks");
    let wrong = house.service.change_password(&ann, &secret("a mild surprise of owls"), &new).await;
    assert!(matches!(wrong, Err(Error::Invalid { .. })));
    let renewed = house.service.change_password(&ann, &secret(PASSWORD), &new).await.unwrap();
    for gone in [&other.secret, &cookie] {
        assert!(house.page(gone.secret()).await.is_err());
    }
    let ann = house.page(renewed.secret()).await.unwrap();
    assert!(house.sign_in_step("ann", PASSWORD).await.is_err());
    house.wait(601);
    match house.service.change_password(&ann, &new, &secret(PASSWORD)).await {
        Err(Error::Forbidden { reasons, .. }) => assert_eq!(reasons, [STEP_UP_REQUIRED]),
        _ => panic!("changed without stepping up"),
    }
    assert!(house.trail().await.contains(&"password.change".to_owned()));
}

/// Attack: a password that is in everybody's list.
#[tokio::test]
async fn a_password_that_others_lost_is_refused() {
    let mut list = tempfile::NamedTempFile::new().unwrap();
    // The SHA-1 of "a murmuration of starlings".
    let hash = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        b"a murmuration of starlings",
    );
    let digits: String = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    writeln!(list, "{digits}:7").unwrap();
    let breached_passwords = Some(list.path().to_owned());
    let house = House::with(SignInSettings { breached_passwords, ..Default::default() }).await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    for new in ["a murmuration of starlings", "Password1234", "eleven char", "aaaaaaaaaaaaaaaa"] {
        let changed = house.service.change_password(&ann, &secret(PASSWORD), &secret(new)).await;
        assert!(matches!(changed, Err(Error::Invalid { .. })), "{new}");
    }
}

/// Attack: an account that made itself, by an identity provider, looks around before anybody has seen it.
#[tokio::test]
async fn an_account_that_nobody_approved_reaches_itself_alone() {
    let house = House::new().await;
    house.user("ann").await;
    house.administrator("boss").await;
    let boss = house.caller("boss").await;
    house.service.approve_user(&boss, "ann", false).await.unwrap();
    let asked = UserQuery { state: Some(UserState::Waiting), ..UserQuery::default() };
    let waiting = house.service.users(&boss, asked, WINDOW).await.unwrap();
    assert_eq!(waiting.values.iter().map(|one| one.user.username.as_str()).collect::<Vec<_>>(), ["ann"]);
    let own = house.service.approve_user(&boss, "boss", false).await;
    assert!(matches!(own, Err(Error::Conflict(_))), "nobody speaks for themselves");

    let ann = house.caller("ann").await;
    house.service.own_account(&ann).await.unwrap();
    house.service.sessions(&ann).await.unwrap();
    let slug: WorkspaceSlug = "anns".parse().unwrap();
    assert!(house.service.create_workspace(&ann, slug.clone(), "Anns".parse().unwrap()).await.is_err());
    assert!(house.service.user(&ann, "boss").await.is_err());
    let basic = Presented::Basic { user: "ann".to_owned(), password: secret(PASSWORD) };
    let by_password = house.by(basic, Door::Api).await.unwrap();
    assert!(
        house.service.create_workspace(&by_password, slug.clone(), "Anns".parse().unwrap()).await.is_err()
    );
    assert!(house.service.approve_user(&ann, "ann", true).await.is_err());

    house.service.approve_user(&boss, "ann", true).await.unwrap();
    house.service.create_workspace(&house.caller("ann").await, slug, "Anns".parse().unwrap()).await.unwrap();
    let approvals = house.trail().await.iter().filter(|action| *action == "user.approve").count();
    assert_eq!(approvals, 3, "taken back, refused to ann, given");
}

/// Attack: a browser that was left alone makes another administrator, or takes over an account by its address.
#[tokio::test]
async fn what_is_dangerous_wants_a_fresh_proof() {
    let house = House::new().await;
    house.user("ann").await;
    house.administrator("boss").await;
    let cookie = house.sign_in("boss").await.secret;
    house.wait(601);
    let boss = house.page(cookie.secret()).await.unwrap();
    let stale = |result: model::Result<()>| match result {
        Err(Error::Forbidden { reasons, .. }) => reasons == [STEP_UP_REQUIRED],
        _ => false,
    };
    let email: Email = "evil@example.com".parse().unwrap();
    let change = || UserChange { email: Some(email.clone()), ..Default::default() };
    assert!(stale(house.service.update_user(&boss, "ann", change()).await.map(drop)));
    assert!(stale(house.service.delete_user(&boss, "ann").await));
    assert!(stale(house.service.disconnect_identity(&boss, "any").await));
    assert!(stale(house.service.approve_user(&boss, "ann", true).await.map(drop)));
    let new = NewUser {
        username: "eve".parse().unwrap(),
        email: "eve@example.com".parse().unwrap(),
        display_name: None,
        password: None,
    };
    assert!(stale(house.service.create_user(&boss, new).await.map(drop)));
    let token = |scopes: &str| NewCredential {
        name: "token".parse().unwrap(),
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        expires_on: None,
    };
    let kind = CredentialKind::ApiToken;
    for wide in [
        "credential:write",
        "instance:admin",
        "admin:repository:bitbucket",
        "read:user:bitbucket delete:repository:bitbucket",
    ] {
        assert!(
            stale(house.service.create_own_credential(&boss, kind, token(wide)).await.map(drop)),
            "{wide}"
        );
    }
    house.service.create_own_credential(&boss, kind, token("read:repository:bitbucket")).await.unwrap();
    let raised = house.service.step_up(&boss, &secret(PASSWORD)).await.unwrap();
    let boss = house.page(raised.secret()).await.unwrap();
    house.service.update_user(&boss, "ann", change()).await.unwrap();
}

/// Attack: a token that may only make credentials makes an app password that may do everything.
#[tokio::test]
async fn a_credential_makes_none_that_is_wider() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = house.caller("ann").await;
    let new = |scopes: String| NewCredential {
        name: "made".parse().unwrap(),
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        expires_on: None,
    };
    let kind = CredentialKind::ApiToken;
    let required = RequiredScopes {
        classic: "credential:write".parse().unwrap(),
        flat: "credential:write".parse().unwrap(),
    };
    let by = async |scopes: String| {
        let minted = house.service.create_own_credential(&ann, kind, new(scopes)).await.unwrap();
        let password: Secret = minted.token.secret().clone();
        let basic = Presented::Basic { user: "ann@example.com".to_owned(), password };
        house.by(basic, Door::Api).await.unwrap().requiring(required)
    };
    let narrow = by("credential:write read:repository:bitbucket".to_owned()).await;
    let make = async |caller: &service::Caller, kind, scopes: String| {
        house.service.create_own_credential(caller, kind, new(scopes)).await
    };
    let classic = CredentialKind::AppPassword;
    for scopes in ["repository:admin", "repository"] {
        assert!(make(&narrow, classic, scopes.to_owned()).await.is_err(), "{scopes}");
    }
    assert!(make(&narrow, kind, "write:repository:bitbucket".to_owned()).await.is_err());
    make(&narrow, kind, "read:repository:bitbucket".to_owned()).await.unwrap();
    let whole = by(kind.may_hold().to_string()).await;
    make(&whole, classic, "repository:write".to_owned()).await.unwrap();
}
