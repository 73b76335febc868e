//! Files of the shapes that scanners write, and hostile ones.

use model::report::{AnnotationResult, AnnotationType, MOST_ANNOTATIONS, Severity};
use proptest::prelude::*;

use super::*;

const SEMGREP: &str = r#"{"$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
"version": "2.1.0", "runs": [{"invocations": [{"executionSuccessful": true}], "results": [
 {"fingerprints": {"matchBasedId/v1": "0af1_0"}, "locations": [{"physicalLocation": {"artifactLocation":
  {"uri": "app/views.py", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 12, "endLine": 12}}}],
  "message": {"text": "Untrusted input reaches eval()."}, "properties": {}, "ruleId": "python.lang.security.eval"},
 {"fingerprints": {"matchBasedId/v1": "0af1_1"}, "locations": [{"physicalLocation": {"artifactLocation":
  {"uri": "app/old.py", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 3}}}],
  "message": {"text": "Untrusted input reaches eval()."}, "ruleId": "python.lang.security.eval",
  "suppressions": [{"kind": "inSource"}]}],
"tool": {"driver": {"name": "Semgrep OSS", "semanticVersion": "1.99.0", "rules": [{"id": "python.lang.security.eval",
 "name": "python.lang.security.eval", "shortDescription": {"text": "Evaluates untrusted input"},
 "defaultConfiguration": {"level": "error"}, "helpUri": "https://semgrep.example.com/eval",
 "properties": {"precision": "very-high", "tags": ["CWE-95", "security"]}}]}}}]}"#;

const TRIVY: &str = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"fullName": "Trivy Vulnerability Scanner",
 "informationUri": "https://trivy.example.com", "name": "Trivy", "version": "0.58.0", "rules": [
 {"id": "CVE-2099-1", "name": "OsPackageVulnerability", "shortDescription": {"text": "libfoo: overflow"},
  "defaultConfiguration": {"level": "error"}, "helpUri": "https://avd.example.com/cve-2099-1",
  "properties": {"precision": "very-high", "security-severity": "9.8", "tags": ["vulnerability", "CRITICAL"]}},
 {"id": "CVE-2099-2", "shortDescription": {"text": "libbar: leak"}, "defaultConfiguration": {"level": "note"},
  "properties": {"security-severity": "2.1"}}]}},
 "results": [{"ruleId": "CVE-2099-2", "ruleIndex": 1, "level": "note", "message": {"text": "Package: libbar"},
  "locations": [{"physicalLocation": {"artifactLocation": {"uri": "Cargo.lock", "uriBaseId": "ROOTPATH"},
   "region": {"startLine": 40, "startColumn": 1}}, "message": {"text": "Cargo.lock: libbar@1"}}]},
  {"ruleId": "CVE-2099-1", "ruleIndex": 0, "level": "error", "message": {"text": "Package: libfoo\nFixed: 2"},
  "locations": [{"physicalLocation": {"artifactLocation": {"uri": "Cargo.lock", "uriBaseId": "ROOTPATH"},
   "region": {"startLine": 30}}}]}],
 "columnKind": "utf16CodeUnits", "originalUriBaseIds": {"ROOTPATH": {"uri": "file:///"}}}]}"#;

const SNYK: &str = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "SnykCode", "semanticVersion": "1.0.0",
 "rules": [{"id": "javascript/Sqli", "name": "Sqli", "shortDescription": {"text": "SQL injection"},
  "defaultConfiguration": {"level": "error"}, "properties": {"tags": ["javascript", "Security"], "cwe": ["CWE-89"]}}]}},
 "results": [{"ruleId": "javascript/Sqli", "ruleIndex": 0, "level": "warning", "message": {"text":
  "Unsanitized input flows into query.", "markdown": "Unsanitized {0}", "arguments": ["input"]},
  "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/db.js", "uriBaseId": "%SRCROOT%"},
   "region": {"startLine": 7, "endLine": 9}}}],
  "fingerprints": {"0": "f00d", "1": "beef"}, "codeFlows": [{"threadFlows": [{"locations": []}]}],
  "properties": {"priorityScore": 800, "isAutofixable": false}}],
 "properties": {"coverage": [{"files": 3, "isSupported": true}]}}]}"#;

const GITLEAKS: &str = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "gitleaks",
 "semanticVersion": "v8.0.0", "informationUri": "https://gitleaks.example.com", "rules": [{"id": "generic-api-key",
 "name": "Generic API Key", "shortDescription": {"text": "A generic API key"}}]}},
 "results": [{"message": {"text": "generic-api-key has detected secret for file conf/app.env."},
 "ruleId": "generic-api-key", "locations": [{"physicalLocation": {"artifactLocation":
 {"uri": "/opt/atlassian/pipelines/agent/build/conf/app.env"}, "region": {"startLine": 2, "snippet": {"text": "x"}}}}],
 "partialFingerprints": {"commitSha": "abc", "email": "ann@example.com"}, "properties": {"tags": ["secret"]}}]}]}"#;

