//! What was acknowledged is there: after `kill -9` at any moment, and after the power failed.
//!
//! Would catch: an answer before the commit, a ref that moved without its record or a record without its ref, a
//! directory that nobody synced.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use model::Secret;
use serde_json::{Value, json};
use testkit::{GitClient, Login, Place, Server};

/// How many pushes and writes are tried, over all rounds.
const ATTEMPTS: u32 = 200;

/// A place with `acme/one`, and a repository access token that pushes to it.
struct Pushed {
    place: Place,
    token: Secret,
}

impl std::ops::Deref for Pushed {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Pushed {
    async fn to(server: Server) -> Self {
        let place = Place::on(server).await;
        place.repository("one", true).await;
        let (_, token) = place.token("one", "repository:write").await;
        Self { place, token }
    }

    fn git(&self) -> GitClient {
        self.place.git(&self.token)
    }

    fn address(&self) -> String {
        self.place.address("one")
    }

    /// The branches there are, by name.
    fn branches(&self) -> BTreeMap<String, String> {
        let git = self.git();
        let listed = git.run(git.home(), ["ls-remote", "--heads", &self.address()]);
        let lines = listed.expect_success().lines().filter_map(|line| line.split_once('\t'));
        lines.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect()
    }

    /// Every ref that the audit trail says was given a value, with the last one.
    async fn recorded(&self) -> BTreeMap<String, String> {
        let mut recorded = BTreeMap::new();
        let mut path = "/api/audit/events?action=repository.push&pagelen=100".to_owned();
        loop {
            let page = self.server.administer("GET", &path, &Value::Null).await;
            for event in page["values"].as_array().expect("values") {
                for one in event["after"]["refs"].as_array().expect("refs") {
                    if one["applied"] == true {
                        let text = |key: &str| one[key].as_str().expect("text").to_owned();
                        // Newest first: an older value does not replace it.
                        recorded.entry(text("name")).or_insert_with(|| text("new"));
                    }
                }
            }
            let Some(next) = page["next"].as_str() else { return recorded };
            path = next.strip_prefix(&self.server.url).expect("an address of this server").to_owned();
        }
    }

    fn repositories(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|end| end == "git") {
                    found.push(path);
                } else if path.is_dir() {
                    walk(&path, found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.server.data().join("repositories"), &mut found);
        found
    }

