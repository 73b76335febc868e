//! Who may use a role, one grant at a time: so that two administrators do not undo each other's.

use model::{AwsGrant, AwsRoleId, Error, Result, act};

use super::{AwsRoleView, MOST_GRANTS, NewAwsGrant, missing, shown};
use crate::{Caller, Service};

impl Service {
    /// One of a workspace's roles.
    ///
    /// # Errors
    /// When the caller may not see it, or there is none.
    pub async fn aws_role(&self, caller: &Caller, workspace: &str, id: AwsRoleId) -> Result<AwsRoleView> {
        let ground = self.workspace_ground(caller, workspace).await?;
        self.check(caller, act::AwsRoleRead, &ground)?;
        let of = ground.subject.id;
        let found = self.store.read(move |reader| super::found(reader, of, id)).await?;
        let (role, external_id) = found.ok_or_else(missing)?;
        self.aws_role_view(role, external_id).await
    }

    /// Lets steps use a role, which is proved anew first.
    ///
    /// # Errors
    /// When the caller may not, there is no such role, it does not trust as it must, or it has too many grants.
    pub async fn grant_aws_role(
        &self,
        caller: &Caller,
        workspace: &str,
        id: AwsRoleId,
        new: NewAwsGrant,
    ) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AwsRoleSet, &ground)?;
        let of = ground.subject.id;
        let found = self.store.read(move |reader| super::found(reader, of, id)).await?;
        let (role, external_id) = found.ok_or_else(missing)?;
        let grant = self.aws_grant(&ground, new).await?;
        if let Some(external_id) = external_id {
            self.prove_aws_role(&ground.subject, &role, &external_id).await?;
        }
        let proved = (role.arn, role.mode);
        self.store
            .write(&permit, move |writer| {
                let before = store::aws_role::find(writer, of, id)?.ok_or_else(missing)?;
                if (&before.arn, before.mode) != (&proved.0, proved.1) {
                    return Err(Error::Conflict(
                        "the role was changed meanwhile: look at it again".to_owned(),
                    ));
                }
                if before.grants.contains(&grant) {
                    return Err(Error::Conflict("the role has this grant already".to_owned()));
                }
                if before.grants.len() >= MOST_GRANTS {
                    let message = format!("a role has at most {MOST_GRANTS} grants: remove one first");
                    return Err(Error::Conflict(message));
                }
                let mut after = before.clone();
                after.grants.push(grant.clone());
                store::aws_role::update(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await
    }

    /// Takes a grant away. Amazon is not asked, so that this works when it cannot be reached.
    ///
    /// # Errors
    /// When the caller may not, or there is no such role or grant.
    pub async fn revoke_aws_grant(
        &self,
        caller: &Caller,
        workspace: &str,
        id: AwsRoleId,
        grant: AwsGrant,
    ) -> Result<()> {
        let ground = self.workspace_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AwsRoleSet, &ground)?;
        let of = ground.subject.id;
        self.store
            .write(&permit, move |writer| {
                let before = store::aws_role::find(writer, of, id)?.ok_or_else(missing)?;
                let mut after = before.clone();
                after.grants.retain(|one| *one != grant);
                if after.grants.len() == before.grants.len() {
                    return Err(Error::not_found("the grant"));
                }
                store::aws_role::update(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(())
            })
            .await
    }
}
