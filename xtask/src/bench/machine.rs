//! The machine that the figures belong to.

use crate::process;

/// One line: processor, cores, memory, kernel, git.
pub(super) fn describe() -> String {
    let field = |file: &str, key: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let said = |program: &str, argument: &str| {
        process::output(&mut process::command(program, &[argument])).unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kibibytes: u64 =
        field("/proc/meminfo", "MemTotal").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    format!(
        "Machine: {}, {cores} cores shared with the clients, {} GiB, Linux {}, {}.",
        field("/proc/cpuinfo", "model name"),
        kibibytes / 1024 / 1024,
        said("uname", "-r"),
        said("git", "--version"),
    )
}