fn one(text: &str) -> ToolReport {
    let reports = read(text.as_bytes()).unwrap();
    assert_eq!(reports.len(), 1);
    reports.into_iter().next().unwrap()
}

#[test]
fn what_semgrep_writes() {
    let report = one(SEMGREP);
    assert_eq!((report.tool.as_str(), report.version.as_deref()), ("Semgrep OSS", Some("1.99.0")));
    assert!(report.security);
    assert_eq!((report.open, report.ignored, report.left_out), ([0, 1, 0, 0], 1, 0));
    let first = &report.findings[0];
    assert_eq!(first.summary, "python.lang.security.eval: Evaluates untrusted input");
    assert_eq!(first.details, "Untrusted input reaches eval().");
    assert_eq!((first.path.as_deref(), first.line), (Some("app/views.py"), 12));
    assert_eq!((first.severity, first.result), (Severity::High, AnnotationResult::Failed));
    assert_eq!(first.annotation_type, AnnotationType::Vulnerability);
    assert_eq!(first.link.as_deref(), Some("https://semgrep.example.com/eval"));
    assert_eq!(report.findings[1].result, AnnotationResult::Ignored);
}

#[test]
fn what_trivy_writes() {
    let report = one(TRIVY);
    let found: Vec<_> =
        report.findings.iter().map(|one| (one.severity, one.line, one.path.as_deref())).collect();
    assert_eq!(
        found,
        [(Severity::Critical, 30, Some("Cargo.lock")), (Severity::Low, 40, Some("Cargo.lock"))]
    );
    assert_eq!(report.open, [1, 0, 0, 1]);
    assert_eq!(report.link.as_deref(), Some("https://trivy.example.com"));
    assert_eq!(report.findings[0].details, "Package: libfoo\nFixed: 2");
}

#[test]
fn what_snyk_writes() {
    let report = one(SNYK);
    let first = &report.findings[0];
    assert_eq!((first.severity, first.annotation_type), (Severity::Medium, AnnotationType::Vulnerability));
    assert_eq!(first.summary, "javascript/Sqli: SQL injection");
}

#[test]
fn what_gitleaks_writes() {
    let first = &one(GITLEAKS).findings[0];
    assert_eq!((first.path.as_deref(), first.line), (Some("conf/app.env"), 2));
    assert_eq!((first.severity, first.annotation_type), (Severity::Medium, AnnotationType::Vulnerability));
}

/// Would catch: a finding that is a new one in each commit because lines above it came or went.
#[test]
fn a_finding_keeps_its_name() {
    let name = |text: &str| one(text).findings[0].external_id.clone();
    assert_eq!(name(SEMGREP), name(&SEMGREP.replace("\"startLine\": 12", "\"startLine\": 99")));
    assert_ne!(name(SEMGREP), name(&SEMGREP.replace("0af1_0", "other")));
    assert_ne!(name(SEMGREP), name(&SEMGREP.replace("app/views.py", "app/other.py")));
    let twice = SEMGREP.replace("0af1_1", "0af1_0").replace("app/old.py", "app/views.py");
    let findings = one(&twice).findings;
    assert_eq!(findings[1].external_id, format!("{}-2", findings[0].external_id));
}

#[test]
fn suppressions_count_when_they_are_accepted() {
    for (status, result) in [
        ("accepted", AnnotationResult::Ignored),
        ("underReview", AnnotationResult::Failed),
        ("rejected", AnnotationResult::Failed),
    ] {
        let text = SEMGREP
            .replace("\"kind\": \"inSource\"", &format!("\"kind\": \"external\", \"status\": \"{status}\""));
        assert!(
            one(&text)
                .findings
                .iter()
                .any(|one| one.path.as_deref() == Some("app/old.py") && one.result == result)
        );
    }
}

