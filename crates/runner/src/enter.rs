//! The last steps into the sandbox, taken by the process that becomes the step's shell: limits of its own, Landlock,
//! seccomp. It runs inside the namespaces that [`crate::sandbox`] has made, and ends by becoming what its arguments name.
//!
//! The filter of system calls forbids what opens ways to the kernel that builds do not need: namespaces and mounts,
//! kernel modules, `bpf`, `io_uring`, keys of the kernel, sockets of rare families. All else is allowed; the filter is
//! one wall among several.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The largest file that a step may write, in bytes, and how many it may have open.
const FILE_SIZE: u64 = 32 * 1024 * 1024 * 1024;
const OPEN_FILES: u64 = 65_536;

/// Runs the hidden command: `PROCESSES WRITABLE... -- PROGRAM ARGUMENTS...`. Returns only where it fails.
#[must_use]
pub(crate) fn enter(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let failed = match shut(arguments) {
        Ok(mut program) => program.exec().to_string(),
        Err(why) => why,
    };
    let _ = writeln!(io::stderr(), "the step cannot be shut in: {failed}");
    ExitCode::from(126)
}

fn shut(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let processes = arguments.next().and_then(|text| text.to_str()?.parse().ok());
    let processes: u64 = processes.ok_or("how many processes it may have is not told")?;
    let writable: Vec<OsString> = arguments.by_ref().take_while(|argument| argument != "--").collect();
    let program = arguments.next().ok_or("what to run is not told")?;
    limit(Resource::Nproc, processes);
    limit(Resource::Fsize, FILE_SIZE);
    limit(Resource::Nofile, OPEN_FILES);
    limit(Resource::Core, 0);
    kernel::shut(&writable)?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, value: u64) {
    let now = getrlimit(resource);
    let value = value.min(now.maximum.unwrap_or(u64::MAX));
    // A limit can always be lowered.
    let _ = setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
}

mod kernel {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::io::{self, Write};

    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
        Scope, path_beneath_rules,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch, apply_filter,
    };

    /// Calls that fail with `EPERM`.
    const FORBIDDEN: &[i64] = &[
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_open_by_handle_at,
        libc::SYS_acct,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_reboot,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_adjtimex,
        libc::SYS_quotactl,
        libc::SYS_process_vm_writev,
    ];

    /// The families of sockets that builds use: local ones, IP, and the kernel's for asking of addresses.
    const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

    const NAMESPACES: [i32; 7] = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];

    pub(super) fn shut(writable: &[OsString]) -> Result<(), String> {
        match landlock(writable) {
            Ok(RulesetStatus::FullyEnforced) => {}
            Ok(_) => tell("Landlock is not in this kernel, or an old one: it does not hold in full"),
            Err(error) => tell(&format!("Landlock does not hold: {error}")),
        }
        seccomp().map_err(|error| format!("seccomp: {error}"))
    }

    fn tell(what: &str) {
        let _ = writeln!(io::stderr(), "Isolation: {what}");
    }

    /// Everything that is there can be read and run; these folders and devices can be written. Sockets without a path
    /// and signals do not reach out.
    fn landlock(writable: &[OsString]) -> Result<RulesetStatus, landlock::RulesetError> {
        let abi = ABI::V6;
        let status = landlock::Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rules(path_beneath_rules(["/"], AccessFs::from_read(abi)))?
            .add_rules(path_beneath_rules(["/dev"], AccessFs::from_file(abi)))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_all(abi)))?
            .restrict_self()?;
        Ok(status.ruleset)
    }

    fn seccomp() -> Result<(), Box<dyn std::error::Error>> {
        let dword = |argument, operation, value: i32| {
            let value = u64::from(value.cast_unsigned());
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)
        };
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
        let mut clone = Vec::new();
        for namespace in NAMESPACES {
            let flag = SeccompCmpOp::MaskedEq(u64::from(namespace.cast_unsigned()));
            clone.push(SeccompRule::new(vec![dword(0, flag, namespace)?])?);
        }
        rules.insert(libc::SYS_clone, clone);
        let others: Result<Vec<_>, _> =
            FAMILIES.iter().map(|family| dword(0, SeccompCmpOp::Ne, *family)).collect();
        rules.insert(libc::SYS_socket, vec![SeccompRule::new(others?)?]);
        // Putting letters into the agent's terminal, where it has one.
        let terminal = i32::try_from(libc::TIOCSTI)?;
        rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(vec![dword(1, SeccompCmpOp::Eq, terminal)?])?]);
        apply(rules, libc::EPERM)?;
        // Its flags lie in memory, where no filter can look: libraries fall back to `clone` when it is not there.
        apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
    }

    fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<(), Box<dyn std::error::Error>> {
        let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
        let refused = SeccompAction::Errno(error.cast_unsigned());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?;
        let program: BpfProgram = filter.try_into()?;
        Ok(apply_filter(&program)?)
    }
}
