//! The agent as a program of its own, as small as can be: `agent DIRECTORY` runs the runner that is registered there.
//! The tests run it, and steps' walls call it; `bastide runner` is the real one.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use runner::Settings;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(ended) = runner::hidden(&arguments) {
        return ended;
    }
    let (Some(directory), Ok(program)) = (arguments.first(), std::env::current_exe()) else {
        return ExitCode::from(2);
    };
    let mut settings = Settings::new(directory.into(), vec![program.into()]);
    settings.heartbeat = Some(Duration::from_millis(200));
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::from(2) };
    let (_end, shutdown) = tokio::sync::watch::channel(false);
    match runtime.block_on(runner::run(settings, shutdown)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
