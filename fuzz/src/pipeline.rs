//! Targets over `pipeline`: a configuration that anyone who can push may write, what a step prints, and what a scanner
//! found.

use pipeline::{Colour, DynamicRules, Event, Masker, check, form as forms};

/// Configurations with most of the keys.
pub const FILES: &[&str] = &[
    "image: a:1\npipelines:\n  default:\n    - step: &s\n        script: [make]\n  branches:\n    '{a,b}/*':\n      - step: *s\n",
    "pipelines:\n  custom:\n    x:\n      - variables: [{name: A, default: b, allowed-values: [b]}]\n      - step: {<<: {script: [a]}, oidc: true}\n",
    "definitions:\n  services: {d: {image: p, memory: 512}}\n  caches: {c: {path: p, key: {files: ['*']}}}\npipelines:\n  tags:\n    v*:\n      - parallel: {fail-fast: true, steps: [step: {services: [d], caches: [c], script: [{pipe: 'a/b:1'}]}]}\n",
    "triggers:\n  repository-push:\n    - condition: glob(BITBUCKET_BRANCH, \"a*\") && !(x < 1)\n      pipelines: [x]\npipelines:\n  custom: {x: [step: {script: [|-\n a]}]}\n",
    "pipelines:\n  pull-requests:\n    '**':\n      destinations: {main: [stage: {deployment: Test, steps: [step: {script: ['a']}]}]}\n",
];

/// Secrets, a line break, and what is printed.
pub const OUTPUTS: &[&str] =
    &["secret\nmy secret is c2VjcmV0, and sec\nret", "aaaa\naaaaaaaaa", "a\"b/c d\n%22 a%22b%2Fc+d"];

/// A file is planned, or refused with a reason, and all of it can be shown.
pub fn file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let checked = check("fuzz.yml", text);
    let _ = checked.render(Colour::On);
    let Some(configuration) = checked.configuration else {
        assert!(!checked.diagnostics.is_empty(), "refused without a reason");
        return;
    };
    for event in [
        Event::Branch { branch: "a/b".to_owned() },
        Event::Tag { tag: "v1".to_owned() },
        Event::PullRequest { id: 1, source: "a".to_owned(), destination: "main".to_owned() },
    ] {
        let plan = configuration.plan(&event).expect("a push is always planned");
        let _ = plan.render(Colour::Off);
        for step in plan.pipelines.iter().flat_map(|pipeline| &pipeline.steps) {
            assert!(step.script.is_empty() == step.child.is_some(), "a step that does nothing");
        }
    }
}

/// Rules over what runs.
pub const RULES: &[&str] = &[
    "require:\n  steps:\n    - first: {name: a, image: b, script: [c]}\n  images: ['a/**']\n  labels: [linux]\n",
    "forbid: {images: [evil], labels: ['*.shell'], pipes: [a/*]}",
];

/// A configuration as JSON is written as YAML that is the same JSON again.
pub fn form(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(form) = forms::of_text(text) else { return };
    let Ok(written) = forms::to_yaml(&form) else { return };
    assert_eq!(forms::of_text(&written), Some(form), "{written}");
}

/// Rules are read, or refused with a reason.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(why) = DynamicRules::parse(text) {
        assert!(!why.is_empty(), "refused without a reason");
    }
}

/// However the output is cut, the same is shown, and the secret is not.
pub fn mask(data: &[u8]) {
    let secret = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let output = data.get(secret.len()..).unwrap_or_default();
    let shown = |size: usize| {
        let mut masker = Masker::new([("S", secret)]).expect("a secret of bounded size");
        let mut shown = Vec::new();
        output.chunks(size).for_each(|piece| masker.push(piece, &mut shown));
        masker.finish(&mut shown);
        shown
    };
    if secret.len() > pipeline::bounds::SECRETS {
        return;
    }
    let whole = shown(usize::MAX);
    assert_eq!(whole, shown(1));
    assert_eq!(whole, shown(7));
    // What stands beside a mask may make up a secret anew, if it has letters of the mask.
    let plain = !secret.iter().any(|byte| matches!(byte, b'$' | b'S' | b'\r'));
    if plain && secret.len() >= pipeline::mask::SHORTEST {
        assert!(!whole.windows(secret.len()).any(|part| part == secret), "the secret is shown");
    }
}

