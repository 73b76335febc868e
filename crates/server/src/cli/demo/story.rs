//! The story itself, as a person would do it: the same use cases, the same addresses, the same `git`.

use model::{
    Action, CredentialId, CredentialKind, Error, ForkPolicy, Outcome, RequestId, Result, Secret, Token,
};
use service::{
    AuditQuery, Caller, Door, NewCredential, NewProject, NewRepository, NewUser, Presented, RepositoryPath,
    RequiredScopes, Service, TokenPlace, Trail,
};

use super::own;
use super::workbench::{Ran, Workbench};
use crate::cli::output::Output;
use crate::cli::serve::Running;

const EMAIL: &str = "ann@example.com";
const WORKSPACE: &str = "acme";
const OURS: &str = "website";
const NEIGHBOUR: &str = "payroll";
/// How long the token lives.
const DAYS: i64 = 30;

/// What is there when the story has ended, to go on with.
pub(super) struct Scene {
    base_url: String,
    root: String,
    data: String,
    administrator: Token,
}

struct Teller<'a> {
    running: &'a Running,
    workbench: &'a Workbench,
    output: &'a Output,
}

/// Tells the story.
pub(super) async fn tell(
    running: &Running,
    workbench: &Workbench,
    output: &Output,
    operator: &Caller,
) -> Result<Scene> {
    let teller = Teller { running, workbench, output };
    teller.begin()?;
    let administrator = teller.build(operator).await?;
    let ann = teller.ann(&administrator).await?;
    let (id, token) = teller.mint(&ann).await?;
    teller.push_ours(&token).await?;
    teller.push_neighbour(&ann, id, &token).await?;
    teller.revoke(&ann, id, &token).await?;
    teller.verify(operator).await?;
    Ok(Scene {
        base_url: running.base_url.clone(),
        root: workbench.root().display().to_string(),
        data: workbench.data().display().to_string(),
        administrator,
    })
}

fn path(repository: &str) -> Result<RepositoryPath> {
    RepositoryPath::parse(WORKSPACE, repository)
}

/// The same caller, bound to the scope that the interface asks for here.
fn scoped(caller: &Caller, scope: &str) -> Caller {
    let scopes = scope.parse().unwrap_or_default();
    caller.clone().requiring(RequiredScopes { classic: scopes, flat: scopes })
}

/// A token as it may be shown: enough to tell it by.
fn masked(token: &Secret) -> String {
    format!("{}…", token.expose().chars().take(14).collect::<String>())
}

