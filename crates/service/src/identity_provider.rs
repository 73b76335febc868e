//! The identity provider of a workspace: seeing, setting and removing it. Signing in through it is `provider_sign_in`.

use model::{
    Error, GroupMapping, GuardrailKind, GuardrailMode, IdentityProvider, Result, Secret, WorkspaceId, act,
};
use serde_json::{Value, json};

use crate::user::changed_meanwhile;
use crate::{Caller, Service};

/// The longest texts, in bytes.
const LONGEST: usize = 500;
/// The most lines of the mapping, and the most scopes.
const MOST_LINES: usize = 200;
const MOST_SCOPES: usize = 20;
/// What is asked for unless something else is said.
const SCOPES: [&str; 2] = ["profile", "email"];

/// A provider as it is to be from now on.
#[derive(Clone)]
pub struct NewIdentityProvider {
    /// The issuer, as its own configuration names it.
    pub issuer: String,
    /// How the provider knows this installation.
    pub client_id: String,
    /// The client's secret. Without one the secret stays, where issuer and client stay.
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`; `profile` and `email` where nothing is said.
    pub scopes: Option<Vec<String>>,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
    /// Which of the provider's groups is which of the workspace's.
    pub group_mapping: Vec<GroupMapping>,
    /// Whether whoever it lets in for the first time gets an account and membership.
    pub makes_accounts: bool,
}

/// A provider as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProviderView {
    /// What is set; none where nothing is.
    pub provider: Option<IdentityProvider>,
    /// Where the provider has to send people back to.
    pub redirect_uri: String,
    workspace: WorkspaceId,
}

/// What depends on a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderUses {
    /// How many accounts came to be connected through it.
    pub people: i64,
    /// How many sessions stand that it began.
    pub sessions: i64,
    /// Whether a guardrail lets nobody in by other means.
    pub only_way: bool,
}

/// Whether a guardrail of the workspace or of the instance lets nobody in by other means.
fn only_way_in(guardrails: &store::guardrail::Settings) -> Result<bool> {
    for side in [&guardrails.workspace, &guardrails.instance] {
        if store::guardrail::read(side)?.mode(GuardrailKind::IdentityProvider) == GuardrailMode::On {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the secret is sealed for.
pub(crate) fn secret_context(workspace: WorkspaceId) -> [String; 3] {
    ["identity_provider".to_owned(), workspace.to_string(), "client_secret".to_owned()]
}

fn odd(field: &str, message: impl std::fmt::Display) -> Error {
    Error::invalid_field(field, message)
}

fn plain(field: &str, text: &str) -> Result<()> {
    match text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        true => Err(odd(field, format!("use 1 to {LONGEST} characters in one line"))),
        false => Ok(()),
    }
}

fn fit(new: &NewIdentityProvider) -> Result<()> {
    plain("client_id", &new.client_id)?;
    if let Some(claim) = &new.groups_claim {
        plain("groups_claim", claim)?;
    } else if !new.group_mapping.is_empty() {
        return Err(odd("groups_claim", "name the claim that the mapping is about"));
    }
    if new.client_secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
        return Err(odd("client_secret", "leave it out rather than empty"));
    }
    let scopes = new.scopes.iter().flatten();
    let word = |scope: &String| {
        !scope.is_empty() && scope.len() <= 100 && scope.bytes().all(|b| b.is_ascii_graphic())
    };
    if scopes.clone().count() > MOST_SCOPES || !scopes.clone().all(word) {
        return Err(odd("scopes", format!("list at most {MOST_SCOPES} words")));
    }
    if new.group_mapping.len() > MOST_LINES {
        return Err(odd("group_mapping", format!("list at most {MOST_LINES} lines")));
    }
    for line in &new.group_mapping {
        plain("group_mapping", &line.claim)?;
    }
    Ok(())
}

fn shown(provider: Option<&IdentityProvider>, secret: &str) -> Value {
    let Some(provider) = provider else { return Value::Null };
    let mapping: Vec<Value> = provider
        .group_mapping
        .iter()
        .map(|line| json!({ "claim": line.claim, "group": line.group }))
        .collect();
    json!({
        "issuer": provider.issuer, "client_id": provider.client_id, "client_secret": secret,
        "scopes": provider.scopes, "groups_claim": provider.groups_claim, "group_mapping": mapping,
        "makes_accounts": provider.makes_accounts,
    })
}

impl Service {
    /// Where a workspace's provider sends people back to. By id, so that it survives renames.
    pub(crate) fn redirect_uri(&self, workspace: WorkspaceId) -> String {
        format!("{}/-/sign-in/{workspace}/callback", self.settings.base_url)
    }

    async fn provider_view(&self, workspace: WorkspaceId) -> Result<IdentityProviderView> {
        let found = self.store.read(move |reader| store::identity_provider::find(reader, workspace)).await?;
        let provider = found.map(|(provider, _)| provider);
        Ok(IdentityProviderView { provider, redirect_uri: self.redirect_uri(workspace), workspace })
    }

    /// A workspace's identity provider, without its secret.
    pub async fn identity_provider(&self, caller: &Caller, workspace: &str) -> Result<IdentityProviderView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::IdentityProviderRead, &ground)?;
        self.provider_view(ground.subject.id).await
    }

    /// Who and what depends on a workspace's identity provider; nothing where there is none.
    pub async fn identity_provider_uses(&self, caller: &Caller, workspace: &str) -> Result<ProviderUses> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::IdentityProviderRead, &ground)?;
        let (id, now) = (ground.subject.id, self.clock.now());
        let seen_after = self.seen_after(now);
        self.store
            .read(move |reader| {
                let guardrails = store::guardrail::of(reader, Some(id))?;
                let only_way = only_way_in(&guardrails)?;
                let Some((provider, _)) = store::identity_provider::find(reader, id)? else {
                    return Ok(ProviderUses { only_way, ..ProviderUses::default() });
                };
                let (people, sessions) =
                    store::identity_provider::uses(reader, &provider, (now, seen_after))?;
                Ok(ProviderUses { people, sessions, only_way })
            })
            .await
    }

    /// Sets a workspace's identity provider, if it is still as `seen`. The provider is asked for its configuration, so
    /// that a mistake is told now rather than to whoever signs in.
    pub async fn set_identity_provider(
        &self,
        caller: &Caller,
        workspace: &str,
        new: NewIdentityProvider,
        seen: IdentityProviderView,
    ) -> Result<IdentityProviderView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::IdentityProviderUpdate, &ground)?;
        fit(&new)?;
        self.outbound.address(&new.issuer).map_err(|why| odd("issuer", why))?;
        let documents = self.providers.documents(&self.outbound, &new.issuer, self.clock.now()).await;
        documents.map_err(|why| odd("issuer", why))?;
        let id = ground.subject.id;
        let context = secret_context(id);
        let context = context.each_ref().map(String::as_str);
        let sealed = new
            .client_secret
            .as_ref()
            .map(|secret| self.keyring.seal(&context, secret.expose().as_bytes()).map_err(Error::internal));
        let (sealed, by) = (sealed.transpose()?, caller.label());
        let scopes = new.scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec());
        let now = self.clock.now();
        self.store
            .write(&permit, move |writer| {
                let before = store::identity_provider::find(writer, id)?;
                let (before, kept) =
                    before.map_or((None, None), |(provider, secret)| (Some(provider), secret));
                if before != seen.provider || id != seen.workspace {
                    return Err(changed_meanwhile());
                }
                for line in &new.group_mapping {
                    if store::group::find(writer, id, &line.group)?.is_none() {
                        return Err(odd(
                            "group_mapping",
                            format!("the workspace has no group `{}`", line.group),
                        ));
                    }
                }
                // A secret goes to the provider that it was given for, and to no other.
                let same = before
                    .as_ref()
                    .is_some_and(|before| before.issuer == new.issuer && before.client_id == new.client_id);
                let secret = sealed.clone().or(kept.filter(|_| same));
                let after = IdentityProvider {
                    workspace: id,
                    issuer: new.issuer.clone(),
                    client_id: new.client_id.clone(),
                    has_secret: secret.is_some(),
                    scopes: scopes.clone(),
                    groups_claim: new.groups_claim.clone(),
                    group_mapping: new.group_mapping.clone(),
                    makes_accounts: new.makes_accounts,
                    changed_by: by.clone(),
                    changed_on: now,
                };
                let told = match (&sealed, after.has_secret) {
                    (Some(_), _) => "set",
                    (None, true) => "kept",
                    (None, false) => "none",
                };
                store::identity_provider::set(writer, &after, secret)?;
                // What another provider said of people is not this one's word.
                if !same {
                    store::session::end_of_provider(writer, &id.to_string())?;
                }
                writer.note(shown(before.as_ref(), "before"), shown(Some(&after), told));
                Ok(())
            })
            .await?;
        self.provider_view(id).await
    }

    /// Removes a workspace's identity provider, and ends the sessions that it began. While a guardrail lets nobody in by
    /// other means, it stays.
    pub async fn remove_identity_provider(&self, caller: &Caller, workspace: &str) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::IdentityProviderUpdate, &ground)?;
        let id = ground.subject.id;
        self.store
            .write(&permit, move |writer| {
                if only_way_in(&store::guardrail::of(writer, Some(id))?)? {
                    return Err(Error::Conflict(
                        "the guardrail `identity-provider` lets nobody in by other means: switch it off first"
                            .to_owned(),
                    ));
                }
                let before = store::identity_provider::find(writer, id)?.map(|(provider, _)| provider);
                store::identity_provider::remove(writer, id)?;
                let ended = store::session::end_of_provider(writer, &id.to_string())?;
                writer.note(shown(before.as_ref(), "before"), json!({ "sessions_ended": ended }));
                Ok(())
            })
            .await
    }
}
