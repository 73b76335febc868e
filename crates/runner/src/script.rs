//! What the shell of a step runs. One shell runs the whole script, so that `cd`, `export` and functions last from one
//! item to the next; each item is a file of its own that is read into it, so that a quote left open in one does not
//! swallow the next. The first failure ends the script (`set -e`), and the script behind it runs whatever came of it.
//!
//! The shell is `bash`, or `sh` where there is none, and PowerShell on Windows.
//!
//! Variables come as a file that the step's own shell reads. So no program outside the sandbox is ever started with a
//! value that a step's author chose, and no value stands in an argument.

mod posix;
mod powershell;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use pipeline::plan::PlannedStep;
use pipeline::script::{Pipe, PipeValue, ScriptItem};

pub(crate) use posix::quoted;

use crate::workspace::Workspace;

/// The file that is there once the shell was told to begin.
const BEGUN: &str = "begun";
/// Names that shells keep for themselves: setting them ends a shell.
const KEPT_BY_SHELLS: &[&str] =
    &["UID", "EUID", "PPID", "GROUPS", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO", "BASHPID", "_"];

/// Where things are for whoever runs inside.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) build: String,
    pub(crate) tmp: String,
    pub(crate) control: String,
    pub(crate) script: String,
    pub(crate) ssh: String,
}

/// The names of a pipe's variables, lists written out, with the text that each is set to.
pub(crate) fn pipe_variables(pipe: &Pipe) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (name, value) in &pipe.variables {
        match value {
            PipeValue::Text(text) => variables.push((name.clone(), text.clone())),
            PipeValue::List(texts) => {
                let numbered = texts.iter().enumerate();
                variables.extend(numbered.map(|(at, text)| (format!("{name}_{at}"), text.clone())));
                variables.push((format!("{name}_COUNT"), texts.len().to_string()));
            }
        }
    }
    variables
}

/// The pipes of a step, in the order in which the scripts number them.
pub(crate) fn pipes(plan: &PlannedStep) -> Vec<&Pipe> {
    let items = plan.script.iter().chain(&plan.after_script);
    items.filter_map(|item| if let ScriptItem::Pipe(pipe) = item { Some(pipe) } else { None }).collect()
}

/// Whether a name can be set in every shell.
pub(crate) fn can_be_set(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
        && !KEPT_BY_SHELLS.contains(&name)
}

/// The file that a step's shell runs.
pub(crate) fn main_file(workspace: &Workspace) -> PathBuf {
    workspace.script().join(if cfg!(windows) { powershell::MAIN } else { posix::MAIN })
}

/// Writes all that the shell reads.
pub(crate) fn write(
    workspace: &Workspace,
    plan: &PlannedStep,
    inside: &Inside,
    variables: &BTreeMap<String, String>,
) -> io::Result<()> {
    let folder = workspace.script();
    if cfg!(windows) {
        for (name, text) in powershell::files(plan, inside, variables) {
            workspace.write(&folder.join(name), &text)?;
        }
        return Ok(());
    }
    workspace.write(&folder.join(posix::ENVIRONMENT), &posix::environment(variables))?;
    let mut pipes = 0;
    posix::write_script(workspace, &folder, "script", &plan.script, inside, &mut pipes)?;
    if !plan.after_script.is_empty() {
        posix::write_script(workspace, &folder, "after", &plan.after_script, inside, &mut pipes)?;
    }
    workspace.write(&main_file(workspace), &posix::main(inside, !plan.after_script.is_empty()))
}

/// Sees to it that the script runs once: engines start a container that has ended once more, where another joins its network.
#[cfg(target_os = "linux")]
pub(crate) fn begun(workspace: &Workspace) -> io::Result<()> {
    workspace.write(&workspace.script().join(BEGUN), "")
}

/// Writes the variables anew, while the shell waits to read them.
#[cfg(target_os = "linux")]
pub(crate) fn write_again(workspace: &Workspace, variables: &BTreeMap<String, String>) -> io::Result<()> {
    workspace.replace(&workspace.script().join(posix::ENVIRONMENT), &posix::environment(variables))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_end_a_shell_are_not_set() {
        assert!(can_be_set("A_1") && can_be_set("_x"));
        for name in ["", "1A", "A-B", "UID", "A B", "A\n"] {
            assert!(!can_be_set(name), "{name}");
        }
    }
}
