//! Steps through `kill -9`: of the server and of runners, at any moment, again and again.
//!
//! Each step's script holds a connection to the test while it runs, and says each line there before it prints it. So the
//! test sees, without trust in Bastide, when a script runs, that no two scripts of one step run at once, and what each has
//! printed.
//!
//! Would catch: a push that starts nothing or starts twice, a step that is lost, one that runs twice at once, one that
//! outlives its runner, a log with a gap.

#![cfg(test)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::pipeline::{FILE, PIPELINES, runner_code};
use testkit::server::{program, register_runner};
use testkit::{GitClient, Server, World, free_port, in_path};

/// How many runs there are; `BASTIDE_CRASH_RUNS` says otherwise.
const RUNS: usize = 10;
/// How many runs may be under way at once.
const AT_ONCE: usize = 6;
/// How many lines a script prints, one each tenth of a second. The first run has a step that prints the second number: it
/// goes on for longer than it takes until another attempt begins, so that the test would see both.
const LINES: usize = 12;
const MANY_LINES: usize = 250;
/// How long a lease holds here, in seconds.
const LEASE: u64 = 6;
/// How long all may take beyond a few seconds for each run, at the very most.
const PATIENCE: Duration = Duration::from_secs(240);
/// A runner that is lost so often takes its step with it (docs/runners.md).
const MOST_ATTEMPTS: i64 = 3;

/// A script, as the test has seen it run.
#[derive(Clone, Debug, Default)]
struct Seen {
    step: String,
    /// The last line that it was about to print.
    said: usize,
    /// Whether it came to its end.
    ended: bool,
    /// Whether its process is gone.
    gone: bool,
}

/// Who sees the scripts run: each by a number of its own, which it also prints.
#[derive(Clone, Default)]
struct Witness {
    scripts: Arc<Mutex<BTreeMap<String, Seen>>>,
    /// What must not be.
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Witness {
    /// Begins to listen; its port.
    fn listen(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let witness = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let witness = witness.clone();
                std::thread::spawn(move || witness.watch(stream));
            }
        });
        port
    }

    /// Follows one script: `begin SCRIPT STEP`, then `line N` again and again, then `end`.
    fn watch(&self, stream: TcpStream) {
        let mut script = String::new();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["begin", name, step] => {
                    script = name.to_owned();
                    self.begin(name, step);
                }
                ["line", number] => {
                    self.note(&script, |seen| seen.said = number.parse().expect("a number"));
                }
                ["end"] => self.note(&script, |seen| seen.ended = true),
                _ => self.complain(format!("`{line}` was said")),
            }
        }
        self.note(&script, |seen| seen.gone = true);
    }

    fn begin(&self, script: &str, step: &str) {
        let mut scripts = self.scripts.lock().expect("the scripts");
        let running = scripts.iter().find(|(_, seen)| seen.step == step && !seen.gone);
        if let Some((other, seen)) = running {
            self.complain(format!("step {step} runs twice at once: {script} beside {other} ({seen:?})"));
        }
        let seen = Seen { step: step.to_owned(), ..Seen::default() };
        scripts.insert(script.to_owned(), seen);
    }

    fn note(&self, script: &str, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.scripts.lock().expect("the scripts").get_mut(script) {
            change(seen);
        }
    }

    fn complain(&self, what: String) {
        eprintln!("{what}");
        self.complaints.lock().expect("the complaints").push(what);
    }
}

