//! The pre-receive hook on its own: what the server's program does when git starts it under that name. The tests
//! use it as the hook.

use std::process::ExitCode;

fn main() -> ExitCode {
    let status =
        git::hook::run_pre_receive(std::io::stdin(), |name| std::env::var_os(name), &mut std::io::stderr());
    ExitCode::from(status)
}
