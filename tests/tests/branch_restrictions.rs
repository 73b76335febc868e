//! Branch restrictions with the real git: who may write to a branch, rewrite it, delete it; and that no door to a ref
//! goes around them.

#![cfg(test)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{GitClient, Login, World};

const RESTRICTIONS: &str = "/2.0/repositories/acme/one/branch-restrictions";

/// The world with `main` in `one`, and a working copy at the same commit.
struct Scene {
    world: World,
    address: String,
    git: GitClient,
    work: PathBuf,
}

fn git_of(world: &World, login: &Login) -> GitClient {
    GitClient::new().with_login(&world.server.url, login)
}

/// Sends a form; the answer's status.
async fn form(world: &World, login: &Login, path: &str, body: &str) -> u16 {
    let Login::Basic(name, secret) = login else { panic!("an app password") };
    let request = world.server.client().post(format!("{}{path}", world.server.url));
    let request = request.basic_auth(name, Some(secret.expose())).body(body.to_owned());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.send().await.expect("an answer").status().as_u16()
}

impl Scene {
    /// The working copy is the writer's.
    async fn new() -> Self {
        let world = World::new().await;
        let (address, git) = (world.address("one"), world.git("writer"));
        let work = git.working_copy("work");
        let _ = git.run(&work, ["push", &address, "main"]).expect_success();
        Self { world, address, git, work }
    }

    async fn restrict(&self, body: Value) -> Value {
        let login = self.world.app_password("repoadmin");
        self.world.server.send("POST", RESTRICTIONS, &login, &body).await.expect(201)
    }

    fn push(&self, arguments: &[&str]) -> testkit::Transcript {
        self.push_as(&self.git, arguments)
    }

    /// Pushes what the working copy has, with another git's credential.
    fn push_as(&self, git: &GitClient, arguments: &[&str]) -> testkit::Transcript {
        let words = ["push", self.address.as_str()].into_iter().chain(arguments.iter().copied());
        git.run(&self.work, words)
    }

    fn commit(&self) {
        let _ = self.git.commit(&self.work, "file", format!("{:?}\n", self.head(&self.work)));
    }

    fn head(&self, folder: &Path) -> String {
        self.git.run(folder, ["rev-parse", "HEAD"]).expect_success().trim().to_owned()
    }

    /// What the server has of refs, line by line.
    fn refs(&self) -> Vec<String> {
        let listed = self.git.run(&self.work, ["ls-remote", &self.address, "refs/*"]);
        listed.expect_success().lines().map(str::to_owned).collect()
    }

    /// A push that is refused and moves nothing; what it was told.
    fn refused(&self, git: &GitClient, arguments: &[&str]) -> Vec<String> {
        let before = self.refs();
        let told = self.push_as(git, arguments);
        let _ = told.expect_failure();
        assert_eq!(self.refs(), before, "{told}");
        told.remote().iter().map(|line| (*line).to_owned()).collect()
    }
}

/// Would catch: a restriction that lets writers through, one that locks out those it lists, administrators above it, an
/// access token that is taken for its maker.
#[tokio::test(flavor = "multi_thread")]
async fn only_those_whom_a_push_restriction_lists_write_to_the_branch() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let admin = world.app_password("repoadmin");
    assert_eq!(form(world, &world.app_password("owner"), "/1.0/groups/acme", "name=core").await, 200);
    let uuid = format!("{{{}}}", world.uuid("repoadmin").replace("%7B", "").replace("%7D", ""));
    let made = scene
        .restrict(json!({
            "kind": "push", "pattern": "main", "users": [{ "uuid": uuid }], "groups": [{ "slug": "core" }]
        }))
        .await;
    assert_eq!(made["users"][0]["nickname"], "repoadmin", "{made}");

    scene.commit();
    let told = scene.refused(&scene.git, &["main"]);
    let line = told.iter().find(|line| line.starts_with("refs/heads/main: refused: ")).expect("a reason");
    let why = format!(
        "branch restriction {} lets only the users and groups that it lists write to `main`",
        made["id"]
    );
    assert!(line.contains(&why) && line.contains("(request "), "{line}");
    // The owner of the workspace is not exempt, nor is a token that the exempt administrator made.
    let token = world
        .mint(&world.password("repoadmin"), "/api/repositories/acme/one/access-tokens", &["repository:write"])
        .await;
    for login in [world.app_password("owner"), Login::Bearer(token)] {
        scene.refused(&git_of(world, &login), &["main"]);
    }
    // Other branches, and a tag of the same name, are as they were.
    let _ = scene.push(&["main:next", "main:refs/tags/main"]).expect_success();
    let _ = scene.push_as(&git_of(world, &admin), &["main"]).expect_success();

    // A member of the group is exempt from the next push on, and no longer when it leaves.
    scene.commit();
    let owner = world.app_password("owner");
    let member = format!("/1.0/groups/acme/core/members/{}", world.uuid("writer"));
    let _ = world.server.send("PUT", &member, &owner, &json!({})).await.expect(200);
    let _ = scene.push(&["main"]).expect_success();
    let _ = world.server.send("DELETE", &member, &owner, &Value::Null).await.expect(204);
    scene.commit();
    scene.refused(&scene.git, &["main"]);
    // Deleting is writing.
    scene.refused(&scene.git, &[":main"]);

    // The pattern follows its change at once.
    let one = format!("{RESTRICTIONS}/{}", made["id"]);
    let body = json!({ "pattern": "release/*" });
    let _ = world.server.send("PUT", &one, &admin, &body).await.expect(200);
    let _ = scene.push(&["main"]).expect_success();
    scene.refused(&scene.git, &["main:release/1/a"]);
    let _ = world.server.send("DELETE", &one, &admin, &Value::Null).await.expect(204);
    let _ = scene.push(&["main:release/1/a"]).expect_success();
}

