#![cfg(test)]
//! Findings that fail a run: what the rule of a workspace says of a commit, who is told, and what Bastide says of builds.

use model::report::{AnnotationResult, AnnotationType, Severity};
use model::{
    Annotation, AnnotationId, BuildState, ForkPolicy, ObjectId, Permission, Report, ReportId,
    RepositoryPermission, Resource, Subject, User, act,
};
use store::repository::Located;
use testkit::MailServer;

use super::tests::{House, house};
use crate::code_scanning::code_scanning_verdict;
use crate::commit_status::{OwnStatus, put_own};
use crate::{Caller, NewCodeScanning, NewProject, NewRepository};

fn commit() -> ObjectId {
    "a".repeat(40).parse().unwrap()
}

/// `olga` owns the workspace `acme` with the repository `one`.
struct Scan {
    house: House,
    server: MailServer,
    olga: Caller,
    at: Located,
}

impl Scan {
    async fn new() -> Self {
        let server = MailServer::start();
        let house = house(Some(server.url())).await;
        let olga = House::caller(&house.user("olga").await);
        let service = &house.service;
        service.create_workspace(&olga, "acme".parse().unwrap(), "Acme".parse().unwrap()).await.unwrap();
        let project = NewProject {
            key: "CORE".parse().unwrap(),
            name: None,
            description: String::new(),
            private: true,
        };
        service.create_project(&olga, "acme", project).await.unwrap();
        let new = NewRepository {
            slug: "one".parse().unwrap(),
            name: None,
            project: None,
            description: String::new(),
            private: true,
            fork_policy: ForkPolicy::NoPublicForks,
            language: String::new(),
            has_issues: false,
            has_wiki: false,
            default_branch: None,
        };
        let at = service.create_repository(&olga, "acme", new).await.unwrap();
        house.work().await;
        Self { house, server, olga, at }
    }

    async fn grant(&self, user: &User, level: RepositoryPermission) {
        let permit = testkit::permit::<act::GrantSet>(&self.house.service.store);
        let (at, subject) = (self.at.clone(), Subject::User(user.id));
        let write = move |writer: &mut store::Writer<'_>| {
            let (resource, now) = (Resource::Repository(at.repository.id), writer.now());
            store::grant::set(writer, resource, at.workspace.id, subject, Permission::Repository(level), now)
        };
        self.house.service.store.write(&permit, write).await.unwrap();
    }

    /// A report of a tool with one annotation.
    async fn found(&self, tool: &str, severity: Severity, result: Option<AnnotationResult>) {
        let store = &self.house.service.store;
        let permit = testkit::permit::<act::ReportSet>(store);
        let now = self.house.clock.now();
        let report = Report {
            id: ReportId::new(store.random()),
            repository: self.at.repository.id,
            commit: commit(),
            external_id: tool.to_owned(),
            title: format!("Scan by {tool}\r\nBcc: x@y.z"),
            details: None,
            reporter: None,
            tool: Some(tool.to_lowercase()),
            link: None,
            remote_link_enabled: false,
            logo_url: None,
            report_type: None,
            result: None,
            data: Vec::new(),
            setter: "user:{x}".to_owned(),
            created_on: now,
            updated_on: now,
        };
        let annotation = Annotation {
            id: AnnotationId::new(store.random()),
            report: report.id,
            external_id: "1".to_owned(),
            annotation_type: AnnotationType::Vulnerability,
            summary: "the secret finding".to_owned(),
            details: None,
            path: None,
            line: 0,
            severity: Some(severity),
            result,
            link: None,
            created_on: now,
            updated_on: now,
        };
        let write = move |writer: &mut store::Writer<'_>| {
            store::report::insert(writer, &report)?;
            store::report::put_annotation(writer, &annotation).map(drop)
        };
        store.write(&permit, write).await.unwrap();
    }

    async fn rule(&self, fail_at: &str, tools: &[&str]) {
        let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
        let new = NewCodeScanning { fail_at: fail_at.to_owned(), tools };
        self.house.service.set_code_scanning(&self.olga, "acme", new).await.unwrap();
    }

    async fn verdict(&self) -> Option<String> {
        let (workspace, repository) = (self.at.workspace.id, self.at.repository.id);
        let read = self
            .house
            .service
            .store
            .read(move |reader| code_scanning_verdict(reader, workspace, repository, &commit()));
        read.await.unwrap()
    }
}

