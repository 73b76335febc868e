//! Rules over what runs, without a service behind them: steps that are put into every pipeline, and images, labels and
//! pipes that steps must or must not have. They have the last word: they are held against the plan that will run.
//!
//! What is not here: rules about what commands say. A command can be written in more ways than a rule can list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::{
    check::check,
    clone::DEPTH,
    diagnostic::quoted,
    event::Event,
    form,
    glob::Glob,
    plan::{MAX_TIME, PlannedPipeline, PlannedStep},
    report::Colour,
    runtime::Size,
    script::{self, ScriptItem},
    service::Service,
};

/// The longest text of rules, in bytes.
pub const LONGEST: usize = 32 * 1024;
/// The most steps that rules put into a pipeline, and the most patterns of each kind.
const MOST_STEPS: usize = 10;
const MOST_PATTERNS: usize = 100;
/// Docker's own registry, by its other names.
const HUB: [&str; 4] =
    ["docker.io/", "index.docker.io/", "registry-1.docker.io/", "registry.hub.docker.com/"];

/// What a pipe begins with that is an image.
const DOCKER: &str = "docker://";

/// Rules over what runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicRules {
    first: Vec<Json>,
    last: Vec<Json>,
    images: Vec<Glob>,
    labels: Vec<String>,
    forbidden_images: Vec<Glob>,
    forbidden_labels: Vec<Glob>,
    forbidden_pipes: Vec<Glob>,
}

/// Where required steps stand in the pipelines that they were put into: how many at the beginning and at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredSteps(BTreeMap<(&'static str, Option<String>), Ends>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    first: usize,
    last: usize,
}

