//! A service on a database of its own, whose clock the test moves.

use std::net::IpAddr;

use model::{Clock, Random, RequestId, Secret, Timestamp};
use service::{
    Browser, Caller, Door, NewSession, NewUser, Presented, Service, Settings, SignIn, SignInSettings,
};

/// Everybody's password.
pub const PASSWORD: &str = "a mild surprise of thrushes";

pub struct House {
    pub service: Service,
    pub clock: Clock,
    pub random: Random,
    pub operator: Caller,
    _directory: tempfile::TempDir,
}

impl House {
    pub async fn new() -> Self {
        Self::with(SignInSettings::default()).await
    }

    pub async fn with(sign_in: SignInSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let random = Random::system();
        let settings = Settings {
            search_path: std::env::var_os("PATH"),
            restore_days: 7,
            sign_in,
            ..Settings::new(directory.path().join("data"), "https://bastide.example", "/bin/false")
        };
        let service = Service::open(settings, clock.clone(), random.clone()).await.unwrap();
        let operator = Caller::operator(RequestId::new(&random));
        Self { service, clock, random, operator, _directory: directory }
    }

    pub fn wait(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Nobody known, from this address.
    pub fn nobody(&self, address: &str) -> Caller {
        let address: IpAddr = address.parse().unwrap();
        Caller::anonymous(Some(address), RequestId::new(&self.random))
    }

    /// An account with everybody's password.
    pub async fn user(&self, name: &str) -> model::User {
        let new = NewUser {
            username: name.parse().unwrap(),
            email: format!("{name}@example.com").parse().unwrap(),
            display_name: None,
            password: Some(secret(PASSWORD)),
        };
        self.service.create_user(&self.operator, new).await.unwrap()
    }

    /// The same, with a part in running the instance.
    pub async fn administrator(&self, name: &str) -> model::User {
        self.user(name).await;
        let staff_role = Some(model::StaffRole::Administrator);
        let change = service::UserChange { staff_role, ..Default::default() };
        self.service.update_user(&self.operator, name, change).await.unwrap()
    }

    pub async fn sign_in(&self, name: &str) -> NewSession {
        match self.sign_in_step(name, PASSWORD).await.unwrap() {
            SignIn::Done(session) => *session,
            SignIn::SecondStep(_) => panic!("a second step is asked for"),
        }
    }

    pub async fn sign_in_step(&self, name: &str, password: &str) -> model::Result<SignIn> {
        let browser = Browser { user_agent: "a browser".to_owned() };
        self.service.sign_in(&self.nobody("192.0.2.7"), &browser, name, &secret(password)).await
    }

    /// Who the pages take the holder of this cookie for.
    pub async fn page(&self, cookie: &Secret) -> model::Result<Caller> {
        self.by(Presented::Session(cookie.clone()), Door::Page).await
    }

    pub async fn by(&self, presented: Presented, door: Door) -> model::Result<Caller> {
        let address = "192.0.2.7".parse().unwrap();
        self.service.authenticate(presented, door, Some(address), RequestId::new(&self.random)).await
    }

    /// A signed-in caller.
    pub async fn caller(&self, name: &str) -> Caller {
        self.page(self.sign_in(name).await.secret.secret()).await.unwrap()
    }

    /// The actions in the trail, the newest first.
    pub async fn trail(&self) -> Vec<String> {
        let query = service::AuditQuery::default();
        let (events, _) = self
            .service
            .audit_events(&self.operator, service::Trail::Instance, query, None, 100)
            .await
            .unwrap();
        events.into_iter().map(|event| event.action).collect()
    }
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}