/// Would catch: a rule that counts what somebody has decided to let be, what is lighter than it says, or other tools.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_fails_what_is_grave_enough_and_open() {
    let scan = Scan::new().await;
    scan.found("Trivy", Severity::High, None).await;
    scan.found("Semgrep", Severity::Medium, Some(AnnotationResult::Failed)).await;
    scan.found("Other", Severity::Critical, Some(AnnotationResult::Ignored)).await;
    assert_eq!(scan.verdict().await, None, "without a rule nothing fails");
    scan.rule("critical", &[]).await;
    assert_eq!(scan.verdict().await, None);
    scan.rule("high", &[]).await;
    let told = scan.verdict().await.unwrap();
    assert!(
        told.starts_with("open findings (1 high) in Scan by Trivy") && told.ends_with("high or graver"),
        "{told}"
    );
    scan.rule("low", &[]).await;
    assert!(scan.verdict().await.unwrap().starts_with("open findings (1 high, 1 medium) in Scan by Semgrep"));
    scan.rule("high", &["SEMGREP"]).await;
    assert_eq!(scan.verdict().await, None);
    scan.rule("medium", &["SEMGREP"]).await;
    assert!(scan.verdict().await.unwrap().contains("(1 medium)"));
    scan.rule("none", &[]).await;
    assert_eq!(scan.verdict().await, None);
}

/// Would catch: mail to those who cannot see the repository, to all who can, twice to one, or with the findings in it.
#[tokio::test(flavor = "multi_thread")]
async fn who_started_the_run_and_administrators_are_told() {
    let scan = Scan::new().await;
    let (house, server) = (&scan.house, &scan.server);
    let (ann, ben, eve) = (house.user("ann").await, house.user("ben").await, house.user("eve").await);
    let cleo = house.user("cleo").await;
    scan.grant(&ann, RepositoryPermission::Admin).await;
    scan.grant(&ben, RepositoryPermission::Write).await;
    scan.grant(&cleo, RepositoryPermission::Write).await;
    house.work().await;
    scan.found("Trivy", Severity::High, None).await;
    scan.rule("high", &[]).await;
    let verdict = scan.verdict().await.unwrap();
    let before = server.messages().len();
    let told = async |starter: &User| {
        let permit = testkit::permit::<act::ReportSet>(&house.service.store);
        let (service, at, starter, verdict) =
            (house.service.clone(), scan.at.clone(), Some(starter.id), verdict.clone());
        let write = move |writer: &mut store::Writer<'_>| {
            service.notify_findings(writer, &at, (7, &commit()), starter, &verdict)
        };
        house.service.store.write(&permit, write).await.unwrap();
        house.work().await;
        house.clock.advance(1);
    };
    told(&ben).await;
    let messages: Vec<String> = server.messages().split_off(before);
    let mut to: Vec<&str> = messages.iter().map(|text| text.split_once("To: ").unwrap().1).collect();
    to.sort_unstable();
    assert_eq!(to.len(), 3, "{messages:#?}");
    for (to, wanted) in to.iter().zip(["ann@", "ben@", "olga@"]) {
        assert!(to.starts_with(wanted), "{to}");
    }
    for text in &messages {
        assert!(!text.contains("secret finding") && !text.contains("\nBcc:"), "{text}");
        assert!(text.contains("acme/one/commits/aaaa") && text.contains("acme/one/pipelines/7\n"), "{text}");
    }
    // Who cannot see the repository any more is not told, and an administrator who started it is told once.
    let before = server.messages().len();
    told(&eve).await;
    told(&ann).await;
    assert_eq!(server.messages().len() - before, 4);
}

/// Would catch: a status of Bastide's own that others take for theirs, or that is kept twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_bastide_says_is_told_anew_under_its_own_key() {
    let scan = Scan::new().await;
    let (store, repository) = (&scan.house.service.store, scan.at.repository.id);
    for state in [BuildState::InProgress, BuildState::Failed] {
        let permit = testkit::permit::<act::CommitStatusSet>(store);
        let own = OwnStatus {
            key: "default".to_owned(),
            state,
            name: None,
            description: None,
            url: None,
            refname: Some("main".to_owned()),
        };
        store
            .write(&permit, move |writer| put_own(writer, repository, &commit(), own.clone()))
            .await
            .unwrap();
    }
    let found = store.read(move |reader| {
        store::commit_status::list(
            reader,
            repository,
            &commit(),
            &store::commit_status::Filter::default(),
            (9, 0),
        )
    });
    let (found, size) = found.await.unwrap();
    assert_eq!(
        (size, found[0].key.as_str(), found[0].setter.as_str()),
        (1, "bastide-pipelines/default", "bastide")
    );
    assert_eq!(found[0].state, BuildState::Failed);
}
