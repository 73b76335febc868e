//! What is read without a process against what git says of the same.

use std::fmt::Write as _;
use std::fs;

use crate::harness::git_ok;
use crate::listing_refs::Bare;
use futures_util::StreamExt;
use git::tree::{self, Entry};
use git::{RepoPath, Repository, blob, commit, refs};
use model::{ObjectId, RefName};

fn id(text: &str) -> ObjectId {
    text.trim().parse().unwrap()
}

/// A repository with packed objects, deltas among them, and loose ones; the names of its commits, oldest first.
async fn filled() -> (Bare, Vec<ObjectId>) {
    let bare = Bare::new().await;
    let work = bare.path.with_file_name("work");
    fs::create_dir_all(work.join("src/deep")).unwrap();
    git_ok(&work, &["init", "-q", "-b", "main"]).await;
    let mut commits = Vec::new();
    for round in 0..6_usize {
        let mut text = String::new();
        for line in 0..400 {
            let _ = writeln!(text, "line {line} of {}", if line % 97 == round { round } else { 0 });
        }
        fs::write(work.join("src/deep/long.txt"), text).unwrap();
        fs::write(work.join(format!("src/{round} größe.txt")), format!("{round}\n")).unwrap();
        if round == 0 {
            std::os::unix::fs::symlink("../etc", work.join("link")).unwrap();
            fs::write(work.join("empty"), "").unwrap();
        }
        git_ok(&work, &["add", "-A"]).await;
        let message = format!("Round {round}\n\nWith a body.\n");
        git_ok(&work, &["commit", "-q", "-m", &message]).await;
        commits.push(id(&git_ok(&work, &["rev-parse", "HEAD"]).await));
        if round == 3 {
            git_ok(&work, &["tag", "-a", "-m", "one", "v1"]).await;
            git_ok(&work, &["tag", "-a", "-m", "of a tag", "v1-again", "v1"]).await;
            git_ok(&work, &["push", "-q", bare.path.to_str().unwrap(), "main", "v1", "v1-again"]).await;
            bare.git(&["repack", "-adfq", "--depth=20"]).await;
            bare.git(&["pack-refs", "--all"]).await;
        }
    }
    git_ok(&work, &["push", "-q", bare.path.to_str().unwrap(), "main", "main:refs/heads/feature/x"]).await;
    (bare, commits)
}

/// From now on only git reads the repository.
fn left_to_git(bare: &Bare) {
    let config = fs::read_to_string(bare.path.join("config")).unwrap();
    fs::write(bare.path.join("config"), config + "# another line\n").unwrap();
}

async fn entries(repository: &Repository, at: &ObjectId) -> Vec<Entry> {
    let mut found = tree::list(repository, at, None, 1, 1000).await.unwrap();
    for directory in ["src", "src/deep"] {
        let path = RepoPath::new(directory).unwrap();
        found.extend(tree::list(repository, at, Some(&path), 1, 1000).await.unwrap());
    }
    for path in
        ["link", "src/deep/long.txt", "src/0 größe.txt", "src", "nothing", "empty/below", "src/none/x"]
    {
        found.extend(tree::find(repository, at, &RepoPath::new(path).unwrap()).await.unwrap());
    }
    found
}

async fn content(repository: &Repository, entry: &Entry) -> Vec<u8> {
    let pieces: Vec<_> = blob::open(repository, &entry.id).await.unwrap().collect().await;
    pieces.into_iter().flat_map(Result::unwrap).collect()
}

