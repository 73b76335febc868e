//! `bastide pipeline`: what a `bitbucket-pipelines.yml` says, and what it would run. Looks at a file alone, never at a
//! server: it works wherever the file is, and in hooks and editors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ::pipeline::{Checked, Colour, Event, bounds};
use clap::{Args, Subcommand};
use model::{Error, Result};

use super::Verdict;
use super::output::{self, Output};

/// The commands.
#[derive(Subcommand)]
pub(super) enum Pipeline {
    /// Say all that is wrong with a file, each with its place and what to do
    Check(Check),
    /// Say what an event would run
    Plan(Plan),
}

/// Which file, and for whom the answer is.
#[derive(Args)]
pub(super) struct Of {
    /// The file; `-` for standard input
    #[arg(default_value = "bitbucket-pipelines.yml")]
    file: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// The flags of `check`.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    of: Of,
}

/// The flags of `plan`.
#[derive(Args)]
pub(super) struct Plan {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    event: What,
    /// The branch that the pull request is for; `main` when it is not named
    #[arg(long, value_name = "BRANCH")]
    into: Option<String>,
    /// A variable of the custom pipeline, as often as needed
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
}

/// What happens. One of them.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A push of this branch
    #[arg(long)]
    branch: Option<String>,
    /// A push of this tag
    #[arg(long)]
    tag: Option<String>,
    /// A pull request from this branch
    #[arg(long, value_name = "BRANCH")]
    pull_request: Option<String>,
    /// Somebody starts this custom pipeline
    #[arg(long, value_name = "NAME")]
    custom: Option<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is written NAME=VALUE".to_owned()),
    }
}

impl Plan {
    fn event(self) -> Result<(Of, Event)> {
        let Self { of, event, into, variables } = self;
        // Not said to clap: it waives what a flag requires where another flag contradicts that.
        if into.is_some() && event.pull_request.is_none() {
            return Err(Error::invalid("`--into` goes with `--pull-request`"));
        }
        if !variables.is_empty() && event.custom.is_none() {
            return Err(Error::invalid("`--variable` goes with `--custom`"));
        }
        let event = match event {
            What { branch: Some(branch), .. } => Event::Branch { branch },
            What { tag: Some(tag), .. } => Event::Tag { tag },
            What { pull_request: Some(source), .. } => {
                let destination = into.unwrap_or_else(|| "main".to_owned());
                Event::PullRequest { id: 1, source, destination }
            }
            What { custom: Some(name), .. } => {
                let mut known = BTreeMap::new();
                for (name, value) in variables {
                    if known.insert(name.clone(), value).is_some() {
                        return Err(Error::invalid(format!("the variable `{name}` is given twice")));
                    }
                }
                Event::Custom { name, variables: known }
            }
            What { .. } => return Err(Error::invalid("name what happens: `--branch main`")),
        };
        Ok((of, event))
    }
}

/// Runs the command.
pub(super) fn run(pipeline: Pipeline) -> Result<Verdict> {
    let output = Output::new();
    match pipeline {
        Pipeline::Check(Check { of }) => {
            let checked = look(&of.file)?;
            match of.json {
                true => output.json(&checked.report())?,
                false => output.text(&checked.render(colour(output.has_colour())))?,
            }
            Ok(verdict(&checked))
        }
        Pipeline::Plan(plan) => {
            let (of, event) = plan.event()?;
            let checked = look(&of.file)?;
            let Some(configuration) = &checked.configuration else {
                // What was asked for is not there, so this goes where failures go.
                match of.json {
                    true => output.json(&checked.report())?,
                    false => output::notice(checked.render(Colour::Off).trim_end()),
                }
                return Ok(Verdict::Bad);
            };
            let plan = configuration.plan(&event).map_err(|error| Error::invalid(error.to_string()))?;
            match of.json {
                true => output.json(&plan)?,
                false => output.text(&plan.render(colour(output.has_colour())))?,
            }
            Ok(Verdict::Good)
        }
    }
}

fn verdict(checked: &Checked) -> Verdict {
    if checked.configuration.is_some() { Verdict::Good } else { Verdict::Bad }
}

fn colour(wanted: bool) -> Colour {
    if wanted { Colour::On } else { Colour::Off }
}

fn look(file: &Path) -> Result<Checked> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let failed = |error: io::Error| Error::invalid(format!("`{name}` cannot be read: {error}"));
    // One byte more than is read, so that a file that is too large is told from one that is not.
    let most = u64::try_from(bounds::FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    match file == Path::new("-") {
        true => io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    }
    .map_err(failed)?;
    if bytes.len() > bounds::FILE {
        return Err(Error::invalid(format!(
            "`{name}` is larger than {} bytes: no more is read",
            bounds::FILE
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::invalid(format!("`{name}` is not text in UTF-8: byte {at} cannot be read"))
    })?;
    Ok(::pipeline::check(&name, &text))
}
