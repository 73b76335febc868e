#![cfg(test)]
//! A configuration as JSON and back, and rules over what it plans.
//!
//! Would catch: a file that means something else after it was written anew, an image that slips through in another
//! spelling, a required step that the file switches off.

use pipeline::dynamic_pipeline::RequiredSteps;
use pipeline::{Configuration, DynamicRules, Event, Plan, check, form};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(text: &str) -> Configuration {
    let checked = check("f.yml", text);
    checked.configuration.unwrap_or_else(|| panic!("{text}\n{:?}", checked.diagnostics))
}

fn main_branch() -> Event {
    Event::Branch { branch: "main".to_owned() }
}

/// A plan without the places in the file.
fn bare(plan: &Plan) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.shift_remove("source");
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(plan).unwrap();
    strip(&mut value);
    value
}

fn same(text: &str, event: &Event) {
    let original = read(text).plan(event).unwrap();
    let whole = form::of_text(text).unwrap();
    for form in [whole.clone(), form::narrowed(&whole, event, Some(&original))] {
        let written = form::to_yaml(&form).unwrap();
        assert_eq!(form::of_text(&written).as_ref(), Some(&form), "{written}");
        assert_eq!(bare(&read(&written).plan(event).unwrap()), bare(&original), "{written}");
    }
}

#[test]
fn a_file_that_was_written_anew_plans_the_same() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut planned = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        if let Some(configuration) = check("f.yml", &text).configuration
            && configuration.plan(&main_branch()).is_ok_and(|plan| !plan.pipelines.is_empty())
        {
            same(&text, &main_branch());
            planned += 1;
        }
    }
    assert!(planned >= 2, "{planned}");
}

#[test]
fn aliases_are_carried_out_and_other_pipelines_left_away() {
    let text = "x-step: &s\n  name: Build\n  script: [make]\ndefinitions:\n  steps: [step: &t {script: [a]}]\n\
        pipelines:\n  default:\n    - step: *s\n  branches:\n    main:\n      - step:\n          <<: *s\n          max-time: 5\n\
        \x20 custom:\n    other:\n      - step: *t\n";
    let plan = read(text).plan(&main_branch()).unwrap();
    let form = form::narrowed(&form::of_text(text).unwrap(), &main_branch(), Some(&plan));
    let step = json!({ "step": { "max-time": 5, "name": "Build", "script": ["make"] } });
    assert_eq!(form, json!({ "pipelines": { "branches": { "main": [step] } } }));
    same(text, &main_branch());
    let none = form::narrowed(&form::of_text(text).unwrap(), &main_branch(), None);
    assert_eq!(none, json!({ "pipelines": {} }));
}

#[test]
fn what_is_too_large_is_refused() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n";
    assert_eq!(form::of_text(bomb), None);
    let mut deep = json!("x");
    for _ in 0..60 {
        deep = json!([deep]);
    }
    assert!(form::to_yaml(&deep).is_err());
    assert!(
        form::to_yaml(&json!({ "a": "x".repeat(1_000_000), "b": "y".repeat(1_000_000), "c": 1 })).is_err()
    );
    assert!(form::to_yaml(&json!(vec![0; 200_000])).is_err());
}

fn judged(rules: &str, text: &str) -> Result<(), String> {
    let rules = DynamicRules::parse(rules).unwrap();
    let plan = read(text).plan(&main_branch()).unwrap();
    rules.judge(&plan.pipelines[0], "the workspace `acme`")
}

fn with_image(image: &str) -> String {
    format!("pipelines:\n  default:\n    - step: {{name: Build, image: '{image}', script: [make]}}\n")
}

