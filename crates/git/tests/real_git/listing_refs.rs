//! `ls-refs` answered in this process against git's own answer, byte for byte.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::harness::git_ok;
use futures_util::StreamExt;
use git::pkt_line::write_data;
use git::{Program, Protocol, Repositories, Repository, Session, upload_pack};
use model::{Random, RefName, RepositoryId};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

/// What real clients send, and each option alone.
const OPTIONS: &[&[&str]] =
    &[&[], &["peel"], &["symrefs"], &["unborn"], &["symrefs", "unborn"], &["peel", "symrefs", "unborn"]];

const PREFIXES: &[&[&str]] = &[
    &[],
    &["HEAD"],
    &["refs/heads/", "refs/tags/", "HEAD"],
    &["refs/heads/main", "refs/tags/", "refs/heads/m"],
    &["refs/tags/v1", "refs/none/", "refs/tags/v1"],
    &["refs/bastide/", "refs/bas"],
    &["", "refs/heads/"],
    &["refs/heads/*"],
    &["x"],
];

/// One repository, and the same seen by a server that has no git to fall back on.
pub(crate) struct Bare {
    _directory: tempfile::TempDir,
    pub(crate) repository: Repository,
    pub(crate) alone: Repository,
    pub(crate) path: PathBuf,
}

