//! Steps without an image: what their scripts find, and what becomes of them.

use pipeline::protocol::{AwsAccess, Token, Verdict};

use crate::bench::{Bench, until, variable};

/// The whole way: a clone, a script whose items share one shell, a verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_succeeds_passes() {
    let bench = Bench::new().await;
    let went = bench.run(bench.shell(&["cat README", "cd src", "export X=1", "ls; echo x=$X"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    for line in ["Runner: one", "+ cat README\nhello\n", "+ ls; echo x=$X\na.txt\nx=1\n"] {
        assert!(went.log.contains(line), "{line:?} is not in\n{}", went.log);
    }
    assert!(!bench.directory().join("work").read_dir().unwrap().any(|_| true), "a folder is left behind");
    assert_eq!(bench.server.known().strangers, 0, "git asked without the token first");
    let labels = bench.server.known().claims[0].labels.clone();
    assert!(labels.contains(&"linux.shell".to_owned()) && labels.contains(&"linux".to_owned()), "{labels:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_ends_the_script_with_its_status() {
    let bench = Bench::new().await;
    let went = bench.run(bench.shell(&["echo one", "(exit 7)", "echo never"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 7 }, "{}", went.log);
    assert!(!went.log.contains("+ echo never"));
    let went = bench.run(bench.shell(&["echo 'one", "echo two"], "")).await;
    assert!(matches!(went.finish.verdict, Verdict::Failed { .. }), "an open quote: {}", went.log);
    let went = bench.run(bench.shell(&["kill -9 $$"], "")).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 137 }, "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_runs_whatever_came_before() {
    let bench = Bench::new().await;
    let after = "after-script: ['echo after=$BITBUCKET_EXIT_CODE', 'false', 'echo never']";
    let went = bench.run(bench.shell(&["exit 3"], after)).await;
    assert_eq!(went.finish.verdict, Verdict::Failed { exit_code: 3 });
    assert!(went.log.contains("\nafter=3\n") && !went.log.contains("+ echo never"), "{}", went.log);
    let went = bench.run(bench.shell(&["true"], after)).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "what comes after decides nothing");
}

/// A secret that is printed in two pieces, or by a program rather than the script, is hidden all the same.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_hidden() {
    let bench = Bench::new().await;
    let script = ["printf 'hunter'; sleep 0.5; printf 'two-and-more\\n'", "env | grep SECRET", "echo $OPEN"];
    let mut assignment = bench.shell(&script, "");
    assignment.variables =
        vec![variable("SECRET", "huntertwo-and-more", true), variable("OPEN", "seen", false)];
    let went = bench.run(assignment).await;
    assert!(went.log.contains("\n$SECRET\n") && went.log.contains("SECRET=$SECRET\n"), "{}", went.log);
    assert!(went.log.contains("\nseen\n") && !went.log.contains("two-and-more\n"), "{}", went.log);
}

/// A pipe in a line, quotes, several lines: a value arrives as it is, and a name that a shell keeps does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_what_was_given_and_nothing_else() {
    let bench = Bench::new().await;
    let mut assignment = bench.shell(&["env -0 | sort -z | tr '\\0' '\\n'", "printf '<%s>' \"$ODD\""], "");
    let odd = "it's \"odd\" $HOME `id`\nsecond line ";
    assignment.variables = vec![variable("ODD", odd, false), variable("BITBUCKET_BRANCH", "mine", false)];
    assignment.variables.extend([variable("UID", "0", false), variable("a-b", "x", false)]);
    assignment.variables.push(variable("LD_PRELOAD", "/tmp/evil.so", false));
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert!(went.log.contains(&format!("<{odd}>")), "{}", went.log);
    for line in
        ["\nCI=true\n", "\nBITBUCKET_BRANCH=mine\n", "\nBITBUCKET_BUILD_NUMBER=7\n", "UID cannot be set"]
    {
        assert!(went.log.contains(line), "{line:?} is not in\n{}", went.log);
    }
    // What cargo gives to tests is the agent's own.
    assert!(!went.log.contains("CARGO"), "{}", went.log);
    assert!(!went.log.contains("step-token-of-the-test"), "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_as_variables_and_as_files() {
    let bench = Bench::new().await;
    let script = [
        "test \"$(cat $MY_TOKEN_FILE)\" = \"$MY_TOKEN\"",
        "stat -c %a $MY_TOKEN_FILE",
        "echo role=$AWS_ROLE_ARN region=$AWS_REGION session=$AWS_ROLE_SESSION_NAME",
        "cat $AWS_WEB_IDENTITY_TOKEN_FILE; echo",
        "echo $MY_TOKEN",
        "echo \"apart ${MY_TOKEN##*.}\"",
    ];
    let mut assignment = bench.shell(&script, "");
    let token = format!("aaaa.bbbb.{}", "c".repeat(342));
    assignment.tokens = vec![Token { variable: "MY_TOKEN".to_owned(), token }];
    assignment.aws = Some(AwsAccess::WebIdentity {
        role: "arn:aws:iam::123456789012:role/x".to_owned(),
        session_name: "s".to_owned(),
        token: "dddd.eeee.ffff".to_owned(),
        lives: 3600,
        duration: 900,
        region: Some("eu-west-1".to_owned()),
    });
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    for line in [
        "\n600\n",
        "role=arn:aws:iam::123456789012:role/x region=eu-west-1 session=s",
        "\n$MY_TOKEN\n",
        "\napart $MY_TOKEN\n",
    ] {
        assert!(went.log.contains(line), "{line:?} is not in\n{}", went.log);
    }
    assert!(!went.log.contains("eeee") && !went.log.contains("cccc"), "{}", went.log);
}

/// Would catch: a token that ends under a step that is longer than it, in a file that names the one before, or that a link in
/// its place leads elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_role_is_replaced_before_it_ends() {
    let bench = Bench::new().await;
    let script = [
        "first=$(cat $AWS_WEB_IDENTITY_TOKEN_FILE)",
        "echo mine > elsewhere; ln -sf $PWD/elsewhere $AWS_WEB_IDENTITY_TOKEN_FILE",
        "while [ \"$(cat $AWS_WEB_IDENTITY_TOKEN_FILE)\" = mine ]; do sleep 0.1; done",
        "test \"$(cat $AWS_WEB_IDENTITY_TOKEN_FILE)\" != \"$first\"",
        "cat elsewhere; stat -c %a $AWS_WEB_IDENTITY_TOKEN_FILE; cat $AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    let mut assignment = bench.shell(&script, "");
    assignment.aws = Some(AwsAccess::WebIdentity {
        role: "arn:aws:iam::123456789012:role/x".to_owned(),
        session_name: "s".to_owned(),
        token: "dddd.eeee.ffff".to_owned(),
        lives: 2,
        duration: 900,
        region: None,
    });
    bench.server.known().by_token = true;
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert!(went.log.contains("\nmine\n600\nfresh.token-1.$AWS_WEB_IDENTITY_TOKEN"), "{}", went.log);
    assert!(!went.log.contains("ffff"), "{}", went.log);
}

/// Would catch: credentials that stand in a variable, or that a step gets without its secret; that end under a step; that the
/// server is asked for each time.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_and_refreshed() {
    let bench = Bench::new().await;
    let ask = "curl -s -H \"Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN\" $AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let first = format!("{ask} | grep -o 'AKIA[0-9]*'");
    let script = [
        "env | grep AWS_ACCESS_KEY_ID || echo no key",
        "curl -s -o /dev/null -w '%{http_code}\\n' $AWS_CONTAINER_CREDENTIALS_FULL_URI",
        &first,
        &first,
        ask,
    ];
    let mut assignment = bench.shell(&script, "");
    // Its life is over when it comes.
    assignment.aws = Some(AwsAccess::Session {
        access_key: "AKIA0".to_owned(),
        secret_key: "first-secret".to_owned(),
        session_token: "first-session".to_owned(),
        expires: 1,
        region: None,
    });
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    for line in ["\nno key\n", "\n401\n", "\nAKIA1\n", "\"Expiration\":\"2096-"] {
        assert!(went.log.contains(line), "{line:?} is not in\n{}", went.log);
    }
    assert!(!went.log.contains("AKIA2") && !went.log.contains("fresh-s"), "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_variables_are_those_that_the_step_names() {
    let bench = Bench::new().await;
    let script = [
        "echo A=1 >> $BITBUCKET_PIPELINES_VARIABLES_PATH",
        "echo A=2=3 >> $BITBUCKET_PIPELINES_VARIABLES_PATH",
        "echo OTHER=x >> $BITBUCKET_PIPELINES_VARIABLES_PATH",
        // Attack: a secret that goes on to a step which does not know it as one.
        "echo B=x-$PASSWORD >> $BITBUCKET_PIPELINES_VARIABLES_PATH",
    ];
    let mut assignment = bench.shell(&script, "output-variables: [A, B]");
    assignment.variables.push(variable("PASSWORD", "a-secured-value", true));
    let went = bench.run(assignment).await;
    assert_eq!(went.finish.outputs, [("A".to_owned(), "2=3".to_owned())].into());
    assert!(went.log.contains("The output variable B is left out"), "{}", went.log);
    // The file is the step's; what it puts in its place is not followed.
    let script = "ln -sf /etc/passwd $BITBUCKET_PIPELINES_VARIABLES_PATH";
    let went = bench.run(bench.shell(&[script], "output-variables: [A]")).await;
    assert!(went.finish.outputs.is_empty() && went.log.contains("cannot be read"), "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_found_again_by_the_content_of_its_files() {
    let bench = Bench::new().await;
    let root = "definitions: {caches: {own: {path: deps/x, key: {files: [lock]}}}}";
    let step = "runs-on: [self.hosted, linux.shell]\ncaches: [own, pip]";
    let make = ["mkdir -p deps/x ~/.cache/pip", "echo kept > deps/x/file", "echo p > ~/.cache/pip/p"];
    let went = bench.run(bench.assignment(step, &make, root)).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert_eq!(bench.server.known().caches.len(), 2, "{}", went.log);
    let look = ["cat deps/x/file ~/.cache/pip/p", "touch deps/x/new"];
    let went = bench.run(bench.assignment(step, &look, root)).await;
    assert!(went.log.contains("\nkept\np\n"), "{}", went.log);
    assert_eq!(bench.server.known().caches.len(), 2, "what was there is not kept again");
    assert!(bench.server.known().caches.keys().any(|key| key.starts_with("own ") && key.len() == 68));
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_reach_a_later_step() {
    let bench = Bench::new().await;
    let more =
        "artifacts: {paths: ['dist/**'], upload: [{name: logs, paths: ['*.log'], capture-on: failed}]}";
    let went =
        bench.run(bench.shell(&["mkdir -p dist/a", "echo art > dist/a/b", "echo l > x.log"], more)).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    let kept = bench.server.known().artifacts.clone();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["artifacts"]);
    let mut later = bench.shell(&["cat dist/a/b", "false"], more);
    later.artifacts = vec![pipeline::protocol::Artifact {
        id: "artifacts".to_owned(),
        name: "artifacts".to_owned(),
        size: kept["artifacts"].len() as u64,
        sha256: String::new(),
    }];
    let went = bench.run(later.clone()).await;
    assert!(went.log.contains("\nart\n"), "{}", went.log);
    later.artifacts[0].sha256 = "00".repeat(32);
    let went = bench.run(later).await;
    assert!(
        matches!(went.finish.verdict, Verdict::Error { .. }),
        "a changed artifact was taken: {}",
        went.log
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repository_comes_as_the_file_says() {
    let bench = Bench::new().await;
    let ways = [
        ("clone: {enabled: false}", "test ! -e README"),
        ("clone: {depth: full, tags: true}", "git describe --tags --exact-match"),
        ("clone: {strategy: clone, depth: 1}", "test $(git rev-parse --abbrev-ref HEAD) = main"),
        ("clone: {filter: 'blob:none', depth: 3}", "cat src/a.txt"),
        ("clone: {sparse-checkout: {patterns: [src]}}", "test -e src/a.txt && test -e README"),
        (
            "clone: {sparse-checkout: {cone-mode: false, patterns: ['/src/']}}",
            "test -e src/a.txt && test ! -e README",
        ),
        ("clone: {lfs: true}", "cat README"),
    ];
    for (clone, look) in ways {
        let went = bench.run(bench.shell(&[look], clone)).await;
        assert_eq!(went.finish.verdict, Verdict::Passed, "{clone}: {}", went.log);
    }
    let mut missing = bench.shell(&["true"], "");
    missing.source.commit = "0123456789012345678901234567890123456789".to_owned();
    let went = bench.run(missing).await;
    assert!(matches!(went.finish.verdict, Verdict::Error { .. }), "{}", went.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_replaced_before_it_ends() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.once = false;
    let (running, end) = bench.begin(bench.shell(&["sleep 2"], ""), settings);
    bench.server.until("a verdict", |known| !known.finished.is_empty()).await;
    bench.server.until("the newest credential", |known| known.credentials == ["bst_run_credential-1"]).await;
    let stored = std::fs::read_to_string(bench.directory().join("runner.json")).unwrap();
    assert!(stored.contains("bst_run_credential-1"), "{stored}");
    end.send(true).unwrap();
    running.await.unwrap().unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(bench.directory().join("runner.json").metadata().unwrap().mode() & 0o777, 0o600);
}

/// An answer that is lost on the way must neither double nor lose a line.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_each_byte_once() {
    let bench = Bench::new().await;
    bench.server.known().forgotten = 3;
    let went = bench.run(bench.shell(&["seq 1 20000"], "")).await;
    let numbers: Vec<_> = went.log.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
    assert_eq!(numbers.len(), 20_000);
    assert_eq!(went.log.matches("Runner: one").count(), 1);
}

/// Two agents in one folder would run two steps in the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_agent() {
    let bench = Bench::new().await;
    let mut settings = bench.settings();
    settings.once = false;
    let (running, end) = bench.begin(bench.shell(&["true"], ""), settings.clone());
    bench.server.until("a verdict", |known| !known.finished.is_empty()).await;
    let (_other, shutdown) = tokio::sync::watch::channel(false);
    assert!(runner::run(settings, shutdown).await.is_err());
    end.send(true).unwrap();
    running.await.unwrap().unwrap();
    until("the folder is free", || true).await;
}

/// A token is minted while the step runs, for whom the step names, by nobody but the step; and it is hidden.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_minted_when_it_is_asked_for() {
    let bench = Bench::new().await;
    let ask = "curl -sS -H \"Authorization: Bearer $BASTIDE_OIDC_REQUEST_TOKEN\" \"$BASTIDE_OIDC_REQUEST_URL?audience=one&audience=two\" > answer";
    let script = [
        ask,
        "grep -q '\"value\":\"minted-for-one+two.' answer || exit 3",
        "cat answer",
        "test $(curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer x' $BASTIDE_OIDC_REQUEST_URL) = 401",
        "test $(curl -sS -o /dev/null -w '%{http_code}' ${BASTIDE_OIDC_REQUEST_URL%/bastide*}/2.0/repositories/acme/one) = 404",
    ];
    let went = bench.run(bench.shell(&script, "")).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert_eq!(bench.server.known().asked, [["one", "two"]]);
    assert!(
        went.log.contains("minted-for-one+two.claims.$BASTIDE_OIDC_TOKEN") && !went.log.contains("ssss"),
        "{}",
        went.log
    );
}

/// Would catch: what the operator shows steps that is hidden by a folder of the step's own, or lies below one that its user
/// does not get through.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_exposed_is_seen_wherever_it_lies() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().join("above/shown");
    std::fs::create_dir_all(&shown).unwrap();
    std::fs::write(shown.join("tool"), "a tool").unwrap();
    std::fs::write(folder.path().join("certificates"), "a certificate").unwrap();
    std::fs::write(folder.path().join("above/hidden"), "a secret").unwrap();
    std::fs::create_dir(shown.join("kept")).unwrap();
    std::fs::write(shown.join("kept/key"), "a secret").unwrap();
    let mut settings = bench.settings();
    settings.exposed = vec![shown.clone(), folder.path().join("certificates")];
    settings.hidden = vec![shown.join("kept")];
    let at = folder.path().display();
    let script = [
        format!("cat {at}/above/shown/tool {at}/certificates; echo"),
        format!("ls {at}/above"),
        format!("cat {at}/above/shown/kept/key || echo not there"),
        format!("touch {at}/above/shown/more && echo written || true"),
    ];
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    let went = bench.run_with(bench.shell(&script, ""), settings).await;
    assert_eq!(went.finish.verdict, Verdict::Passed, "{}", went.log);
    assert!(went.log.contains("\na toola certificate\n"), "{}", went.log);
    assert!(!went.log.contains("hidden") && !went.log.contains("\nwritten"), "{}", went.log);
    assert!(went.log.contains("\nnot there"), "{}", went.log);
}