impl DynamicRules {
    /// Reads rules: YAML, or JSON, which is YAML too. Empty text is no rules.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("the rules have {} bytes; at most {LONGEST} are read", text.len()));
        }
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let root = form::json(&form::tree(text)?);
        let root = keys(&root, "the rules are a map", &["require", "forbid"])?;
        let mut rules = Self::default();
        if let Some(require) = root.get("require") {
            let require = keys(require, "`require` is a map", &["steps", "images", "labels"])?;
            rules.read_steps(require.get("steps"))?;
            rules.images = names(require.get("images"), "images")?;
            rules.labels = texts(require.get("labels"), "labels")?;
        }
        if let Some(forbid) = root.get("forbid") {
            let forbid = keys(forbid, "`forbid` is a map", &["images", "labels", "pipes"])?;
            rules.forbidden_images = names(forbid.get("images"), "images")?;
            rules.forbidden_labels = patterns(forbid.get("labels"), "labels")?;
            rules.forbidden_pipes = names(forbid.get("pipes"), "pipes")?;
        }
        Ok(rules)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn read_steps(&mut self, steps: Option<&Json>) -> Result<(), String> {
        const WHAT: &str = "`steps` is a list of `first: {…}` or `last: {…}`, each a step";
        let Some(steps) = steps else { return Ok(()) };
        let steps = steps.as_array().ok_or(WHAT)?;
        if steps.len() > MOST_STEPS {
            return Err(format!("{} steps are required; at most {MOST_STEPS} can be", steps.len()));
        }
        for item in steps {
            let place = keys(item, WHAT, &["first", "last"])?;
            match (place.get("first"), place.get("last")) {
                (Some(step), None) => self.first.push(required(step)?),
                (None, Some(step)) => self.last.push(required(step)?),
                _ => return Err(WHAT.to_owned()),
            }
        }
        Ok(())
    }

    /// Puts the required steps into the pipelines that were planned. Where they stand already, word for word, they are
    /// not put there again. `required` remembers where they stand.
    ///
    /// # Errors
    /// When a pipeline is not found in the form: it would run without them.
    pub fn insert(
        &self,
        form: &mut Json,
        planned: &[PlannedPipeline],
        required: &mut RequiredSteps,
    ) -> Result<(), String> {
        if self.first.is_empty() && self.last.is_empty() {
            return Ok(());
        }
        // Of all that a file says for every step, this would hide the repository from a step that looks at it.
        let sparse = form.pointer("/clone/sparse-checkout").is_some();
        let whole = |steps: &[Json]| -> Vec<Json> {
            let mut steps = steps.to_vec();
            let clones = steps.iter_mut().filter_map(|item| item.pointer_mut("/step/clone")?.as_object_mut());
            for clone in clones.filter(|_| sparse) {
                let everything = json!({ "cone-mode": false, "patterns": ["/*"] });
                clone.entry("sparse-checkout").or_insert(everything);
            }
            steps
        };
        let (first, last) = (whole(&self.first), whole(&self.last));
        for one in planned {
            let (kind, pattern) = form::path(one);
            let below = form.get_mut("pipelines").and_then(|all| all.get_mut(kind));
            let pipeline = match (below, pattern) {
                (Some(below), Some(pattern)) => below.get_mut(pattern),
                (below, _) => below,
            };
            let Some(Json::Array(items)) = pipeline else { return Err(no_place(one)) };
            let ends = required.0.entry((kind, pattern.map(str::to_owned))).or_default();
            let start = start_of(items);
            // Where they stand already, those of others that they begin with stand there too.
            if items.get(start..).is_some_and(|items| items.starts_with(&first)) {
                ends.first = ends.first.max(first.len());
            } else {
                items.splice(start..start, first.iter().cloned());
                ends.first += first.len();
            }
            if items.ends_with(&last) {
                ends.last = ends.last.max(last.len());
            } else {
                items.extend(last.iter().cloned());
                ends.last += last.len();
            }
        }
        Ok(())
    }

    /// Holds a pipeline against the rules. `owner` is whose they are, in words.
    ///
    /// # Errors
    /// The first rule that it breaks, with the step that does, in a sentence.
    pub fn judge(&self, planned: &PlannedPipeline, owner: &str) -> Result<(), String> {
        for step in &planned.steps {
            let refuse = |what: String, rule: &str| {
                let name = step.name.as_deref().map(|name| format!(" {}", quoted(name))).unwrap_or_default();
                Err(format!("step {}{name} {what}: the rules of {owner} {rule}", step.index + 1))
            };
            let labels = step.labels();
            if let Some(missing) = self.labels.iter().find(|label| !labels.contains(label)) {
                return refuse(
                    format!("runs without the label {}", quoted(missing)),
                    "require it (`require: labels`)",
                );
            }
            for label in &labels {
                if let Some(rule) = self.forbidden_labels.iter().find(|rule| rule.matches(label)) {
                    let rule = format!("forbid {} (`forbid: labels`)", quoted(rule.as_str()));
                    return refuse(format!("runs on the label {}", quoted(label)), &rule);
                }
            }
            for pipe in pipes(step) {
                let spellings = pipe_spellings(pipe);
                let fits = |rule: &&Glob| spellings.iter().any(|one| rule.matches(one));
                if let Some(rule) = self.forbidden_pipes.iter().find(fits) {
                    let rule = format!("forbid {} (`forbid: pipes`)", quoted(rule.as_str()));
                    return refuse(format!("runs the pipe {}", quoted(pipe)), &rule);
                }
            }
            if let Err((what, rule)) = self.judge_images(step) {
                return refuse(what, &rule);
            }
        }
        Ok(())
    }

    fn judge_images(&self, step: &PlannedStep) -> Result<(), (String, String)> {
        if self.images.is_empty() && self.forbidden_images.is_empty() {
            return Ok(());
        }
        let piped = pipes(step).map(|pipe| script::image_of(pipe, &Default::default()));
        let own =
            std::iter::once(&step.image).chain(step.services.iter().filter_map(|one| one.image.as_ref()));
        for image in own.map(|image| image.name.clone()).chain(piped) {
            let what = || format!("runs the image {}", quoted(&image));
            // Which image that is, only its runner will know.
            if image.contains('$') {
                let rule = "admit no variable in the name of an image (`images`)".to_owned();
                return Err((what(), rule));
            }
            let spellings = spellings(&image);
            let fits = |rule: &&Glob| spellings.iter().any(|one| rule.matches(one));
            if let Some(rule) = self.forbidden_images.iter().find(fits) {
                return Err((what(), format!("forbid {} (`forbid: images`)", quoted(rule.as_str()))));
            }
            if !self.images.is_empty() && !self.images.iter().any(|rule| fits(&rule)) {
                return Err((what(), "require another (`require: images`)".to_owned()));
            }
        }
        Ok(())
    }
}

