//! Tokens over a store: which key signs when, what the record tells, and what settings change.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Clock, RequestId, Secret, Timestamp};
use store::audit_filter::{Filter, Order};

use super::*;
use crate::housekeeping::tests::{DAY, service};
use crate::{Door, NewProject, NewRepository, NewUser, Presented};

const HOUR: i64 = 3_600;
const PASSWORD: &str = "correct horse battery staple";

struct Scene {
    service: Service,
    clock: Clock,
    ann: Caller,
    facts: IdentityFacts,
    _folder: tempfile::TempDir,
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// What a token says in its header and its claims.
fn read(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    (decoded(parts[0]), decoded(parts[1]))
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_micros(1_790_000_000_000_000));
        let service = service(folder.path(), &clock).await;
        let operator = Caller::operator(RequestId::new(&service.random));
        let new = NewUser {
            username: "ann".parse().unwrap(),
            email: "ann@example.com".parse().unwrap(),
            display_name: None,
            password: Some(Secret::new(PASSWORD.to_owned())),
        };
        service.create_user(&operator, new).await.unwrap();
        let presented =
            Presented::Basic { user: "ann".to_owned(), password: Secret::new(PASSWORD.to_owned()) };
        let id = RequestId::new(&service.random);
        let ann = service.authenticate(presented, Door::Api, None, id).await.unwrap();
        let facts = Self::with_repository(&service, &ann).await;
        Self { service, clock, ann, facts, _folder: folder }
    }

    async fn with_repository(service: &Service, ann: &Caller) -> IdentityFacts {
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        service.create_workspace(ann, slug, name).await.unwrap();
        let project = NewProject {
            key: "CORE".parse().unwrap(),
            name: None,
            description: String::new(),
            private: true,
        };
        service.create_project(ann, "acme", project).await.unwrap();
        let new = NewRepository {
            slug: "one".parse().unwrap(),
            name: None,
            project: None,
            description: String::new(),
            private: true,
            fork_policy: model::ForkPolicy::NoPublicForks,
            language: String::new(),
            has_issues: false,
            has_wiki: false,
            default_branch: None,
        };
        let located = service.create_repository(ann, "acme", new).await.unwrap();
        IdentityFacts { environment: None, ..sample_facts(&located) }
    }

    async fn mint(&self) -> String {
        let minted = self.service.mint_identity_token(&self.facts, &[], 600).await.unwrap();
        minted.record(&self.service, &self.ann).await.unwrap().token.expose().to_owned()
    }

    async fn published(&self) -> Vec<Value> {
        let set = self.service.identity_token_key_set(&self.ann, "acme").await.unwrap();
        set["keys"].as_array().unwrap().clone()
    }

    /// The id of the key that a token names; it is verified by what is published of that key.
    async fn signed_by(&self, token: &str) -> Option<String> {
        let (header, _) = read(token);
        let published = self.published().await;
        let key = published.iter().find(|key| key["kid"] == header["kid"])?;
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let member = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let components = RsaPublicKeyComponents { n: member("n"), e: member("e") };
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        components.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).ok()?;
        Some(key["kid"].as_str().unwrap().to_owned())
    }

    async fn states(&self) -> Vec<&'static str> {
        let tokens = self.service.identity_tokens(&self.ann, "acme").await.unwrap();
        tokens.keys.iter().map(|key| key.state).collect()
    }

    async fn rotate(&self, activates_after: Option<i64>) -> Result<IdentityTokenKeyView> {
        let rotation = KeyRotation { activates_after };
        self.service.rotate_identity_token_key(&self.ann, "acme", rotation).await
    }
}

