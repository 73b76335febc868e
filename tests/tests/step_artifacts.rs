//! What a step leaves, the whole way to people: a real runner, the list, the page of the run, the file.

#![cfg(test)]

use std::process::Command;

use serde_json::{Value, json};
use testkit::pipeline::Scene;
use testkit::world::PASSWORD;
use testkit::{Answer, Visitor, in_path};

/// What is for people alone has a name that would say more in a header, and end a line for some who read it.
const CONFIGURATION: &str = r#"
pipelines:
  default:
    - step:
        runs-on: linux.shell
        script:
          - echo built > app.txt && echo seen > shot.txt
        artifacts:
          upload:
            - {name: app, paths: [app.txt]}
            - {name: "say \"hi\"; x=\u2028<b>", type: scoped, paths: [shot.txt]}
    - step:
        runs-on: linux.shell
        script:
          - test -e app.txt
          - test ! -e shot.txt
"#;

const APP: &str = "attachment; filename=\"app.tar.gz\"; filename*=UTF-8''app%2Etar%2Egz";
const ODD: &str = "attachment; filename=\"say _hi__ x___b_.tar.gz\"; \
    filename*=UTF-8''say%20%22hi%22%3B%20x%3D%5F%3Cb%3E%2Etar%2Egz";

/// That a file is sent to be kept, and is the one that the list tells of.
fn is_file(answer: &Answer, told: &Value, disposition: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    assert_eq!(header("content-disposition"), disposition);
    assert_eq!((header("content-type"), header("x-content-type-options")), ("application/gzip", "nosniff"));
    assert_eq!(header("content-length"), told["file_size_bytes"].to_string());
    assert_eq!(header("etag"), told["sha256"].to_string());
}

/// Would catch: an artifact that people do not find or get, or whom it must not reach does; one of another step under a
/// step's address; a name that is more than a name in a header or on a page; what is for people alone in a later step.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_the_log_gets_what_a_step_left() {
    let scene = Scene::new().await;
    let _agent = scene.agent(&["--no-containers"]).await;
    scene.push(CONFIGURATION);
    let (run, logs) = scene.result(1).await;
    assert_eq!(run["state"]["result"]["name"], "SUCCESSFUL", "{}", logs.join("\n----\n"));
    let steps = scene.steps(&run).await;
    let of = |step: &Value| {
        format!("/api/repositories/acme/one/pipelines/1/steps/{}/artifacts", in_path(&step["uuid"]))
    };
    let (first, second) = (of(&steps[0]), of(&steps[1]));
    let ask = async |person: &str, path: &str| scene.send(person, "GET", path, Value::Null).await;

    // Over REST: the list with its pages, and each by its id, the first by its name too.
    let found = ask("reader", &first).await.expect(200);
    assert_eq!(found["size"], 2, "{found}");
    let (app, odd) = (&found["values"][0], &found["values"][1]);
    assert_eq!((&app["name"], &odd["name"]), (&json!("app"), &json!("say \"hi\"; x=\u{2028}<b>")), "{found}");
    assert!(app["expires_on"].as_str() > app["created_on"].as_str(), "{app}");
    let paged = ask("reader", &format!("{first}?pagelen=1")).await.expect(200);
    assert!(paged["values"].as_array().map(Vec::len) == Some(1) && paged["next"].is_string(), "{paged}");
    let (app_path, odd_path) = (in_path(&app["uuid"]), in_path(&odd["uuid"]));
    let sent = ask("reader", &format!("{first}/{app_path}")).await;
    is_file(&sent, app, APP);
    is_file(&ask("reader", &format!("{first}/app")).await, app, APP);
    is_file(&ask("reader", &format!("{first}/{odd_path}")).await, odd, ODD);
    let id = app["uuid"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
    let file = scene.world.server.data().join("pipelines/artifacts").join(&id);
    let bytes = std::fs::read(&file).expect("a file");
    assert_eq!(sent.text, String::from_utf8_lossy(&bytes));
    let listed = Command::new("tar").arg("-tzf").arg(&file).output().expect("tar is installed");
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "app.txt");

    // Nothing of it under the other step, by a name that is none, or for who may not see the run.
    assert_eq!(ask("reader", &second).await.expect(200)["size"], 0);
    let _ = ask("reader", &format!("{second}/{app_path}")).await.expect(404);
    let _ = ask("reader", &format!("{first}/none")).await.expect(404);
    for path in [&first, &format!("{first}/{app_path}"), &format!("{first}/none")] {
        let _ = ask("outsider", path).await.expect(404);
    }

    // On the page of the run, with the step that left it.
    let mut visitor = Visitor::signed_in(&scene.world.server, "reader", PASSWORD).await;
    let here = "/acme/one/pipelines/1";
    let address = format!("{here}/steps/1/artifacts/{id}");
    let page = visitor.get(&format!("{here}?step=1")).await.text;
    assert!(page.contains(&format!("href=\"{address}\"")) && page.contains("removed <time"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
    assert!(!visitor.get(&format!("{here}?step=2")).await.text.contains("Artifacts"));
    is_file(&visitor.get(&address).await, app, APP);
    assert_eq!(visitor.get(&format!("{here}/steps/2/artifacts/{id}")).await.status, 404);
    let mut outsider = Visitor::signed_in(&scene.world.server, "outsider", PASSWORD).await;
    assert_eq!(outsider.get(&address).await.status, 404);
}
