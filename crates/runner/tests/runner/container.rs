//! Steps in an image, with services and pipes, by the engine that is there. The images are made here: no registry is
//! asked.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use pipeline::protocol::{Assignment, Verdict};

use crate::bench::{Bench, variable};

const IMAGE: &str = "localhost/bastide-test:1";

/// An image with a shell and small programs.
fn image() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| image_that_runs(IMAGE, "exec sh"));
}

/// The same, running this script where nothing else is said.
fn image_that_runs(name: &str, script: &str) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    const PROGRAMS: &str =
        "sh cat ls sleep id env echo nc printf sort grep test stat mkdir touch kill wget head setsid";
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for name in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    std::fs::copy(busybox.expect("busybox-static is installed"), root.join("bin/busybox")).unwrap();
    for program in PROGRAMS.split(' ') {
        symlink("busybox", root.join("bin").join(program)).unwrap();
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    std::fs::write(root.join("run.sh"), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(root.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    let archive = folder.path().join("root.tar").display().to_string();
    told("tar", &["-C", &root.display().to_string(), "-cf", &archive, "."]);
    told("podman", &["import", "--change", "CMD=/run.sh", "--change", "VOLUME=/volume", &archive, name]);
}

fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a test has left in the engine.
fn left(step: &str) -> String {
    told("podman", &["ps", "--all", "--quiet", "--filter", &format!("label=org.bastide.step={step}-1")])
}

fn step(bench: &Bench, script: &[&str], more: &str, root: &str) -> Assignment {
    image();
    bench.assignment(&format!("image: {IMAGE}\nruns-on: [self.hosted, linux]\n{more}"), script, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_in_its_image() {
    let bench = Bench::new().await;
    let script = [
        "cat README",
        "pwd",
        "env | sort",
        "echo A=1 > $BITBUCKET_PIPELINES_VARIABLES_PATH",
        "ls /usr || exit 5",
    ];
    let mut assignment =
        step(&bench, &script, "output-variables: [A]\nafter-script: ['echo after=$BITBUCKET_EXIT_CODE']", "");
    assignment.variables = vec![variable("SECRET", "in-a-container", true)];
    let id = assignment.step.clone();
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 5 }, "{}", went.log);
    for line in ["\nhello\n", "\n/opt/atlassian/pipelines/agent/build\n", "\nSECRET=$SECRET\n", "\nafter=5\n"]
    {
        assert!(went.log.contains(line), "{line:?} is not in\n{}", went.log);
    }
    assert!(!went.log.contains("CARGO") && !went.log.contains("in-a-container"), "{}", went.log);
    assert_eq!(left(&id), "");
}

/// The service listens at `localhost`, prints into a log of its own, and takes variables of the step.
#[tokio::test(flavor = "multi_thread")]
async fn services_are_at_localhost() {
    let bench = Bench::new().await;
    let service = "localhost/bastide-service:1";
    image_that_runs(service, "echo service with $WORD; echo answered | nc -l -p 5432");
    let root = format!(
        "definitions: {{services: {{db: {{image: {service}, memory: 128, variables: {{WORD: '$OPEN'}}}}}}}}"
    );
    let script =
        "i=0; while [ $i -lt 50 ]; do nc localhost 5432 && exit 0; i=$((i+1)); sleep 0.1; done; exit 1";
    let mut assignment = step(&bench, &[script], "services: [db]", &root);
    assignment.variables = vec![variable("OPEN", "a-word", false)];
    let id = assignment.step.clone();
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert!(went.log.contains("\nanswered\n"), "{}", went.log);
    assert_eq!(bench.server.log("db"), "service with a-word\n");
    assert_eq!(left(&id), "");
}

/// A pipe gets its own variables with those of the script put in, not those that people have set; the script goes on
/// in the same shell.
#[tokio::test(flavor = "multi_thread")]
async fn pipes_run_between_the_lines() {
    let bench = Bench::new().await;
    image();
    let pipe = "localhost/bastide-pipe:1";
    let script = "pwd; env | sort; echo from-pipe > made\n\
                  touch $BITBUCKET_PIPE_STORAGE_DIR/x $BITBUCKET_PIPE_SHARED_STORAGE_DIR/y; exit $CODE";
    image_that_runs(pipe, script);
    for runs_on in ["linux", "linux.shell"] {
        let text = format!(
            "image: {IMAGE}\nruns-on: [self.hosted, {runs_on}]\nscript:\n  - export WORD=\"it's\"; cd src; mkdir -p deep; cd deep\n  - pipe: acme/tool:1.0\n    variables: {{TOLD: '<$WORD>', CODE: '$STATUS', LIST: [a, '$WORD']}}\n  - cat made; echo word=$WORD"
        );
        let mut assignment = bench.planned(&text, "");
        assignment.pipes = [("acme/tool:1.0".to_owned(), pipe.to_owned())].into();
        assignment.variables = vec![variable("STATUS", "0", false), variable("MINE", "mine", false)];
        let went = bench.run(assignment.clone()).await;
        assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
        for line in [
            "/build/src/deep\n",
            "\nTOLD=<it's>\n",
            "\nLIST_0=a\nLIST_1=it's\nLIST_COUNT=2\n",
            "\nCI=true\n",
            "\nfrom-pipe\nword=it's\n",
        ] {
            assert!(went.log.contains(line), "{line:?} is not in\n{}", went.log);
        }
        assert!(!went.log.contains("\nMINE=mine"), "{}", went.log);
        assignment.variables[0].value = "9".to_owned();
        let went = bench.run(assignment).await;
        assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 9 }, "{}", went.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_of_an_image_lie_where_it_looks_for_them() {
    let bench = Bench::new().await;
    let make = step(
        &bench,
        &["mkdir -p node_modules", "echo m > ~/.m2/repository/x; echo n > node_modules/y"],
        "caches: [maven, node]",
        "",
    );
    let went = bench.run(make).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    let went = bench
        .run(step(&bench, &["cat ~/.m2/repository/x node_modules/y"], "caches: [maven, node]", ""))
        .await;
    assert!(went.log.contains("\nm\nn\n"), "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_ends_with_its_time() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.minute = Duration::from_secs(4);
    let assignment = step(&bench, &["sleep 1000"], "max-time: 1", "");
    let id = assignment.step.clone();
    let went = bench.run_with(assignment, settings).await;
    assert_eq!(went.finish.verdict, Verdict::TimedOut { minutes: 1 }, "{}", went.log);
    assert_eq!(left(&id), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_told() {
    let bench = Bench::new().await;
    let went = bench.run(bench.assignment("image: localhost/none-such:1", &["true"], "")).await;
    assert!(matches!(went.finish.verdict, Verdict::Error { .. }), "{}", went.log);
}

/// An agent that was killed has left a container: the next one removes it before it asks for a step.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_has_left_is_removed() {
    let bench = Bench::new().await;
    let assignment = step(&bench, &["sleep 1000"], "", "");
    let id = assignment.step.clone();
    bench.server.known().waiting.push_back(assignment);
    let mut agent = tokio::process::Command::new(crate::bench::program());
    let mut agent = agent.arg(bench.directory()).kill_on_drop(true).spawn().unwrap();
    bench
        .server
        .until("the step's script", |known| {
            known.logs.get("step").is_some_and(|log| String::from_utf8_lossy(log).contains("+ sleep"))
        })
        .await;
    agent.start_kill().unwrap();
    agent.wait().await.unwrap();
    bench.server.known().finished.clear();
    let went = bench.run(bench.shell(&["true"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert_eq!(left(&id), "");
}

/// Tools that know Bitbucket's agent reach the step's repository through it, with the step's token, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_reaches_its_own_repository_by_the_agent() {
    let bench = Bench::new().await;
    let script = [
        "export http_proxy=http://localhost:29418",
        "wget -q -O - http://api.bitbucket.org/2.0/repositories/acme/one/commit/x/reports",
        "wget -q -O - http://api.bitbucket.org/2.0/repositories/acme/two && exit 3 || true",
        "wget -q -O - http://api.bitbucket.org/api/runner/claim && exit 4 || true",
        "unset http_proxy",
        "wget -q -O - --header \"Authorization: Bearer $BASTIDE_OIDC_REQUEST_TOKEN\" \"$BASTIDE_OIDC_REQUEST_URL?audience=one\"",
    ];
    let went = bench.run(step(&bench, &script, "", "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert!(went.log.contains("is the repository"), "{}", went.log);
    let path = "/2.0/repositories/acme/one/commit/x/reports".to_owned();
    assert_eq!(bench.server.known().proxied, [(path, format!("Bearer {}", crate::server::TOKEN))]);
    assert_eq!(bench.server.known().asked, [["one"]]);
}

/// Settings under which 64 MB on the disk are too much.
fn small_disk(bench: &Bench) -> runner::Settings {
    let mut settings = bench.settings();
    settings.disk = 64 * 1024 * 1024;
    settings
}

/// A script that fills a folder of its image: up to 320 MB, more slowly than it is looked.
fn filling(folder: &str) -> String {
    format!(
        "i=0; while [ $i -lt 2000 ]; do head -c 8388608 /dev/zero > {folder}/f$((i % 40)); i=$((i+1)); sleep 0.05; done"
    )
}

fn is_about_the_disk(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Error { message } if message.contains("on the disk"))
}

/// Attack: a step that writes where its image lets it, not into its clone, until the machine is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fills_its_image_is_ended() {
    let bench = Bench::new().await;
    let assignment = step(&bench, &[&filling("/tmp")], "", "");
    let id = assignment.step.clone();
    let went = bench.run_with(assignment, small_disk(&bench)).await;
    assert!(is_about_the_disk(&went.finish.verdict), "{:?}\n{}", went.finish, went.log);
    assert_eq!(left(&id), "");
    let went = bench.run_with(step(&bench, &["echo next"], "", ""), small_disk(&bench)).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
}

/// Attack: the same by what runs beside a step: a service, which fills the volume that its image asks for, and a pipe.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_beside_a_step_counts_as_its_disk() {
    let bench = Bench::new().await;
    let (service, pipe) = ("localhost/bastide-filling-service:1", "localhost/bastide-filling-pipe:1");
    image_that_runs(service, &filling("/volume"));
    image_that_runs(pipe, &filling("/tmp"));
    let root = format!("definitions: {{services: {{db: {{image: {service}, memory: 512}}}}}}");
    let with_service = step(&bench, &["sleep 1000"], "services: [db]", &root);
    let text = format!("image: {IMAGE}\nruns-on: [self.hosted, linux]\nscript:\n  - pipe: acme/tool:1.0");
    let mut with_pipe = bench.planned(&text, "");
    with_pipe.pipes = [("acme/tool:1.0".to_owned(), pipe.to_owned())].into();
    for assignment in [with_service, with_pipe] {
        let id = assignment.step.clone();
        let went = bench.run_with(assignment, small_disk(&bench)).await;
        assert!(is_about_the_disk(&went.finish.verdict), "{:?}\n{}", went.finish, went.log);
        assert_eq!(left(&id), "");
    }
}

/// Attack: processes that make more of themselves and never end. There are a thousand at the most, for the sake of a machine
/// whose engine holds no limit.
#[tokio::test(flavor = "multi_thread")]
async fn processes_without_end_stay_in_their_container() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.processes = 100;
    settings.minute = Duration::from_secs(8);
    let bomb = "bomb() { if [ $1 -gt 0 ]; then bomb $(($1-1)) & bomb $(($1-1)) & fi; sleep 1000; }; bomb 8";
    let assignment = step(&bench, &[bomb], "max-time: 1", "");
    let id = assignment.step.clone();
    let went = bench.run_with(assignment, settings).await;
    assert!(
        matches!(went.finish.verdict, Verdict::TimedOut { .. } | Verdict::Failed { .. }),
        "{:?}\n{}",
        went.finish,
        went.log
    );
    assert_eq!(left(&id), "");
    let went = bench.run(step(&bench, &["echo next"], "", "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
}

/// Attack: output without end, to fill the agent's memory or the server's disk.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_prints_without_end_is_cut_off() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.log_limit = 1024 * 1024;
    let went =
        bench.run_with(step(&bench, &["head -c 67108864 /dev/zero", "echo done"], "", ""), settings).await;
    assert_eq!(went.finish.verdict, Verdict::Passed);
    assert!(went.log.len() < 1024 * 1024 + 1000, "{}", went.log.len());
    assert!(went.log.contains("bytes more are left out"));
}

/// Attack: a step that closes its output, and one that leaves a process which holds it open: the agent would wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_closes_its_output_still_ends() {
    let bench = Bench::new().await;
    let went = bench.run(step(&bench, &["exec >&- 2>&-", "sleep 0.2", "exit 4"], "", "")).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 4 }, "{}", went.log);
    let assignment = step(&bench, &["(setsid sleep 1000 &)", "exit 5"], "", "");
    let id = assignment.step.clone();
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 5 }, "{}", went.log);
    assert_eq!(left(&id), "");
}
