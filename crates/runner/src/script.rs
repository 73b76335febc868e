//! What the shell of a step runs. One shell runs the whole script, so that `cd`, `export` and functions last from one
//! item to the next; each item is a file of its own that is read into it, so that a quote left open in one does not
//! swallow the next. The first failure ends the script (`set -e`), and the script behind it runs whatever came of it.
//!
//! Variables come as a file that the step's own shell reads. So no program outside the sandbox is ever started with a
//! value that a step's author chose, and no value stands in an argument.

use std::fmt::Write;
use std::io;
use std::path::Path;

use pipeline::plan::PlannedStep;
use pipeline::script::{Pipe, PipeValue, ScriptItem};

use crate::workspace::Workspace;

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

/// Writes all that the shell reads.
pub(crate) fn write(
    workspace: &Workspace,
    plan: &PlannedStep,
    inside: &Inside,
    variables: &[(String, String)],
) -> io::Result<()> {
    let folder = workspace.script();
    let mut environment = String::new();
    for (name, value) in variables {
        let value = value.replace('\0', "");
        let _ = writeln!(environment, "export {name}={}", quoted(&value));
    }
    workspace.write(&folder.join("environment.sh"), &environment)?;
    let mut pipes = 0;
    write_script(workspace, &folder, "script", &plan.script, inside, &mut pipes)?;
    if !plan.after_script.is_empty() {
        write_script(workspace, &folder, "after", &plan.after_script, inside, &mut pipes)?;
    }
    workspace.write(&folder.join("main.sh"), &main(inside, !plan.after_script.is_empty()))
}

fn main(inside: &Inside, after: bool) -> String {
    let script = quoted(&inside.script);
    let mut text = format!(
        "umask 022\n\
         if [ -p {control}/alive ]; then\n\
         (read -r end < {control}/alive; while :; do kill -9 -1; sleep 1; done) > /dev/null 2>&1 &\n\
         echo ready > {control}/ready\n\
         read -r go < {control}/start\n\
         unset go\n\
         fi\n\
         . {script}/environment.sh\n\
         cd {build} || exit 1\n\
         bastide_shell=sh\n\
         if command -v bash > /dev/null 2>&1; then bastide_shell=bash; fi\n\
         \"$bastide_shell\" {script}/script.sh\n\
         bastide_code=$?\n",
        control = quoted(&inside.control),
        build = quoted(&inside.build),
    );
    if after {
        let _ = writeln!(
            text,
            "echo 'Running the after-script'\nBITBUCKET_EXIT_CODE=$bastide_code \"$bastide_shell\" {script}/after.sh"
        );
    }
    text.push_str("exit $bastide_code\n");
    text
}

fn write_script(
    workspace: &Workspace,
    folder: &Path,
    name: &str,
    items: &[ScriptItem],
    inside: &Inside,
    pipes: &mut usize,
) -> io::Result<()> {
    let mut text = "set -e\n".to_owned();
    for (at, item) in items.iter().enumerate() {
        match item {
            ScriptItem::Command { command } => {
                let file = format!("{name}-{at}.sh");
                workspace.write(&folder.join(&file), &format!("{command}\n"))?;
                let _ = writeln!(text, "{}", echo(&format!("+ {}", command.trim_end())));
                let _ = writeln!(text, ". {}", quoted(&format!("{}/{file}", inside.script)));
            }
            ScriptItem::Pipe(pipe) => {
                call_of_pipe(&mut text, pipe, *pipes, &inside.control);
                *pipes += 1;
            }
        }
    }
    workspace.write(&folder.join(format!("{name}.sh")), &text)
}

/// The shell tells the agent the pipe's number, its own folder and the values, which it has put its variables into,
/// and waits for the exit status.
fn call_of_pipe(text: &mut String, pipe: &Pipe, number: usize, control: &str) {
    let title = pipe.name.as_deref().unwrap_or(&pipe.pipe);
    let _ = writeln!(text, "{}", echo(&format!("+ pipe: {title}")));
    let _ = write!(text, "{{ printf '%s\\0' {number} \"$PWD\"");
    for (_, value) in pipe_variables(pipe) {
        let _ = write!(text, " \"{}\"", with_variables(&value));
    }
    let _ = writeln!(text, "; }} > {}", quoted(&format!("{control}/request")));
    let _ = writeln!(text, "read -r bastide_code < {}", quoted(&format!("{control}/answer")));
    text.push_str("[ \"$bastide_code\" = 0 ] || exit \"${bastide_code:-1}\"\n");
}

/// Shows a text. A script that has closed its output goes on.
fn echo(text: &str) -> String {
    format!("printf '%s\\n' {} 2> /dev/null || :", quoted(text))
}

/// A text between double quotes: variables are put in, and nothing is run.
fn with_variables(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('`', "\\`");
    escaped.replace("$(", "\\$(").replace('\0', "")
}

/// A text as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn told(script: &str) -> String {
        let output = Command::new("sh").args(["-c", script]).env("A", "it's `x` $(y)").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_quoted_text_is_itself() {
        for text in ["it's", "$A `id` \"x\" \\", "", "two\nlines"] {
            assert_eq!(told(&format!("printf %s {}", quoted(text))), text);
        }
    }

    /// A pipe's variable gets the value of a variable, whatever that is, and nothing is run on the way.
    #[test]
    fn a_pipes_value_takes_variables_and_runs_nothing() {
        let text = with_variables("a \"$A\" ${A} `id` $(id) \\ $");
        assert_eq!(
            told(&format!("printf %s \"{text}\"")),
            "a \"it's `x` $(y)\" it's `x` $(y) `id` $(id) \\ $"
        );
    }

    #[test]
    fn names_that_end_a_shell_are_not_set() {
        assert!(can_be_set("A_1") && can_be_set("_x"));
        for name in ["", "1A", "A-B", "UID", "A B", "A\n"] {
            assert!(!can_be_set(name), "{name}");
        }
    }
}