impl RequiredSteps {
    /// Marks the required steps of pipelines that were planned from a form, each of which does what it would do if
    /// nothing but the step stood there.
    ///
    /// # Errors
    /// When one does not: what of the file's settings for all steps changes it, in a sentence.
    pub fn hold(&self, form: &Json, pipelines: &mut [PlannedPipeline]) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        for planned in pipelines {
            let (kind, pattern) = form::path(planned);
            let ends = self.0.get(&(kind, pattern.map(str::to_owned))).copied();
            let (Some(ends), Some(items)) = (ends, items_of(form, planned)) else {
                return Err(no_place(planned));
            };
            let items = items.get(start_of(items)..).unwrap_or_default();
            let count = planned.steps.len();
            let leading = (0..ends.first).map(|at| (Some(at), Some(at)));
            let trailing =
                (1..=ends.last).map(|back| (items.len().checked_sub(back), count.checked_sub(back)));
            let mut places: Vec<(Option<usize>, Option<usize>)> = leading.collect();
            places.extend(trailing);
            for (item, step) in places {
                let (Some(item), Some(at)) = (item.and_then(|at| items.get(at)), step) else {
                    return Err(no_place(planned));
                };
                let Some(step) = planned.steps.get_mut(at) else { return Err(no_place(planned)) };
                let changed = changes(item, step)?;
                if !changed.is_empty() {
                    let name = step.name.as_deref().map(quoted).unwrap_or_default();
                    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
                    let changed = crate::diagnostic::listed(&changed, "and");
                    return Err(format!(
                        "step {} {name} is required, and what the file says for all steps would change {changed} of \
                         it: say that in the steps that need it instead",
                        at + 1
                    ));
                }
                step.required = true;
            }
        }
        Ok(())
    }
}

fn no_place(planned: &PlannedPipeline) -> String {
    let (kind, pattern) = form::path(planned);
    let place = match pattern {
        Some(pattern) => format!("{} below `{kind}`", quoted(pattern)),
        None => format!("`{kind}`"),
    };
    format!("the steps that rules require have no place in the pipeline {place}: it is not written as a list")
}

/// The items of a planned pipeline.
fn items_of<'f>(form: &'f Json, planned: &PlannedPipeline) -> Option<&'f [Json]> {
    let (kind, pattern) = form::path(planned);
    let below = form.get("pipelines")?.get(kind)?;
    let pipeline = match pattern {
        Some(pattern) => below.get(pattern)?,
        None => below,
    };
    pipeline.as_array().map(Vec::as_slice)
}

/// Where the steps begin: the variables of a custom pipeline stand before them.
fn start_of(items: &[Json]) -> usize {
    usize::from(items.first().is_some_and(|item| item.get("variables").is_some()))
}

/// What is otherwise about a planned step than it would be if nothing but its item stood in the file: the settings, as
/// a file names them. Services and caches that the step itself names are what the file defines.
fn changes(item: &Json, planned: &PlannedStep) -> Result<Vec<String>, String> {
    let text = form::to_yaml(&json!({ "pipelines": { "default": [item] } }))?;
    let event = Event::Branch { branch: "main".to_owned() };
    let plan = check("the required step", &text).configuration.and_then(|alone| alone.plan(&event).ok());
    let first = plan.and_then(|plan| plan.pipelines.into_iter().next());
    let Some(alone) = first.and_then(|one| one.steps.into_iter().next()) else {
        return Err("a step that rules require cannot be planned alone".to_owned());
    };
    // A daemon of which the file says nothing is the operator's, and changes nothing of the step.
    let plain = |one: &&Service| one.docker && one.image.is_none() && one.variables.is_empty();
    let beside = planned.services.iter().filter(|one| !plain(one));
    let beside = beside.filter(|one| alone.services.iter().all(|own| own.name != one.name));
    let seen = PlannedStep {
        index: alone.index,
        group: alone.group,
        source: alone.source,
        required: alone.required,
        services: beside.cloned().collect(),
        caches: Vec::new(),
        ..planned.clone()
    };
    let alone = PlannedStep { services: Vec::new(), caches: Vec::new(), ..alone };
    let (Ok(alone), Ok(seen)) = (serde_json::to_value(&alone), serde_json::to_value(&seen)) else {
        return Err("a step that rules require cannot be compared".to_owned());
    };
    let mut changed = Vec::new();
    for key in different(&alone, &seen) {
        match key.as_str() {
            "clone" => {
                let below = |step: &Json| step.get("clone").cloned().unwrap_or_default();
                let below = different(&below(&alone), &below(&seen));
                changed.extend(below.iter().map(|key| format!("clone: {}", key.replace('_', "-"))));
            }
            "services" => changed.push("options: docker".to_owned()),
            "tokens" => changed.push("options: oidc".to_owned()),
            "runtime" | "size" | "max_time" => changed.push(format!("options: {}", key.replace('_', "-"))),
            other => changed.push(other.replace('_', "-")),
        }
    }
    Ok(changed)
}

