//! Users, for those who manage them.

use model::{DisplayName, Email, Secret, StaffRole, Username};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Braced, DateTime, body};

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "managed_user")]
pub struct User {
    /// Its id.
    pub uuid: Braced,
    /// The name for signing in.
    pub username: String,
    /// Where mail goes.
    pub email: String,
    /// The name that people read.
    pub display_name: String,
    /// An inactive account reaches nothing.
    pub active: bool,
    /// Until it is approved, an account reaches nothing but itself.
    pub approved: bool,
    /// Whether it has a second step.
    pub second_step: bool,
    /// `none`, `auditor` or `administrator`.
    pub staff_role: &'static str,
    /// When it was made.
    pub created_on: DateTime,
}

impl From<&model::User> for User {
    fn from(user: &model::User) -> Self {
        Self {
            uuid: user.id.into(),
            username: user.username.to_string(),
            email: user.email.to_string(),
            display_name: user.display_name.to_string(),
            active: user.active,
            approved: user.approved,
            second_step: user.second_step,
            staff_role: user.staff_role.as_str(),
            created_on: user.created_on.into(),
        }
    }
}

/// The body that makes a user. Without `Debug`: it may hold a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "managed_user_create")]
pub struct UserCreate {
    /// The name for signing in; never given twice.
    #[schemars(with = "String")]
    pub username: Username,
    /// Where mail goes.
    #[schemars(with = "String")]
    pub email: Email,
    /// The name that people read; the username where none is given.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub display_name: Option<DisplayName>,
    /// The first password.
    #[serde(default, deserialize_with = "body::secret")]
    #[schemars(with = "Option<String>")]
    pub password: Option<Secret>,
}

/// The body that changes a user; absent fields keep their value. Without `Debug`: it may hold a password.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "an object")]
#[schemars(rename = "managed_user_update")]
pub struct UserUpdate {
    /// An inactive account reaches nothing.
    pub active: Option<bool>,
    /// `none`, `auditor` or `administrator`.
    #[schemars(with = "Option<String>")]
    pub staff_role: Option<StaffRole>,
    /// The name that people read.
    #[schemars(with = "Option<String>")]
    pub display_name: Option<DisplayName>,
    /// Where mail goes.
    #[schemars(with = "Option<String>")]
    pub email: Option<Email>,
    /// A new password.
    #[serde(deserialize_with = "body::secret")]
    #[schemars(with = "Option<String>")]
    pub password: Option<Secret>,
}

#[cfg(test)]
mod tests {
    use model::{Random, Timestamp, UserId};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_has_the_published_fields() {
        let id = UserId::new(&Random::seeded(1));
        let user = model::User {
            id,
            username: "ann".parse().unwrap(),
            email: "ann@example.com".parse().unwrap(),
            display_name: "Ann Lee".parse().unwrap(),
            active: true,
            staff_role: StaffRole::Auditor,
            second_step: true,
            approved: true,
            created_on: Timestamp::from_micros(0),
        };
        assert_eq!(
            json!(User::from(&user)),
            json!({
                "uuid": id.braced(),
                "username": "ann",
                "email": "ann@example.com",
                "display_name": "Ann Lee",
                "active": true,
                "approved": true,
                "second_step": true,
                "staff_role": "auditor",
                "created_on": "1970-01-01T00:00:00.000000+00:00",
            })
        );
    }

    #[test]
    fn bodies_are_read_and_mistyped_fields_refused() {
        let text = r#"{"username": "ann", "email": "ann@example.com", "password": "correct horse"}"#;
        let Ok(create) = body::read::<UserCreate>(text.as_bytes()) else { panic!("refused") };
        assert_eq!(
            create.password.map(|secret| secret.expose().to_owned()).as_deref(),
            Some("correct horse")
        );
        let complaint = |text: &str| match body::read::<UserUpdate>(text.as_bytes()) {
            Ok(_) => panic!("read: {text}"),
            Err(error) => error.to_string(),
        };
        assert!(complaint(r#"{"is_active": false}"#).starts_with("`is_active`: there is no such field here"));
        assert!(complaint(r#"{"staff_role": "root"}"#).starts_with("`staff_role`: use one of `none`"));
        // A password of the wrong type is not repeated.
        assert_eq!(complaint(r#"{"password": 20300131}"#), "`password`: use a text");
    }
}
