//! Accounts of people whom an identity provider let in, and the groups that follow what it says of them.

use model::{
    Action, DisplayName, Email, Error, IdentityProvider, Outcome, Permission, Resource, Result, StaffRole,
    Subject, User, UserId, Username, WorkspacePermission, act,
};
use policy::{InternalReason, Origin, Target};
use serde_json::{Value, json};
use store::Writer;

use crate::access::user_target;
use crate::open_id::Claims;
use crate::user::tell_who_approves;
use crate::{Caller, Service};

/// The most accounts that wait for approval after coming through one provider: whoever sets a provider up must not fill
/// the instance.
const MOST_WAITING: i64 = 100;
/// How many usernames are tried.
const TRIES: u32 = 50;

fn here(provider: &IdentityProvider, slug: &str) -> Target {
    Target {
        resource: Resource::Workspace(provider.workspace),
        label: format!("workspace:{slug}"),
        workspace: Some(provider.workspace),
    }
}

/// The one answer for everybody who gets no account. Else whoever runs a provider could ask which addresses are known.
fn no_account() -> Error {
    Error::forbidden(
        "there is no account here for this identity: if you have one, sign in to it and connect this identity with it; \
         otherwise ask who administers this installation",
    )
}

/// The beginning of a username, from what the provider tells.
fn wanted_name(claims: &Claims, email: &Email) -> String {
    let told = claims.username.as_deref().unwrap_or(email.as_str());
    let told = told.split('@').next().unwrap_or(told);
    let slug: String = model::name::slug_from(told).chars().take(50).collect();
    let slug = slug.trim_end_matches(['-', '.', '_']);
    if slug.is_empty() { "user".to_owned() } else { slug.to_owned() }
}

