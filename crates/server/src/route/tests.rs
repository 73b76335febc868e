//! What must hold of every row.

use std::collections::BTreeSet;

use model::{ScopeSet, Vocabulary};

use super::*;

fn router() -> Router {
    Router::new(ROUTES).unwrap()
}

/// A row's path with its parameters filled by `fill`.
fn filled(route: &Route, fill: impl Fn(&str) -> String) -> String {
    let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => fill(name.trim_start_matches('*')),
        None => part.to_owned(),
    };
    route.path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn reach(method: Method, path: &str) -> Result<Reached, Unmatched> {
    router().reach(Some(method), path)
}

/// Would catch a row that another one hides.
#[test]
fn every_row_is_reached_by_its_own_path() {
    let router = router();
    for route in ROUTES {
        for tail in ["", "/"] {
            let path = filled(route, |name| format!("%7Ba-{name}%2Fb%7D")) + tail;
            let reached = router.reach(Some(route.method), &path).unwrap_or_else(|e| panic!("{path}: {e:?}"));
            assert_eq!(reached.route.operation, route.operation, "{path}");
            for (name, value) in reached.params.iter() {
                assert_eq!(value, format!("{{a-{name}/b}}"), "{path}");
            }
        }
    }
}

#[test]
fn an_anchor_finds_its_parameters_and_is_what_the_action_is_done_to() {
    for route in ROUTES {
        let named = |name: &str| route.path.contains(&format!("{{{name}}}"));
        assert!(route.on.parameters().iter().all(|name| named(name)), "{}", route.operation);
        if let Anchor::User(name) = route.on {
            assert!(named(name), "{}", route.operation);
        }
        if let (Some(kind), false) = (route.on.kind(), route.visibility == Visibility::Public) {
            assert!(route.action.resources().contains(&kind), "{}", route.operation);
        }
    }
}

/// Would catch a write that any credential may make.
#[test]
fn what_writes_requires_a_scope_in_both_columns() {
    // A session, which is all that a page takes, holds every scope.
    // Runners hold no scopes: what they may do is theirs alone.
    for (route, required) in router().routes().filter(|(route, _)| !route.is_page() && !route.is_runners()) {
        let open = route.visibility == Visibility::Public || route.credentials == Credentials::NONE;
        if route.writes() && !open {
            assert!(!required.classic.is_empty() && !required.flat.is_empty(), "{}", route.operation);
        }
        if route.visibility == Visibility::Public {
            assert!(required.classic.is_empty() && required.flat.is_empty(), "{}", route.operation);
            assert!(!route.audited, "{}", route.operation);
        } else {
            assert!(!required.flat.is_empty(), "{}", route.operation);
        }
    }
}

/// Calls of `/api` that say the same as one of the published interface, and so have its scopes.
const MADE_BY_PROGRAMS: &[&str] = &[
    "api_list_step_artifacts",
    "api_get_step_artifact",
    "api_upload_sarif",
    "api_rerun_pipeline",
    "api_start_pipeline_step",
    "api_get_pipeline_cache_content",
    "api_get_repository_dynamic_pipelines",
    "api_set_repository_dynamic_pipelines",
    "api_list_pipeline_definitions",
];

/// Would catch a scope in the wrong column, which no credential could ever meet, or which would bind nobody.
#[test]
fn each_column_speaks_its_vocabulary() {
    let only = |set: ScopeSet, vocabulary| set.iter().all(|scope| scope.vocabulary() == vocabulary);
    for (route, required) in router().routes() {
        if route.is_page() {
            assert!(required.classic.is_empty() && required.flat.is_empty(), "{}", route.operation);
        } else if MADE_BY_PROGRAMS.contains(&route.operation) {
            assert!(only(required.classic, Vocabulary::Classic), "{}", route.operation);
            assert!(only(required.flat, Vocabulary::Flat), "{}", route.operation);
        } else if route.is_api() || route.path.starts_with("/tlog/") {
            assert_eq!(required.classic, required.flat, "{}", route.operation);
            assert!(only(required.classic, Vocabulary::Api), "{}", route.operation);
            assert!(
                !route.credentials.admits(model::CredentialKind::RepositoryAccessToken)
                    || required.flat.is_empty()
            );
        } else {
            assert!(only(required.classic, Vocabulary::Classic), "{}", route.operation);
            assert!(only(required.flat, Vocabulary::Flat), "{}", route.operation);
        }
    }
}

#[test]
fn what_changes_something_leaves_an_event() {
    for route in ROUTES.iter().filter(|route| route.action.writes()) {
        assert!(route.audited || route.method == Method::Get, "{}", route.operation);
    }
    let reads_by_post: BTreeSet<_> = ROUTES
        .iter()
        .filter(|route| route.method != Method::Get && !route.audited)
        .map(|route| route.operation)
        .collect();
    // Those of strangers are reads of nobody's account; what they then do, as whoever they have proved to be, is written
    // with permits, and so with events, of its own.
    let known = [
        "api_get_workspace_guardrails_effect",
        "api_get_guardrails_effect",
        "git_upload_pack",
        "list_commits_by_form",
        "list_commits_of_revision_by_form",
        "page_set_theme",
        "page_create_session",
        "page_give_second_step",
        "page_go_on_after_step_up",
        "page_ask_for_passkey",
        "page_take_passkey",
        "page_ask_password_reset",
        "page_set_password_by_link",
        "page_verify_email_by_link",
        // What a runner is let in by is made by a code that proves itself; leases, logs, files and reports of tests are kept without an event.
        "runner_register",
        "runner_heartbeat",
        "runner_log",
        "runner_put_artifact",
        "runner_put_cache",
        "runner_put_test_report",
    ];
    assert_eq!(reads_by_post, BTreeSet::from(known));
}

