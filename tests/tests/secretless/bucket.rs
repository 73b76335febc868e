//! Logs in a bucket: moto's, in front of which whoever does not sign is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::amazon::{Amazon, packages};
use crate::scene::Scene;

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "not-a-secret")];
/// Makes the bucket; or tells what it holds, by name, as text.
const TOOL: &str = r#"
import gzip, json, sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
if sys.argv[2] == "make":
    client.create_bucket(Bucket="logs-of-acme")
held = client.list_objects_v2(Bucket="logs-of-acme").get("Contents", [])
read = lambda key: client.get_object(Bucket="logs-of-acme", Key=key)["Body"].read()
print(json.dumps({one["Key"]: gzip.decompress(read(one["Key"])).decode() for one in held}))
"#;

fn bucket(endpoint: &str, does: &str) -> Value {
    let mut python = Command::new(packages().join("bin/python"));
    python.args(["-c", TOOL, endpoint, does]).envs(KEYS).stderr(Stdio::inherit());
    let output = python.output().expect("python runs");
    assert!(output.status.success(), "boto3 reaches the bucket");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Would catch: an unsigned request, a log that is in neither place or in both, a part that is another part's, a bucket that
/// who reads the log has to know of.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_ended_lies_in_the_bucket_and_is_read_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let amazon = Amazon::start(&folder.path().join("authorities.pem"));
    amazon.holds(&json!({ "users": { "AKIATEST": { "secret": "not-a-secret", "arn": crate::USER } } })).await;
    let endpoint = format!("http://127.0.0.1:{}", amazon.port);
    assert_eq!(bucket(&endpoint, "make"), json!({}));
    let flags = ["--log-bucket", "logs-of-acme/kept", "--s3-endpoint", &endpoint];
    let scene = Scene::new(&flags, &KEYS).await;
    let _agent = scene.agent(&["--no-containers"]).await;
    let step = "pipelines:\n  default:\n    - step:\n        runs-on: linux.shell\n        script:\n          - echo kept-for-ever\n";
    let (run, logs) = scene.run("one", "main", step, &[]).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{logs:?}");

    let lie = scene.world.server.data().join("pipelines/logs");
    let begun = Instant::now();
    let marker = loop {
        let found = files(&lie);
        match found.as_slice() {
            [one] if one.extension().is_some_and(|is| is == "away") => break one.clone(),
            _ => assert!(begun.elapsed() < Duration::from_secs(60), "the log goes away: {found:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let object = marker.strip_prefix(&lie).expect("below").with_extension("gz");
    assert_eq!(bucket(&endpoint, "list"), json!({ format!("kept/logs/{}", object.display()): logs[0] }));
    let pipelines = "/2.0/repositories/acme/one/pipelines";
    assert_eq!(scene.logs(pipelines, &run).await, logs);
    let fetched = scene.world.server.data().join("pipelines/fetched-logs");
    assert_eq!(files(&fetched).len(), 1, "it is not fetched for every part");
}