/// Attack: a forbidden image by another of its names.
#[test]
fn an_image_is_known_by_every_name() {
    for image in [
        "alpine",
        "alpine:3.20",
        "library/alpine",
        "docker.io/library/alpine:3",
        "index.docker.io/library/alpine",
        "registry-1.docker.io/library/alpine@sha256:00",
        "alpine:3@sha256:00",
        "docker.io/alpine",
        "Registry-1.Docker.io/library/alpine",
        "docker.io:443/library/alpine:3",
        "Index.docker.io:0443/alpine",
    ] {
        let told = judged("forbid: {images: [alpine]}", &with_image(image)).unwrap_err();
        assert!(told.starts_with("step 1 `Build` runs the image"), "{told}");
        assert!(told.contains("the workspace `acme`") && told.contains("`alpine`"), "{told}");
        assert_eq!(judged("require: {images: [alpine]}", &with_image(image)), Ok(()), "{image}");
    }
    for rule in ["ghcr.io/evil/**", "GHCR.io/evil/**", "ghcr.io:443/evil/**"] {
        let rules = format!("forbid: {{images: ['{rule}']}}");
        for image in
            ["ghcr.io:443/evil/x", "GHCR.io/evil/x:1", "Ghcr.IO:443/evil/x@sha256:00", "ghcr.io/evil/x"]
        {
            assert!(judged(&rules, &with_image(image)).is_err(), "{rule}: {image}");
        }
        assert_eq!(judged(&rules, &with_image("ghcr.io:5000/evil/x")), Ok(()), "{rule}");
    }
    assert!(judged("forbid: {images: ['Index.docker.io/evil/**']}", &with_image("evil/x")).is_err());
    assert!(judged("forbid: {images: ['docker.io/alpine']}", &with_image("alpine:3")).is_err());
    // Docker takes the first part for a registry.
    assert!(judged("require: {images: ['good/**']}", &with_image("Good/x")).is_err());
    assert_eq!(judged("forbid: {images: [alpine]}", &with_image("quay.io/library/alpine")), Ok(()));
    assert!(judged("require: {images: ['docker.io/**']}", &with_image("quay.io/x/alpine")).is_err());
    assert!(
        judged("require: {images: ['good.example.com/**']}", &with_image("evil/good.example.com/x")).is_err()
    );
    assert!(judged("forbid: {images: ['evil/**']}", &with_image("$IMAGE")).is_err());
    assert!(
        judged(
            "forbid: {images: ['evil/**']}",
            "pipelines:\n  default:\n    - step: {script: [{pipe: 'docker://evil/x'}]}\n"
        )
        .is_err()
    );
    let service = "definitions: {services: {d: {image: evil/x}}}\npipelines:\n  default:\n    - step: {services: [d], script: [a]}\n";
    assert!(judged("forbid: {images: ['evil/**']}", service).is_err());
}

#[test]
fn labels_and_pipes_are_judged() {
    let shell = "pipelines:\n  default:\n    - step: {runs-on: [self.hosted, linux.shell], script: [a]}\n";
    assert!(judged("forbid: {labels: ['*.shell']}", shell).is_err());
    assert!(judged("require: {labels: [gpu]}", shell).is_err());
    assert_eq!(judged("require: {labels: [linux]}", &with_image("a")), Ok(()), "the label of containers");
    assert!(judged("forbid: {labels: [linux]}", &with_image("a")).is_err());
    let pipe = "pipelines:\n  default:\n    - step: {script: [a], after-script: [{pipe: 'x/y:1'}]}\n";
    assert!(judged("forbid: {pipes: ['x/*']}", pipe).is_err());
}

/// Attack: a forbidden pipe with a version, as the image that it is, or by Atlassian's other name.
#[test]
fn a_pipe_is_known_by_every_name() {
    let with_pipe =
        |pipe: &str| format!("pipelines:\n  default:\n    - step: {{script: [{{pipe: '{pipe}'}}]}}\n");
    for (rule, pipe) in [
        ("evil/deploy", "evil/deploy:1"),
        ("evil/deploy:1", "evil/deploy:1"),
        ("evil/deploy", "docker://evil/deploy:1"),
        ("evil/deploy", "docker://evil/deploy"),
        ("evil/deploy", "docker://docker.io/evil/deploy@sha256:00"),
        ("docker://evil/deploy", "docker://evil/deploy:1"),
        ("docker://**", "docker://evil/deploy:1"),
        ("ghcr.io/evil/*", "docker://GHCR.io:443/evil/deploy"),
        ("atlassian/x", "atlassian/x:2"),
        ("atlassian/x", "docker://bitbucketpipelines/x:2"),
        ("atlassian/x", "docker://index.docker.io/bitbucketpipelines/x"),
        ("bitbucketpipelines/*", "atlassian/x:2"),
    ] {
        let told = judged(&format!("forbid: {{pipes: ['{rule}']}}"), &with_pipe(pipe)).unwrap_err();
        assert!(told.contains("runs the pipe") && told.contains("`forbid: pipes`"), "{rule} {pipe}: {told}");
    }
    for (rule, pipe) in [
        ("evil/deploy", "evil/deployer:1"),
        ("evil/deploy:1", "evil/deploy:2"),
        ("docker://**", "evil/deploy:1"),
        ("atlassian/x", "docker://quay.io/bitbucketpipelines/x"),
    ] {
        let rules = format!("forbid: {{pipes: ['{rule}']}}");
        assert_eq!(judged(&rules, &with_pipe(pipe)), Ok(()), "{rule} {pipe}");
    }
}

