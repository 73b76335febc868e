//! What a server uses, from /proc: processor time with its children's, and resident memory without.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::process;

/// The processor time of these processes and all below them, in seconds, children that have ended included.
/// What the kernel counts in ticks of a hundredth of a second: measure much more than one.
pub(super) fn processor_seconds(roots: &[u32]) -> f64 {
    let mut ticks = 0u64;
    let processes = all();
    let mut open: Vec<u32> = roots.to_vec();
    while let Some(pid) = open.pop() {
        if let Some(process) = processes.get(&pid) {
            ticks += process.ticks;
        }
        open.extend(processes.iter().filter(|(_, process)| process.parent == pid).map(|(child, _)| child));
    }
    let ticks = f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
    ticks / *TICKS_PER_SECOND
}

/// The sum of what bash's `times` wrote many times: each time a line for bash and a line for its children, of which
/// only the second counts: `0m0.012s 0m0.003s`.
pub(super) fn written_down(text: &str) -> f64 {
    let seconds = |time: &str| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    text.lines().skip(1).step_by(2).flat_map(str::split_whitespace).filter_map(seconds).sum()
}

/// The resident memory of one process, in MiB.
pub(super) fn resident_mebibytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| f64::from(kibibytes) / 1024.0)
}

static TICKS_PER_SECOND: LazyLock<f64> = LazyLock::new(|| {
    let said = process::output(&mut process::command("getconf", &["CLK_TCK"]));
    said.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
});

struct Process {
    parent: u32,
    ticks: u64,
}

fn all() -> BTreeMap<u32, Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let read = |pid| Some((pid, parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
    pids.filter_map(read).collect()
}

/// Reads a line of /proc/…/stat. The program's name, in brackets, may hold spaces and brackets.
fn parse(stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    // utime, stime, cutime and cstime are fields 14 to 17 of proc(5), counted from one.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Process { parent: u32::try_from(number(1)?).ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_program_is_called() {
        let line = "42 (a) (b) S 7 42 42 0 -1 4194560 100 200 0 0 1 2 30 40 20 0 1 0 100 1000 50";
        let process = parse(line).unwrap();
        assert_eq!((process.parent, process.ticks), (7, 73));
        assert!(parse("").is_none());
    }

    #[test]
    fn what_bash_writes_down_is_added_up() {
        let text = "0m0.100s 0m0.100s\n0m0.012s 0m0.003s\n0m0.100s 0m0.100s\n1m0.500s 0m0.000s\n";
        assert!((written_down(text) - 60.515).abs() < 1e-9);
    }

    #[test]
    fn the_time_of_ended_children_counts() {
        let me = std::process::id();
        let before = processor_seconds(&[me]);
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        process::run(&mut process::command("sh", &["-c", work])).unwrap();
        assert!(processor_seconds(&[me]) > before);
        assert!(resident_mebibytes(me) > 1.0);
    }
}
