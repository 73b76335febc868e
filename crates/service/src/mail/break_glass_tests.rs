#![cfg(test)]
//! Break-glass: what it opens, to whom, for how long, and who is told.

use model::{Action, AuditEvent, BreakGlassId, Error, StaffRole, Timestamp};
use testkit::MailServer;

use super::link_tests::{nobody, operator};
use super::tests::{House, house};
use crate::{AuditQuery, Caller, NewBreakGlass, NewProject, Trail, UserChange, Window};

const HOUR: i64 = 3_600;
const ALL: Window = Window { limit: 100, offset: 0 };

fn asked(hours: i64) -> NewBreakGlass {
    NewBreakGlass {
        reason: "a support case of theirs\r\nBcc: x@y.z".replace('\r', ""),
        hours,
        username: None,
    }
}

/// `olga` owns the workspace `acme` with the private project `CORE`; `root` administers the instance.
struct Glass {
    house: House,
    server: MailServer,
    olga: Caller,
    root: Caller,
}

impl Glass {
    async fn new() -> Self {
        let server = MailServer::start();
        let house = house(Some(server.url())).await;
        let olga = House::caller(&house.user("olga").await);
        let root = Self::administrator(&house, "root").await;
        let service = &house.service;
        service.create_workspace(&olga, "acme".parse().unwrap(), "Acme".parse().unwrap()).await.unwrap();
        let new = NewProject {
            key: "CORE".parse().unwrap(),
            name: None,
            description: String::new(),
            private: true,
        };
        service.create_project(&olga, "acme", new).await.unwrap();
        Self { house, server, olga, root }
    }

    async fn administrator(house: &House, name: &str) -> Caller {
        house.user(name).await;
        let change = UserChange { staff_role: Some(StaffRole::Administrator), ..Default::default() };
        House::caller(&house.service.update_user(&operator(), name, change).await.unwrap())
    }

    async fn reads(&self, who: &Caller) -> bool {
        let read = self.house.service.project(who, "acme", "CORE").await;
        let listed = self.house.service.projects(who, "acme", None, None, ALL).await;
        let listed = listed.map_or(0, |(_, listed)| listed.values.len());
        assert_eq!(usize::from(read.is_ok()), listed, "the list says what the decision says");
        read.is_ok()
    }

    async fn ask(&self, who: &Caller, hours: i64) -> model::Result<model::BreakGlass> {
        self.house.service.request_break_glass(who, "acme", asked(hours)).await
    }

    async fn approve(&self, who: &Caller, id: BreakGlassId) -> model::Result<model::BreakGlass> {
        self.house.service.approve_break_glass(who, "acme", id).await
    }

    /// What olga was mailed about break-glass so far.
    async fn told(&self) -> Vec<String> {
        self.house.work().await;
        let messages = self.server.messages().into_iter();
        messages.filter(|text| text.contains("To: olga@") && text.contains("Break-glass")).collect()
    }

    async fn trail(&self) -> Vec<AuditEvent> {
        let (query, service) = (AuditQuery::default(), &self.house.service);
        service.audit_events(&self.olga, Trail::Workspace("acme"), query, None, 100).await.unwrap().0
    }
}