/// Files of scanners with most of what is read.
pub const SARIF: &[&str] = &[
    r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"a","version":"1","informationUri":"https://a","rules":[{"id":"r","shortDescription":{"text":"s"},"helpUri":"https://h","defaultConfiguration":{"level":"error"},"properties":{"security-severity":"9.8","tags":["security"]}}]}},"originalUriBaseIds":{"B":{"uri":"file:///opt/atlassian/pipelines/agent/build/"}},"results":[{"ruleId":"r/1","ruleIndex":0,"level":"note","kind":"fail","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"./a%20b/../c","uriBaseId":"B"},"region":{"startLine":1}}}],"suppressions":[{"status":"accepted"}],"fingerprints":{"x":"y"}}]}]}"#,
    r#"{"runs":[{"results":[{"rule":{"id":"q"},"partialFingerprints":{"a":"b"},"baselineState":"absent"},{"properties":{"security-severity":7.0}}],"tool":{"driver":{"name":"b"},"extensions":[{"name":"e","rules":[{"id":"q"}]}]}}],"version":"2.1.0"}"#,
];

/// What is told of a file is bounded, and its paths stay in the repository.
pub fn sarif(data: &[u8]) {
    let Ok(reports) = pipeline::sarif::read(data) else { return };
    assert!(!reports.is_empty(), "a file that says nothing");
    if let Ok(same) = pipeline::sarif::change_texts(data, str::to_owned) {
        assert_eq!(pipeline::sarif::read(&same).ok().as_ref(), Some(&reports), "another file");
    }
    for report in reports {
        let open = report.findings.iter().filter(|one| one.result.as_str() == "FAILED").count();
        let open = u64::try_from(open).unwrap_or(u64::MAX);
        assert!(open <= report.open.iter().sum(), "more findings than were counted");
        assert!(report.findings.len() <= model::report::MOST_ANNOTATIONS, "too many findings");
        for finding in report.findings {
            assert!(finding.line >= 0 && !finding.summary.is_empty(), "a finding that says nothing");
            if let Some(path) = finding.path {
                assert_eq!(model::report::normal_path(&path).as_deref(), Some(path.as_str()));
            }
        }
    }
}

/// Files of test tools with most of what is read.
pub const TEST_REPORTS: &[&str] = &[
    r#"<?xml version="1.0"?><testsuites><testsuite name="a" tests="3"><properties><property name="b" value="c"/></properties><testcase classname="C" name="one &amp; &#x41;" time="1,000.25"/><testcase name="two"><failure message="m&#10;n" type="T">at <![CDATA[<x>]]>&lt;</failure><system-out>o</system-out></testcase><testcase name="three"><skipped/></testcase></testsuite></testsuites>"#,
    r#"<testsuite><testsuite name="inner"><testcase name="x" time="0.5"><error type="E"/><error/><system-err>e</system-err></testcase></testsuite></testsuite>"#,
];

/// What is told keeps to its bounds, whatever is put in the place of secrets, and comes back from JSON as it was.
pub fn test_report(data: &[u8]) {
    let mut reader = pipeline::test_report::TestReader::default();
    let read = reader.read(data, &mut |text| text.replace('a', "$LONGER")).is_ok();
    let Some(report) = reader.finish() else { return };
    assert!(read && report.is_bounded(), "a report out of bounds");
    let text = serde_json::to_vec(&report).expect("a report is JSON");
    assert!(text.len() <= pipeline::test_report::LARGEST_REPORT, "a report that is too large");
    assert_eq!(serde_json::from_slice::<pipeline::test_report::TestReport>(&text).ok(), Some(report));
}