    /// Holds the audit trail against its ledger with and without a running server, and the repositories against git,
    /// at rest: upkeep replaces packs while it runs.
    fn assert_whole(mut self) {
        self.assert_trail();
        assert_eq!(self.place.server.stop(), Some(0), "the server ends when it is asked to");
        self.assert_trail();
        let repositories = self.repositories();
        assert!(!repositories.is_empty());
        for path in repositories {
            let checked = Command::new("git")
                .arg("-C")
                .arg(&path)
                .args(["fsck", "--strict"])
                .output()
                .expect("git runs");
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }

    fn assert_trail(&self) {
        let _ = self.server.command(&["audit", "verify"]).expect_success();
    }
}

/// Pushes a new branch until the server is gone or the attempts are used up; what was acknowledged.
fn push_until_gone(
    git: &GitClient,
    address: &str,
    tried: &AtomicU32,
    gone: &AtomicBool,
) -> Vec<(String, String)> {
    let copy = git.working_copy("pushed");
    let mut acknowledged = Vec::new();
    while !gone.load(Ordering::SeqCst) {
        let number = tried.fetch_add(1, Ordering::SeqCst);
        if number >= ATTEMPTS {
            break;
        }
        let commit = git.commit(&copy, "file", format!("{number}\n"));
        let name = format!("refs/heads/push-{number}");
        let pushed = git.run(&copy, ["push", "--quiet", address, &format!("HEAD:{name}")]);
        if pushed.success() {
            acknowledged.push((name, commit));
        }
    }
    acknowledged
}

/// Makes projects until the server is gone or the attempts are used up; the keys of those acknowledged.
async fn write_until_gone(
    url: String,
    login: Login,
    tried: Arc<AtomicU32>,
    gone: Arc<AtomicBool>,
) -> Vec<String> {
    let Login::Basic(user, secret) = login else { return Vec::new() };
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    while !gone.load(Ordering::SeqCst) {
        let number = tried.fetch_add(1, Ordering::SeqCst);
        if number >= ATTEMPTS {
            break;
        }
        let key = format!("W{number}");
        let request = client
            .post(format!("{url}/2.0/workspaces/acme/projects"))
            .basic_auth(&user, Some(secret.expose()))
            .json(&json!({ "key": key, "name": key }));
        match request.send().await {
            Ok(answer) if answer.status() == 201 => acknowledged.push(key),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_acknowledged_survives_kill_nine_at_any_moment() {
    let mut place = Pushed::to(Server::start()).await;
    let (pushes, writes) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (mut pushed, mut written) = (Vec::new(), Vec::new());
    let mut moment: u64 = 0x5EED;
    let mut rounds = 0;
    while pushes.load(Ordering::SeqCst) < ATTEMPTS || writes.load(Ordering::SeqCst) < ATTEMPTS {
        rounds += 1;
        let gone = Arc::new(AtomicBool::new(false));
        let pusher = {
            let (git, address) = (place.git(), place.address());
            let (tried, gone) = (Arc::clone(&pushes), Arc::clone(&gone));
            tokio::task::spawn_blocking(move || push_until_gone(&git, &address, &tried, &gone))
        };
        let writer = tokio::spawn(write_until_gone(
            place.server.url.clone(),
            place.server.administrator.clone(),
            Arc::clone(&writes),
            Arc::clone(&gone),
        ));
        // Somewhere in the first two seconds; the numbers are the same in every run.
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(200 + (moment >> 33) % 1_800)).await;
        place.place.server.kill();
        gone.store(true, Ordering::SeqCst);
        pushed.extend(pusher.await.expect("the pusher ends"));
        written.extend(writer.await.expect("the writer ends"));
        place.place.server.restart();
    }
    assert!(rounds >= 3, "the server was killed {rounds} times only");
    assert!(pushed.len() > 50 && written.len() > 50, "{} pushes, {} writes", pushed.len(), written.len());

    let branches = place.branches();
    for (name, commit) in &pushed {
        assert_eq!(branches.get(name), Some(commit), "{name} was acknowledged");
    }
    for key in &written {
        let path = format!("/2.0/workspaces/acme/projects/{key}");
        let answer = place.server.send("GET", &path, &place.server.administrator, &Value::Null).await;
        assert_eq!(answer.status, 200, "{key} was acknowledged");
    }
    assert_eq!(place.recorded().await, branches, "the refs on disk are those of the audit trail");
    place.assert_whole();
}

/// A file system in a file, mounted for one test. Needs root.
struct Mounted {
    folder: PathBuf,
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let done = Command::new(program).args(arguments).output().expect("the command runs");
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Mounted {
    fn new(image: &Path, folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder to mount on");
        run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), folder.as_ref()]);
        Self { folder }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What the server was doing when it was killed may hold the file system for a moment longer.
        for _ in 0..100 {
            if Command::new("umount").arg(&self.folder).output().is_ok_and(|done| done.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|done| done.stdout.starts_with(b"0"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_survives_the_loss_of_power() {
    if !is_root() {
        assert!(std::env::var_os("CI").is_none(), "mounting a file system needs root");
        println!("did not run: mounting a file system needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let image = folder.path().join("disk");
    std::fs::File::create(&image).and_then(|file| file.set_len(256 << 20)).expect("an image");
    run("mkfs.ext4", &["-q".as_ref(), image.as_ref()]);
    let disk = Mounted::new(&image, folder.path().join("disk.mounted"));
    let data = disk.folder.join("data");
    let place = Pushed::to(Server::start_in(&data, &[])).await;
    let git = place.git();
    let copy = git.working_copy("pushed");
    let mut kept = 0;
    for number in 0..20 {
        let commit = git.commit(&copy, "file", format!("{number}\n"));
        let name = format!("refs/heads/push-{number}");
        let pushed = git.run(&copy, ["push", "--quiet", &place.address(), &format!("HEAD:{name}")]);
        // The moment the client returns: what the disk holds now is all there will be.
        let left = folder.path().join("left");
        std::fs::copy(&image, &left).expect("the image is copied");
        let _ = pushed.expect_success();
        let key = format!("W{number}");
        let body = json!({ "key": key, "name": key });
        place.server.administer("POST", "/2.0/workspaces/acme/projects", &body).await;
        let left_later = folder.path().join("left-later");
        std::fs::copy(&image, &left_later).expect("the image is copied");

        for (image, key) in [(&left, None), (&left_later, Some(&key))] {
            let after = Mounted::new(image, folder.path().join("after"));
            let administrator = place.server.administrator.clone();
            let server = Server::open(&after.folder.join("data"), Vec::new(), administrator);
            let revived = Pushed { place: Place { server }, token: place.token.clone() };
            assert_eq!(revived.branches().get(&name), Some(&commit), "push {number} was acknowledged");
            if let Some(key) = key {
                let path = format!("/2.0/workspaces/acme/projects/{key}");
                let answer =
                    revived.server.send("GET", &path, &place.server.administrator, &Value::Null).await;
                assert_eq!(answer.status, 200, "{key} was acknowledged");
            }
            revived.assert_whole();
            kept += 1;
        }
    }
    assert_eq!(kept, 40);
    drop(place);
}
