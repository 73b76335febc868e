//! Reports and annotations: what is written is read back, found by either name, counted by severity, and goes at once.

use model::report::{
    AnnotationResult, AnnotationType, DataType, ReportData, ReportResult, ReportType, Severity,
};
use model::{
    Annotation, AnnotationId, CodeScanning, Error, ObjectId, Report, ReportId, RepositoryId, Timestamp,
    WorkspaceId, act,
};
use serde_json::json;
use store::report::OpenFindings;
use store::{Store, code_scanning, report};
use testkit::both_engines;

fn commit() -> ObjectId {
    "a".repeat(40).parse().unwrap()
}

fn sample(store: &Store, repository: RepositoryId, name: &str, now: Timestamp) -> Report {
    Report {
        id: ReportId::new(store.random()),
        repository,
        commit: commit(),
        external_id: name.to_owned(),
        title: "Scan".to_owned(),
        details: None,
        reporter: Some("Scanner 1".to_owned()),
        tool: Some("scanner".to_owned()),
        link: None,
        remote_link_enabled: true,
        logo_url: None,
        report_type: Some(ReportType::Security),
        result: Some(ReportResult::Failed),
        data: vec![
            ReportData { title: "Share".to_owned(), kind: DataType::Percentage, value: json!(99.5) },
            ReportData {
                title: "At".to_owned(),
                kind: DataType::Link,
                value: json!({ "text": "x", "href": "https://x" }),
            },
        ],
        setter: "user:{x}".to_owned(),
        created_on: now,
        updated_on: now,
    }
}

fn found(store: &Store, of: ReportId, name: &str, severity: Option<Severity>, now: Timestamp) -> Annotation {
    Annotation {
        id: AnnotationId::new(store.random()),
        report: of,
        external_id: name.to_owned(),
        annotation_type: AnnotationType::Vulnerability,
        summary: "Something".to_owned(),
        details: None,
        path: Some("src/a.rs".to_owned()),
        line: 3,
        severity,
        result: None,
        link: None,
        created_on: now,
        updated_on: now,
    }
}

both_engines! {
    async fn reports_are_read_back_and_found_by_either_name(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::ReportSet>(&store);
        let now = store.clock().now();
        let one = sample(&store, repository, "scan", now);
        // Attack: a report that is called like another's id.
        let two = sample(&store, repository, &one.id.braced(), now.plus_seconds(1));
        let both = [one.clone(), two.clone()];
        store
            .write(&permit, move |writer| both.iter().try_for_each(|one| report::insert(writer, one)))
            .await
            .unwrap();
        let find = async |name: String| {
            store.read(move |reader| report::find(reader, repository, &commit(), &name)).await.unwrap()
        };
        assert_eq!(find("scan".to_owned()).await, Some(one.clone()));
        assert_eq!(find(one.id.to_string()).await, Some(one.clone()));
        assert_eq!(find(one.id.braced()).await, Some(two.clone()), "a name comes before an id");
        assert_eq!(find("nothing".to_owned()).await, None);
        let listed = store.read(move |reader| {
            let part = report::list(reader, repository, &commit(), (1, 1))?;
            Ok((part, report::count(reader, repository, &commit())?))
        });
        assert_eq!(listed.await.unwrap(), (vec![two], 2));
        let again = Report { id: ReportId::new(store.random()), ..one.clone() };
        let refused = store.write(&permit, move |writer| report::insert(writer, &again)).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        let after = Report { title: "Other".to_owned(), result: None, data: Vec::new(), ..one.clone() };
        let changed = after.clone();
        store.write(&permit, move |writer| report::update(writer, &changed)).await.unwrap();
        assert_eq!(find("scan".to_owned()).await, Some(after));
    }
}

both_engines! {
    async fn annotations_are_ordered_overwritten_counted_and_removed(store) {
        let repository = RepositoryId::new(store.random());
        let permit = testkit::permit::<act::ReportSet>(&store);
        let now = store.clock().now();
        let of = sample(&store, repository, "scan", now);
        let id = of.id;
        let ignored = Annotation {
            result: Some(AnnotationResult::Ignored),
            ..found(&store, id, "ignored", Some(Severity::Critical), now)
        };
        let all = [
            ignored,
            found(&store, id, "none", None, now),
            found(&store, id, "low", Some(Severity::Low), now),
            found(&store, id, "critical", Some(Severity::Critical), now),
            Annotation { path: Some("src/0.rs".to_owned()), ..found(&store, id, "critical0", Some(Severity::Critical), now) },
        ];
        let first = all[2].clone();
        store
            .write(&permit, move |writer| {
                report::insert(writer, &of)?;
                all.iter().try_for_each(|one| report::put_annotation(writer, one).map(drop))
            })
            .await
            .unwrap();
        let names = async |part| {
            let read = store.read(move |reader| report::annotations(reader, id, part)).await.unwrap();
            read.into_iter().map(|one| one.external_id).collect::<Vec<_>>()
        };
        assert_eq!(names((10, 0)).await, ["critical0", "critical", "low", "none", "ignored"]);
        assert_eq!(names((1, 2)).await, ["low"]);
        let again = Annotation { summary: "Else".to_owned(), ..found(&store, id, "low", Some(Severity::High), now.plus_seconds(9)) };
        let wanted = Annotation {
            id: first.id,
            created_on: first.created_on,
            ..again.clone()
        };
        let written = store.write(&permit, move |writer| report::put_annotation(writer, &again)).await.unwrap();
        assert_eq!(written, wanted, "it keeps its id and when it was made");
        let counted = store.read(move |reader| report::open_findings(reader, repository, &commit())).await.unwrap();
        let open = |severity, count| OpenFindings {
            title: "Scan".to_owned(), tool: Some("scanner".to_owned()), severity, count,
        };
        assert_eq!(counted, [open(Severity::Critical, 2), open(Severity::High, 1)]);
        let one = store.read(move |reader| report::find_annotation(reader, id, &first.id.braced())).await.unwrap();
        store.write(&permit, move |writer| report::remove_annotation(writer, one.as_ref().unwrap())).await.unwrap();
        assert_eq!(names((10, 0)).await, ["critical0", "critical", "none", "ignored"]);
        store.write(&permit, move |writer| report::remove(writer, id)).await.unwrap();
        let left = store.read(move |reader| report::count_annotations(reader, id)).await.unwrap();
        assert_eq!(left, 0);
    }
}

both_engines! {
    async fn a_rule_is_read_back(store) {
        let workspace = WorkspaceId::new(store.random());
        let permit = testkit::permit::<act::CodeScanningConfigure>(&store);
        let of = async || store.read(move |reader| code_scanning::of(reader, workspace)).await.unwrap();
        assert_eq!(of().await, CodeScanning::default());
        for rule in [
            CodeScanning { fail_at: Some(Severity::High), tools: vec!["a b".to_owned(), "c".to_owned()] },
            CodeScanning { fail_at: None, tools: Vec::new() },
        ] {
            let set = rule.clone();
            store.write(&permit, move |writer| code_scanning::set(writer, workspace, &set)).await.unwrap();
            assert_eq!(of().await, rule);
        }
    }
}
