//! Steps that mean harm: to the agent, the machine, other steps. Each ends with a verdict, and nothing of it goes on.

use std::time::Duration;

use pipeline::protocol::Verdict;

use crate::bench::{Bench, processes, program, until, variable};

/// The sign by which the processes of a test are found: the sleep's argument.
fn marked(bench: &Bench) -> String {
    let name = bench.folder.path().file_name().unwrap().to_string_lossy().into_owned();
    name.bytes().map(|byte| byte.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_stopped_ends_with_all_its_processes() {
    let bench = Bench::new().await;
    let mark = marked(&bench);
    let script = format!("setsid sleep {mark} & sleep {mark}");
    let (running, _end) = bench.begin(bench.shell(&[&script], ""), bench.settings());
    until("the step's processes", || processes(&mark).iter().any(|line| line.contains("sleep"))).await;
    bench.server.known().stop = true;
    running.await.unwrap().unwrap();
    assert_eq!(bench.server.known().finished[0].verdict, Verdict::Stopped);
    until("the end of its processes", || processes(&format!("sleep {mark}")).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_too_long_is_ended() {
    let bench = Bench::new().await;
    let mark = marked(&bench);
    let mut settings = bench.settings();
    settings.minute = Duration::from_secs(2);
    let more = "max-time: 1\nafter-script: ['echo never']";
    let went = bench.run_with(bench.shell(&[&format!("sleep {mark}")], more), settings).await;
    assert_eq!(went.finish.verdict, Verdict::TimedOut { minutes: 1 }, "{}", went.log);
    until("the end of its processes", || processes(&format!("sleep {mark}")).is_empty()).await;
}

/// Another runner has the step: two must never run it at once, and nothing more is told of this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_the_step_without_a_word() {
    let bench = Bench::new().await;
    let mark = marked(&bench);
    let (running, _end) = bench.begin(bench.shell(&[&format!("sleep {mark}")], ""), bench.settings());
    until("the step's process", || !processes(&format!("sleep {mark}")).is_empty()).await;
    bench.server.known().lost = true;
    running.await.unwrap().unwrap();
    assert!(bench.server.known().finished.is_empty());
    until("the end of its process", || processes(&format!("sleep {mark}")).is_empty()).await;
}

/// The server is gone: the step ends before its lease does.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_not_renewed_ends_the_step() {
    let bench = Bench::new().await;
    let mark = marked(&bench);
    let (running, _end) = bench.begin(bench.shell(&[&format!("sleep {mark}")], ""), bench.settings());
    until("the step's process", || !processes(&format!("sleep {mark}")).is_empty()).await;
    bench.server.known().silent = true;
    running.await.unwrap().unwrap();
    assert!(bench.server.known().finished.is_empty());
    until("the end of its process", || processes(&format!("sleep {mark}")).is_empty()).await;
}

/// Processes without end fill their own limit, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_forks_without_end_harms_nobody() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.processes = 100;
    settings.minute = Duration::from_secs(5);
    let bomb = "bomb() { bomb | bomb & }; bomb; sleep 1; echo bang";
    let went = bench.run_with(bench.shell(&[bomb], "max-time: 1"), settings).await;
    assert!(
        matches!(went.finish.verdict, Verdict::TimedOut { .. } | Verdict::Failed { .. } | Verdict::Passed),
        "{:?}",
        went.finish
    );
    let went = bench.run(bench.shell(&["echo next"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fills_its_disk_is_ended() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.disk = 64 * 1024 * 1024;
    let fill = "i=0; while [ $i -lt 2000 ]; do head -c 8M /dev/zero > /tmp/f$((i % 40)); i=$((i+1)); sleep 0.05; done";
    let went = bench.run_with(bench.shell(&[fill], ""), settings).await;
    assert!(
        matches!(&went.finish.verdict, Verdict::Error { message } if message.contains("disk")),
        "{}",
        went.log
    );
}

/// A gigabyte is counted, not kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_prints_without_end_is_cut_off() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.log_limit = 1024 * 1024;
    let went = bench.run_with(bench.shell(&["head -c 1G /dev/zero", "echo done"], ""), settings).await;
    assert_eq!(went.finish.verdict, Verdict::Passed);
    assert!(went.log.len() < 1024 * 1024 + 200, "{}", went.log.len());
    assert!(went.log.contains("bytes more are left out"));
    let peak = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(peak < 600_000, "the agent and its server had {peak} kB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_closes_its_output_still_ends() {
    let bench = Bench::new().await;
    let went = bench.run(bench.shell(&["exec >&- 2>&-", "sleep 0.2", "exit 4"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 4 }, "{}", went.log);
    // And one that leaves a process which holds the output open.
    let went = bench.run(bench.shell(&["(setsid sleep 1000 &)", "exit 5"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 5 }, "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_kills_all_it_can_ends_alone() {
    let bench = Bench::new().await;
    let went = bench.run(bench.shell(&["kill -9 -1; kill -9 $PPID; kill -9 1; exit 6"], "")).await;
    assert!(matches!(went.finish.verdict, Verdict::Failed { .. }), "{:?}", went.finish);
}

/// The agent dies without a chance to say anything: nothing of the step outlives it.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_dies_with_its_agent() {
    let bench = Bench::new().await;
    let mark = marked(&bench);
    let script = format!("(setsid sleep {mark} &) ; sleep {mark}");
    bench.server.known().waiting.push_back(bench.shell(&[&script], ""));
    let mut agent = tokio::process::Command::new(program());
    let mut agent = agent.arg(bench.directory()).kill_on_drop(true).spawn().unwrap();
    bench.server.until("the step's script", |known| known.logs.contains_key("step")).await;
    let begun = || processes(&format!("sleep {mark}")).len() >= 2;
    bench.server.until("the step's processes", |_| begun()).await;
    agent.start_kill().unwrap();
    agent.wait().await.unwrap();
    until("the end of its processes", || processes(&format!("sleep {mark}")).is_empty()).await;
}

/// What a step can look for: the runner's credential, its own token, other steps, the machine's secrets.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_finds_no_secret_that_is_not_its_own() {
    let bench = Bench::new().await;
    let directory = bench.directory().display().to_string();
    let look = [
        &format!("cat {directory}/runner.json && exit 9 || true") as &str,
        "cat /etc/shadow && exit 10 || true",
        "grep -r -s --exclude-dir=script -e step-token-of-the-test -e x-token-auth -e eC10b2tlbi1hdXRo .git /tmp ~ && exit 11 || true",
        "cat /proc/*/environ | tr '\\0' '\\n' | grep -e GIT_CONFIG -e CARGO && exit 12 || true",
        "cat /proc/*/cmdline | grep -a -e token-o[f] -e credentia[l] && exit 13 || true",
        &format!("ls {directory}/work | grep -v $(basename $(dirname $PWD)) && exit 14 || true"),
        "test $(id -u) != 0 || exit 15",
        "unshare -U true && exit 16 || true",
        "touch /usr/x /etc/x /x && exit 17 || true",
        "ls /root /home && exit 18 || true",
        "mount -t tmpfs none /mnt && exit 19 || true",
        "grep -q 'NoNewPrivs:.1' /proc/self/status && grep -q 'Seccomp:.2' /proc/self/status || exit 20",
        "python3 -c 'import socket; socket.socket(socket.AF_ALG)' 2> /dev/null && exit 21 || true",
        "echo '#!/bin/sh' > ../script/script.sh && exit 22 || true",
    ];
    let went = bench.run(bench.shell(&look, "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
}

/// Nothing secret stands in the arguments of a process, where every user of the machine can read it.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_an_argument() {
    let bench = Bench::new().await;
    let mark = marked(&bench);
    let secret = format!("very-secret-{mark}");
    let mut assignment = bench.shell(&["sleep 2"], "");
    assignment.variables = vec![variable("SECRET", &secret, true)];
    let (running, _end) = bench.begin(assignment, bench.settings());
    while !running.is_finished() {
        for text in [
            &secret as &str,
            "step-token-of-the-test",
            "bst_run_",
            "x-token-auth",
            &crate::server::base64("x-token-auth:bst"),
        ] {
            let found: Vec<_> = processes(text).into_iter().filter(|line| !line.contains("rustc")).collect();
            assert!(found.is_empty(), "{text}: {found:?}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.await.unwrap().unwrap();
}

/// A repository, or an earlier step, that lays links where caches and artifacts go.
#[tokio::test(flavor = "multi_thread")]
async fn links_lead_the_agent_nowhere() {
    let bench = Bench::new().await;
    let root = "definitions: {caches: {own: deps}}";
    let step = "runs-on: [self.hosted, linux.shell]\ncaches: [own]\nartifacts: ['out/**', 'link']";
    let make = ["ln -s /etc deps", "ln -s /etc out", "ln -s /etc/shadow link", "mkfifo pipe"];
    let went = bench.run(bench.assignment(step, &make, root)).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert!(bench.server.known().caches.is_empty(), "{}", went.log);
    let kept = bench.server.known().artifacts["artifacts"].clone();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&kept[..]));
    for entry in archive.entries().unwrap() {
        assert_eq!(entry.unwrap().header().entry_type(), tar::EntryType::Symlink);
    }
}

/// An archive that another step made reaches out of the clone: the step is not run.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_artifact_ends_the_step() {
    let bench = Bench::new().await;
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "out", "/").unwrap();
    let hostile = builder.into_inner().unwrap().finish().unwrap();
    bench.server.known().artifacts.insert("id".to_owned(), hostile);
    let mut assignment = bench.shell(&["echo never"], "");
    assignment.artifacts = vec![pipeline::protocol::Artifact {
        id: "id".to_owned(),
        name: "bad".to_owned(),
        size: 1,
        sha256: String::new(),
    }];
    let went = bench.run(assignment).await;
    assert!(
        matches!(&went.finish.verdict, Verdict::Error { message } if message.contains("bad")),
        "{}",
        went.log
    );
}
