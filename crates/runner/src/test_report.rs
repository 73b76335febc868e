//! What a step's test tools have left in the clone: found, read, and told to the server. A report that cannot be read is a
//! line in the log; no step fails by one.
//!
//! It is looked for while nothing of the step runs. No link is followed, and what is told has the step's secrets hidden,
//! as its log has.

use std::fs;
use std::path::{Path, PathBuf};

use pipeline::artifact::{Upload, UploadKind};
use pipeline::test_report::{
    DEEPEST_FOLDER, FOLDERS, LARGEST_FILE, MOST_BYTES, MOST_FILES, TestReader, TestReport,
};

use crate::archive;
use crate::keep::{Keeper, chosen};
use crate::log::hidden;
use crate::workspace::{is_plain_file, read_bounded};

/// How many files and folders of a clone are looked at.
const MOST_LOOKED_AT: usize = 500_000;
/// How deep below such a folder files are looked for.
const DEEPEST_FILE: usize = 4;
/// How many complaints are told.
const MOST_COMPLAINTS: usize = 20;

/// Tells the server what the step's test tools have reported, if anything.
pub(crate) async fn tell(keeper: &Keeper<'_>, uploads: &[Upload]) {
    let log = keeper.log;
    let Some(build) = keeper.build() else { return };
    let named: Vec<Upload> =
        uploads.iter().filter(|upload| upload.kind == UploadKind::TestReports).cloned().collect();
    let mut masker = match log.secrets().masker() {
        Ok(masker) => masker,
        Err(error) => return log.line(&format!("Test reports are left out: {error}")).await,
    };
    let found =
        tokio::task::spawn_blocking(move || read(&build, &named, &mut |text| hidden(&mut masker, text)));
    let Ok((report, complaints)) = found.await else { return };
    for complaint in complaints {
        log.line(&complaint).await;
    }
    let Some(report) = report else { return };
    let totals = report.totals;
    let told = match keeper.server.tell_tests(keeper.attempt, &report).await {
        Ok(()) => String::new(),
        Err(error) => format!("; they cannot be kept: {error}"),
    };
    log.line(&format!(
        "Tests: {} passed, {} failed, {} errors, {} skipped{told}",
        totals.passed, totals.failed, totals.errors, totals.skipped
    ))
    .await;
}

/// What all reports below a folder say, and what is wrong with those that say nothing.
fn read(
    build: &Path,
    named: &[Upload],
    hide: &mut dyn FnMut(&str) -> String,
) -> (Option<TestReport>, Vec<String>) {
    let mut reader = TestReader::default();
    let mut complaints = Vec::new();
    let mut room = MOST_BYTES;
    let mut files = files(build);
    if !named.is_empty() {
        let all = archive::list(build).unwrap_or_default();
        for upload in named {
            files.extend(chosen(&all, &upload.paths, &upload.ignore_paths, upload.depth));
        }
        files.retain(|path| path.extension().is_some_and(|end| end == "xml") && is_plain_file(build, path));
        files.sort_unstable();
        files.dedup();
    }
    let left_out = files.len().saturating_sub(MOST_FILES);
    for path in files.into_iter().take(MOST_FILES) {
        let limit = LARGEST_FILE.min(room);
        let bytes = read_bounded(&build.join(&path), u64::try_from(limit).unwrap_or(u64::MAX));
        let ended = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
            room = room.saturating_sub(bytes.len());
            reader.read(&bytes, hide).map_err(|error| error.to_string())
        });
        if let Err(why) = ended
            && complaints.len() < MOST_COMPLAINTS
        {
            complaints.push(format!("Test report {}: {why}", path.display()));
        }
    }
    if left_out > 0 {
        complaints.push(format!("{left_out} test reports more are left out: a step has {MOST_FILES}"));
    }
    (reader.finish(), complaints)
}

/// The XML files in folders of tests, named from the clone, in order.
fn files(build: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    // A folder, and how deep below a folder of tests it lies, if it does.
    let mut folders: Vec<(PathBuf, Option<usize>)> = vec![(PathBuf::new(), None)];
    while let Some((folder, inside)) = folders.pop() {
        for entry in fs::read_dir(build.join(&folder)).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MOST_LOOKED_AT {
                return found;
            }
            let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
            let path = folder.join(&name);
            let depth = path.components().count();
            if kind.is_dir() {
                let of_tests = depth <= DEEPEST_FOLDER && FOLDERS.iter().any(|one| *one == name);
                let inside = inside.map(|depth| depth + 1).or(of_tests.then_some(0));
                let goes_on = inside.map_or(depth < DEEPEST_FOLDER, |depth| depth < DEEPEST_FILE);
                if goes_on && name != ".git" {
                    folders.push((path, inside));
                }
            } else if kind.is_file() && inside.is_some() && path.extension().is_some_and(|end| end == "xml") {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Attack: a link among the reports that leads to what the agent may read and the step may not.
    #[test]
    fn reports_are_found_in_their_folders_alone_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("build");
        let outside = folder.path().join("outside");
        let report = |name: &str| format!("<testsuite><testcase name='{name}'/></testsuite>");
        for (path, text) in [
            ("build/target/surefire-reports/TEST-a.xml", report("a")),
            ("build/x/y/z/test-results/deep/b.xml", report("b")),
            ("build/w/x/y/z/test-results/too-deep.xml", report("c")),
            ("build/target/other/d.xml", report("d")),
            ("build/test-results/broken.xml", "<testsuite>".to_owned()),
            ("build/test-results/notes.txt", report("e")),
            ("build/.git/test-results/f.xml", report("f")),
            ("outside/secret.xml", report("g")),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink(outside.join("secret.xml"), root.join("test-results/link.xml")).unwrap();
        symlink(&outside, root.join("TestResults")).unwrap();
        let (report, complaints) = read(&root, &[], &mut str::to_owned);
        let cases = report.unwrap().cases;
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(complaints, ["Test report test-results/broken.xml: it is broken as XML"]);
        let upload = Upload {
            name: "tests".to_owned(),
            kind: UploadKind::TestReports,
            paths: vec![
                "target/**".to_owned(),
                "TestResults/**".to_owned(),
                "test-results/link.xml".to_owned(),
            ],
            ignore_paths: Vec::new(),
            capture_on: pipeline::artifact::CaptureOn::Success,
            depth: None,
        };
        let cases = read(&root, &[upload], &mut str::to_owned).0.unwrap().cases;
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["d", "a", "b"]);
    }
}
