//! Steps in images, with services, pipes and a Docker daemon: podman is real, and so is the daemon.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::pipeline::Scene;

const IMAGE: &str = "localhost/bastide-acceptance:1";
const PIPE: &str = "localhost/bastide-pipe:1";
const DAEMON: &str = "localhost/bastide-daemon:1";

/// The root of an image, of busybox.
fn root(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for name in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir_all(root.join(name)).expect("a folder");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    std::fs::copy(busybox.expect("busybox-static is installed"), root.join("bin/busybox")).expect("a copy");
    for program in [
        "sh", "cat", "ls", "sleep", "nc", "echo", "grep", "mkdir", "test", "env", "id", "cp", "tar", "wc",
        "wget",
    ] {
        symlink("busybox", root.join("bin").join(program)).expect("a link");
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("a file");
    root
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
}

/// Makes images of a root, each with a change: no registry is asked.
fn import(folder: &Path, root: &Path, images: &[(&str, &str)]) {
    let archive = folder.join("root.tar");
    let made = Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg(".").status();
    assert!(made.expect("tar runs").success());
    for (name, change) in images {
        let made =
            Command::new("podman").args(["import", "--change", change]).arg(&archive).arg(name).output();
        let made = made.expect("podman runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// An image of busybox, made here.
fn image() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = root(folder.path());
    let serve = "#!/bin/sh\nwhile true; do echo hello from the service | nc -l -p 5000; done\n";
    executable(&root.join("serve.sh"), serve);
    let put =
        "echo kept > $BITBUCKET_PIPE_STORAGE_DIR/own; echo for all > $BITBUCKET_PIPE_SHARED_STORAGE_DIR/one";
    let get = "cat $BITBUCKET_PIPE_STORAGE_DIR/own $BITBUCKET_PIPE_SHARED_STORAGE_DIR/one";
    std::fs::write(root.join("put"), put).expect("a file");
    std::fs::write(root.join("get"), get).expect("a file");
    std::fs::write(root.join("host"), "echo \"pipe: $DOCKER_HOST $(docker in a pipe)\"").expect("a file");
    std::fs::write(root.join("idle"), "sleep 600").expect("a file");
    std::fs::write(root.join("broken"), "echo this daemon is broken; exit 3").expect("a file");
    let entry = r#"ENTRYPOINT ["/bin/sh","-ec",". /$RUN"]"#;
    import(folder.path(), &root, &[(IMAGE, "CMD=/serve.sh"), (PIPE, entry)]);
}

/// An image with a real daemon that speaks Docker's API, podman's, of this machine's own files. It takes its time to start.
fn daemon_image() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = root(folder.path());
    let programs: Vec<PathBuf> = ["podman", "conmon", "runc"]
        .iter()
        .map(|name| {
            let places = ["/usr/bin", "/usr/sbin"].map(|place| Path::new(place).join(name));
            places.into_iter().find(|path| path.exists()).expect("podman is installed, with conmon and runc")
        })
        .collect();
    let told = Command::new("ldd").args(&programs).output().expect("ldd runs").stdout;
    let told = String::from_utf8(told).expect("a text");
    let libraries = told.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/') && !word.ends_with(':')).map(PathBuf::from)
    });
    for path in programs.iter().cloned().chain(libraries) {
        let to = root.join(path.strip_prefix("/").expect("a whole path"));
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        std::fs::copy(&path, to).expect("a copy");
    }
    for name in ["etc/containers", "var/tmp", "usr/local/bin"] {
        std::fs::create_dir_all(root.join(name)).expect("a folder");
    }
    let policy = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
    std::fs::write(root.join("etc/containers/policy.json"), policy).expect("a file");
    executable(&root.join("usr/local/bin/docker"), "#!/bin/sh\necho \"docker was called: $*\"\n");
    let serve = "#!/bin/sh\nsleep 2\nexec podman --cgroup-manager cgroupfs --events-backend file --storage-driver vfs \\\n\
                 system service --time 0 tcp://0.0.0.0:2375\n";
    executable(&root.join("daemon.sh"), serve);
    import(folder.path(), &root, &[(DAEMON, r#"ENTRYPOINT ["/daemon.sh"]"#)]);
}

/// Would catch: a step that does not run in its image, a service that is not beside it, a cache that is not found again.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_step_has_its_service_and_finds_its_cache_again() {
    image();
    let scene = Scene::new().await;
    let _agent = scene.agent(&[]).await;
    let configuration = format!(
        concat!(
            "image: {image}\ndefinitions:\n  caches: {{tools: tools}}\n  services:\n    greeter: {{image: '{image}'}}\n",
            "pipelines:\n  default:\n    - step:\n        name: In an image\n        services: [greeter]\n        caches: [tools]\n        oidc: true\n",
            "        script:\n          - test -f tools/made && echo \"cache found\" || echo \"cache empty\"\n          - mkdir -p tools && echo yes > tools/made\n",
            "          - sleep 1; nc 127.0.0.1 5000\n          - test -n \"$BITBUCKET_STEP_OIDC_TOKEN\" && echo \"token there\"\n          - ls bitbucket-pipelines.yml\n",
        ),
        image = IMAGE
    );
    scene.push(&configuration);
    let (run, logs) = scene.result(1).await;
    let all = logs.join("\n----\n");
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{all}");
    for said in ["cache empty", "hello from the service", "token there"] {
        assert!(all.contains(said), "{said}: {all}");
    }
    scene.push(&format!("{configuration}# again\n"));
    let (_, logs) = scene.result(2).await;
    assert!(logs[0].contains("cache found"), "{}", logs[0]);
}

/// Would catch: a service that starts when the step is over already, which starts the step's container once more, to wait for a
/// word that never comes. Each step is over at once, and its services take longer to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_over_at_once_ends_beside_its_services() {
    image();
    let scene = Scene::new().await;
    let _agent = scene.agent(&[]).await;
    let names = ["a", "b", "c", "d"];
    let services =
        names.map(|name| format!("    {name}: {{image: '{PIPE}', variables: {{RUN: idle}}}}\n")).concat();
    let steps = format!(
        "    - step:\n        services: [{}]\n        script: [echo over at once]\n",
        names.join(", ")
    );
    scene.push(&format!(
        "image: {IMAGE}\ndefinitions:\n  services:\n{services}pipelines:\n  default:\n{}",
        steps.repeat(4)
    ));
    let (run, logs) = scene.result(1).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{}", logs.join("\n----\n"));
    assert_eq!(logs.len(), 4);
    for log in logs {
        assert_eq!(log.matches("\nover at once\n").count(), 1, "{log}");
    }
    for step in scene.steps(&run).await {
        let name = format!("bastide-{}-1", step["uuid"].as_str().expect("an id").trim_matches(['{', '}']));
        let told = Command::new("podman")
            .args(["events", "--stream=false", "--since", "10m", "--format", "{{.Status}}", "--filter"])
            .arg(format!("container={name}"))
            .output()
            .expect("podman runs");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert_eq!(told.lines().filter(|status| *status == "start").count(), 1, "{name}: {told}");
    }
}

/// What a step does with a daemon: asks it, gives it an image, and runs a container that reads the step's clone.
const WITH_DAEMON: &str = r#"
          - wget -q -O - http://127.0.0.1:2375/_ping; echo " pinged"
          - wget -q -O - http://127.0.0.1:2375/version | grep -o '"ApiVersion"' && echo "host=$DOCKER_HOST internal=$BITBUCKET_DOCKER_HOST_INTERNAL"
          - |
            post() {
              rm -f answered
              { printf 'POST %s HTTP/1.0\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n' "$1" "$2" "$(wc -c < $3)"; cat $3; while ! test -e answered; do sleep 0.1; done; } | { nc 127.0.0.1 2375; echo > answered; }
            }
          - mkdir -p root/bin && cp /bin/busybox root/bin && tar -C root -cf image.tar . && printf '' > nothing
          - post '/images/create?fromSrc=-&repo=made-here' application/x-tar image.tar
          - wget -q -O - http://127.0.0.1:2375/images/json | grep -o 'made-here:latest'
          - echo told by the container > told.txt
          - printf '{"Image":"made-here:latest","Cmd":["/bin/busybox","cat","%s/told.txt"],"HostConfig":{"NetworkMode":"host","Binds":["%s:%s"]}}' $PWD $BITBUCKET_CLONE_DIR $BITBUCKET_CLONE_DIR > run.json
          - post '/containers/create?name=one' application/json run.json
          - post /containers/one/start application/json nothing
          - post /containers/one/wait application/json nothing
          - wget -q -O - 'http://127.0.0.1:2375/containers/one/logs?stdout=1'
          - docker in a step
          - pipe: docker://localhost/bastide-pipe:1
            variables: {RUN: host}
"#;

/// Would catch: a step that begins before its daemon answers, that cannot use it, or whose paths mean nothing there; a file's
/// own image that is passed over; a step that runs without the daemon it asked for because that has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_has_a_docker_daemon_where_the_runner_gives_one() {
    image();
    daemon_image();
    let scene = Scene::new().await;
    let _agent = scene.agent(&["--docker-image", DAEMON]).await;
    scene.push(&format!(
        concat!(
            "image: {image}\ndefinitions:\n  services:\n",
            "    broken: {{type: docker, image: '{pipe}', variables: {{RUN: broken}}}}\n",
            "pipelines:\n  default:\n    - step:\n        services: [docker]\n        caches: [docker]\n        script:{script}",
            "    - step:\n        services: [broken]\n        script: [echo it began]\n",
        ),
        image = IMAGE,
        pipe = PIPE,
        script = WITH_DAEMON
    ));
    let (run, logs) = scene.result(1).await;
    let all = logs.join("\n----\n");
    for said in [
        "Service: docker (localhost/bastide-daemon:1)",
        "\nOK pinged",
        "\n\"ApiVersion\"",
        "\nhost=tcp://localhost:2375 internal=1",
        "\nmade-here:latest",
        "told by the container\n+",
        "\ndocker was called: in a step",
        "\npipe: tcp://localhost:2375 docker was called: in a pipe",
        "Cache docker: images of steps are kept by the machine itself",
    ] {
        assert!(logs[0].contains(said), "{said}: {all}");
    }
    assert_eq!(run["state"]["result"]["name"], "FAILED", "{all}");
    let why = "The step could not be run: the service broken cannot be used: it has ended; its log tells why";
    assert!(logs[1].contains(why) && !logs[1].contains("it began"), "{all}");
    assert!(logs[1].contains(&format!("Service: broken ({PIPE})")), "{all}");
}