/// Attack: a file whose settings for all steps empty a required one.
#[test]
fn required_steps_are_put_in_and_stay_whole() {
    let rules = "require:\n  steps:\n    - first: {name: Scan, image: scan:1, script: [scan]}\n    - last: {name: Report, image: report:1, script: [report]}\n";
    let rules = DynamicRules::parse(rules).unwrap();
    let text = "image: evil\nclone: {enabled: false, sparse-checkout: {patterns: [nothing]}}\npipelines:\n  default:\n    - step: {script: [make]}\n  custom:\n    c:\n      - variables: [{name: A, default: b}]\n      - step: {script: [make]}\n";
    let custom = Event::Custom { name: "c".to_owned(), variables: std::collections::BTreeMap::new() };
    for event in [main_branch(), custom] {
        let plan = read(text).plan(&event).unwrap();
        let mut form = form::narrowed(&form::of_text(text).unwrap(), &event, Some(&plan));
        let mut required = RequiredSteps::default();
        rules.insert(&mut form, &plan.pipelines, &mut required).unwrap();
        let (once, before) = (form.clone(), required.clone());
        rules.insert(&mut form, &plan.pipelines, &mut required).unwrap();
        assert_eq!((&form, &required), (&once, &before), "not twice");
        let mut plan = read(&form::to_yaml(&form).unwrap()).plan(&event).unwrap();
        required.hold(&form, &mut plan.pipelines).unwrap();
        let marks: Vec<bool> = plan.pipelines[0].steps.iter().map(|step| step.required).collect();
        assert_eq!(marks, [true, false, true]);
        let steps = &plan.pipelines[0].steps;
        let names: Vec<Option<&str>> = steps.iter().map(|step| step.name.as_deref()).collect();
        assert_eq!(names, [Some("Scan"), None, Some("Report")]);
        assert_eq!(steps[0].image.name, "scan:1");
        assert!(steps[0].clone.enabled && !steps[1].clone.enabled);
        assert_eq!(steps[0].clone.sparse_checkout.as_ref().unwrap().patterns, ["/*"]);
    }
}

/// What comes of a file on the branch `main` with a step of its own, where rules require steps, each the next ones around
/// those before.
fn held(rules: &[&str], root: &str) -> Result<Plan, String> {
    let text = format!("{root}\npipelines:\n  default:\n    - step: {{name: Build, script: [make]}}\n");
    let plan = read(&text).plan(&main_branch()).unwrap();
    let mut form = form::of_text(&text).unwrap();
    let mut required = RequiredSteps::default();
    for rules in rules {
        let rules = DynamicRules::parse(rules).unwrap();
        rules.insert(&mut form, &plan.pipelines, &mut required)?;
    }
    let mut plan = read(&form::to_yaml(&form).unwrap()).plan(&main_branch()).unwrap();
    required.hold(&form, &mut plan.pipelines)?;
    Ok(plan)
}

const SCAN: &str =
    "require: {steps: [first: {name: Scan, image: 'scan:1', script: [scan], clone: {depth: full}}]}";

/// Attack: a file whose settings for all steps empty, starve or move a required one, or put an image beside it.
#[test]
fn what_a_file_says_for_all_steps_does_not_change_a_required_one() {
    let usual = held(&[SCAN], "").unwrap().pipelines[0].steps[0].clone();
    assert!(usual.clone.enabled && usual.required, "{usual:?}");
    for root in [
        "clone: {enabled: false}",
        "clone: {depth: 1, lfs: true, skip-ssl-verify: true, strategy: clone, tags: true}",
        "options: {max-time: 1, size: 8x}",
        "options: {docker: true}\ndefinitions: {services: {docker: {memory: 2048}}}",
        "image: evil",
    ] {
        let step = held(&[SCAN], root).unwrap().pipelines[0].steps[0].clone();
        assert_eq!((&step.clone, &step.image), (&usual.clone, &usual.image), "{root}");
        assert_eq!((step.max_time, step.size), (usual.max_time, usual.size), "{root}");
    }
    for (root, told) in [
        ("clone: {filter: 'blob:none'}", "`clone: filter`"),
        ("options: {runtime: {cloud: {arch: arm}}}", "`options: runtime`"),
        ("options: {docker: true}\ndefinitions: {services: {docker: {image: evil}}}", "`options: docker`"),
        (
            "clone: {filter: 'tree:0'}\noptions: {docker: true}\ndefinitions: {services: {docker: {variables: {A: b}}}}",
            "`clone: filter` and `options: docker`",
        ),
    ] {
        let refused = held(&[SCAN], root).unwrap_err();
        assert!(refused.starts_with("step 1 `Scan` is required") && refused.contains(told), "{refused}");
        assert!(held(&["require: {labels: [linux]}"], root).is_ok(), "no step is required");
    }
    let docker = SCAN.replace("clone:", "services: [docker], clone:");
    assert!(held(&[docker.as_str()], "options: {docker: true}").is_ok(), "the rule names it itself");
    let token = SCAN.replace("clone:", "oidc: true, clone:");
    let refused = held(&[token.as_str()], "options: {oidc: {audiences: [evil]}}").unwrap_err();
    assert!(refused.contains("`options: oidc`"), "{refused}");
}