impl Teller<'_> {
    fn service(&self) -> &Service {
        &self.running.service
    }

    fn step(&self, number: u32, title: &str) -> Result<()> {
        self.output.gap()?;
        self.output.line(self.output.strong(format_args!("{number}  {title}")))
    }

    fn say(&self, text: impl std::fmt::Display) -> Result<()> {
        self.output.line(format_args!("   {text}"))
    }

    /// A command, and what it said.
    fn show(&self, command: &str, ran: &Ran) -> Result<()> {
        self.output.gap()?;
        self.say(self.output.typed(format_args!("$ {command}")))?;
        for line in ran.said.lines().filter(|line| !line.trim().is_empty()) {
            self.say(self.output.quiet(format_args!("  {}", line.trim_end())))?;
        }
        Ok(())
    }

    fn begin(&self) -> Result<()> {
        let output = self.output;
        output.line(output.strong("Bastide, shown on one token"))?;
        output.gap()?;
        self.say(format_args!("A temporary instance serves on {}.", self.running.address))?;
        self.say(format_args!(
            "It lies in {}, and nothing leaves this machine.",
            self.workbench.root().display()
        ))
    }

    async fn build(&self, operator: &Caller) -> Result<Token> {
        self.step(1, "A workspace with two repositories")?;
        let new = NewUser {
            username: own("ann")?,
            email: own(EMAIL)?,
            display_name: Some(own("Ann")?),
            password: None,
        };
        let (_, minted) = self.service().bootstrap(operator, new).await?;
        let ann = self.ann(&minted.token).await?;
        let for_repositories = scoped(&ann, "admin:repository:bitbucket");
        self.service()
            .create_workspace(&scoped(&ann, "workspace:admin"), own(WORKSPACE)?, own("Acme")?)
            .await?;
        let project = NewProject {
            key: own("CORE")?,
            name: Some(own("Core")?),
            description: String::new(),
            private: true,
        };
        self.service().create_project(&scoped(&ann, "admin:project:bitbucket"), WORKSPACE, project).await?;
        for slug in [OURS, NEIGHBOUR] {
            let new = NewRepository {
                slug: own(slug)?,
                name: None,
                project: None,
                description: String::new(),
                private: true,
                fork_policy: ForkPolicy::NoPublicForks,
                language: String::new(),
                has_issues: false,
                has_wiki: false,
                default_branch: None,
            };
            self.service().create_repository(&for_repositories, WORKSPACE, new).await?;
        }
        self.workbench.commit().await?;
        self.say(format_args!(
            "Ann made the workspace `{WORKSPACE}`; it holds `{OURS}` and `{NEIGHBOUR}`, both private."
        ))?;
        Ok(minted.token)
    }

    /// Ann, as her API token makes her known to the interface.
    async fn ann(&self, token: &Token) -> Result<Caller> {
        let presented = Presented::Basic { user: EMAIL.to_owned(), password: token.secret().clone() };
        let id = RequestId::new(&self.running.app.random);
        self.service().authenticate(presented, Door::Api, None, id).await
    }

    async fn mint(&self, ann: &Caller) -> Result<(CredentialId, Secret)> {
        self.step(2, "A token for one of them")?;
        let new = NewCredential {
            name: own("deploy")?,
            scopes: vec!["repository:write".to_owned()],
            expires_on: Some(self.running.app.clock.now().plus_seconds(DAYS * 86_400)),
        };
        let place = TokenPlace::Repository(path(OURS)?);
        let minted =
            self.service().create_access_token(&scoped(ann, "credential:write"), &place, new).await?;
        let credential = &minted.credential;
        self.say(format_args!("Ann makes the access token `{}` on `{WORKSPACE}/{OURS}`.", credential.name))?;
        self.say("It stands for itself, not for Ann, and reaches that repository alone.")?;
        self.output.gap()?;
        self.say(format_args!("token    {}", masked(minted.token.secret())))?;
        for scope in credential.scopes.iter() {
            self.say(format_args!("scope    {scope}: {}", scope.sentence()))?;
        }
        self.say(format_args!("expires  in {DAYS} days"))?;
        Ok((credential.id, minted.token.secret().clone()))
    }

    async fn push(&self, repository: &str, token: &Secret) -> Result<Ran> {
        let address = format!("{}/{WORKSPACE}/{repository}.git", self.running.base_url);
        let ran = self.workbench.git(&["push", &address, "main"], Some(token)).await?;
        self.show(&format!("git push {address} main"), &ran)?;
        Ok(ran)
    }

    async fn push_ours(&self, token: &Secret) -> Result<()> {
        self.step(3, "A push with it")?;
        expect(self.push(OURS, token).await?, true)?;
        self.output.gap()?;
        self.say(format_args!(
            "It went through: git says so only when the push is {} and recorded.",
            self.output.strong("on disk")
        ))
    }

    async fn push_neighbour(&self, ann: &Caller, id: CredentialId, token: &Secret) -> Result<()> {
        self.step(4, "The same token next door")?;
        expect(self.push(NEIGHBOUR, token).await?, false)?;
        self.output.gap()?;
        self.say(format_args!("To this token `{NEIGHBOUR}` does not exist. An administrator is told more:"))?;
        self.output.gap()?;
        let principal = format!("access-token:{}", id.braced());
        self.refusal(ann, &principal).await?;
        let resource = format!("repository:{WORKSPACE}/{NEIGHBOUR}");
        let why = self
            .service()
            .explain(&scoped(ann, "access:read"), &principal, Action::RepositoryWrite, &resource)
            .await?;
        for reason in &why.decision.reasons {
            self.say(format_args!(
                "because  {} {}",
                reason.text,
                self.output.quiet(format_args!("({})", reason.policy))
            ))?;
        }
        Ok(())
    }

    /// The newest refusal of a principal, from the audit trail. Refusals are recorded without making the refused wait.
    async fn refusal(&self, ann: &Caller, principal: &str) -> Result<()> {
        for _ in 0..100 {
            let query = AuditQuery {
                actor: Some(principal.to_owned()),
                outcome: Some(Outcome::Refused),
                ..AuditQuery::default()
            };
            let (trail, ann) = (Trail::Workspace(WORKSPACE), scoped(ann, "audit:read"));
            let (events, _) = self.service().audit_events(&ann, trail, query, None, 1).await?;
            if let Some(event) = events.first() {
                self.say(format_args!(
                    "refused  {} on {}",
                    event.action,
                    self.output.strong(&event.resource)
                ))?;
                self.say(format_args!("to       {}", event.actor))?;
                return self.say(format_args!("request  {}", event.request_id));
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Err(Error::internal("the refusal is not in the audit trail"))
    }

    async fn revoke(&self, ann: &Caller, id: CredentialId, token: &Secret) -> Result<()> {
        self.step(5, "Revoked, and refused at once")?;
        let ann = scoped(ann, "credential:write");
        self.service().revoke_access_token(&ann, &TokenPlace::Repository(path(OURS)?), id).await?;
        self.say("Ann revokes the token. The next request is the first that it does not open:")?;
        expect(self.push(OURS, token).await?, false)
    }

    async fn verify(&self, operator: &Caller) -> Result<()> {
        self.step(6, "The record of it all")?;
        let found = self.service().verify_audit(operator, Vec::new()).await?;
        if !found.intact {
            return Err(Error::internal(found.findings.join("; ")));
        }
        let all = found.events.saturating_add(found.unsequenced);
        self.say(format_args!(
            "The audit trail holds {all} events, and is {}:",
            self.output.strong("intact")
        ))?;
        self.say("none was removed, altered, reordered or put in by hand.")?;
        match &found.root {
            Some(root) if found.events > 0 => self.say(self.output.quiet(format_args!("root {root}"))),
            _ => Ok(()),
        }
    }
}

fn expect(ran: Ran, good: bool) -> Result<()> {
    match ran.good == good {
        true => Ok(()),
        false => Err(Error::Internal(format!("git did not do what the story tells: {}", ran.said))),
    }
}

impl Scene {
    /// Commands to go on with.
    pub(super) fn what_next(&self, output: &Output) -> Result<()> {
        debug_assert_eq!(
            self.administrator.kind(),
            CredentialKind::ApiToken,
            "the story ends with Ann's own token"
        );
        let program = std::env::args().next().unwrap_or_else(|| "bastide".to_owned());
        let (base, root, data) = (&self.base_url, &self.root, &self.data);
        let token = self.administrator.secret().expose();
        let resource = format!("--resource repository:{WORKSPACE}/{OURS}");
        let steps = [
            ("Ann's API token, for this instance alone:", vec![format!("export TOKEN={token}")]),
            (
                "Make a token; clone as Ann:",
                vec![
                    format!(
                        "curl -sS --user \"{EMAIL}:$TOKEN\" {base}/api/repositories/{WORKSPACE}/{OURS}/access-tokens \\\n     \
                         -H 'Content-Type: application/json' -d '{{\"name\":\"mine\",\"scopes\":[\"repository\"]}}'"
                    ),
                    format!(
                        "BASTIDE_USER=ann BASTIDE_TOKEN=$TOKEN GIT_ASKPASS={root}/askpass \\\n     \
                         git clone {base}/{WORKSPACE}/{OURS}.git"
                    ),
                ],
            ),
            (
                "Ask who may push, and look at the record:",
                vec![
                    format!("{program} access who-can --data {data} --action repository.write {resource}"),
                    format!("{program} audit verify --data {data}"),
                    format!("{program} audit export --data {data}"),
                ],
            ),
        ];
        output.gap()?;
        output.line(output.strong("What to try next"))?;
        for (title, commands) in steps {
            output.gap()?;
            output.line(format_args!("   {title}"))?;
            for command in commands {
                output.line(format_args!("   {}", output.typed(command)))?;
            }
        }
        output.gap()?;
        output.line(format_args!("   The instance serves on {base} until Ctrl-C, and then goes."))
    }
}
