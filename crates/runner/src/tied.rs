//! The first step into the sandbox, taken by the process that becomes `bwrap`: it ends with its agent, and is in the step's
//! control groups.
//!
//! `bwrap` too asks the kernel to end it with the agent, but only once it runs, and without looking whether the agent still
//! lives. An agent that is killed before that would leave a script behind that nobody watches, beside the next attempt.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, ExitCode};

/// Runs the hidden command: `AGENT DOORS... -- PROGRAM ARGUMENTS...`. Returns only where it fails.
#[must_use]
pub(crate) fn tied(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let failed = match tie(arguments) {
        Ok(mut program) => program.exec().to_string(),
        Err(why) => why,
    };
    let _ = writeln!(io::stderr(), "the step cannot be begun: {failed}");
    ExitCode::from(126)
}

fn tie(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let agent = arguments.next().and_then(|text| text.to_str()?.parse::<u32>().ok());
    let agent = agent.ok_or("whose it is is not told")?;
    let kill = Some(rustix::process::Signal::KILL);
    let told = rustix::process::set_parent_process_death_signal(kill);
    told.map_err(|error| error.to_string())?;
    // From here on it ends with its parent; so that must be the agent still.
    if parent_id() != agent {
        return Err("its agent is gone".to_owned());
    }
    for door in arguments.by_ref().take_while(|argument| argument != "--") {
        if std::fs::write(&door, std::process::id().to_string()).is_err() {
            let _ = writeln!(io::stdout(), "Isolation: a limit does not hold");
        }
    }
    let program = arguments.next().ok_or("what to run is not told")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(agent: u32, rest: &[&str]) -> Vec<OsString> {
        let agent = agent.to_string();
        [agent.as_str()].iter().chain(rest).map(OsString::from).collect()
    }

    /// Catches a program that goes on for an agent that is gone.
    #[test]
    fn nothing_is_begun_for_an_agent_that_is_gone() {
        assert_eq!(tie(line(u32::MAX, &["--", "true"])).unwrap_err(), "its agent is gone");
    }

    #[test]
    fn what_is_begun_gets_its_arguments_and_enters_by_every_door() {
        let folder = tempfile::tempdir().unwrap();
        let door = folder.path().join("cgroup.procs").display().to_string();
        let command = tie(line(parent_id(), &[&door, "--", "echo", "--", "a"])).unwrap();
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--", "a"]);
        assert_eq!(std::fs::read_to_string(door).unwrap(), std::process::id().to_string());
    }
}
