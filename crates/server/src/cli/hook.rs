//! The hook's half of a push: what this program does when git starts it as a repository's pre-receive hook. It runs
//! before anything else is set up, since every push waits for it.

use std::io;
use std::process::ExitCode;

/// Runs as the hook, if that is how the program was started.
#[must_use]
pub fn run() -> Option<ExitCode> {
    let program = std::env::args_os().next()?;
    if !service::is_hook(&program) {
        return None;
    }
    let status = service::run_pre_receive(io::stdin(), |name| std::env::var_os(name), &mut io::stderr());
    Some(ExitCode::from(status))
}
