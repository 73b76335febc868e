//! Making a repository, changing and deleting one.

use model::{Action, Error, ForkPolicy, Project, Result};
use pages::form::{Field, Kind};
use service::{Changed, Named, NewRepository, ProjectName, RepositoryChange, Window};
use wire::Parameters;

use super::resource_form::{Shown, Typed, confirmed, is_private, privacy, read, text};
use super::settings::{self, RepositorySection};
use super::{WorkspaceTab, by_id, may, repository_path, see_other, workspace_frame};
use crate::http::{Cx, Response};

/// The most projects that are offered.
const MOST_PROJECTS: Window = Window { limit: 200, offset: 0 };

const FORKS: [(ForkPolicy, &str); 3] = [
    (ForkPolicy::AllowForks, "Everybody who may read it"),
    (ForkPolicy::NoPublicForks, "Into private repositories alone"),
    (ForkPolicy::NoForks, "Nobody"),
];

/// The projects of the workspace in which the caller may make repositories.
async fn projects(cx: &Cx, slug: &str) -> Result<Vec<Project>> {
    let service = cx.service()?;
    let (_, found) = service.projects(&cx.caller, slug, None, None, MOST_PROJECTS).await?;
    let mut able = Vec::new();
    for project in found.values {
        if may(cx, Action::RepositoryCreate, Named::Project(slug, project.key.as_str())).await {
            able.push(project);
        }
    }
    Ok(able)
}

fn choices(projects: &[Project]) -> Vec<(String, String)> {
    let choice = |project: &Project| (project.key.to_string(), format!("{} ({})", project.name, project.key));
    projects.iter().map(choice).collect()
}

async fn new_page(cx: &Cx, typed: Typed) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let projects = projects(cx, &slug).await?;
    let lead = match projects.is_empty() {
        true => {
            "You may create repositories in no project of this workspace. Ask whoever administers one, or create a project first."
        }
        false => "It begins empty: the next page tells how to push the first commit.",
    };
    let hint = "It stands in addresses and in the clone command: lower-case letters, digits, ., - and _.";
    let fields = vec![
        typed.choice("project", "Project", choices(&projects)),
        typed.line("slug", "Name").hint(hint),
        typed.line("description", "What it is for").kind(Kind::Prose).optional(),
        typed.privacy("repository"),
        typed.line("default_branch", "Main branch"),
    ];
    let shown = Shown {
        frame: workspace_frame(cx, &slug, "Create a repository", WorkspaceTab::Overview).await,
        heading: "Create a repository".to_owned(),
        lead: lead.to_owned(),
        fields,
        button: "Create repository",
        action: pages::address::of(&[&slug, "workspace", "new-repository"]),
        deletion: None,
    };
    typed.page(cx, shown)
}

fn empty(cx: &Cx) -> Result<Typed> {
    let project = cx.query.get("project")?.unwrap_or_default().to_owned();
    Ok(Typed::there(vec![
        ("project", project),
        ("default_branch", "main".to_owned()),
        ("privacy", privacy(true)),
    ]))
}

/// `GET /{workspace}/workspace/new-repository`
///
/// # Errors
/// When the caller may not see the workspace.
pub async fn new(cx: Cx) -> Result<Response> {
    new_page(&cx, empty(&cx)?).await
}

fn project_named(form: &Parameters) -> Result<Option<ProjectName>> {
    match text(form, "project")?.as_str() {
        "" => Err(Error::invalid_field("project", "choose a project")),
        key => {
            let key = key.parse().map_err(|error| Error::invalid_field("project", error))?;
            Ok(Some(ProjectName::Key(key)))
        }
    }
}

fn wanted(form: &Parameters) -> Result<NewRepository> {
    Ok(NewRepository {
        project: project_named(form)?,
        slug: read(form, "slug")?,
        name: None,
        description: text(form, "description")?,
        private: is_private(form)?,
        fork_policy: ForkPolicy::AllowForks,
        language: String::new(),
        has_issues: false,
        has_wiki: false,
        default_branch: Some(text(form, "default_branch")?).filter(|name| !name.is_empty()),
    })
}

/// `POST /{workspace}/workspace/new-repository`
///
/// # Errors
/// When the caller may not make one in the project. What is wrong with the form is told in it.
pub async fn create(cx: Cx, form: Parameters) -> Result<Response> {
    let made = match wanted(&form) {
        Ok(new) => cx.service()?.create_repository(&cx.caller, cx.param("workspace"), new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            see_other(&pages::address::of(&[made.workspace.slug.as_str(), made.repository.slug.as_str()]))
        }
        Err(error) => new_page(&cx, empty(&cx)?.refused(form, error)?).await,
    }
}

