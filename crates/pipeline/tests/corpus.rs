#![cfg(test)]
//! Real files, where `BASTIDE_SHARED` names a folder that has some in `corpus/pipelines`: each plans for some event, or fails for
//! the reason that stands here. Without the variable nothing is looked at.

use std::{collections::BTreeMap, fs, path::PathBuf};

use pipeline::{Checked, Event, check, diagnostic::Severity, selector::Target};

/// Files that cannot be used: the line and the kind of the first error.
const REFUSED: &[(&str, usize, &str)] = &[
    // The content of a step beside `step`.
    ("113.yml", 21, "misplaced"),
    ("81.yml", 7, "misplaced"),
    // A pipe without owner, repository and version.
    ("117.yml", 21, "wrong-value"),
    // A list of steps instead of a map.
    ("133.yml", 1, "wrong-type"),
    // The name of a branch where `branches` belongs; there is no other pipeline.
    ("135.yml", 2, "missing-key"),
    // A command over several lines with `: ` in it.
    ("139.yml", 19, "syntax"),
    // The same key twice at the root.
    ("143.yml", 215, "duplicate-key"),
];

fn corpus() -> Option<Vec<PathBuf>> {
    let folder = PathBuf::from(std::env::var_os("BASTIDE_SHARED")?).join("corpus/pipelines");
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "yml" || ext == "yaml"));
    files.sort();
    Some(files)
}

/// An event for each pipeline of a file.
fn events(checked: &Checked) -> Vec<Event> {
    let Some(configuration) = &checked.configuration else { return Vec::new() };
    let pipelines = &configuration.pipelines;
    let name = |pattern: &str| {
        pattern.replace(['*', '?'], "x").replace(['{', '}'], "").split(',').next().unwrap().to_owned()
    };
    let mut events = Vec::new();
    events.extend(
        pipelines.default.iter().map(|_| Event::Branch { branch: "no/pattern/fits/this".to_owned() }),
    );
    let patterns = |selector: &pipeline::selector::Selector| name(selector.pattern.as_str());
    events.extend(pipelines.branches.iter().map(|s| Event::Branch { branch: patterns(s) }));
    events.extend(pipelines.tags.iter().map(|s| Event::Tag { tag: patterns(s) }));
    for selector in &pipelines.pull_requests {
        let destinations = match &selector.target {
            Target::Pipeline(_) => vec!["main".to_owned()],
            Target::Destinations(selectors) => selectors.iter().map(patterns).collect(),
        };
        let source = patterns(selector);
        events.extend(destinations.into_iter().map(|destination| Event::PullRequest {
            id: 1,
            source: source.clone(),
            destination,
        }));
    }
    for (name, pipeline) in &pipelines.custom {
        let given = |variable: &pipeline::variable::Variable| {
            Some((variable.name.clone(), variable.allowed_values.first()?.clone()))
        };
        let variables: BTreeMap<_, _> = pipeline.variables.iter().filter_map(given).collect();
        events.push(Event::Custom { name: name.clone(), variables });
    }
    events
}

#[test]
fn real_files_plan_or_fail_for_a_known_reason() {
    let Some(files) = corpus() else {
        println!("BASTIDE_SHARED is not set: no real file was looked at");
        return;
    };
    assert!(!files.is_empty());
    let verbose = std::env::var_os("BASTIDE_SHOW").is_some();
    let (mut planned, mut warned, mut wrong) = (0, 0, Vec::new());
    for path in &files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let checked = check(&name, &fs::read_to_string(path).unwrap());
        if verbose && !checked.diagnostics.is_empty() {
            println!("{}", checked.render(pipeline::Colour::Off));
        }
        warned += usize::from(checked.configuration.is_some() && !checked.diagnostics.is_empty());
        let error = checked.diagnostics.iter().find(|d| d.severity == Severity::Error);
        let found = error.map(|d| (d.span.start.line, serde_json::to_value(d.code).unwrap()));
        let expected = REFUSED.iter().find(|(file, ..)| *file == name);
        if found != expected.map(|(_, line, code)| (*line, (*code).into())) {
            wrong.push(format!("{name}: found {found:?}, expected {expected:?}"));
            continue;
        }
        let events = events(&checked);
        let plans = events.iter().map(|event| checked.configuration.as_ref().unwrap().plan(event).unwrap());
        let starting = plans.filter(|plan| !plan.pipelines.is_empty()).count();
        // A file may do nothing but share pipelines with others.
        let shares =
            checked.configuration.as_ref().is_some_and(|configuration| !configuration.shared.is_empty());
        if expected.is_none() && (starting != events.len() || events.is_empty() && !shares) {
            wrong.push(format!("{name}: {starting} of {} events start something", events.len()));
        }
        planned += usize::from(expected.is_none());
    }
    println!(
        "{} files: {planned} plan, {warned} of them with warnings; {} are refused",
        files.len(),
        files.len() - planned
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing = REFUSED.iter().filter(|(file, ..)| !files.iter().any(|path| path.ends_with(file)));
    assert_eq!(missing.count(), 0);
}
