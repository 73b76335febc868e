//! Values on their way to a statement's parameters and back from its columns.

use model::{
    AlertId, AnnotationId, AuditSinkId, AwsRoleId, BreakGlassId, CacheId, CommitStatusId, CredentialId,
    DeploymentId, EnvironmentId, EventId, GroupId, JobId, KnownHostId, PipelineId, ProjectId, PushId,
    ReportId, RepositoryId, RequestId, RunnerId, ScheduleId, SecondStepId, SecretHash, SessionId, StepId,
    TestCaseId, Timestamp, UserId, VariableId, WorkspaceId,
};
use uuid::Uuid;

/// One value. On SQLite a UUID is 16 bytes, a bool 0 or 1, a time microseconds since the epoch and JSON text; on
/// PostgreSQL each has its own type. Neither is seen outside the engines.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value; the server knows the type.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text without NUL.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An id.
    Uuid(Uuid),
    /// A moment.
    Time(Timestamp),
    /// A JSON document; the order of its keys may change in the store.
    Json(serde_json::Value),
}

impl Value {
    /// The word for its type, for error texts.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Uuid(_) => "a uuid",
            Self::Time(_) => "a time",
            Self::Json(_) => "json",
        }
    }

    /// Whether both engines can hold it: PostgreSQL has no NUL in text and none in JSON's strings.
    pub(crate) fn is_fit(&self) -> bool {
        fn json_is_fit(json: &serde_json::Value) -> bool {
            match json {
                serde_json::Value::String(text) => !text.contains('\0'),
                serde_json::Value::Array(items) => items.iter().all(json_is_fit),
                serde_json::Value::Object(map) => {
                    map.iter().all(|(key, item)| !key.contains('\0') && json_is_fit(item))
                }
                _ => true,
            }
        }
        match self {
            Self::Text(text) => !text.contains('\0'),
            Self::Json(json) => json_is_fit(json),
            _ => true,
        }
    }
}

/// The parameters of a statement, each turned into a [`Value`]: `params![id, name, None::<String>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*] as &[$crate::Value] };
}

macro_rules! from {
    ($($type:ty => |$value:ident| $made:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self { $made }
        }
    )*};
}

from! {
    bool => |value| Self::Bool(value);
    i64 => |value| Self::Int(value);
    i32 => |value| Self::Int(value.into());
    u32 => |value| Self::Int(value.into());
    u16 => |value| Self::Int(value.into());
    u8 => |value| Self::Int(value.into());
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
    &String => |value| Self::Text(value.clone());
    Vec<u8> => |value| Self::Bytes(value);
    &[u8] => |value| Self::Bytes(value.to_vec());
    Uuid => |value| Self::Uuid(value);
    Timestamp => |value| Self::Time(value);
    serde_json::Value => |value| Self::Json(value);
    &serde_json::Value => |value| Self::Json(value.clone());
    &SecretHash => |value| Self::Bytes(value.as_bytes().to_vec());
    SecretHash => |value| Self::Bytes(value.as_bytes().to_vec());
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column can be read as. `Err` holds what was found instead.
pub trait FromValue: Sized {
    /// Reads a column's value.
    fn from_value(value: &Value) -> Result<Self, &'static str>;
}

macro_rules! read {
    ($($type:ty { $($pattern:pat => $made:expr,)* })*) => {$(
        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self, &'static str> {
                match value {
                    $($pattern => $made,)*
                    other => Err(other.type_name()),
                }
            }
        }
    )*};
}

read! {
    bool {
        Value::Bool(value) => Ok(*value),
        Value::Int(0) => Ok(false),
        Value::Int(1) => Ok(true),
    }
    i64 { Value::Int(value) => Ok(*value), }
    u64 { Value::Int(value) => u64::try_from(*value).map_err(|_| "a negative integer"), }
    u32 { Value::Int(value) => u32::try_from(*value).map_err(|_| "an integer out of range"), }
    String { Value::Text(value) => Ok(value.clone()), }
    Vec<u8> { Value::Bytes(value) => Ok(value.clone()), }
    Uuid {
        Value::Uuid(value) => Ok(*value),
        Value::Bytes(value) => Uuid::from_slice(value).map_err(|_| "bytes that are not a uuid's sixteen"),
    }
    Timestamp {
        Value::Time(value) => Ok(*value),
        Value::Int(value) => Ok(Self::from_micros(*value)),
    }
    serde_json::Value {
        Value::Json(value) => Ok(value.clone()),
        Value::Text(value) => serde_json::from_str(value).map_err(|_| "text that is not json"),
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        match value {
            Value::Bytes(bytes) => bytes.as_slice().try_into().map_err(|_| "bytes of another length"),
            other => Err(other.type_name()),
        }
    }
}

impl FromValue for SecretHash {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        FromValue::from_value(value).map(Self::from_bytes)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        match value {
            Value::Null => Ok(None),
            some => T::from_value(some).map(Some),
        }
    }
}

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Uuid(id.uuid())
            }
        }

        impl FromValue for $id {
            fn from_value(value: &Value) -> Result<Self, &'static str> {
                Uuid::from_value(value).map(Self::from_uuid)
            }
        }
    )*};
}

ids!(
    UserId,
    WorkspaceId,
    ProjectId,
    RepositoryId,
    GroupId,
    CredentialId,
    BreakGlassId,
    EventId,
    PushId,
    JobId,
    RequestId,
    SecondStepId,
    AlertId,
    AuditSinkId,
    AwsRoleId,
    SessionId,
    PipelineId,
    StepId,
    RunnerId,
    VariableId,
    EnvironmentId,
    DeploymentId,
    ScheduleId,
    CacheId,
    TestCaseId,
    KnownHostId,
    AnnotationId,
    CommitStatusId,
    ReportId
);