/// Would catch: a key that signs before verifiers could know it, one that goes while tokens it signed still live, or a
/// private half that is kept for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn keys_overlap_when_they_rotate() {
    let scene = Scene::new().await;
    assert!(scene.published().await.is_empty(), "nobody's request makes a key");
    let first = scene.mint().await;
    let old = scene.signed_by(&first).await.expect("the first key is made when it is needed");
    assert_eq!(scene.signed_by(&scene.mint().await).await.as_ref(), Some(&old));

    let new = scene.rotate(None).await.unwrap();
    assert_eq!((new.state, scene.states().await), ("waiting", vec!["signing", "waiting"]));
    assert_eq!(scene.published().await.len(), 2);
    assert!(matches!(scene.rotate(None).await, Err(Error::Conflict(_))));
    scene.clock.advance(DAY - 1);
    let last = scene.mint().await;
    assert_eq!(scene.signed_by(&last).await.as_ref(), Some(&old));
    scene.clock.advance(1);
    assert_eq!(scene.signed_by(&scene.mint().await).await.as_ref(), Some(&new.kid));
    assert_eq!(scene.states().await, ["retiring", "signing"]);
    // The last token of the old key lives for an hour at most; the key stays an hour longer.
    scene.clock.advance(2 * HOUR - 1);
    assert_eq!(scene.signed_by(&last).await.as_ref(), Some(&old));
    scene.clock.advance(1);
    assert_eq!(scene.signed_by(&last).await, None);
    assert_eq!(scene.states().await, ["retired", "signing"]);

    scene.service.rotate_identity_token_keys().await.unwrap();
    let workspace = WorkspaceId::from_uuid(scene.facts.workspace.uuid);
    let kept = scene.service.store.read(move |reader| store::identity_token::keys(reader, workspace));
    let kept = kept.await.unwrap();
    assert_eq!(kept.iter().map(|key| key.sealed.is_some()).collect::<Vec<_>>(), [false, true]);
    // By itself: after 90 days one more waits; the first is not even shown any more.
    scene.clock.advance(90 * DAY);
    scene.service.rotate_identity_token_keys().await.unwrap();
    assert_eq!(scene.states().await, ["signing", "waiting"]);
    scene.service.rotate_identity_token_keys().await.unwrap();
    assert_eq!(scene.states().await, ["signing", "waiting"]);
}

