//! A script for the shells of Linux and macOS.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use pipeline::script::{Pipe, ScriptItem};

use super::{BEGUN, Inside, pipe_variables};
use crate::ssh;
use crate::workspace::Workspace;

/// The file of the variables.
pub(super) const ENVIRONMENT: &str = "environment.sh";
/// The file that is run.
pub(super) const MAIN: &str = "main.sh";

pub(super) fn environment(variables: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        let value = value.replace('\0', "");
        let _ = writeln!(text, "export {name}={}", quoted(&value));
    }
    text
}

pub(super) fn main(inside: &Inside, after: bool) -> String {
    let script = quoted(&inside.script);
    let mut text = format!(
        "umask 022\n\
         if [ -e {script}/{BEGUN} ]; then exit 1; fi\n\
         if [ -p {control}/alive ]; then\n\
         (read -r end < {control}/alive; while :; do kill -9 -1; sleep 1; done) > /dev/null 2>&1 &\n\
         echo ready > {control}/ready\n\
         read -r go < {control}/start\n\
         unset go\n\
         fi\n\
         . {script}/{ENVIRONMENT}\n\
         {home}cd {build} || exit 1\n\
         bastide_shell=sh\n\
         if command -v bash > /dev/null 2>&1; then bastide_shell=bash; fi\n\
         \"$bastide_shell\" {script}/script.sh\n\
         bastide_code=$?\n",
        control = quoted(&inside.control),
        build = quoted(&inside.build),
        home = ssh::home(inside),
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

pub(super) fn write_script(
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
}