impl Bare {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("repositories");
        let id = RepositoryId::new(&Random::seeded(5));
        let repositories = Repositories::new(&root, Program::default()).unwrap();
        let repository = repositories.create(id, &RefName::branch("main").unwrap()).await.unwrap();
        let alone =
            Repositories::new(&root, Program::with_search_path("/nonexistent")).unwrap().open(id).unwrap();
        let path = repository.path().to_owned();
        Self { _directory: directory, repository, alone, path }
    }

    pub(crate) async fn git(&self, arguments: &[&str]) -> String {
        git_ok(&self.path, arguments).await
    }

    /// A commit; each message makes another.
    async fn commit(&self, message: &str) -> String {
        let tree = self.git(&["hash-object", "-w", "-t", "tree", "/dev/null"]).await;
        self.git(&["commit-tree", &tree, "-m", message]).await
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Answered without git, or `None`.
    async fn ours(&self, request: &[u8]) -> Option<Vec<u8>> {
        answer(&self.alone, request).await.ok()
    }

    async fn theirs(&self, request: &[u8]) -> Vec<u8> {
        let mut child = tokio::process::Command::new("git")
            .args(["-c", "transfer.hideRefs=refs/bastide", "upload-pack", "--strict", "--stateless-rpc"])
            .arg(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_PROTOCOL", "version=2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let request = request.to_vec();
        tokio::spawn(async move {
            let _ = stdin.write_all(&request).await;
        });
        child.wait_with_output().await.unwrap().stdout
    }

    /// Holds one answer against git's.
    async fn same(&self, request: &[u8]) -> Vec<u8> {
        let theirs = self.theirs(request).await;
        let shown = String::from_utf8_lossy(request).into_owned();
        let ours = self.ours(request).await;
        let ours = ours.unwrap_or_else(|| panic!("not answered here: {shown}"));
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{shown}");
        assert!(ours == theirs && ours.ends_with(b"0000"), "{shown}");
        ours
    }

    /// Holds the answers to all usual requests against git's; gives the one to a clone's.
    async fn all_same(&self) -> String {
        for options in OPTIONS {
            self.same(&request(options, &[])).await;
        }
        for prefixes in PREFIXES {
            self.same(&request(&["peel", "symrefs"], prefixes)).await;
        }
        String::from_utf8_lossy(&self.same(&request(&["peel", "symrefs", "unborn"], &[])).await).into_owned()
    }

    /// Is answered, but by git.
    async fn is_for_git(&self, request: &[u8]) {
        assert!(self.ours(request).await.is_none(), "{}", String::from_utf8_lossy(request));
        assert_eq!(answer(&self.repository, request).await.unwrap(), self.theirs(request).await);
    }
}

async fn answer(repository: &Repository, request: &[u8]) -> model::Result<Vec<u8>> {
    let input = std::io::Cursor::new(request.to_vec());
    let stream = upload_pack::serve(repository, Protocol::V2, Session::Stateless, input).await?;
    let pieces: Vec<_> = stream.collect().await;
    Ok(pieces.into_iter().flat_map(Result::unwrap).collect())
}

fn request(options: &[&str], prefixes: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in ["command=ls-refs\n", "agent=git/2.39.5", "object-format=sha1"] {
        write_data(&mut bytes, line.as_bytes());
    }
    bytes.extend_from_slice(b"0001");
    for option in options {
        write_data(&mut bytes, format!("{option}\n").as_bytes());
    }
    for prefix in prefixes {
        write_data(&mut bytes, format!("ref-prefix {prefix}\n").as_bytes());
    }
    bytes.extend_from_slice(b"0000");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository() {
    let bare = Bare::new().await;
    let said = bare.all_same().await;
    assert!(said.contains("unborn HEAD symref-target:refs/heads/main"), "{said}");
}

/// Every kind of ref and of tag, first with all in files of their own, then packed, then with newer ones on top.
#[tokio::test(flavor = "multi_thread")]
async fn loose_and_packed_refs_of_every_kind() {
    let bare = Bare::new().await;
    let (one, two) = (bare.commit("one").await, bare.commit("two").await);
    let blob = bare.git(&["hash-object", "-w", "HEAD"]).await;
    for (name, id) in [
        ("refs/heads/main", &one),
        ("refs/heads/a/b", &two),
        ("refs/heads/a-b", &one),
        ("refs/heads/a.b", &one),
        ("refs/bastide/secret", &two),
        ("refs/bastidex", &two),
        ("refs/notes/commits", &two),
        ("refs/tags/light", &one),
        ("refs/tags/blob", &blob),
    ] {
        bare.git(&["update-ref", name, id]).await;
    }
    bare.git(&["tag", "-a", "-m", "x", "v1", &one]).await;
    bare.git(&["tag", "-a", "-m", "x", "v1.blob", &blob]).await;
    bare.git(&["tag", "-a", "-m", "x", "v1.nested", "v1"]).await;
    // Symbolic refs: to a branch, to a tag, to another, to nothing, to themselves.
    bare.git(&["update-ref", "refs/notes/tag", "v1"]).await;
    for (name, target) in [
        ("refs/heads/alias", "refs/heads/main"),
        ("refs/heads/alias-of-tag", "refs/tags/v1"),
        ("refs/heads/alias2", "refs/heads/alias"),
        ("refs/heads/dangling", "refs/heads/nowhere"),
        ("refs/remotes/origin/HEAD", "refs/bastide/secret"),
    ] {
        bare.git(&["symbolic-ref", name, target]).await;
    }
    bare.write("refs/heads/loop", "ref: refs/heads/loop\n");
    let said = bare.all_same().await;
    assert!(said.contains(&format!("{one} HEAD symref-target:refs/heads/main")), "{said}");
    assert!(said.contains(&format!("refs/tags/v1.nested peeled:{one}")), "{said}");
    assert!(
        said.contains(&format!("refs/heads/alias-of-tag symref-target:refs/tags/v1 peeled:{one}")),
        "{said}"
    );
    assert!(
        !said.contains(" refs/bastide/") && !said.contains("dangling") && said.contains("refs/bastidex\n"),
        "{said}"
    );

    // The same refs with their objects in a pack.
    bare.git(&["repack", "-a", "-d", "-q"]).await;
    assert_eq!(bare.all_same().await, said);
    bare.git(&["pack-refs", "--all", "--prune"]).await;
    assert!(!bare.path.join("refs/tags/v1").exists());
    assert_eq!(bare.all_same().await, said);

    // Newer ones over packed ones, a tag of which no packed line tells, and one that becomes a commit.
    bare.git(&["update-ref", "refs/heads/main", &two]).await;
    bare.git(&["tag", "-a", "-m", "y", "v2", &two]).await;
    bare.git(&["tag", "-f", "v1", &two]).await;
    bare.git(&["update-ref", "-d", "refs/heads/a-b"]).await;
    let said = bare.all_same().await;
    assert!(said.contains(&format!("refs/tags/v2 peeled:{two}")) && !said.contains("a-b"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_detached_or_leads_nowhere() {
    let bare = Bare::new().await;
    let one = bare.commit("one").await;
    bare.git(&["update-ref", "refs/heads/main", &one]).await;
    bare.git(&["tag", "-a", "-m", "x", "v1", &one]).await;
    let tag = bare.git(&["rev-parse", "v1"]).await;
    let (far, zero) = ("7".repeat(40), "0".repeat(40));
    for head in [
        &one,
        &tag,
        &far,
        &zero,
        "ref: refs/heads/nowhere",
        "ref:refs/heads/main \n",
        "ref: refs/heads/a..b",
        "ref: refs/bastide/x",
        "ref: refs/heads",
    ] {
        bare.write("HEAD", &format!("{head}\n"));
        bare.all_same().await;
    }
}

/// What no push makes: an editor's or a crash's work.
#[tokio::test(flavor = "multi_thread")]
async fn broken_refs_are_told_of_as_git_does() {
    let bare = Bare::new().await;
    let one = bare.commit("one").await;
    for name in ["refs/heads/main", "refs/heads/covered", "refs/heads/zero", "refs/tags/covered"] {
        bare.git(&["update-ref", name, &one]).await;
    }
    bare.git(&["pack-refs", "--all", "--prune"]).await;
    let (far, zero) = ("7".repeat(40), "0".repeat(40));
    bare.write("refs/heads/covered", "garbage\n");
    bare.write("refs/heads/zero", &format!("{zero}\n"));
    bare.write("refs/tags/covered", "ref: refs/heads/nowhere\n");
    bare.write("refs/heads/far", &format!("{far}\n"));
    bare.write("refs/heads/empty", "");
    bare.write("refs/heads/upper", &format!("{}\n", one.to_uppercase()));
    bare.write("refs/heads/long", &format!("{one}0\n"));
    bare.write("refs/heads/words", &format!("{one} and more\n"));
    bare.write("refs/heads/main.lock", &one);
    bare.write("refs/heads/dir.lock/x", &one);
    bare.write("refs/heads/.hidden", &one);
    bare.write("refs/heads/sp ace", &one);
    bare.write("refs/heads/at@{x", &one);
    bare.write("refs/heads/dots..x", &one);
    bare.write("refs/top", &one);
    bare.write("refs/heads/way-out", "ref: refs/../HEAD\n");
    fs::create_dir_all(bare.path.join("refs/heads/hollow/er")).unwrap();
    let mut packed = fs::read_to_string(bare.path.join("packed-refs")).unwrap();
    let _ = writeln!(packed, "{far} refs/tags/far\n{zero} refs/tags/null\n{one} refs/tags/o..dd");
    bare.write("packed-refs", &packed);
    let said = bare.all_same().await;
    assert!(said.contains("refs/heads/words") && said.contains("refs/heads/upper"), "{said}");
    assert!(!said.contains("tags/covered") && said.contains(&format!("{zero} refs/heads/covered")), "{said}");
}

/// Tags that resemble each other are deltas of each other in a pack.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_are_deltas_in_their_pack() {
    let bare = Bare::new().await;
    let one = bare.commit("one").await;
    bare.git(&["update-ref", "refs/heads/main", &one]).await;
    let text = "the same words again and again ".repeat(20);
    for number in 0..30 {
        bare.git(&["tag", "-a", "-m", &format!("{text}{number}"), &format!("v{number}"), &one]).await;
    }
    bare.git(&["repack", "-a", "-d", "-f", "-q", "--depth=20", "--window=30"]).await;
    let packs = fs::read_dir(bare.path.join("objects/pack")).unwrap();
    let index =
        packs.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "idx"));
    let shown = bare.git(&["verify-pack", "-v", index.unwrap().to_str().unwrap()]).await;
    let delta = |line: &&str| line.contains(" tag ") && line.split_whitespace().count() == 7;
    assert!(shown.lines().filter(delta).count() > 5, "{shown}");
    bare.all_same().await;
    // Again with bases named by their ids.
    bare.git(&["-c", "repack.useDeltaBaseOffset=false", "repack", "-a", "-d", "-f", "-q"]).await;
    bare.all_same().await;
}

/// More than one piece, of both kinds, in several packs.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_refs() {
    let bare = Bare::new().await;
    let one = bare.commit("one").await;
    bare.git(&["tag", "-a", "-m", "x", "a", &one]).await;
    let tag = bare.git(&["rev-parse", "a"]).await;
    bare.git(&["repack", "-a", "-d", "-q"]).await;
    let two = bare.commit("two").await;
    bare.git(&["update-ref", "refs/heads/main", &two]).await;
    bare.git(&["repack", "-d", "-q"]).await;
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..10_000 {
        let _ = match number % 3 {
            0 => writeln!(packed, "{tag} refs/tags/v{number:05}\n^{one}"),
            1 => writeln!(packed, "{one} refs/tags/v{number:05}"),
            _ => writeln!(packed, "{two} refs/tags/v{number:05}"),
        };
    }
    bare.write("packed-refs", &packed);
    for number in (0..500).step_by(7) {
        bare.write(&format!("refs/tags/v{number:05}x"), &tag);
    }
    assert!(bare.all_same().await.len() > 500_000);
    // An older git's file says less.
    for header in ["# pack-refs with: peeled sorted", "# pack-refs with: sorted"] {
        let older = packed.replacen("# pack-refs with: peeled fully-peeled sorted", header, 1);
        bare.write("packed-refs", &older);
        bare.same(&request(&["peel", "symrefs"], &[])).await;
    }
    let mut many: Vec<String> = (0..1500).map(|number| format!("refs/tags/v{:05}", number * 6)).collect();
    many.push("HEAD".to_owned());
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bare.same(&request(&["peel"], &many)).await;
}

/// Would catch a ref whose file is gone between the listing of its directory and its reading, and that is then looked for
/// nowhere else: it would be missing, or told with a value that it had before the request.
#[tokio::test(flavor = "multi_thread")]
async fn no_ref_is_missing_or_old_while_refs_are_packed() {
    let bare = Bare::new().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(bare.commit(&number.to_string()).await);
    }
    let mut names: Vec<String> = (0..200).map(|number| format!("refs/heads/b{number:03}")).collect();
    names.push("refs/heads/main".to_owned());
    bare.write("ids", &(ids.join("\n") + "\n"));
    bare.write("updates", &names.iter().map(|name| format!("update {name} ID\n")).collect::<String>());
    // The round is told when all refs have moved, and then they are packed.
    let script = "round=0; while read id; do sed s/ID/$id/ updates | git update-ref --stdin; \
                  echo $round >next; mv next round; git pack-refs --all --prune; round=$((round+1)); done <ids";
    let path = bare.path.clone();
    let packing = tokio::spawn(async move {
        git_ok(&path, &["-c", "core.fsync=none", "-c", &format!("alias.go=!{script}"), "go"]).await;
    });
    let round = || fs::read_to_string(bare.path.join("round")).ok()?.trim().parse::<usize>().ok();
    while !packing.is_finished() {
        tokio::task::yield_now().await;
        let Some(least) = round() else { continue };
        let said = bare.ours(&request(&["symrefs"], &[])).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        let told: std::collections::HashMap<&str, &str> = said
            .lines()
            .filter_map(|line| line.get(4..)?.split_once(' '))
            .map(|(id, name)| (name.split(' ').next().unwrap(), id))
            .collect();
        for name in names.iter().map(String::as_str).chain(["HEAD"]) {
            let id = told.get(name).unwrap_or_else(|| panic!("{name} is missing in round {least}"));
            let found = ids.iter().position(|known| known == id).unwrap();
            assert!(found >= least, "{name} is told as in round {found}, though it is {least}");
        }
    }
    packing.await.unwrap();
    assert_eq!(round(), Some(29));
}