/// Attack: a key that leaked. Would catch one that is still published after it was revoked, or that this process goes on
/// signing with.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_gone_at_once_and_another_signs() {
    let scene = Scene::new().await;
    let stolen = scene.mint().await;
    let kid = scene.signed_by(&stolen).await.unwrap();
    let revoke = |kid: String| {
        let (service, ann) = (scene.service.clone(), scene.ann.clone());
        // Keys stand in the order in which they were made: no two in the same moment.
        scene.clock.advance(1);
        async move { service.revoke_identity_token_key(&ann, "acme", &kid).await }
    };
    revoke(kid.clone()).await.unwrap();
    assert_eq!(scene.signed_by(&stolen).await, None);
    assert_eq!(scene.states().await, ["revoked", "signing"]);
    let second = scene.signed_by(&scene.mint().await).await.unwrap();
    assert_ne!(second, kid);
    for gone in [kid, "nothing".to_owned()] {
        assert!(matches!(revoke(gone).await, Err(Error::NotFound { .. })));
    }

    // One that waits is revoked: the other goes on, and does not retire.
    scene.clock.advance(1);
    let waiting = scene.rotate(None).await.unwrap().kid;
    revoke(waiting).await.unwrap();
    scene.clock.advance(2 * DAY);
    assert_eq!(scene.signed_by(&scene.mint().await).await.as_ref(), Some(&second));

    // The one that signs is revoked while another waits: that one signs at once, and the retiring one never again.
    scene.clock.advance(1);
    let third = scene.rotate(Some(0)).await.unwrap().kid;
    scene.clock.advance(1);
    let fourth = scene.rotate(None).await.unwrap().kid;
    assert_eq!(scene.states().await[1..], ["retiring", "revoked", "signing", "waiting"]);
    revoke(third).await.unwrap();
    assert_eq!(scene.signed_by(&scene.mint().await).await, Some(fourth));
    // One that only retires is revoked: nothing else changes.
    revoke(second).await.unwrap();
    assert_eq!(scene.states().await, ["revoked", "revoked", "revoked", "revoked", "signing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_what_the_settings_want_and_is_on_record() {
    let scene = Scene::new().await;
    let (_, claims) = read(&scene.mint().await);
    let workspace = scene.facts.workspace.uuid;
    let issuer = format!("http://localhost/2.0/workspaces/{workspace}/pipelines-config/identity/oidc");
    assert_eq!(claims["iss"], issuer);
    assert_eq!(claims["aud"], format!("ari:cloud:bitbucket::workspace/{workspace}"));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    let events = scene.service.store.read(|reader| {
        let filter = Filter { actions: vec![model::Action::IdentityTokenMint], ..Filter::default() };
        store::audit_filter::list(reader, &filter, Order::NewestFirst, None, 10)
    });
    let events = events.await.unwrap();
    let told: Value = serde_json::from_str(std::str::from_utf8(&events[0].bytes).unwrap()).unwrap();
    assert_eq!(told["after"]["jti"], claims["jti"]);
    assert_eq!(told["resource"], "repository:acme/one");
    assert!(!told.to_string().contains("eyJ"), "a token is in no record");

    let new = NewIdentityTokens {
        algorithm: "ES256".to_owned(),
        subject_template: Some("{repository_uuid}:{ref}".to_owned()),
        session_tags: true,
    };
    scene.service.set_identity_tokens(&scene.ann, "acme", new.clone()).await.unwrap();
    let path = RepositoryPath::parse("acme", "one").unwrap();
    let repository = scene.facts.repository.uuid.as_braced().to_string();
    let (header, claims) = read(&scene.mint().await);
    assert_eq!(claims["sub"], format!("{repository}:refs/heads/main"));
    assert!(claims["https://aws.amazon.com/tags"]["principal_tags"].is_object());
    // The algorithm is the next key's.
    assert_eq!(header["alg"], "RS256");
    scene.clock.advance(1);
    scene.rotate(Some(0)).await.unwrap();
    assert_eq!(read(&scene.mint().await).0["alg"], "ES256");

    let own = NewRepositoryIdentityTokens {
        subject_template: Some("{repository_uuid}:{project}".to_owned()),
        session_tags: Some(false),
    };
    let set = scene.service.set_repository_identity_tokens(&scene.ann, &path, own).await.unwrap();
    let (_, claims) = read(&scene.mint().await);
    assert_eq!(claims["sub"], format!("{repository}:CORE"));
    assert_eq!(set.sample["sub"], claims["sub"]);
    assert!(claims.get("https://aws.amazon.com/tags").is_none());

    for (algorithm, template) in [("none", None), ("RS256", Some("{ref}"))] {
        let odd = NewIdentityTokens {
            algorithm: algorithm.to_owned(),
            subject_template: template.map(str::to_owned),
            ..new.clone()
        };
        let refused = scene.service.set_identity_tokens(&scene.ann, "acme", odd).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    let refused = scene.service.mint_identity_token(&scene.facts, &vec!["a".to_owned(); 11], 600).await;
    assert!(matches!(refused.map(drop), Err(Error::Invalid { .. })));
}

/// Attack: a workspace whose slug is another's id, to stand in for its issuer.
#[test]
fn an_id_is_never_a_slug() {
    let id = "922e118c-f34f-4226-a897-0e0afbec553d";
    for text in [id.to_owned(), format!("{{{id}}}"), id.to_uppercase()] {
        let Some(WorkspaceName::Id(found)) = issuer_name(&text) else { panic!("{text}") };
        assert_eq!(found.to_string(), id);
    }
    assert!(matches!(issuer_name("acme"), Some(WorkspaceName::Slug(_))));
    assert!(matches!(issuer_name("922e118cf34f4226a8970e0afbec553d"), Some(WorkspaceName::Slug(_))));
    assert!(issuer_name("{acme}").is_none() && issuer_name("").is_none());
}