#[test]
fn a_report_for_each_tool() {
    let run = |name: &str| {
        format!(
            r#"{{"results": [{{"message": {{"text": "m"}}}}], "tool": {{"driver": {{"name": "{name}"}}}}}}"#
        )
    };
    let text = format!(r#"{{"version": "2.1.0", "runs": [{}, {}, {}]}}"#, run("A"), run("b"), run("a"));
    let reports = read(text.as_bytes()).unwrap();
    let told: Vec<_> = reports.iter().map(|one| (one.tool.as_str(), one.findings.len())).collect();
    assert_eq!(told, [("A", 2), ("b", 1)]);
    let many = format!(r#"{{"version": "2.1.0", "runs": [{}]}}"#, vec![run("a"); MOST_RUNS + 1].join(","));
    assert_eq!(read(many.as_bytes()), Err(SarifError::TooManyRuns));
}

#[test]
fn what_is_no_sarif_is_refused_with_a_reason() {
    let refused = |text: &str| read(text.as_bytes()).unwrap_err();
    assert!(matches!(refused("nonsense"), SarifError::Malformed(_)));
    assert!(matches!(refused("7"), SarifError::Malformed(_)));
    // Its runs would be read, were it not for the version.
    assert_eq!(refused("[]"), SarifError::Version);
    assert!(matches!(refused(r#"{"version": "2.1.0", "runs": [{"results": 1}]}"#), SarifError::Nameless(0)));
    assert_eq!(refused(r#"{"version": "2.0.0", "runs": []}"#), SarifError::Version);
    assert_eq!(refused("{}"), SarifError::Version);
    assert_eq!(refused(r#"{"version": "2.1.0"}"#), SarifError::NoRuns);
    let told = refused(&SEMGREP.replace("\"startLine\": 12", "\"startLine\": \"12\""));
    assert!(told.to_string().contains("expected i64"), "{told}");
    let long = format!(r#"{{"version": "2.1.0", "runs": "{}"}}"#, "x".repeat(10_000));
    assert!(refused(&long).to_string().len() < 1_000);
    assert_eq!(read(&vec![b' '; LONGEST + 1]), Err(SarifError::TooLarge));
}

/// Attack: exhaust the stack by nesting, or the memory by millions of results, of rules, of runs.
#[test]
fn hostile_files_cost_no_more_than_their_length() {
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let text =
        SNYK.replace("\"columnKind\"", "\"x\"").replace("[{\"files\": 3, \"isSupported\": true}]", &deep);
    assert_eq!(one(&text).findings.len(), 1);
    let head = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "a"}}, "results": ["#;
    let mut results = vec![r#"{"level":"note"}"#; 300_000];
    results.extend(vec![r#"{"level":"error"}"#; 10]);
    let report = one(&format!("{head}{}]}}]}}", results.join(",")));
    assert_eq!((report.findings.len(), report.left_out), (MOST_ANNOTATIONS, 300_010 - 1_000));
    assert_eq!(report.open, [0, 10, 0, 300_000]);
    let severities: Vec<_> = report.findings.iter().map(|one| one.severity).collect();
    assert!(severities[..10].iter().all(|one| *one == Severity::High) && severities.is_sorted());
    let rules = vec!["{}"; 1_000_000].join(",");
    let text = format!(
        r#"{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {{"name": "a", "rules": [{rules}]}}}}}}]}}"#
    );
    assert_eq!(one(&text).findings.len(), 0);
    let runs = vec!["{}"; 1_000_000].join(",");
    assert_eq!(
        read(format!(r#"{{"version": "2.1.0", "runs": [{runs}]}}"#).as_bytes()),
        Err(SarifError::TooManyRuns)
    );
}

/// Would catch: suppressed findings that take the places of open ones.
#[test]
fn open_findings_come_before_suppressed_ones() {
    let head = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "a"}}, "results": ["#;
    let mut results = vec![r#"{"level":"error","suppressions":[{}]}"#; 2_000];
    results.push(r#"{"level":"note"}"#);
    let report = one(&format!("{head}{}]}}]}}", results.join(",")));
    assert_eq!(report.findings[0].severity, Severity::Low);
    assert_eq!((report.ignored, report.open, report.left_out), (2_000, [0, 0, 0, 1], 1_001));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn what_is_told_is_fit_for_a_page(uri in "\\PC{0,40}", text in "(?s).{0,600}", line in any::<i64>()) {
        let file = serde_json::json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "a"}}, "results": [
            {"ruleId": text, "message": {"text": text}, "locations": [{"physicalLocation": {"artifactLocation":
            {"uri": uri}, "region": {"startLine": line}}}]}]}]});
        for finding in &one(&file.to_string()).findings {
            prop_assert!(finding.line >= 0);
            prop_assert!(!finding.summary.is_empty() && finding.summary.chars().count() <= 450);
            prop_assert!(!finding.details.contains('\0') && finding.details.chars().count() <= 2_000);
            if let Some(path) = &finding.path {
                prop_assert_eq!(&model::report::normal_path(path), &Some(path.clone()));
            }
        }
    }
}

/// Would catch: a secret that stays because JSON writes it otherwise, a name or a word of the format that is taken for one.
#[test]
fn texts_are_changed_wherever_they_stand() {
    let file = r#"{"secret": "a s\u0065cret", "level": "warning", "list": ["x", "two\nsecret\"s", "\u0000secret"], "n": 1.5}"#;
    let changed =
        change_texts(file.as_bytes(), |text| text.replace("secret", "$\"S").replace("warning", "?")).unwrap();
    let expected =
        r#"{"secret": "a $\"S", "level": "warning", "list": ["x", "two\n$\"S\"s", "\u0000$\"S"], "n": 1.5}"#;
    assert_eq!(String::from_utf8(changed).unwrap(), expected);
    for file in [SEMGREP, TRIVY, SNYK, GITLEAKS] {
        let same = change_texts(file.as_bytes(), str::to_owned).unwrap();
        assert_eq!(read(&same).unwrap(), read(file.as_bytes()).unwrap());
    }
    for broken in [r#"{"a": "never ending"#, r#"["\"#, r#"["\ud800 x"]"#] {
        assert!(change_texts(broken.as_bytes(), str::to_owned).is_err(), "{broken}");
    }
    assert!(change_texts(br#"["one text"]"#, |_| "two\0texts".to_owned()).is_err());
    assert!(change_texts(br#"["one text", "two texts"]"#, |_| "one".to_owned()).is_err());
}
