//! Repositories to measure with: the same bytes on every machine, made here rather than fetched.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, process};

/// A repository's shape.
pub(super) struct Shape {
    /// Its name.
    pub(super) name: &'static str,
    /// Commits, each of which changes three text files out of 300.
    commits: u32,
    /// Mebibytes of data that does not compress, in files of one mebibyte.
    mebibytes: u32,
    /// Small files that the first commit brings, 100 to a directory.
    files: u32,
}

/// As a small service has it: a pack of a few megabytes.
pub(super) const SMALL: Shape = Shape { name: "small", commits: 800, mebibytes: 0, files: 0 };
/// A pack of more than 100 MB.
pub(super) const LARGE: Shape = Shape { name: "large", commits: 2000, mebibytes: 120, files: 0 };
/// A push of 1 GB.
pub(super) const HUGE: Shape = Shape { name: "huge", commits: 10, mebibytes: 1000, files: 0 };
/// Many files, as one repository for everything has them.
pub(super) const MANY: Shape = Shape { name: "many", commits: 100, mebibytes: 0, files: 50_000 };

/// A bare repository of this shape, packed, made once per run of the benchmarks.
pub(super) fn repository(folder: &Path, shape: &Shape) -> Result<PathBuf> {
    let path = folder.join("content").join(format!("{}.git", shape.name));
    if path.is_dir() {
        return Ok(path);
    }
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", &path.display().to_string()])?;
    let mut import = Command::new("git");
    import.args(["fast-import", "--quiet"]).current_dir(&path).stdin(Stdio::piped());
    // What does not compress is not worth the minutes to find that out.
    import.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.bigFileThreshold")]);
    import.env("GIT_CONFIG_VALUE_0", "512k");
    let mut child = import.spawn()?;
    if let Some(stdin) = child.stdin.take() {
        write(&mut BufWriter::new(stdin), shape)?;
    }
    if !child.wait()?.success() {
        return Err("git fast-import failed".into());
    }
    // As git's own maintenance leaves it; the baseline gets the best it can have.
    git(&path, &["repack", "-q", "-a", "-d", "-b"])?;
    git(&path, &["pack-refs", "--all"])?;
    Ok(path)
}

/// Runs git without the settings of whoever sits before the machine.
pub(super) fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder);
    command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")]);
    process::output(&mut command)
}

fn write(out: &mut impl Write, shape: &Shape) -> Result<()> {
    let mut random = Sequence(0x9e37_79b9_7f4a_7c15);
    let mut block = vec![0u8; 1 << 20];
    for commit in 1..=shape.commits {
        // Eight branches beside the main one, so that there is something to advertise.
        let branch =
            if commit % 100 == 0 { format!("topic-{}", commit / 100 % 8) } else { "main".to_owned() };
        let message = format!("change {commit}");
        writeln!(out, "commit refs/heads/{branch}\nmark :{commit}")?;
        writeln!(out, "committer Ann <ann@example.com> {} +0000", 1_700_000_000 + commit)?;
        writeln!(out, "data {}\n{message}", message.len())?;
        if commit > 1 {
            writeln!(out, "from :{}", commit - 1)?;
        }
        if commit == 1 && shape.files > 0 {
            many_files(out, shape.files)?;
        }
        for _ in 0..3 {
            let text = random.text();
            let file = random.below(300);
            writeln!(
                out,
                "M 100644 inline src/part{}/file{file}.txt\ndata {}\n{text}",
                file % 20,
                text.len()
            )?;
        }
        let blocks = (u64::from(shape.mebibytes) * u64::from(commit) / u64::from(shape.commits))
            - (u64::from(shape.mebibytes) * u64::from(commit - 1) / u64::from(shape.commits));
        for part in 0..blocks {
            random.fill(&mut block);
            writeln!(out, "M 100644 inline assets/{commit}-{part}.bin\ndata {}", block.len())?;
            out.write_all(&block)?;
            writeln!(out)?;
        }
    }
    writeln!(out, "reset refs/heads/main\nfrom :{}", shape.commits)?;
    writeln!(out, "done")?;
    out.flush()?;
    Ok(())
}

/// Files in two levels of directories, and a README above them.
fn many_files(out: &mut impl Write, files: u32) -> Result<()> {
    let readme = "# Many files\n\n".to_owned() + &"Some text with `code` and a [link](src).\n\n".repeat(60);
    writeln!(out, "M 100644 inline README.md\ndata {}\n{readme}", readme.len())?;
    for file in 0..files {
        let text = format!("file {file}\n").repeat(10);
        let (outer, inner) = (file / 2_500, file / 100 % 25);
        writeln!(out, "M 100644 inline src/d{outer}/p{inner}/file_{file}.txt\ndata {}\n{text}", text.len())?;
    }
    Ok(())
}

/// A pseudo-random sequence (SplitMix64): the same on every machine.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
    }

    /// Lines of words, as source code compresses.
    fn text(&mut self) -> String {
        const WORDS: &[&str] =
            &["let", "value", "request", "return", "match", "error", "name", "path", "=", "(", ")"];
        let mut text = String::new();
        for _ in 0..(20 + self.below(60)) {
            for _ in 0..(2 + self.below(8)) {
                let at = usize::try_from(self.below(16)).unwrap_or(0);
                match WORDS.get(at) {
                    Some(word) => text.push_str(word),
                    None => text.push_str(&format!("{:x}", self.next() & 0xffff)),
                }
                text.push(' ');
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_the_same_every_time_and_as_large_as_it_says() {
        let shape = Shape { name: "t", commits: 3, mebibytes: 2, files: 0 };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write(&mut one, &shape).unwrap();
        write(&mut two, &shape).unwrap();
        assert_eq!(one, two);
        assert!(one.len() > 2 << 20 && one.len() < 3 << 20, "{}", one.len());
    }

    #[test]
    fn git_accepts_it() {
        let folder = tempfile::tempdir().unwrap();
        let path =
            repository(folder.path(), &Shape { name: "t", commits: 101, mebibytes: 0, files: 250 }).unwrap();
        let count = git(&path, &["rev-list", "--all", "--count"]).unwrap();
        assert_eq!(count.trim(), "101");
        let files = git(&path, &["ls-tree", "-r", "--name-only", "main", "src/d0"]).unwrap();
        assert_eq!(files.lines().count(), 250);
    }
}
