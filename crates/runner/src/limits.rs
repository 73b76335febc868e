//! Limits that the kernel holds for all processes of a step together: memory, processors, how many processes.
//!
//! By control groups, of version 2 where the agent's own group was delegated to it (`Delegate=yes` in its unit), or of
//! version 1 where the agent may write there. Where neither can be had, the step's log says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::runtime::Size;

const ROOT: &str = "/sys/fs/cgroup";

/// What a step may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) processors: u32,
    pub(crate) processes: u32,
}

impl Limits {
    pub(crate) fn of(size: Size, processes: u32) -> Self {
        let memory = u64::from(size.memory()) * 1024 * 1024;
        Self { memory, processors: size.processors(), processes }
    }
}

/// The groups of one step: removed when dropped.
pub(crate) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// Makes the groups of a step, as far as they can be had. Gives what cannot be.
    pub(crate) fn make(name: &str, limits: Limits) -> (Self, Vec<&'static str>) {
        let mut group = Self { folders: Vec::new() };
        let missing = if Path::new(ROOT).join("cgroup.controllers").exists() {
            group.second_version(name, limits)
        } else {
            group.first_version(name, limits)
        };
        (group, missing)
    }

    /// The files into which a process writes its number to belong to the step.
    pub(crate) fn doors(&self) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().map(|folder| folder.join("cgroup.procs"))
    }

    fn second_version(&mut self, name: &str, limits: Limits) -> Vec<&'static str> {
        const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];
        let folder = own().and_then(|own| {
            // Only leaves of the tree have processes: the agent itself moves into one.
            let agent = own.join("agent");
            fs::create_dir_all(&agent).ok()?;
            fs::write(agent.join("cgroup.procs"), std::process::id().to_string()).ok()?;
            for controller in CONTROLLERS {
                // What was not delegated shows when a limit is written.
                let _ = fs::write(own.join("cgroup.subtree_control"), format!("+{controller}"));
            }
            let folder = own.join(format!("step-{name}"));
            fs::create_dir_all(&folder).ok()?;
            Some(folder)
        });
        let Some(folder) = folder else { return vec!["memory", "processors", "processes"] };
        let written = |file: &str, value: String| fs::write(folder.join(file), value).is_ok();
        let mut missing = Vec::new();
        if !written("memory.max", limits.memory.to_string()) {
            missing.push("memory");
        }
        let _ = written("memory.swap.max", "0".to_owned());
        let _ = written("memory.oom.group", "1".to_owned());
        if !written("cpu.max", format!("{} 100000", u64::from(limits.processors) * 100_000)) {
            missing.push("processors");
        }
        if !written("pids.max", limits.processes.to_string()) {
            missing.push("processes");
        }
        self.folders.push(folder);
        missing
    }

    fn first_version(&mut self, name: &str, limits: Limits) -> Vec<&'static str> {
        let quota = u64::from(limits.processors) * 100_000;
        let wanted = [
            ("memory", "memory", "memory.limit_in_bytes", limits.memory.to_string()),
            ("cpu", "processors", "cpu.cfs_quota_us", quota.to_string()),
            ("pids", "processes", "pids.max", limits.processes.to_string()),
        ];
        let mut missing = Vec::new();
        for (controller, what, file, value) in wanted {
            let folder = Path::new(ROOT).join(controller).join("bastide").join(name);
            let made = Path::new(ROOT).join(controller).join("cgroup.procs").exists()
                && fs::create_dir_all(&folder).is_ok();
            if made && fs::write(folder.join(file), value).is_ok() {
                self.folders.push(folder);
            } else {
                missing.push(what);
            }
        }
        missing
    }

    /// Removes the groups, when their processes have ended.
    pub(crate) async fn remove(mut self) {
        for folder in std::mem::take(&mut self.folders) {
            // Processes that were killed are members until they are gone.
            for _ in 0..50 {
                if fs::remove_dir(&folder).is_ok() || !folder.exists() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The group that was delegated to the agent.
fn own() -> Option<PathBuf> {
    let told = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = told.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = path.strip_suffix("/agent").unwrap_or(path);
    Some(Path::new(ROOT).join(path))
}
