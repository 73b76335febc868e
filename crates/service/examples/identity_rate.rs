//! How many identity tokens a second are minted, one after the other. One line for each way, with a tab between: the way,
//! tokens per second. Run with `--release`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that measures")]

use std::time::{Duration, Instant};

use keyring::{TokenAlgorithm, TokenKey};
use model::{Clock, Random, RequestId, Secret};
use pipeline::Reference;
use pipeline::identity::{Claims, Entity, IdentityFacts, Terms, TriggerKind};
use service::{Caller, Door, KeyRotation, NewIdentityTokens, NewUser, Presented, Service, Settings};
use uuid::Uuid;

const TIME: Duration = Duration::from_secs(3);
const PASSWORD: &str = "correct horse battery staple";
const WORKSPACE: &str = "acme";

fn facts(workspace: Uuid) -> IdentityFacts {
    let entity = |uuid, name: &str| Entity { uuid, name: name.to_owned() };
    IdentityFacts {
        workspace: entity(workspace, WORKSPACE),
        project: entity(Uuid::from_u128(1), "CORE"),
        repository: entity(Uuid::from_u128(2), "one"),
        pipeline: Uuid::from_u128(3),
        build_number: 1,
        step: Uuid::from_u128(4),
        attempt: 1,
        environment: None,
        reference: Reference::Branch { name: "main".to_owned() },
        ref_protected: true,
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        trigger: TriggerKind::Push,
        actor: Some(entity(Uuid::from_u128(5), "ann")),
        runner: Uuid::from_u128(6),
    }
}

fn told(way: &str, algorithm: TokenAlgorithm, made: u32, began: Instant) {
    println!("{algorithm} {way}\t{:.1}", f64::from(made) / began.elapsed().as_secs_f64());
}

fn signed(facts: &IdentityFacts, algorithm: TokenAlgorithm) {
    let key = TokenKey::generate(algorithm).unwrap();
    let (began, mut made) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        let terms = Terms {
            issuer: "https://git.example.org/2.0/workspaces/w/pipelines-config/identity/oidc",
            audiences: &[],
            subject: None,
            session_tags: false,
            issued: 1_800_000_000,
            lifetime: 3_600,
            id: Uuid::from_u128(made.into()),
        };
        let claims = serde_json::to_vec(&Claims::of(facts, &terms).unwrap()).unwrap();
        assert!(!key.sign(&claims).unwrap().is_empty());
        made += 1;
    }
    told("signed", algorithm, made, began);
}

async fn minted(service: &Service, facts: &IdentityFacts, algorithm: TokenAlgorithm) {
    // The first makes or opens the key.
    drop(service.mint_identity_token(facts, &[], 3_600).await.unwrap());
    let (began, mut made) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        drop(service.mint_identity_token(facts, &[], 3_600).await.unwrap());
        made += 1;
    }
    told("minted", algorithm, made, began);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(folder.path().join("data"), "https://git.example.org", "/bin/true");
    let random = Random::system();
    let service = Service::open(settings, Clock::system(), random.clone()).await.unwrap();
    let operator = Caller::operator(RequestId::new(&random));
    let new = NewUser {
        username: "ann".parse().unwrap(),
        email: "ann@example.com".parse().unwrap(),
        display_name: None,
        password: Some(Secret::new(PASSWORD.to_owned())),
    };
    service.create_user(&operator, new).await.unwrap();
    let presented = Presented::Basic { user: "ann".to_owned(), password: Secret::new(PASSWORD.to_owned()) };
    let ann = service.authenticate(presented, Door::Api, None, RequestId::new(&random)).await.unwrap();
    let made =
        service.create_workspace(&ann, WORKSPACE.parse().unwrap(), "Acme".parse().unwrap()).await.unwrap();
    let facts = facts(made.id.uuid());
    for algorithm in TokenAlgorithm::ALL {
        let wanted = NewIdentityTokens {
            algorithm: algorithm.to_string(),
            subject_template: None,
            session_tags: false,
        };
        service.set_identity_tokens(&ann, WORKSPACE, wanted).await.unwrap();
        let now = KeyRotation { activates_after: Some(0) };
        service.rotate_identity_token_key(&ann, WORKSPACE, now).await.unwrap();
        minted(&service, &facts, algorithm).await;
        signed(&facts, algorithm);
    }
    service.close().await.unwrap();
}