/// Would catch: the question about history asked outside of the quarantine, where the new commits are not; a rewrite that
/// passes for an update; a restriction that refuses what it is not about.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_rewrites_or_deletes_where_that_is_restricted() {
    let scene = Scene::new().await;
    let admin = git_of(&scene.world, &scene.world.app_password("repoadmin"));
    scene.restrict(json!({ "kind": "force", "pattern": "*" })).await;
    scene.restrict(json!({ "kind": "delete", "pattern": "ma*" })).await;
    scene.commit();
    let _ = scene.push(&["main"]).expect_success();
    let _ = scene.git.run(&scene.work, ["commit", "--quiet", "--amend", "-m", "another"]).expect_success();
    let told = scene.refused(&admin, &["--force", "main"]);
    assert!(told.iter().any(|line| line.contains("lets nobody rewrite `*`")), "{told:?}");
    // One refused ref refuses the push, whether or not the client asked for all or nothing.
    for arguments in [&["--force", "main", "main:side"][..], &["--force", "--atomic", "main:side", "main"]] {
        let told = scene.refused(&scene.git, arguments);
        assert!(told.iter().any(|line| line.starts_with("refs/heads/main: refused")), "{told:?}");
        assert!(!told.iter().any(|line| line.starts_with("refs/heads/side: refused")), "{told:?}");
    }
    // A tag is moved, a new branch made, and one that no restriction keeps is deleted.
    let _ = scene.push(&["HEAD~:refs/tags/v1", "main:side"]).expect_success();
    let _ = scene.push(&["--force", "main:refs/tags/v1"]).expect_success();
    let _ = scene.push(&[":side"]).expect_success();
    // Backwards is a rewrite too.
    scene.refused(&scene.git, &["--force", "HEAD~:main"]);
    let told = scene.refused(&admin, &[":main"]);
    assert!(told.iter().any(|line| line.contains("lets nobody delete `ma*`")), "{told:?}");
}

/// Where several match, each has to agree. Would catch: the first one, or the most lenient one, deciding alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_strictest_of_several_wins() {
    let scene = Scene::new().await;
    let writer = json!([{ "username": "writer" }]);
    scene.restrict(json!({ "kind": "push", "pattern": "*", "users": writer })).await;
    scene.commit();
    let _ = scene.push(&["main"]).expect_success();
    let body = json!({ "kind": "push", "branch_match_kind": "branching_model", "branch_type": "development", "pattern": "" });
    scene.restrict(body).await;
    scene.commit();
    let told = scene.refused(&scene.git, &["main"]);
    assert!(told.iter().any(|line| line.contains("the branches of type `development`")), "{told:?}");
    let _ = scene.push(&["main:feature/a"]).expect_success();
    // The type follows the model at once.
    let settings = "/2.0/repositories/acme/one/branching-model/settings";
    let admin = scene.world.app_password("repoadmin");
    let body = json!({ "development": { "use_mainbranch": false, "name": "feature/a" } });
    let _ = scene.world.server.send("PUT", settings, &admin, &body).await.expect(200);
    let _ = scene.push(&["main"]).expect_success();
    scene.commit();
    scene.refused(&scene.git, &["main:feature/a"]);
}