#[test]
fn required_steps_of_several_rules_are_marked() {
    let report = "require: {steps: [first: {name: Lint, image: 'l:1', script: [l]}, last: {name: Report, image: 'r:1', script: [r]}]}";
    let marked = |rules: &[&str]| -> Vec<(String, bool)> {
        let plan = held(rules, "").unwrap();
        let steps = plan.pipelines[0].steps.iter();
        steps.map(|step| (step.name.clone().unwrap_or_default(), step.required)).collect()
    };
    let expected = |names: &[&str]| -> Vec<(String, bool)> {
        names.iter().map(|name| ((*name).to_owned(), *name != "Build")).collect()
    };
    assert_eq!(marked(&[report, SCAN]), expected(&["Scan", "Lint", "Build", "Report"]));
    assert_eq!(marked(&[SCAN, report]), expected(&["Lint", "Scan", "Build", "Report"]));
    assert_eq!(marked(&[SCAN, SCAN]), expected(&["Scan", "Build"]));
    assert_eq!(marked(&["", "forbid: {images: [x]}"]), expected(&["Build"]));
}

/// Attack: a pipeline that is not found where it was planned from, and so would run without what is required.
#[test]
fn a_pipeline_without_a_place_for_required_steps_is_refused() {
    let text = "pipelines:\n  branches:\n    main:\n      - step: {script: [make]}\n";
    let mut plan = read(text).plan(&main_branch()).unwrap();
    let rules = DynamicRules::parse(SCAN).unwrap();
    for mut other in [
        json!({}),
        json!({ "pipelines": { "default": [] } }),
        json!({ "pipelines": { "branches": { "mai*": [] } } }),
        json!({ "pipelines": { "branches": { "main": { "import": "a:b:c" } } } }),
    ] {
        let mut required = RequiredSteps::default();
        let told = rules.insert(&mut other, &plan.pipelines, &mut required).unwrap_err();
        assert!(told.contains("`main` below `branches`"), "{told}");
        let none = DynamicRules::parse("forbid: {images: [x]}").unwrap();
        assert_eq!(none.insert(&mut other, &plan.pipelines, &mut required), Ok(()));
    }
    // Put in, but not planned again: the old plan does not have them.
    let (mut form, mut required) = (form::of_text(text).unwrap(), RequiredSteps::default());
    rules.insert(&mut form, &plan.pipelines, &mut required).unwrap();
    assert!(required.hold(&form, &mut plan.pipelines).is_err());
    assert!(!plan.pipelines[0].steps[0].required);
}

#[test]
fn a_mark_stands_in_a_plan_alone() {
    let mut step = held(&[], "").unwrap().pipelines[0].steps[0].clone();
    let plain = serde_json::to_value(&step).unwrap();
    assert!(plain.get("required").is_none(), "{plain}");
    step.required = true;
    let back: pipeline::PlannedStep = serde_json::from_value(serde_json::to_value(&step).unwrap()).unwrap();
    assert!(back.required);
    let forged = read("pipelines: {default: [step: {required: true, script: [a]}]}");
    assert!(!forged.plan(&main_branch()).unwrap().pipelines[0].steps[0].required);
}

#[test]
fn rules_that_are_none_are_told_why() {
    assert!(DynamicRules::parse("# nothing\n\n").unwrap().is_empty());
    for (bad, why) in [
        ("[a]", "the rules are a map"),
        ("requires: {}", "`requires` is no key here"),
        ("require: {steps: {first: a}}", "`steps` is a list"),
        ("require: {steps: [first: {name: a, script: [b]}]}", "has a `image`"),
        ("require: {steps: [first: {name: a, image: b, script: []}]}", "cannot run"),
        ("forbid: {images: evil}", "`images` is a list"),
        ("forbid: {images: ['']}", "`images` is a list"),
        ("forbid: [", "line 1"),
    ] {
        let told = DynamicRules::parse(bad).unwrap_err();
        assert!(told.contains(why), "{bad}: {told}");
    }
}

fn any_form() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z0-9:./#@' -]{0,12}",
        "\\PC{0,12}",
        "[ -~\n\t]{0,30}",
        Just("true".to_owned()),
        Just("007".to_owned()),
        Just("~".to_owned()),
        Just("1.50".to_owned()),
        Just("a: b".to_owned()),
        Just("- a".to_owned()),
        Just("<<".to_owned()),
    ];
    let leaf = prop_oneof![
        text.prop_map(Value::String),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec(("[a-z<~0-9:' -]{0,8}", inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_form_comes_back(form in any_form()) {
        let form = json!({ "labels": form });
        let written = form::to_yaml(&form).unwrap();
        prop_assert_eq!(form::of_text(&written), Some(form), "{}", written);
    }
}