#[test]
fn operation_ids_are_snake_case_and_the_tables_size_is_known() {
    for route in ROUTES {
        let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
        assert!(route.operation.chars().all(plain), "{}", route.operation);
        assert_eq!(route.is_api(), route.operation.starts_with("api_"), "{}", route.operation);
        assert_eq!(route.is_page(), route.operation.starts_with("page_"), "{}", route.operation);
    }
    assert_eq!(ROUTES.iter().filter(|route| route.path.starts_with("/2.0/")).count(), 331);
}

#[test]
fn rows_that_cannot_be_told_apart_are_refused() {
    static TWICE: &[Route] = &[get("/a/{b}", "one", "t"), get("/a/{c}", "two", "t")];
    static SAME_NAME: &[Route] = &[get("/a", "one", "t"), get("/b", "one", "t")];
    static MISSPELLED: &[Route] = &[get("/a", "one", "t").scopes("repositry", "")];
    assert!(matches!(Router::new(TWICE), Err(TableError::Conflict { operation: "two", .. })));
    assert!(matches!(Router::new(SAME_NAME), Err(TableError::Twice("one"))));
    assert!(matches!(Router::new(MISSPELLED), Err(TableError::Scope("one"))));
}

#[test]
fn a_path_with_another_method_tells_which_it_takes() {
    let path = "/2.0/repositories/acme/one";
    let all = Unmatched::Method(Method::ALL.to_vec());
    assert_eq!(router().reach(None, path).unwrap_err(), all);
    let gets = Unmatched::Method(vec![Method::Get]);
    assert_eq!(reach(Method::Delete, "/2.0/user/").unwrap_err(), gets);
    assert_eq!(reach(Method::Get, "/2.0/nowhere").unwrap_err(), Unmatched::Path);
}

/// Slashes raw and encoded, in the places where names may hold them, and only there.
#[test]
fn slashes_in_names() {
    let base = "/2.0/repositories/acme/one";
    for name in ["feature/x", "feature%2Fx"] {
        for place in ["refs/branches", "refs/tags", "diff", "diffstat", "patch", "commits", "merge-base"] {
            let reached = reach(Method::Get, &format!("{base}/{place}/{name}")).unwrap();
            assert_eq!(reached.params.iter().last().unwrap().1, "feature/x");
        }
    }
    let encoded = reach(Method::Get, &format!("{base}/src/feature%2Fx/a/b.txt")).unwrap();
    assert_eq!((encoded.params.get("commit"), encoded.params.get("path")), ("feature/x", "a/b.txt"));
    for root in ["src/main", "src/main/"] {
        let reached = reach(Method::Get, &format!("{base}/{root}")).unwrap();
        assert_eq!((reached.params.get("commit"), reached.params.get("path")), ("main", ""));
    }
    assert_eq!(reach(Method::Get, "/2.0/repositories/acme/x/y/z").unwrap_err(), Unmatched::Path);
    let one_segment = reach(Method::Get, "/2.0/repositories/acme%2Fone").unwrap();
    assert_eq!(one_segment.route.operation, "list_repositories");
}

/// Attack: a name that leads elsewhere once paths are joined.
#[test]
fn dot_segments_lead_nowhere() {
    for path in [
        "/2.0/repositories/acme/..",
        "/2.0/repositories/acme/%2e%2e",
        "/2.0/repositories/acme/one/src/main/../../x",
        "/2.0/repositories/acme/one/src/main/a%2F..%2Fb",
        "/2.0/../2.0/user",
        "/2.0/./user",
        "//2.0/user",
        "/2.0/repositories//one",
    ] {
        assert_eq!(reach(Method::Get, path).unwrap_err(), Unmatched::Path, "{path}");
    }
    for path in ["/2.0/repositories/acme/a%00b", "/2.0/repositories/acme/%ff", "/2.0/repositories/acme/%"] {
        assert_eq!(reach(Method::Get, path).unwrap_err(), Unmatched::Encoding, "{path}");
    }
    // Dots inside a name are no segments.
    assert!(reach(Method::Get, "/2.0/repositories/acme/one/diff/main..next").is_ok());
}

#[test]
fn git_and_the_interfaces_do_not_mix() {
    let git = reach(Method::Get, "/acme/one.git/info/refs").unwrap();
    assert_eq!((git.route.operation, git.params.get("repo_slug")), ("git_info_refs", "one.git"));
    assert!(git.route.is_git());
    for route in ROUTES.iter().filter(|route| !route.is_git() && !route.is_page()) {
        let head = route.path.split('/').nth(1).unwrap();
        assert!(["2.0", "1.0", "api", "tlog"].contains(&head), "{}", route.path);
    }
}

/// Would catch a page that a workspace's or a repository's name could hide, or that would hide one of them.
#[test]
fn names_cannot_be_pages() {
    for route in ROUTES.iter().filter(|route| route.is_page()) {
        let mut parts = route.path.split('/').skip(1);
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        assert!(first.starts_with('{') || first.parse::<model::WorkspaceSlug>().is_err(), "{}", route.path);
        let fixed = first == "{workspace}" && !second.is_empty() && !second.starts_with('{');
        assert!(!fixed || second.parse::<model::RepositorySlug>().is_err(), "{}", route.path);
    }
}

/// Would catch a page that takes a credential made for programs, which a browser must never be talked into sending.
#[test]
fn pages_take_sessions_alone_and_nothing_else_takes_a_session_but_what_stands_for_a_user() {
    for route in ROUTES {
        let programs = model::CredentialKind::ALL.iter().any(|kind| route.credentials.admits(*kind));
        assert!(!route.is_page() || (route.credentials.admits_session() && !programs), "{}", route.operation);
    }
}
