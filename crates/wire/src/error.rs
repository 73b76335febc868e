//! The error envelope and the one conversion of the domain error into it.

use model::error::FieldErrors;
use model::{Error, RequestId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::format::typed;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "error")]
#[schemars(transform = typed("error"))]
pub struct Envelope {
    /// What went wrong.
    pub error: Body,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "error_body")]
pub struct Body {
    /// For people.
    pub message: String,
    /// More of it, where there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// What is wrong with each field of the request, where fields are to blame.
    #[serde(skip_serializing_if = "FieldErrors::is_empty")]
    pub fields: FieldErrors,
    /// The request's id, under which the server's log and the audit trail know this answer.
    pub id: String,
    /// For programs.
    pub data: Data,
}

/// `detail` is a text, but for a missing scope, where Bitbucket sends an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "error_detail")]
pub enum Detail {
    /// For people.
    Text(String),
    /// The scopes that the credential holds and those that the call requires.
    Scopes {
        /// What it holds.
        granted: Vec<String>,
        /// What would be needed.
        required: Vec<String>,
    },
}

/// For programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "error_data")]
pub struct Data {
    /// A word that does not change with the message.
    pub code: &'static str,
    /// The request's id.
    pub request_id: String,
}

/// The status for an error.
#[must_use]
pub fn status(error: &Error) -> u16 {
    match error {
        Error::Unauthenticated => 401,
        Error::NotFound { .. } => 404,
        Error::Forbidden { .. } | Error::ScopeMissing { .. } => 403,
        Error::Invalid { .. } => 400,
        Error::Conflict(_) => 409,
        Error::Gone(_) => 410,
        Error::TooLarge { .. } => 413,
        Error::TooManyRequests { .. } => 429,
        Error::PreconditionFailed(_) => 412,
        Error::UnsupportedMediaType { .. } => 415,
        Error::MethodNotAllowed => 405,
        Error::NotBuilt(_) => 501,
        Error::Unavailable => 503,
        Error::Internal(_) => 500,
    }
}

/// The status and body for an error. The policies that refused are not told: an administrator finds them under the
/// request's id. The text of an internal error is not told either.
#[must_use]
pub fn from_error(error: &Error, request_id: RequestId) -> (u16, Envelope) {
    let (detail, fields) = match error {
        Error::ScopeMissing { granted, required } => (
            Some(Detail::Scopes { granted: granted.clone(), required: required.clone() }),
            FieldErrors::new(),
        ),
        Error::Invalid { fields, .. } => (None, fields.clone()),
        _ => (None, FieldErrors::new()),
    };
    let id = request_id.to_string();
    let data = Data { code: error.code(), request_id: id.clone() };
    (status(error), Envelope { error: Body { message: error.to_string(), detail, fields, id, data } })
}

#[cfg(test)]
mod tests {
    use model::Random;
    use serde_json::{Value, json};

    use super::*;

    fn answer(error: &Error) -> (u16, Value) {
        let (status, envelope) = from_error(error, RequestId::new(&Random::seeded(1)));
        (status, json!(envelope))
    }

    #[test]
    fn a_field_error_names_its_field_and_the_request() {
        let (status, body) = answer(&Error::invalid_field("name", "too long"));
        let id = RequestId::new(&Random::seeded(1)).to_string();
        assert_eq!(status, 400);
        assert_eq!(
            body,
            json!({ "type": "error", "error": {
                "message": "`name`: too long",
                "fields": { "name": ["too long"] },
                "id": id,
                "data": { "code": "invalid", "request_id": id },
            }})
        );
    }

    #[test]
    fn a_missing_scope_is_told_as_an_object() {
        let error =
            Error::ScopeMissing { granted: vec!["repository".into()], required: vec!["webhook".into()] };
        let (status, body) = answer(&error);
        assert_eq!(status, 403);
        assert_eq!(body["error"]["detail"], json!({ "granted": ["repository"], "required": ["webhook"] }));
    }

    #[test]
    fn neither_an_internal_text_nor_a_policy_is_told() {
        let errors = [
            Error::internal("disk /dev/sda1 fell off"),
            Error::Forbidden { message: "no".to_owned(), reasons: vec!["disk-policy".to_owned()] },
        ];
        for error in &errors {
            let (_, body) = answer(error);
            assert!(!body.to_string().contains("disk"), "{body}");
        }
        assert_eq!(answer(&errors[0]).0, 500);
    }

    #[test]
    fn each_kind_has_the_status_that_is_published() {
        let cases = [
            (Error::Unauthenticated, 401),
            (Error::not_found("x"), 404),
            (Error::forbidden("x"), 403),
            (Error::Conflict("x".into()), 409),
            (Error::Gone("x".into()), 410),
            (Error::TooLarge { limit: 1 }, 413),
            (Error::TooManyRequests { retry_after: 1 }, 429),
            (Error::PreconditionFailed("x".into()), 412),
            (Error::UnsupportedMediaType { expected: "application/json" }, 415),
            (Error::MethodNotAllowed, 405),
            (Error::NotBuilt("listForks"), 501),
            (Error::Unavailable, 503),
        ];
        for (error, status) in cases {
            assert_eq!(answer(&error).0, status, "{error}");
            assert_eq!(answer(&error).1["error"]["data"]["code"], error.code());
        }
    }
}
