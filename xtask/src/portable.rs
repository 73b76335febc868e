//! `cargo xtask portable`: whether the runner still compiles for the systems that it is not tested on. Their standard library is
//! compiled too, from Debian's sources of it, so nothing but Debian's packages is needed. Nothing is linked or run.

use std::fs;

use crate::{Result, packages, process};

const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];
/// Debian's compiler, which its sources of the standard library fit.
const COMPILER: &str = "/usr/bin/rustc";
/// The library that is written in C. It cannot be compiled for these systems here, and need not be for a check.
const IN_C: &str = "aws-lc-sys";

/// Checks the runner for each of the systems.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::only(arguments, &[])?;
    packages::for_portable()?;
    let folder = crate::root().join("target").join("portable");
    fs::create_dir_all(&folder)?;
    let lock = fs::read_to_string(crate::root().join("Cargo.lock"))?;
    let version = version(&lock, IN_C).ok_or_else(|| format!("{IN_C} is not in Cargo.lock"))?;
    let links = format!("aws_lc_{}", version.replace('.', "_"));
    for target in TARGETS {
        let settings = folder.join(format!("{target}.toml"));
        let text = format!(
            "[target.{target}.{links}]\nrustc-cfg = [\"universal\"]\nlibcrypto = \"none\"\ninclude = \"\"\nroot = \"\"\nconf = \"\"\n"
        );
        fs::write(&settings, text)?;
        println!("\n== {target}");
        let mut check = process::command("cargo", &["check", "--package", "runner", "--target", target]);
        check.args(["-Zbuild-std=std,panic_abort", "-Zwarnings", "--config", "build.warnings='deny'"]);
        check.arg("--config").arg(&settings).arg("--target-dir").arg(&folder);
        // What builds the standard library is for nightly compilers; this one is told that it is one.
        process::run(check.env("RUSTC", COMPILER).env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// The version of a package in a lock file.
fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_package_is_found() {
        let lock = "[[package]]\nname = \"a-b\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"0.47.0\"\n";
        assert_eq!(version(lock, "a"), Some("0.47.0"));
        assert_eq!(version(lock, "b"), None);
    }
}