/// Attack: a staff role, or break-glass that nobody else has given, opens private content; or more than asked for.
#[tokio::test(flavor = "multi_thread")]
async fn break_glass_reads_once_it_is_given_and_until_it_ends() {
    let glass = Glass::new().await;
    let (root, service) = (&glass.root, &glass.house.service);
    let other = Glass::administrator(&glass.house, "other").await;
    let ben = House::caller(&glass.house.user("ben").await);
    assert!(!glass.reads(root).await, "staff opens nothing");
    assert!(glass.ask(&ben, 1).await.is_err(), "nobody but administrators of the instance asks");
    assert!(glass.ask(&glass.olga, 1).await.is_err());
    for hours in [0, -1, 13] {
        assert!(matches!(glass.ask(root, hours).await, Err(Error::Invalid { .. })));
    }
    let asked = glass.ask(root, 2).await.unwrap();
    assert!(glass.ask(root, 2).await.is_err(), "one at a time");
    assert!(!glass.reads(root).await, "asked for is not given");
    for (who, name) in [(root, "their own"), (&glass.olga, "an owner"), (&ben, "a stranger")] {
        assert!(glass.approve(who, asked.id).await.is_err(), "given by {name}");
    }
    glass.approve(&other, asked.id).await.unwrap();
    assert!(glass.approve(&other, asked.id).await.is_err(), "given once");
    assert!(glass.reads(root).await && !glass.reads(&other).await && !glass.reads(&ben).await);
    assert_eq!(service.workspace(root, "acme").await.unwrap().slug.as_str(), "acme");
    let new =
        NewProject { key: "MORE".parse().unwrap(), name: None, description: String::new(), private: true };
    assert!(service.create_project(root, "acme", new).await.is_err(), "nothing is changed");
    assert!(service.delete_project(root, "acme", "CORE").await.is_err());

    let why =
        service.explain(&glass.olga, "user:root", Action::ProjectRead, "project:acme/CORE").await.unwrap();
    assert_eq!(why.decision.policies(), ["break-glass-reads"]);
    assert!(why.path[0].starts_with("Break-glass is in force"), "{why:?}");
    let able = service.who_can(&glass.olga, Action::ProjectRead, "project:acme/CORE").await.unwrap();
    assert!(able.iter().any(|able| able.principal == "user:root"), "{able:?}");

    glass.house.clock.advance(2 * HOUR);
    assert!(!glass.reads(root).await, "it ends by itself");
    let told = glass.told().await;
    assert_eq!(told.len(), 2, "{told:#?}");
    for news in ["and 2 hours, was asked for, and waits for another", "was given by user:other"] {
        assert!(told.iter().any(|text| text.contains(news)), "{told:#?}");
    }
    assert!(
        told.iter().all(|text| text.contains("    > Bcc: x@y.z") && !text.contains("\nBcc:")),
        "{told:#?}"
    );
    let seen = service.workspace_break_glass(&glass.olga, "acme", ALL).await.unwrap().1.values;
    assert_eq!((seen.len(), seen[0].state(glass.house.clock.now())), (1, "expired"));
    assert!(service.break_glass(&glass.olga, ALL).await.is_err(), "an owner sees their own workspace's");
    assert!(service.workspace_break_glass(&ben, "acme", ALL).await.is_err());
    // The record is written beside the answer.
    service.background.close();
    service.background.wait().await;
    let trail = glass.trail().await;
    let done = |event: &&AuditEvent| event.outcome == model::Outcome::Done;
    let of = |action: &str| trail.iter().filter(done).filter(|event| event.action == action).count();
    assert_eq!((of("break-glass.request"), of("break-glass.approve")), (1, 1));
    let reads: Vec<_> = trail.iter().filter(|event| event.reasons == ["break-glass-reads"]).collect();
    assert!(
        reads.iter().any(|event| event.action == "project.read" && event.actor == "user:root"),
        "{trail:#?}"
    );
}

/// Attack: break-glass outlives who was to end it, or what it was given for.
#[tokio::test(flavor = "multi_thread")]
async fn break_glass_is_ended_by_an_owner_and_with_the_staff_role() {
    let glass = Glass::new().await;
    let (root, service) = (&glass.root, &glass.house.service);
    let alone = glass.ask(root, 1).await.unwrap();
    assert!(alone.approved_on.is_some() && alone.approved_by.is_none(), "there is nobody else");
    assert!(glass.reads(root).await);
    let ben = House::caller(&glass.house.user("ben").await);
    assert!(service.end_break_glass(&ben, "acme", alone.id).await.is_err());
    service.end_break_glass(&glass.olga, "acme", alone.id).await.unwrap();
    assert!(!glass.reads(root).await);
    assert!(service.end_break_glass(&glass.olga, "acme", alone.id).await.is_err(), "ended once");
    let told = glass.told().await;
    for news in ["and 1 hour, was asked for, and is in force at once", "was ended by user:olga"] {
        assert!(told.iter().any(|text| text.contains(news)), "{told:#?}");
    }

    let other = Glass::administrator(&glass.house, "other").await;
    let asked = glass.ask(root, 1).await.unwrap();
    glass.house.clock.advance(24 * HOUR);
    assert!(glass.approve(&other, asked.id).await.is_err(), "not waited for for ever");
    let asked = glass.ask(root, 1).await.unwrap();
    glass.approve(&other, asked.id).await.unwrap();
    assert!(glass.reads(root).await);
    let change = UserChange { staff_role: Some(StaffRole::Auditor), ..Default::default() };
    let demoted = service.update_user(&operator(), "root", change).await.unwrap();
    assert!(!glass.reads(&House::caller(&demoted)).await, "it goes with the staff role");
    // From the command line: in an administrator's name, and never given by it.
    let mut named = NewBreakGlass { username: Some("root".parse().unwrap()), ..self::asked(1) };
    assert!(service.request_break_glass(&operator(), "acme", named).await.is_err(), "no administrator");
    named = NewBreakGlass { username: Some("other".parse().unwrap()), ..self::asked(1) };
    let named = service.request_break_glass(&operator(), "acme", named).await.unwrap();
    assert!(named.approved_on.is_some(), "the only one left");
    assert!(glass.approve(&operator(), named.id).await.is_err());
    assert!(service.request_break_glass(&nobody(), "acme", self::asked(1)).await.is_err());
    assert!(named.expires_on > Timestamp::from_micros(0));
}