fn fields(typed: &Typed, projects: Vec<(String, String)>) -> Vec<Field> {
    let forks = FORKS.map(|(policy, text)| (policy.as_str().to_owned(), text.to_owned())).to_vec();
    vec![
        typed.line("name", "Name").hint("As people read it."),
        typed
            .line("slug", "Short name")
            .hint("It stands in addresses. The former one leads on to the new one."),
        typed.choice("project", "Project", projects),
        typed.line("description", "What it is for").kind(Kind::Prose).optional(),
        typed.privacy("repository"),
        typed.line("default_branch", "Main branch").hint("The branch that a clone checks out."),
        typed.choice("fork_policy", "Who may fork it", forks),
    ]
}

async fn shown(cx: &Cx, sent: Option<(Parameters, Error)>) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, &repository_path(cx)?).await?;
    let (repository, slug) = (&located.repository, located.workspace.slug.as_str());
    let mut typed = Typed::there(vec![
        ("name", repository.name.to_string()),
        ("slug", repository.slug.to_string()),
        ("project", located.project.key.to_string()),
        ("description", repository.description.clone()),
        ("privacy", privacy(repository.private)),
        ("default_branch", repository.default_branch.clone()),
        ("fork_policy", repository.fork_policy.as_str().to_owned()),
    ]);
    if let Some((form, error)) = sent {
        typed = typed.refused(form, error)?;
    }
    let mut able = choices(&projects(cx, slug).await?);
    if !able.iter().any(|(key, _)| key == located.project.key.as_str()) {
        able.insert(0, (located.project.key.to_string(), located.project.name.to_string()));
    }
    let lost = "Its commits, branches and tags cannot be reached any more, and its access tokens and permissions end. For 30 \
        days, unless this installation says otherwise, whoever administers the project can bring the commits back; tokens and \
        permissions stay gone.";
    let deletes = may(cx, Action::RepositoryDelete, Named::Repository(by_id(&located))).await;
    let full = format!("{slug}/{}", repository.slug);
    let made = Shown {
        frame: settings::repository(cx, &located, "General", RepositorySection::General).await,
        heading: "General".to_owned(),
        lead: String::new(),
        fields: fields(&typed, able),
        button: "Save repository",
        action: pages::address::of(&[slug, repository.slug.as_str(), "settings", "general"]),
        deletion: deletes.then(|| ("Delete repository".to_owned(), lost.to_owned(), full)),
    };
    typed.page(cx, made)
}

/// `GET /{workspace}/{repo_slug}/settings/general`
///
/// # Errors
/// When the caller does not administer it.
pub async fn get(cx: Cx) -> Result<Response> {
    cx.service()?.ask(&cx.caller, Action::RepositoryUpdate, Named::Repository(repository_path(&cx)?)).await?;
    shown(&cx, None).await
}

fn change(form: &Parameters, project: &Project) -> Result<RepositoryChange> {
    let fork_policy = ForkPolicy::parse(&text(form, "fork_policy")?)
        .ok_or_else(|| Error::invalid_field("fork_policy", "choose one of these"))?;
    let same = text(form, "project")? == project.key.as_str();
    Ok(RepositoryChange {
        name: Some(read(form, "name")?),
        slug: Some(read(form, "slug")?),
        project: if same { None } else { project_named(form)? },
        description: Some(text(form, "description")?),
        private: Some(is_private(form)?),
        fork_policy: Some(fork_policy),
        default_branch: Some(text(form, "default_branch")?),
        ..RepositoryChange::default()
    })
}

/// `POST /{workspace}/{repo_slug}/settings/general`: changes or deletes it.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let service = cx.service()?;
    let located = service.repository(&cx.caller, &repository_path(&cx)?).await?;
    let (path, slug) = (by_id(&located), located.workspace.slug.to_string());
    let done = match text(&form, "do")?.as_str() {
        "delete" => match confirmed(&form, &format!("{slug}/{}", located.repository.slug)) {
            Ok(()) => {
                let deleted = service.delete_repository(&cx.caller, &path).await;
                deleted.map(|()| pages::address::of(&[&slug]))
            }
            Err(error) => Err(error),
        },
        _ => match change(&form, &located.project) {
            Ok(change) => match service.update_repository(&cx.caller, &path, change).await {
                Ok(Changed::Done(after)) => {
                    Ok(pages::address::of(&[&slug, after.repository.slug.as_str(), "settings", "general"]))
                }
                Ok(Changed::Absent(error)) | Err(error) => Err(error),
            },
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(address) => see_other(&address),
        Err(error) => shown(&cx, Some((form, error))).await,
    }
}