/// The keys below which two maps are not the same.
fn different(one: &Json, other: &Json) -> BTreeSet<String> {
    let keys = [one, other].into_iter().filter_map(Json::as_object).flat_map(Map::keys);
    keys.filter(|key| one.get(key.as_str()) != other.get(key.as_str())).cloned().collect()
}

fn pipes(step: &PlannedStep) -> impl Iterator<Item = &str> {
    step.script.iter().chain(&step.after_script).filter_map(|item| match item {
        ScriptItem::Pipe(pipe) => Some(pipe.pipe.as_str()),
        ScriptItem::Command { .. } => None,
    })
}

/// A name, or a pattern of names, whose registry is written in the one way: in small letters, without the port that is
/// meant where none is named.
fn with_usual_host(name: &str) -> String {
    let (scheme, image) = name.strip_prefix(DOCKER).map_or(("", name), |image| (DOCKER, image));
    let Some((host, rest)) = image.split_once('/').filter(|(host, _)| host.contains(['.', ':'])) else {
        return name.to_owned();
    };
    let host = host.to_ascii_lowercase();
    let usual = |port: &str| port.trim_start_matches('0') == "443";
    let host = match host.rsplit_once(':') {
        Some((host, port)) if usual(port) => host,
        _ => host.as_str(),
    };
    format!("{scheme}{host}/{rest}")
}

/// All that a pipe may be called: with its version and without, as the image that it runs, and where that is one of
/// Atlassian's, by the name that it is published under too.
fn pipe_spellings(pipe: &str) -> Vec<String> {
    let mut names = spellings(pipe);
    let renamed = |name: &String| {
        let other = |from: &str, to: &str| Some(format!("{to}{}", name.strip_prefix(from)?));
        other("atlassian/", "bitbucketpipelines/").or_else(|| other("bitbucketpipelines/", "atlassian/"))
    };
    let others: Vec<String> = names.iter().filter_map(renamed).collect();
    names.extend(others);
    if pipe.starts_with(DOCKER) {
        let long: Vec<String> = names.iter().map(|name| format!("{DOCKER}{name}")).collect();
        names.extend(long);
    }
    names.push(pipe.to_owned());
    names
}

/// All that an image may be called: with Docker's registry and without, with its tag or digest and without.
fn spellings(image: &str) -> Vec<String> {
    let image = with_usual_host(image.strip_prefix(DOCKER).unwrap_or(image));
    let short = HUB.iter().find_map(|hub| image.strip_prefix(hub));
    let first = image.split_once('/').map_or("", |(first, _)| first);
    // What begins with a capital is no name on Docker's registry, and Docker takes it for another one.
    let host = first.contains(['.', ':']) || first == "localhost" || first.contains(char::is_uppercase);
    let elsewhere = short.is_none() && host;
    let short = short.unwrap_or(&image);
    let mut names = vec![short.to_owned()];
    if !elsewhere {
        let plain = short.strip_prefix("library/").unwrap_or(short);
        let whole = if plain.contains('/') { plain.to_owned() } else { format!("library/{plain}") };
        names = vec![plain.to_owned(), format!("docker.io/{whole}"), format!("docker.io/{plain}"), whole];
    }
    let bare = names.iter().map(|name| {
        let name = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
        match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name.to_owned(),
            _ => name.to_owned(),
        }
    });
    let bare: Vec<String> = bare.collect();
    let untagged = names.iter().zip(&bare).filter(|(name, bare)| name == bare);
    let latest: Vec<String> = untagged.map(|(name, _)| format!("{name}:latest")).collect();
    names.into_iter().chain(bare).chain(latest).collect()
}

