//! How a step connects over SSH: a folder with the private key, known hosts, and settings for `ssh` that name both.
//!
//! The settings are added to those in the step's home by its own shell, as the user that it runs as; so `ssh` and all that
//! calls it find them. `GIT_SSH_COMMAND` names them besides, for where `ssh` knows another home than the shell does.

use std::io;

use pipeline::protocol::Assignment;

use crate::script::{Inside, quoted};
use crate::variables::Environment;
use crate::workspace::Workspace;

const KEY: &str = "id";
const KNOWN_HOSTS: &str = "known_hosts";
const SETTINGS: &str = "config";
/// The key once more, below the folder of temporary files.
const COPY: &str = "bastide-ssh-key";
/// The file that tells the step's shell to make it.
const COPIED: &str = "copied";
/// Under which name the key is hidden in logs.
const SECRET: &str = "BITBUCKET_SSH_KEY";

/// Where the step finds its private key.
pub(crate) fn key_file(assignment: &Assignment, inside: &Inside) -> Option<String> {
    assignment.ssh.as_ref()?.private_key.as_ref()?;
    Some(format!("{}/{KEY}", inside.ssh))
}

/// Writes the files, and names them in the environment; nothing where the step has neither key nor known hosts.
pub(crate) fn prepare(
    assignment: &Assignment,
    workspace: &Workspace,
    inside: &Inside,
    environment: &mut Environment,
) -> io::Result<()> {
    let Some(access) = &assignment.ssh else { return Ok(()) };
    let (folder, ssh) = (workspace.ssh(), &inside.ssh);
    let mut settings = "# Made for this step.\nHost *\n".to_owned();
    if let Some(key) = &access.private_key {
        workspace.write(&folder.join(KEY), key)?;
        settings.push_str(&format!("    IdentityFile \"{ssh}/{KEY}\"\n"));
        environment.secrets.push((SECRET.to_owned(), key.clone()));
    }
    let hosts: String = access.known_hosts.iter().map(|line| format!("{line}\n")).collect();
    workspace.write(&folder.join(KNOWN_HOSTS), &hosts)?;
    // What the script itself adds counts as well.
    settings.push_str(&format!("    UserKnownHostsFile \"{ssh}/{KNOWN_HOSTS}\" ~/.ssh/known_hosts\n"));
    settings.push_str("    StrictHostKeyChecking yes\n");
    workspace.write(&folder.join(SETTINGS), &settings)?;
    let command = format!("ssh -F {}", quoted(&format!("{ssh}/{SETTINGS}")));
    environment.variables.entry("GIT_SSH_COMMAND".to_owned()).or_insert(command);
    Ok(())
}

/// Sees to it that `ssh` uses a copy of the key that the step's own shell makes. It takes none of its user's own that others
/// may read, as they may where an image's user has the agent's number and the folders were opened to all.
#[cfg(target_os = "linux")]
pub(crate) fn copied(workspace: &Workspace, inside: &Inside) -> io::Result<()> {
    let folder = workspace.ssh();
    if !folder.join(KEY).exists() {
        return Ok(());
    }
    let settings = folder.join(SETTINGS);
    let (key, copy) = (format!("{}/{KEY}", inside.ssh), format!("{}/{COPY}", inside.tmp));
    workspace.replace(&settings, &std::fs::read_to_string(&settings)?.replace(&key, &copy))?;
    workspace.write(&folder.join(COPIED), "")
}

/// What the step's shell does first: the copy, where it is to be made. A home that has settings keeps them, since what stands
/// first counts; one that cannot be written to is left alone.
pub(crate) fn home(inside: &Inside) -> String {
    let file = |name: &str| quoted(&format!("{}/{name}", inside.ssh));
    let (settings, key, copied) = (file(SETTINGS), file(KEY), file(COPIED));
    let copy = quoted(&format!("{}/{COPY}", inside.tmp));
    format!(
        "if [ -e {copied} ]; then (umask 077; cat {key} > {copy}); fi\n\
         if [ -r {settings} ] && [ -n \"${{HOME:-}}\" ] && mkdir -p \"$HOME/.ssh\" 2> /dev/null; then\n\
         chmod 700 \"$HOME/.ssh\"\n\
         cat {settings} >> \"$HOME/.ssh/config\" && chmod 600 \"$HOME/.ssh/config\"\n\
         fi 2> /dev/null\n"
    )
}
