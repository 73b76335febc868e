//! A workspace's members.

use model::WorkspacePermission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Braced;

/// A member.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "member")]
pub struct Member {
    /// The name for signing in.
    pub username: String,
    /// `member`, `create-project` or `owner`.
    pub permission: &'static str,
    /// The user's id.
    pub uuid: Braced,
    /// The name that people read.
    pub display_name: String,
}

impl From<&model::Member> for Member {
    fn from(member: &model::Member) -> Self {
        Self {
            username: member.user.username.to_string(),
            permission: member.permission.as_str(),
            uuid: member.user.id.into(),
            display_name: member.user.display_name.to_string(),
        }
    }
}

/// The body that adds a member, or changes what a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"permission\": \"member\"}")]
#[schemars(rename = "member_set")]
pub struct MemberSet {
    /// `member`, `create-project` or `owner`.
    #[schemars(with = "String")]
    pub permission: WorkspacePermission,
}

#[cfg(test)]
mod tests {
    use model::{Random, StaffRole, Timestamp, UserId};
    use serde_json::json;

    use super::*;
    use crate::body;

    #[test]
    fn a_member_has_the_published_fields() {
        let id = UserId::new(&Random::seeded(1));
        let user = model::User {
            id,
            username: "ann".parse().unwrap(),
            email: "ann@example.com".parse().unwrap(),
            display_name: "Ann".parse().unwrap(),
            active: true,
            staff_role: StaffRole::None,
            second_step: false,
            approved: true,
            created_on: Timestamp::from_micros(0),
        };
        let permission = WorkspacePermission::Owner;
        let member = model::Member { user, permission, granted_on: Timestamp::from_micros(0) };
        assert_eq!(
            json!(Member::from(&member)),
            json!({ "username": "ann", "permission": "owner", "uuid": id.braced(), "display_name": "Ann" })
        );
    }

    #[test]
    fn a_level_of_another_kind_is_refused() {
        let error = body::read::<MemberSet>(br#"{"permission": "admin"}"#).unwrap_err();
        assert_eq!(error.to_string(), "`permission`: use one of `member`, `create-project`, `owner`");
    }
}