/// A map with these keys and no others.
fn keys<'j>(value: &'j Json, what: &str, known: &[&str]) -> Result<&'j Map<String, Json>, String> {
    let map = value.as_object().ok_or_else(|| format!("{what} with {}", listed(known)))?;
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(other) => Err(format!("{} is no key here: {what} with {}", quoted(other), listed(known))),
        None => Ok(map),
    }
}

fn listed(words: &[&str]) -> String {
    crate::diagnostic::listed(words, "or")
}

fn texts(value: Option<&Json>, key: &str) -> Result<Vec<String>, String> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let list = value.as_array().filter(|list| list.len() <= MOST_PATTERNS);
    let texts: Option<Vec<String>> =
        list.and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    texts
        .filter(|texts| texts.iter().all(|text| !text.is_empty()))
        .ok_or_else(|| format!("`{key}` is a list of at most {MOST_PATTERNS} texts"))
}

fn pattern(text: &str) -> Result<Glob, String> {
    Glob::parse(text).map_err(|why| format!("{} is not a pattern: {}", quoted(text), why.0))
}

fn patterns(value: Option<&Json>, key: &str) -> Result<Vec<Glob>, String> {
    texts(value, key)?.iter().map(|text| pattern(text)).collect()
}

/// Patterns of images and pipes. Docker's registry has one name here, as in what they are held against.
fn names(value: Option<&Json>, key: &str) -> Result<Vec<Glob>, String> {
    let usual = |text: &String| {
        let text = with_usual_host(text);
        let short = HUB.iter().find_map(|hub| text.strip_prefix(hub));
        pattern(&short.map_or(text.clone(), |short| format!("docker.io/{short}")))
    };
    texts(value, key)?.iter().map(usual).collect()
}

/// A required step as an item of a pipeline. What a file says for all its steps must not decide what it does: it names
/// its image, and whatever else a file may say for all steps and a step can unsay, it says as it usually is.
fn required(step: &Json) -> Result<Json, String> {
    let mut step = step.as_object().cloned().ok_or("a required step is a map, as below `step:`")?;
    for key in ["name", "image", "script"] {
        if !step.contains_key(key) {
            return Err(format!("a required step has a `{key}`, and one has none"));
        }
    }
    let size = Size::default().as_str();
    for (key, usual) in [("clone", json!({})), ("max-time", json!(MAX_TIME)), ("size", json!(size))] {
        let value = step.entry(key).or_insert(Json::Null);
        if value.is_null() {
            *value = usual;
        }
    }
    if let Some(Json::Object(clone)) = step.get_mut("clone") {
        let usual = [
            ("enabled", json!(true)),
            ("depth", json!(DEPTH)),
            ("lfs", json!(false)),
            ("skip-ssl-verify", json!(false)),
            ("strategy", json!("fetch")),
            ("tags", json!(false)),
        ];
        for (key, usual) in usual {
            clone.entry(key).or_insert(usual);
        }
        // Switched off is the same as left out, where the file's would count.
        if clone.get("sparse-checkout").and_then(|sparse| sparse.get("enabled")) == Some(&Json::Bool(false)) {
            clone.shift_remove("sparse-checkout");
        }
    }
    let item = json!({ "step": step });
    let alone = form::to_yaml(&json!({ "pipelines": { "default": [item] } }))?;
    let checked = check("the required step", &alone);
    match checked.configuration {
        Some(_) => Ok(item),
        None => Err(format!("a required step cannot run:\n{}", checked.render(Colour::Off))),
    }
}