/// A runner that is registered, and its process while it has one.
struct Agent {
    name: String,
    directory: PathBuf,
    process: Option<Child>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Agent {
    async fn register(world: &World, name: &str, folder: &Path) -> Self {
        let code = runner_code(world, name).await;
        let directory = folder.join(name);
        register_runner(&world.server.url, &directory, &code, &[]);
        Self { name: name.to_owned(), directory, process: None }
    }

    fn start(&mut self) {
        let process = Command::new(program())
            .args(["runner", "run", "--no-containers", "--max-steps", "4", "--log", "error", "--directory"])
            .arg(&self.directory)
            .spawn();
        self.process = Some(process.expect("the runner starts"));
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Numbers that are the same for the same seed.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn between(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().ok().expect("a number"))
}

/// Two steps beside each other, and one behind them. A script names itself by the system's own random numbers: one attempt
/// is told from another without asking Bastide.
fn configuration(port: u16, run: usize) -> String {
    let step = |name: &str, lines: usize, indent: &str| {
        let script = [
            format!("exec 3<>/dev/tcp/127.0.0.1/{port}"),
            "me=$(cat /proc/sys/kernel/random/uuid)".to_owned(),
            "echo \"begin $me $BITBUCKET_STEP_UUID\" >&3".to_owned(),
            format!("for i in $(seq 1 {lines}); do echo \"line $i\" >&3; echo \"$me $i\"; sleep 0.1; done"),
            "echo end >&3".to_owned(),
        ];
        let items = script.map(|line| format!("{indent}      - '{line}'\n")).concat();
        let head = format!("{indent}- step:\n{indent}    name: {name}\n{indent}    runs-on: linux.shell\n");
        format!("{head}{indent}    script:\n{items}")
    };
    let beside = [step("One", LINES, "        "), step("Two", lines("Two", run), "        ")].concat();
    let behind = step("Behind", LINES, "    ");
    format!("# {run}\npipelines:\n  default:\n    - parallel:\n{beside}{behind}")
}

/// How many lines a step of a run prints.
fn lines(step: &str, run: usize) -> usize {
    if step == "Two" && run == 0 { MANY_LINES } else { LINES }
}

/// Pushes one commit after the other, each until it is acknowledged, while not too many runs are under way.
fn push_all(
    git: &GitClient,
    address: &str,
    port: u16,
    runs: usize,
    over: &AtomicUsize,
    given_up: &AtomicBool,
) -> Vec<String> {
    let work = git.working_copy("work");
    let mut commits = Vec::new();
    for run in 0..runs {
        while over.load(Ordering::SeqCst) + AT_ONCE <= run {
            std::thread::sleep(Duration::from_millis(100));
        }
        commits.push(git.commit(&work, FILE, configuration(port, run)));
        while !git.run(&work, ["push", "--quiet", address, "HEAD:main"]).success() {
            if given_up.load(Ordering::SeqCst) {
                return commits;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    commits
}

/// Every log that lies in the data directory, by its step and attempt.
fn logs(data: &Path) -> BTreeMap<(String, i64), Vec<u8>> {
    let mut logs = BTreeMap::new();
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().collect::<Vec<_>>();
    for step in entries(&data.join("pipelines/logs")) {
        for attempt in entries(&step.path()) {
            let name = |entry: &std::fs::DirEntry| entry.file_name().into_string().expect("a name");
            let plain = attempt.path().join("step.log");
            // It is compressed some seconds after the attempt, maybe while it is looked for here.
            let log = std::fs::read(&plain).ok().or_else(|| unpacked(&attempt.path().join("step.log.gz")));
            if let Some(log) = log {
                logs.insert((name(&step), name(&attempt).parse().expect("a number")), log);
            }
        }
    }
    logs
}

/// A log that was compressed, by a program that knows nothing of Bastide.
fn unpacked(log: &Path) -> Option<Vec<u8>> {
    let read = Command::new("gzip").arg("-dc").arg(log).output().expect("gzip runs");
    read.status.success().then_some(read.stdout)
}

/// The name that a script has printed, and the numbers behind it, in the order of the log. The last line may be cut off.
fn printed(log: &[u8], scripts: &BTreeMap<String, Seen>) -> (Option<String>, Vec<usize>) {
    let text = String::from_utf8_lossy(log);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let (mut script, mut numbers) = (None, Vec::new());
    for line in whole.lines() {
        let Some((name, number)) = line.split_once(' ') else { continue };
        if scripts.contains_key(name) {
            assert!(script.is_none() || script.as_deref() == Some(name), "two scripts in one log:\n{text}");
            script = Some(name.to_owned());
            numbers.push(number.parse().expect("a number"));
        }
    }
    (script, numbers)
}

struct Scene {
    world: World,
    agents: Vec<Agent>,
    witness: Witness,
    moments: Moments,
    /// All that logs held whenever something was killed.
    flushed: BTreeMap<(String, i64), Vec<u8>>,
    kills: BTreeMap<String, usize>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bastide.toml");
        std::fs::write(&file, format!("step-lease = {LEASE}\n")).expect("a file");
        // On a port of its own, so that a server that comes back is found again.
        let address = format!("127.0.0.1:{}", free_port());
        let file = file.display().to_string();
        let flags = ["--listen", &address, "--rate-limit", "all=off", "--config", &file];
        let world = World::on(Server::start_with(&flags)).await;
        let mut agents = Vec::new();
        for name in ["first", "second"] {
            let mut agent = Agent::register(&world, name, folder.path()).await;
            agent.start();
            agents.push(agent);
        }
        Self {
            world,
            agents,
            witness: Witness::default(),
            moments: Moments(seed),
            flushed: BTreeMap::new(),
            kills: BTreeMap::new(),
            _folder: folder,
        }
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let (mut all, mut page) = (Vec::new(), 1);
        loop {
            let path = format!("{path}?pagelen=100&page={page}");
            let login = self.world.app_password("reader");
            let found = self.world.server.send("GET", &path, &login, &Value::Null).await.expect(200);
            all.extend(found["values"].as_array().expect("a list").iter().cloned());
            if found["next"].is_null() {
                return all;
            }
            page += 1;
        }
    }

    /// Kills one of the three, and starts it again.
    async fn crash(&mut self) {
        let pause = self.moments.between(0, 1_000);
        match self.moments.below(3) {
            0 => self.crash_server(pause).await,
            1 => self.crash_runner(0, pause).await,
            _ => self.crash_runner(1, pause).await,
        }
    }

    async fn crash_server(&mut self, pause: Duration) {
        self.note_kill("server".to_owned());
        self.world.server.kill();
        tokio::time::sleep(pause).await;
        self.world.server.restart();
    }

    async fn crash_runner(&mut self, at: usize, pause: Duration) {
        self.note_kill(format!("runner {}", self.agents[at].name));
        self.agents[at].kill();
        tokio::time::sleep(pause).await;
        self.agents[at].start();
    }

    fn note_kill(&mut self, whom: String) {
        *self.kills.entry(whom).or_default() += 1;
        self.flushed.extend(logs(self.world.server.data()));
    }

    /// Waits until the long script runs for the nth time, and has spoken for a while.
    async fn long_script_runs(&self, nth: usize) {
        let begun = Instant::now();
        loop {
            {
                let scripts = self.witness.scripts.lock().expect("the scripts");
                let long = scripts.values().find(|seen| seen.said > LINES).map(|seen| seen.step.clone());
                let of_it: Vec<&Seen> =
                    scripts.values().filter(|seen| Some(&seen.step) == long.as_ref()).collect();
                if of_it.len() >= nth && of_it.iter().any(|seen| !seen.gone && seen.said > 0) {
                    return;
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the long script did not run for time {nth}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What must end a script before another attempt begins: first the server is away for longer than a lease and its
    /// margin, then the runners are killed.
    async fn lose_the_long_script(&mut self) {
        self.long_script_runs(1).await;
        self.crash_server(Duration::from_secs(LEASE * 3 / 2)).await;
        self.long_script_runs(2).await;
        for at in 0..self.agents.len() {
            self.crash_runner(at, Duration::ZERO).await;
        }
        self.long_script_runs(3).await;
    }
}

impl Scene {
    /// All events of an action, each with what it says came after.
    async fn events(&self, action: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut path = format!("/api/audit/events?action={action}&pagelen=100");
        loop {
            let page = self.world.server.administer("GET", &path, &Value::Null).await;
            events.extend(
                page["values"].as_array().expect("values").iter().map(|event| event["after"].clone()),
            );
            let Some(next) = page["next"].as_str() else { return events };
            path = next.strip_prefix(&self.world.server.url).expect("an address of this server").to_owned();
        }
    }

    /// Every run has its verdict, and each push has one run. Gives the attempts that count, with what they printed.
    async fn assert_verdicts(&self, commits: &[String]) -> BTreeMap<(String, i64), usize> {
        let runs = self.list(PIPELINES).await;
        let mut started: Vec<&str> =
            runs.iter().map(|run| run["target"]["commit"]["hash"].as_str().expect("a commit")).collect();
        started.reverse();
        assert_eq!(started, commits, "each push starts one run, in their order");
        let (claims, ends) = (self.events("step.claim").await, self.events("step.finish").await);
        let mut counting = BTreeMap::new();
        let mut lost = 0;
        for (at, run) in runs.iter().rev().enumerate() {
            let mut given_up = false;
            for step in self.list(&format!("{PIPELINES}/{}/steps", in_path(&run["uuid"]))).await {
                let attempts = step["run_number"].as_i64().expect("a number");
                let of_step = |event: &&Value| event["step"] == step["uuid"];
                let mut claimed: Vec<i64> = claims
                    .iter()
                    .filter(of_step)
                    .map(|event| event["attempt"].as_i64().expect("one"))
                    .collect();
                claimed.sort_unstable();
                assert_eq!(claimed, (1..=attempts).collect::<Vec<_>>(), "{step}");
                if attempts == 0 {
                    continue;
                }
                let ended: Vec<&Value> = ends.iter().filter(of_step).collect();
                let (retried, last): (Vec<&Value>, Vec<&Value>) =
                    ended.iter().partition(|event| event["state"] == "ready");
                assert_eq!(
                    i64::try_from(retried.len()),
                    Ok(attempts - 1),
                    "all attempts but the last are lost: {ended:?}"
                );
                assert_eq!(last.len(), 1, "one attempt counts: {ended:?}");
                lost += retried.len();
                let name = step["name"].as_str().expect("a name");
                let id = step["uuid"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
                if last[0]["state"] == "passed" {
                    counting.insert((id, attempts), lines(name, at));
                } else {
                    assert_eq!(last[0]["verdict"]["message"], "its runner was lost", "{ended:?}");
                    assert_eq!(attempts, MOST_ATTEMPTS, "{ended:?}");
                    given_up = true;
                }
            }
            let result = if given_up { "FAILED" } else { "SUCCESSFUL" };
            assert_eq!(run["state"]["result"]["name"], result, "{run}");
        }
        println!("{} attempts at steps, {lost} of them lost and made up for", claims.len());
        counting
    }

    /// Every log has its script's lines without a gap: all of them where the attempt counts.
    fn assert_logs(&self, counting: &BTreeMap<(String, i64), usize>) {
        let scripts = self.witness.scripts.lock().expect("the scripts");
        let logs = logs(self.world.server.data());
        let mut cut = 0;
        for (attempt, log) in &logs {
            let (script, numbers) = printed(log, &scripts);
            let whole: Vec<usize> = (1..=numbers.len()).collect();
            assert_eq!(numbers, whole, "{attempt:?}: {}", String::from_utf8_lossy(log));
            if let Some(seen) = script.as_ref().and_then(|script| scripts.get(script)) {
                assert_eq!(seen.step.trim_matches(['{', '}']), attempt.0);
                assert!(numbers.len() <= seen.said, "{attempt:?} has lines that were not printed");
            }
            match counting.get(attempt) {
                Some(lines) => assert_eq!(numbers.len(), *lines, "{}", String::from_utf8_lossy(log)),
                None => cut += 1,
            }
        }
        for attempt in counting.keys() {
            assert!(logs.contains_key(attempt), "{attempt:?} has no log");
        }
        for (attempt, flushed) in &self.flushed {
            assert!(
                logs.get(attempt).is_some_and(|log| log.starts_with(flushed)),
                "{attempt:?} has lost lines"
            );
        }
        println!("{} logs, {cut} of them of attempts that were lost", logs.len());
    }
}

/// How many runs are over, where the server answers.
async fn count_over(scene: &Scene) -> usize {
    let runs = scene.list(PIPELINES).await;
    runs.iter().filter(|run| run["state"]["name"] == "COMPLETED").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_is_lost_or_runs_twice_at_once_however_often_server_and_runners_are_killed() {
    let runs = from_environment("BASTIDE_CRASH_RUNS").unwrap_or(RUNS);
    let seed = from_environment("BASTIDE_CRASH_SEED").unwrap_or(0x5EED);
    println!("{runs} runs; BASTIDE_CRASH_SEED={seed} for the same moments");
    let mut scene = Scene::new(seed).await;
    let port = scene.witness.listen();
    let over = Arc::new(AtomicUsize::new(0));
    let given_up = Arc::new(AtomicBool::new(false));
    let pusher = {
        let (address, git) = (scene.world.address("one"), scene.world.git("writer"));
        let (over, given_up) = (Arc::clone(&over), Arc::clone(&given_up));
        tokio::task::spawn_blocking(move || push_all(&git, &address, port, runs, &over, &given_up))
    };
    let begun = Instant::now();
    let end = PATIENCE + Duration::from_secs(6) * u32::try_from(runs).expect("not so many");
    scene.lose_the_long_script().await;
    while over.load(Ordering::SeqCst) < runs {
        if begun.elapsed() > end {
            given_up.store(true, Ordering::SeqCst);
            panic!(
                "{} of {runs} runs are over: {:#?}",
                over.load(Ordering::SeqCst),
                scene.list(PIPELINES).await
            );
        }
        let moment = scene.moments.between(200, 4_000);
        tokio::time::sleep(moment).await;
        // What has been pushed by half comes to its end undisturbed, so that this ends.
        if over.load(Ordering::SeqCst) + 2 < runs {
            scene.crash().await;
        }
        over.store(count_over(&scene).await, Ordering::SeqCst);
    }
    let commits = pusher.await.expect("the pusher ends");
    println!("after {:?}: killed {:?}", begun.elapsed(), scene.kills);
    let counting = scene.assert_verdicts(&commits).await;
    scene.assert_logs(&counting);
    let complaints = scene.witness.complaints.lock().expect("the complaints").clone();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(scene.kills.len() >= 3, "too little was killed: {:?}", scene.kills);
}