/// Repositories and requests that are not plainly ours; git gets every byte of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_unusual_is_left_to_git() {
    let bare = Bare::new().await;
    let one = bare.commit("one").await;
    bare.git(&["update-ref", "refs/heads/main", &one]).await;
    let whole = request(&["peel", "symrefs", "unborn"], &["refs/"]);
    bare.same(&whole).await;
    for arguments in [&["wrong"][..], &["peel", "ref-prefix"]] {
        bare.is_for_git(&request(arguments, &[])).await;
    }
    let long = "refs/heads/main".to_owned() + &"x".repeat(60_000);
    bare.is_for_git(&request(&["peel"], &[&long, "refs/heads/m", &long])).await;
    let mut fetch = Vec::new();
    for line in ["command=fetch", "agent=x", "object-format=sha1"] {
        write_data(&mut fetch, line.as_bytes());
    }
    fetch.extend_from_slice(b"0001");
    write_data(&mut fetch, format!("want {one}\n").as_bytes());
    write_data(&mut fetch, b"no-progress\n");
    write_data(&mut fetch, b"done\n");
    fetch.extend_from_slice(b"0000");
    // How a pack is cut into packets is a matter of time, so that the answers are not compared.
    assert!(bare.ours(&fetch).await.is_none());
    let fetched = answer(&bare.repository, &fetch).await.unwrap();
    assert!(fetched.ends_with(b"0000") && fetched.windows(4).any(|bytes| bytes == b"PACK"));
    for cut in [0, 3, 20, 60] {
        bare.is_for_git(&whole[..cut]).await;
    }

    std::os::unix::fs::symlink("main", bare.path.join("refs/heads/link")).unwrap();
    bare.is_for_git(&whole).await;
    bare.same(&request(&[], &["refs/tags/"])).await;
    fs::remove_file(bare.path.join("refs/heads/link")).unwrap();
    bare.write("packed-refs", &format!("{one} refs/heads/z\n{one} refs/heads/a\n"));
    bare.is_for_git(&whole).await;
    fs::remove_file(bare.path.join("packed-refs")).unwrap();
    bare.write("objects/info/alternates", "/nonexistent\n");
    bare.is_for_git(&whole).await;
    fs::remove_file(bare.path.join("objects/info/alternates")).unwrap();
    bare.git(&["config", "transfer.hideRefs", "refs/heads"]).await;
    bare.is_for_git(&whole).await;
}

