//! Workspaces, projects and repositories are made, changed and deleted in a browser.
//!
//! Would catch: a deletion without the name typed, a form that forgets what was typed, a button for somebody who may not.

use testkit::world::PASSWORD;
use testkit::{Browser, World, form, forms};

#[tokio::test]
async fn a_project_and_a_repository_are_made_renamed_and_deleted() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let overview = owner.page("/acme").await;
    let (new_project, new_repository) = ("/acme/workspace/new-project", "/acme/workspace/new-repository");
    assert!(overview.contains(new_project) && overview.contains(new_repository), "{overview}");
    let empty = owner.form(new_project, new_project).await;
    let wrong = owner.submit(empty.clone().with("name", "Docs <script>").with("key", "docs x")).await;
    assert!(wrong.status.as_u16() == 400 && wrong.text.contains("id=\"key-error\""), "{}", wrong.text);
    assert_eq!(form(&wrong.text, new_project).get("name"), Some("Docs <script>"));
    let made = owner.submit(empty.with("name", "Docs <script>").with("key", "DOCS")).await;
    assert_eq!(made.header("location"), "/acme/workspace/projects/DOCS", "{}", made.text);
    let project = owner.page("/acme/workspace/projects/DOCS").await;
    assert!(
        !project.contains("Docs <script>") && project.contains("new-repository?project=DOCS"),
        "{project}"
    );
    // The repository begins private, in the project one came from.
    let page = owner.page("/acme/workspace/new-repository?project=DOCS").await;
    let empty = form(&page, new_repository);
    assert_eq!((empty.get("project"), empty.get("privacy")), (Some("DOCS"), Some("private")));
    let wrong = owner.submit(empty.clone().with("slug", "one")).await;
    assert!(
        wrong.status.as_u16() == 400 && form(&wrong.text, new_repository).get("slug") == Some("one"),
        "{}",
        wrong.text
    );
    let made = owner.submit(empty.with("slug", "handbook").with("description", "How we work.")).await;
    assert_eq!(made.header("location"), "/acme/handbook", "{}", made.text);
    let settings = "/acme/handbook/settings/general";
    let change = forms(&owner.page(settings).await).remove(0);
    assert_eq!(change.get("description"), Some("How we work."));
    let renamed = owner.submit(change.with("slug", "manual").with("name", "Manual")).await;
    assert_eq!(renamed.header("location"), "/acme/manual/settings/general", "{}", renamed.text);
    let settings = "/acme/manual/settings/general";
    let delete = forms(&owner.page(settings).await).remove(1);
    let not_yet = owner.submit(delete.clone().with("confirm", "manual")).await;
    assert!(
        not_yet.status.as_u16() == 400 && not_yet.text.contains("nothing was deleted"),
        "{}",
        not_yet.text
    );
    let in_use = "/acme/workspace/projects/DOCS/settings/general";
    let not_empty = owner.submit(forms(&owner.page(in_use).await).remove(1).with("confirm", "DOCS")).await;
    assert!(
        matches!(not_empty.status.as_u16(), 400 | 409),
        "a project that holds a repository stays: {}",
        not_empty.text
    );
    let gone = owner.submit(delete.with("confirm", "acme/manual")).await;
    assert_eq!(gone.header("location"), "/acme", "{}", gone.text);
    assert_eq!(owner.get("/acme/manual").await.status.as_u16(), 404);
    // Who may not is offered nothing, and refused.
    let writer = Browser::signed_in(&world.server, "writer", PASSWORD).await;
    assert!(!writer.page("/acme").await.contains(new_project));
    for path in
        ["/acme/one/settings/general", new_project, "/acme/workspace/settings/general", "/-/new-workspace"]
    {
        assert!(
            matches!(writer.get(path).await.status.as_u16(), 403 | 404) || path == "/-/new-workspace",
            "{path}"
        );
    }
    let nobody = Browser::new(&world.server);
    for path in [settings, new_repository, "/acme/workspace/settings/general"] {
        assert!(matches!(nobody.get(path).await.status.as_u16(), 303 | 404), "{path}");
    }
}

#[tokio::test]
async fn a_workspace_is_made_and_deleted() {
    let world = World::new().await;
    let owner = Browser::signed_in(&world.server, "owner", PASSWORD).await;
    let new = "/-/new-workspace";
    let empty = owner.form(new, new).await;
    let taken = owner.submit(empty.clone().with("name", "Acme").with("slug", "acme")).await;
    assert!(
        taken.status.as_u16() == 400 && form(&taken.text, new).get("name") == Some("Acme"),
        "{}",
        taken.text
    );
    let made = owner.submit(empty.with("name", "Ship").with("slug", "ship")).await;
    assert_eq!(made.header("location"), "/ship", "{}", made.text);
    let settings = "/ship/workspace/settings/general";
    let renamed = forms(&owner.page(settings).await).remove(0).with("slug", "boat");
    let renamed = owner.submit(renamed).await;
    assert_eq!(renamed.header("location"), "/boat/workspace/settings/general", "{}", renamed.text);
    let gone = forms(&owner.page("/boat/workspace/settings/general").await).remove(1).with("confirm", "boat");
    assert_eq!(owner.submit(gone).await.header("location"), "/");
    assert_eq!(owner.get("/boat").await.status.as_u16(), 404);
}