/// Would catch a delta that is applied wrongly, a size taken from a delta's own head, a loose object passed over, a path
/// that is walked into a file.
#[tokio::test(flavor = "multi_thread")]
async fn trees_and_files_are_what_git_says() {
    let (bare, commits) = filled().await;
    let mut ours = Vec::new();
    for commit in &commits {
        for entry in entries(&bare.alone, commit).await {
            let content = if entry.size.is_some() { content(&bare.alone, &entry).await } else { Vec::new() };
            ours.push((entry, content));
        }
    }
    assert!(ours.len() > 60);
    left_to_git(&bare);
    let mut theirs = Vec::new();
    for commit in &commits {
        for entry in entries(&bare.repository, commit).await {
            let content =
                if entry.size.is_some() { content(&bare.repository, &entry).await } else { Vec::new() };
            theirs.push((entry, content));
        }
    }
    assert_eq!(ours, theirs);
    assert!(tree::list(&bare.alone, &commits[0], None, 1, 1000).await.is_err(), "git was not needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_lead_to_the_commits_that_git_finds() {
    let (bare, commits) = filled().await;
    let names = ["main", "feature/x", "v1", "v1-again", commits[1].as_str()];
    let branches = ["main", "feature/x", "feature", "none"].map(|name| RefName::branch(name).unwrap());
    let mut ours = Vec::new();
    for name in names {
        ours.push(refs::resolve(&bare.alone, name).await.unwrap());
    }
    let mut found = Vec::new();
    for name in &branches {
        found.push(refs::find(&bare.alone, name).await.unwrap());
    }
    // What an annotated tag is made of is git's to tell.
    let tag = RefName::tag("v1").unwrap();
    assert!(refs::find(&bare.alone, &tag).await.is_err());
    assert!(refs::find(&bare.repository, &tag).await.unwrap().unwrap().peeled.is_some());
    left_to_git(&bare);
    for (name, ours) in names.iter().zip(ours) {
        assert_eq!(refs::resolve(&bare.repository, name).await.unwrap(), ours, "{name}");
    }
    for (name, found) in branches.iter().zip(found) {
        assert_eq!(refs::find(&bare.repository, name).await.unwrap(), found, "{name}");
    }
}

/// Would catch an author's name or a message that a page shows otherwise than git does.
#[tokio::test(flavor = "multi_thread")]
async fn commits_are_what_git_says_also_odd_ones() {
    let (bare, mut plain) = filled().await;
    let tree = bare.git(&["rev-parse", &format!("{}^{{tree}}", plain[0])]).await;
    let tree = tree.trim();
    let (ann, parent) = ("Ann <a@example.com> 1700000000 +0530", plain[0].clone());
    let head = format!("tree {tree}\nparent {parent}\nauthor {ann}\ncommitter {ann}\n");
    let signed = "gpgsig -----BEGIN SSH SIGNATURE-----\n tree x\n \n -----END SSH SIGNATURE-----\n";
    let written = |text: String| {
        let (file, bare) = (bare.path.with_file_name("object"), &bare);
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().to_owned();
        async move { id(&bare.git(&["hash-object", "-t", "commit", "-w", "--literally", &file]).await) }
    };
    for text in [
        format!("{head}\nsubject"),
        format!("{head}\n\n\n  subject after lines  \n\n\nbody\n\n"),
        format!("{head}{signed}\nsigned\n"),
        format!("{head}\n"),
        format!("tree {tree}\nauthor {ann}\ncommitter B C <> 0 -0000\n\nthe first\n"),
        format!("{head}mergetag object {parent}\n type commit\n\nmerged\n"),
    ] {
        plain.push(written(text).await);
    }
    let mut odd = Vec::new();
    for text in [
        format!("{head}encoding ISO-8859-1\n\nsubject\n"),
        format!("{head}\nzero \0 byte\n"),
        format!("tree {tree}\nauthor <a@example.com> 1 +0000\ncommitter {ann}\n\nno name\n"),
        format!("tree {tree}\nauthor  A  <a@example.com> 1 +0000\ncommitter {ann}\n\nspaces\n"),
        format!("tree {tree}\nauthor A <a@b> c> 1 +0000\ncommitter {ann}\n\nbrackets\n"),
        format!("tree {tree}\nauthor A <a@b> -1 +0000\ncommitter {ann}\n\nbefore time\n"),
        format!("tree {tree}\nauthor A <a@b> 1 +000000\ncommitter {ann}\n\nzone\n"),
        format!("tree {tree}\nauthor A <a@b>\ncommitter {ann}\n\nno date\n"),
        format!("tree {tree}\nauthor A <a@b> 123456789012 +0000\ncommitter {ann}\n\nfar\n"),
        format!("tree {tree}\nauthor {ann}\nauthor {ann}\ncommitter {ann}\n\ntwo authors\n"),
    ] {
        odd.push(written(text).await);
    }
    for id in &odd {
        assert!(commit::read(&bare.alone, id).await.is_err(), "{id} is for git to read");
        assert!(commit::read(&bare.repository, id).await.is_ok(), "{id}");
    }
    let ours = commit::read_all(&bare.alone, &plain).await.unwrap();
    let one = commit::read(&bare.alone, &plain[0]).await.unwrap();
    assert_eq!((ours.len(), &one), (plain.len(), &ours[0]));
    left_to_git(&bare);
    let theirs = commit::read_all(&bare.repository, &plain).await.unwrap();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
}