/// Would catch: a container with every privilege that nobody who runs the machine has asked for.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_there_is_no_docker_daemon_and_the_log_says_so() {
    image();
    let scene = Scene::new().await;
    let _agent = scene.agent(&[]).await;
    let look = "script: ['echo \"host=${DOCKER_HOST:-none}\"']";
    scene.push(&format!(
        concat!(
            "image: {image}\noptions: {{docker: true}}\ndefinitions:\n  services:\n    docker: {{image: '{image}'}}\n",
            "pipelines:\n  default:\n    - step: {{{look}}}\n    - step: {{runs-on: linux.shell, {look}}}\n",
        ),
        image = IMAGE,
        look = look.trim_start(),
    ));
    let (run, logs) = scene.result(1).await;
    let all = logs.join("\n----\n");
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{all}");
    assert!(logs[0].contains("Service docker: this runner gives steps no Docker daemon"), "{all}");
    assert!(logs[0].contains("`--docker-image`") && logs[0].contains("\nhost=none"), "{all}");
    assert!(
        logs[1].contains("Service docker: it is left out: a Docker daemon is for steps in images"),
        "{all}"
    );
    assert!(logs[1].contains("\nhost=none"), "{all}");
}

/// Would catch: what a pipe keeps that ends with its step, that reaches steps without pipes, or that is another pipe's.
#[tokio::test(flavor = "multi_thread")]
async fn what_pipes_keep_lives_as_long_as_the_pipeline() {
    image();
    let scene = Scene::new().await;
    let _agent = scene.agent(&[]).await;
    let pipe =
        |run: &str| format!("          - pipe: docker://{PIPE}\n            variables: {{RUN: '{run}'}}\n");
    let step = "    - step:\n        runs-on: linux.shell\n        script:\n";
    let look = "          - ls -A $BITBUCKET_CLONE_DIR/../tmp/pipes || echo \"nothing here\"\n";
    scene.push(&format!("pipelines:\n  default:\n{step}{}{step}{look}{step}{}", pipe("put"), pipe("get"),));
    let (run, logs) = scene.result(1).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{}", logs.join("\n----\n"));
    assert!(logs[1].contains("\nnothing here"), "{}", logs[1]);
    assert!(logs[2].contains("\nkept\nfor all\n"), "{}", logs[2]);
}