fn free_name(writer: &mut Writer<'_>, wanted: &str) -> Result<Option<Username>> {
    for at in 1..=TRIES {
        let name = if at == 1 { wanted.to_owned() } else { format!("{wanted}-{at}") };
        let Ok(name) = name.parse::<Username>() else { continue };
        if !store::user::is_given(writer, &name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

impl Service {
    /// A new account for somebody who has none, where the provider makes them.
    pub(crate) async fn account_for(
        &self,
        caller: &Caller,
        slug: &str,
        provider: &IdentityProvider,
        claims: &Claims,
    ) -> Result<User> {
        match self.make_account(caller, slug, provider, claims).await? {
            Ok(user) => Ok(user),
            Err(why) => {
                self.record_no_account(caller, provider, claims, why).await?;
                Err(no_account())
            }
        }
    }

    async fn make_account(
        &self,
        caller: &Caller,
        slug: &str,
        provider: &IdentityProvider,
        claims: &Claims,
    ) -> Result<Result<User, &'static str>> {
        if !provider.makes_accounts {
            return Ok(Err("provider-makes-no-accounts"));
        }
        let Some(email) = claims.verified_email.as_ref().and_then(|email| email.parse::<Email>().ok()) else {
            return Ok(Err("provider-address-unverified"));
        };
        let wanted = wanted_name(claims, &email);
        let display_name = claims.name.as_ref().and_then(|name| name.trim().parse::<DisplayName>().ok());
        let instance = self.instance_ground().target;
        let permit = self.internal::<act::UserCreate>(InternalReason::ProviderAccount, caller, instance);
        let (id, now, member_of) = (UserId::new(&self.random), self.clock.now(), here(provider, slug));
        let (provider, subject) = (provider.clone(), claims.subject.clone());
        let (outbox, base) = (self.outbox.clone(), self.settings.base_url.clone());
        let made = self
            .store
            .write(&permit, move |writer| {
                if store::identity_provider::waiting(writer, provider.workspace)? >= MOST_WAITING {
                    return refused("provider-too-many-waiting");
                }
                if store::user::find_by_email(writer, &email)?.is_some() {
                    return refused("provider-address-known");
                }
                let Some(username) = free_name(writer, &wanted)? else {
                    return refused("provider-no-free-name");
                };
                let user = User {
                    id,
                    display_name: match &display_name {
                        Some(name) => name.clone(),
                        None => username.as_str().parse().map_err(Error::internal)?,
                    },
                    username,
                    email: email.clone(),
                    active: true,
                    staff_role: StaffRole::None,
                    second_step: false,
                    approved: false,
                    created_on: now,
                };
                store::user::insert(writer, &user, None)?;
                tell_who_approves(writer, &outbox, &user, &base)?;
                let identity = (provider.issuer.as_str(), subject.as_str());
                if !store::identity_provider::link(writer, identity, id, provider.workspace)? {
                    return refused("provider-identity-known");
                }
                let member = Permission::Workspace(WorkspacePermission::Member);
                let (on, within) = (Resource::Workspace(provider.workspace), provider.workspace);
                store::grant::set(writer, on, within, Subject::User(id), member, now)?;
                writer.about(user_target(&user));
                writer.note(
                    Value::Null,
                    json!({
                        "username": user.username, "email": user.email, "display_name": user.display_name,
                        "approved": false, "issuer": provider.issuer, "subject": subject,
                    }),
                );
                let joined = json!({ "user": user.username, "permission": WorkspacePermission::Member });
                writer.also(Action::MemberSet, member_of.clone(), Value::Null, joined);
                Ok(user)
            })
            .await;
        match made {
            Ok(user) => Ok(Ok(user)),
            Err(Error::Forbidden { reasons, .. }) => Ok(Err(WHY
                .iter()
                .copied()
                .find(|why| reasons.iter().any(|reason| reason == why))
                .unwrap_or("provider-account-refused"))),
            Err(other) => Err(other),
        }
    }

    /// For who runs the instance: why somebody got no account. The workspace's owners, who may run the provider, are not
    /// told, or they could ask which addresses are known.
    async fn record_no_account(
        &self,
        caller: &Caller,
        provider: &IdentityProvider,
        claims: &Claims,
        why: &'static str,
    ) -> Result<()> {
        let origin = Origin {
            request_id: caller.request_id,
            time: self.clock.now(),
            actor: "anonymous".to_owned(),
            actor_id: None,
            credential: None,
            address: caller.address,
        };
        let asked = (Action::UserCreate, Outcome::Refused);
        let target = self.instance_ground().target;
        let mut refused = self.event(&origin, &target, asked, vec![why.to_owned()]);
        refused.after = json!({
            "issuer": provider.issuer, "subject": claims.subject, "workspace": provider.workspace,
        });
        self.store.record(refused).await
    }

    /// Puts a member into the groups that the provider says they are in, and takes them out of those that it does not;
    /// among the groups of the mapping alone. Who is no member of the workspace is in none.
    pub(crate) async fn follow_groups(
        &self,
        caller: &Caller,
        slug: &str,
        provider: &IdentityProvider,
        user: &User,
        claims: &Claims,
    ) -> Result<()> {
        if provider.group_mapping.is_empty() {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for line in &provider.group_mapping {
            let said = claims.groups.contains(&line.claim);
            match wanted.iter_mut().find(|(group, _)| *group == line.group) {
                // Several of the provider's groups may be one here.
                Some((_, held)) => *held = *held || said,
                None => wanted.push((line.group.clone(), said)),
            }
        }
        let (within, id) = (provider.workspace, user.id);
        let asked = wanted.clone();
        let differs = self
            .store
            .read(move |reader| {
                if store::workspace::membership(reader, within, id)?.is_none() {
                    return Ok(false);
                }
                for (slug, said) in &asked {
                    if let Some(group) = store::group::find(reader, within, slug)?
                        && store::group::holds(reader, group.id, id)? != *said
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await?;
        if !differs {
            return Ok(());
        }
        let target = here(provider, slug);
        let permit = self.internal::<act::IdentityProviderSync>(
            InternalReason::ProviderGroups,
            caller,
            target.clone(),
        );
        let username = user.username.clone();
        self.store
            .write(&permit, move |writer| {
                let (mut joined, mut left) = (Vec::new(), Vec::new());
                for (slug, said) in &wanted {
                    let Some(group) = store::group::find(writer, within, slug)? else { continue };
                    if store::group::holds(writer, group.id, id)? == *said {
                        continue;
                    }
                    let told = json!({ "group": slug, "user": username });
                    if *said {
                        store::group::add_member(writer, group.id, id)?;
                        writer.also(Action::GroupMemberAdd, target.clone(), Value::Null, told);
                        joined.push(slug.to_string());
                    } else {
                        store::group::remove_member(writer, group.id, id)?;
                        writer.also(Action::GroupMemberRemove, target.clone(), told, Value::Null);
                        left.push(slug.to_string());
                    }
                }
                writer.note(
                    json!({ "user": username, "left": left }),
                    json!({ "user": username, "joined": joined }),
                );
                Ok(())
            })
            .await
    }
}

const WHY: [&str; 4] = [
    "provider-too-many-waiting",
    "provider-address-known",
    "provider-no-free-name",
    "provider-identity-known",
];

/// Ends the write without a trace of it.
fn refused<T>(why: &'static str) -> Result<T> {
    Err(Error::Forbidden { message: why.to_owned(), reasons: vec![why.to_owned()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_follows_from_what_is_told() {
        let email: Email = "ann.lee@example.com".parse().unwrap();
        let named = |username: Option<&str>| {
            let claims = Claims { username: username.map(str::to_owned), ..Claims::default() };
            wanted_name(&claims, &email)
        };
        assert_eq!(named(Some("Ann Lee")), "ann-lee");
        assert_eq!(named(Some("ann@corp")), "ann");
        assert_eq!(named(Some("../..")), "user");
        assert_eq!(named(None), "ann.lee");
        assert!(named(Some(&"x".repeat(300))).parse::<Username>().is_ok());
    }
}