/// Attack: push in the moment between looking and deciding. The client has been told of all refs, and the restriction is
/// made before its objects arrive: its own hook does that.
#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_that_is_made_during_a_push_binds_it() {
    let scene = Scene::new().await;
    let Login::Basic(admin, secret) = scene.world.app_password("repoadmin") else {
        panic!("an app password")
    };
    let hook = format!(
        "#!/bin/sh\nexec curl -sSf -o /dev/null -u '{admin}:{}' -H 'content-type: application/json' \
         -d '{{\"kind\":\"push\",\"pattern\":\"main\"}}' '{}{RESTRICTIONS}'\n",
        secret.expose(),
        scene.world.server.url,
    );
    let path = scene.work.join(".git/hooks/pre-push");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, hook).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    scene.commit();
    let told = scene.refused(&scene.git, &["main"]);
    assert!(told.iter().any(|line| line.starts_with("refs/heads/main: refused")), "{told:?}");
}

/// Attack: go around the push door, by making, deleting or committing to the branch through the API.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_does_not_go_around_a_restriction() {
    let scene = Scene::new().await;
    let (world, writer) = (&scene.world, scene.world.app_password("writer"));
    let hash = scene.head(&scene.work);
    scene.restrict(json!({ "kind": "push", "pattern": "release/*" })).await;
    scene.restrict(json!({ "kind": "delete", "pattern": "keep" })).await;
    let branches = "/2.0/repositories/acme/one/refs/branches";
    let branch = |name: &str| json!({ "name": name, "target": { "hash": hash } });
    let refused = world.server.send("POST", branches, &writer, &branch("release/1")).await.expect(403);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("branch restriction") && message.contains("release/*"), "{refused}");
    let _ = world.server.send("POST", branches, &writer, &branch("keep")).await.expect(201);
    let _ = world.server.send("DELETE", &format!("{branches}/keep"), &writer, &Value::Null).await.expect(403);
    let commit = async |branch: &str| {
        let body = format!("%2Ffile=text&branch={branch}");
        form(world, &writer, "/2.0/repositories/acme/one/src", &body).await
    };
    assert_eq!(commit("release/2").await, 403);
    assert_eq!(commit("keep").await, 201);
    let refs = scene.refs().join("\n");
    assert!(refs.contains("refs/heads/keep") && !refs.contains("refs/heads/release"), "{refs}");
}

/// Would catch: a refusal that leaves no trace, or a trace without the refs and the request that the client was told.
#[tokio::test(flavor = "multi_thread")]
async fn refused_refs_stand_in_the_trail() {
    let scene = Scene::new().await;
    let made = scene.restrict(json!({ "kind": "push", "pattern": "main" })).await;
    scene.commit();
    let told = scene.refused(&scene.git, &["main", "main:free"]);
    let line = told.iter().find(|line| line.starts_with("refs/heads/main: refused")).unwrap();
    let request = line.rsplit_once("(request ").unwrap().1.trim_end_matches(')').to_owned();
    let mut found = Value::Null;
    for _ in 0..500 {
        let events =
            scene.world.server.administer("GET", "/api/audit/events?outcome=refused", &Value::Null).await;
        let mut events = events["values"].as_array().unwrap().iter();
        if let Some(event) = events.find(|event| event["request_id"] == *request) {
            found = event.clone();
            break;
        }
    }
    assert_eq!(found["reasons"], json!(["branch-restriction"]), "{found}");
    assert_eq!((&found["actor"], &found["after"]["count"]), (&json!("user:writer"), &json!(1)), "{found}");
    let told = &found["after"]["refused"][0];
    assert_eq!((&told["name"], &told["restriction"]), (&json!("refs/heads/main"), &made["id"]), "{found}");
    // What was made stands there too, with who is exempt.
    let events = "/api/audit/events?action=branch-restriction.set";
    let events = scene.world.server.administer("GET", events, &Value::Null).await;
    let after = &events["values"][0]["after"];
    assert_eq!(
        (&after["restriction"], &after["branches"], &after["users"]),
        (&made["id"], &json!("main"), &json!([]))
    );
}

/// Who leaves takes no exemption along, and does not find it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_ends_with_the_membership() {
    let scene = Scene::new().await;
    let (world, admin) = (&scene.world, scene.world.app_password("repoadmin"));
    let made = scene
        .restrict(json!({ "kind": "push", "pattern": "main", "users": [{ "username": "writer" }] }))
        .await;
    let member = "/api/workspaces/acme/members/writer";
    let owner = world.password("owner");
    let _ = world.server.send("DELETE", member, &owner, &Value::Null).await.expect(204);
    let one = format!("{RESTRICTIONS}/{}", made["id"]);
    let left = world.server.send("GET", &one, &admin, &Value::Null).await.expect(200);
    assert_eq!(left["users"], json!([]));
}