/// A client whose bytes come one by one is answered the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_come_in_any_pieces() {
    let bare = Bare::new().await;
    let one = bare.commit("one").await;
    bare.git(&["update-ref", "refs/heads/main", &one]).await;
    let request = request(&["peel", "symrefs"], &["refs/", "HEAD"]);
    let (mut client, input) = tokio::io::duplex(1);
    let sent = request.clone();
    // The client does not close its end: the request's last packet says that it is whole.
    let sender = tokio::spawn(async move {
        client.write_all(&sent).await.unwrap();
        client
    });
    let stream = upload_pack::serve(&bare.alone, Protocol::V2, Session::Stateless, input).await.unwrap();
    let pieces: Vec<_> = stream.collect().await;
    let said: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(said, bare.theirs(&request).await);
    drop(sender.await.unwrap());
}

#[test]
fn whatever_is_asked_for_is_answered_as_git_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bare = runtime.block_on(async {
        let bare = Bare::new().await;
        let one = bare.commit("one").await;
        bare.git(&["tag", "-a", "-m", "x", "a", &one]).await;
        let names = [
            ("heads/main", "main"),
            ("heads/a", "main"),
            ("tags/b", "a"),
            ("bastide/a", "a"),
            ("b/a", "a"),
            ("heads/b/a", "main"),
            ("tags/ab", "main"),
            ("heads/a-b", "main"),
        ];
        for (number, (name, to)) in names.into_iter().enumerate() {
            let to = if to == "main" { one.as_str() } else { to };
            bare.git(&["update-ref", &format!("refs/{name}"), to]).await;
            if number == 4 {
                bare.git(&["pack-refs", "--all", "--prune"]).await;
            }
        }
        bare
    });
    let piece = "(refs/|refs|heads/|tags/|bastide/?|h|a|b|-|/|HEAD|\\*|\\.|main)";
    let prefix = format!("(refs/)?{piece}{{0,3}}");
    let strategy = (
        proptest::collection::vec(prefix.as_str(), 0..6),
        proptest::sample::subsequence(vec!["peel", "symrefs", "unborn"], 0..=3),
    );
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((prefixes, options) in strategy)| {
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        runtime.block_on(bare.same(&request(&options, &prefixes)));
    });
}
