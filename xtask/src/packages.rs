//! What the tests and benchmarks need from Debian, and how it gets there.

use crate::{Result, process};

/// A program, or a module of Debian's own Python, and the package that brings it.
struct Need {
    program: &'static str,
    package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// What stands before the name of a module of Python.
const MODULE: &str = "python3:";
/// Debian's Python, whatever else is in the search path.
const PYTHON: &str = "/usr/bin/python3";

/// For `cargo xtask test`. PostgreSQL's programs are in a folder of their own: `psql` stands for them.
const TESTS: &[Need] = &[
    need("git", "git"),
    need("git-lfs", "git-lfs"),
    need("ssh", "openssh-client"),
    need("curl", "curl"),
    need("jq", "jq"),
    need("sqlite3", "sqlite3"),
    need("chattr", "e2fsprogs"),
    need("cvc5", "cvc5"),
    need("runuser", "util-linux"),
    need("psql", "postgresql"),
    need("cc", "gcc"),
    need("go", "golang-go"),
    need("node", "nodejs"),
    need("npm", "npm"),
    need("cmake", "cmake"),
    need("chromium", "chromium"),
    need("node", "nodejs"),
    need("npm", "npm"),
    need("aiosmtpd", "python3-aiosmtpd"),
    need("openssl", "openssl"),
    need("python3:jwt", "python3-jwt"),
    need("python3:cryptography", "python3-cryptography"),
    need("bwrap", "bubblewrap"),
    need("setpriv", "util-linux"),
    need("podman", "podman"),
    need("runc", "runc"),
    need("busybox", "busybox-static"),
    need("python3:ensurepip", "python3-venv"),
    need("apache2", "apache2-bin"),
    need("/usr/lib/apache2/modules/mod_auth_openidc.so", "libapache2-mod-auth-openidc"),
];

/// For `cargo xtask bench`, beside those.
const BENCHMARKS: &[Need] = &[need("nginx", "nginx-light"), need("fcgiwrap", "fcgiwrap"), need("wrk", "wrk")];

/// For `cargo xtask portable`.
const PORTABLE: &[Need] = &[
    need("/usr/bin/rustc", "rustc-web"),
    need("/usr/lib/rustlib/src/rust/library/Cargo.lock", "rust-web-src"),
    need("x86_64-w64-mingw32-dlltool", "binutils-mingw-w64-x86-64"),
];

/// For `cargo xtask screenshots`.
const PICTURES: &[Need] = &[
    need("git", "git"),
    need("chromium", "chromium"),
    need("node", "nodejs"),
    need("npm", "npm"),
    need("sqlite3", "sqlite3"),
];

/// Sees to it that all programs for pictures of the pages are there.
pub(crate) fn for_screenshots() -> Result<()> {
    see_to(PICTURES)
}

/// Sees to it that all programs for the tests are there.
pub(crate) fn for_tests() -> Result<()> {
    see_to(TESTS)
}

/// Sees to it that all that compiles for other systems is there.
pub(crate) fn for_portable() -> Result<()> {
    see_to(PORTABLE)
}

/// Sees to it that all programs for the benchmarks are there.
pub(crate) fn for_benchmarks() -> Result<()> {
    see_to(TESTS)?;
    see_to(BENCHMARKS)
}

fn missing(needs: &[Need], found: impl Fn(&str) -> bool) -> Vec<&'static str> {
    needs.iter().filter(|need| !found(need.program)).map(|need| need.package).collect()
}

fn see_to(needs: &[Need]) -> Result<()> {
    let there = |program: &str| match program.strip_prefix(MODULE) {
        Some(module) => {
            process::output(&mut process::command(PYTHON, &["-c", &format!("import {module}")])).is_ok()
        }
        None => process::found(program).is_some(),
    };
    let packages = missing(needs, there);
    if packages.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if !process::superuser() || process::found("apt-get").is_none() {
        return Err(format!("missing: {}; install them as root: `{by_hand}`", packages.join(", ")).into());
    }
    println!("installing {}", packages.join(", "));
    let quiet = ["-q", "-y", "-o", "DPkg::Lock::Timeout=120"];
    let mut update = process::command("apt-get", &quiet);
    process::output(update.arg("update").env("DEBIAN_FRONTEND", "noninteractive"))?;
    let mut install = process::command("apt-get", &quiet);
    install.args(["install", "--no-install-recommends"]).args(&packages);
    process::output(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    match missing(needs, there).as_slice() {
        [] => Ok(()),
        still => Err(format!("still missing after the installation: {}", still.join(", ")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_named() {
        assert_eq!(missing(TESTS, |program| program != "jq"), ["jq"]);
        assert!(missing(TESTS, |_| true).is_empty());
    }
}
