//! A plan for people.

use std::fmt::Write;

use crate::{
    condition::{Changesets, Condition},
    plan::{Group, GroupKind, Plan, PlannedPipeline, PlannedStep, SelectorKind},
    report::{Colour, counted, visible},
    script::ScriptItem,
};

impl Plan {
    /// What starts, in which order, and what each step gets.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let mut out = String::new();
        if let Some(nothing) = &self.nothing {
            // Writing into a string does not fail, here and below.
            let _ = writeln!(out, "nothing starts: {}", visible(nothing));
        }
        for (at, pipeline) in self.pipelines.iter().enumerate() {
            if at > 0 {
                out.push('\n');
            }
            pipeline.render(colour, &mut out);
        }
        out
    }
}

impl PlannedPipeline {
    fn render(&self, colour: Colour, out: &mut String) {
        let kind = match self.selector {
            SelectorKind::Default => "default",
            SelectorKind::Branches => "branches",
            SelectorKind::Tags => "tags",
            SelectorKind::PullRequests => "pull-requests",
            SelectorKind::Custom => "custom",
        };
        let pattern =
            self.pattern.as_ref().map(|pattern| format!(": {}", visible(pattern))).unwrap_or_default();
        let steps = counted(self.steps.len(), "step");
        let line = self.source.start.line;
        let _ = writeln!(out, "{} ({steps}, line {line})", colour.bold(&format!("{kind}{pattern}")));
        if let Some(trigger) = &self.trigger {
            let condition = trigger.condition.as_ref().map_or("always", |condition| condition.as_str());
            let _ = writeln!(out, "  started by {}: {}", trigger.event.as_str(), visible(condition));
        }
        for not_yet in &self.not_yet {
            let line = not_yet.source.start.line;
            let _ =
                writeln!(out, "  {} {} (line {line})", colour.yellow("not yet:"), not_yet.reason.as_str());
        }
        for (name, value) in &self.values {
            let _ = writeln!(out, "  {} = {}", visible(name), visible(value));
        }
        for group in &self.groups {
            self.render_group(group, colour, out);
        }
    }

    fn render_group(&self, group: &Group, colour: Colour, out: &mut String) {
        let steps = group.steps.iter().filter_map(|index| self.steps.get(*index));
        if group.kind == GroupKind::Step {
            steps.for_each(|step| step.render(2, colour, out));
            return;
        }
        let kind = if group.kind == GroupKind::Stage { "stage" } else { "at the same time" };
        let name = group.name.as_ref().map(|name| format!(" {}", visible(name))).unwrap_or_default();
        let _ = write!(out, "  {}{name}", colour.bold(kind));
        if let Some(deployment) = &group.deployment {
            let _ = write!(out, ", deploys to {}", visible(deployment.as_str()));
        }
        if group.manual {
            let _ = write!(out, ", {}", colour.yellow("when somebody starts it"));
        }
        out.push('\n');
        if let Some(condition) = &group.condition {
            render_condition(condition, 6, out);
        }
        steps.for_each(|step| step.render(4, colour, out));
    }
}

impl PlannedStep {
    fn render(&self, indent: usize, colour: Colour, out: &mut String) {
        let number = self.index + 1;
        let name = self.name.as_deref().map(visible).unwrap_or_else(|| format!("step {number}"));
        let line = self.source.start.line;
        let _ = write!(out, "{:indent$}{number}. {} (line {line})", "", colour.bold(&name));
        if self.manual {
            let _ = write!(out, ", {}", colour.yellow("when somebody starts it"));
        }
        out.push('\n');
        let indent = indent + 3;
        for fact in self.facts() {
            let _ = writeln!(out, "{:indent$}{}", "", visible(&fact));
        }
        if let Some(condition) = &self.condition {
            render_condition(condition, indent, out);
        }
        for item in &self.script {
            let _ = writeln!(out, "{:indent$}+ {}", "", visible(&summary(item)));
        }
        for item in &self.after_script {
            let _ = writeln!(out, "{:indent$}+ afterwards: {}", "", visible(&summary(item)));
        }
    }

    /// What is worth a line each.
    fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        match &self.child {
            Some(child) => facts.push(format!("runs the pipeline {}", child.custom)),
            None => facts.push(format!(
                "{}, size {}, at most {}",
                self.image.name,
                self.size.as_str(),
                counted(usize::try_from(self.max_time).unwrap_or(usize::MAX), "minute")
            )),
        }
        let mut list = |what: &str, names: Vec<&str>| {
            if !names.is_empty() {
                facts.push(format!("{what}: {}", names.join(", ")));
            }
        };
        list("on a runner with", self.runs_on.iter().map(String::as_str).collect());
        list("services", self.services.iter().map(|service| service.name.as_str()).collect());
        list("caches", self.caches.iter().map(|cache| cache.name.as_str()).collect());
        list("artifacts", self.artifacts.paths.iter().map(String::as_str).collect());
        list("artifacts by name", self.artifacts.upload.iter().map(|upload| upload.name.as_str()).collect());
        list("hands on", self.output_variables.iter().map(String::as_str).collect());
        list("deploys to", self.deployment.iter().map(|name| name.as_str()).collect());
        list("never beside others of", self.concurrency_group.iter().map(String::as_str).collect());
        for token in &self.tokens {
            let audiences = match token.audiences.as_slice() {
                [] => "the workspace's audience".to_owned(),
                audiences => audiences.join(", "),
            };
            facts.push(format!("identity token {} for {audiences}", token.variable));
        }
        facts.extend(self.aws.as_ref().map(|aws| format!("takes on {}", aws.role)));
        if !self.clone.enabled {
            facts.push("without a clone".to_owned());
        }
        facts
    }
}

fn render_condition(condition: &Condition, indent: usize, out: &mut String) {
    if let Some(changesets) = &condition.changesets {
        let (word, globs) = match changesets {
            Changesets::IncludePaths(globs) => ("only if changed", globs),
            Changesets::ExcludePaths(globs) => ("unless nothing changed but", globs),
        };
        let patterns: Vec<&str> = globs.iter().map(|glob| glob.as_str()).collect();
        let _ = writeln!(out, "{:indent$}{word}: {}", "", visible(&patterns.join(", ")));
    }
    if let Some(state) = &condition.state {
        let _ = writeln!(out, "{:indent$}only if {}", "", visible(state.as_str()));
    }
}

/// An item of a script in one line.
fn summary(item: &ScriptItem) -> String {
    match item {
        ScriptItem::Command { command } => {
            let mut lines = command.lines().filter(|line| !line.trim().is_empty());
            let first = lines.next().unwrap_or_default().to_owned();
            let more = lines.count();
            if more == 0 { first } else { format!("{first} … ({} more)", counted(more, "line")) }
        }
        ScriptItem::Pipe(pipe) => match &pipe.name {
            Some(name) => format!("pipe {} ({name})", pipe.pipe),
            None => format!("pipe {}", pipe.pipe),
        },
    }
}
