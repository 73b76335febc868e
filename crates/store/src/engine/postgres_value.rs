//! [`Value`] on PostgreSQL's wire. The server decides the types, so a NULL needs none.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use model::Timestamp;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::Value;

type Fault = Box<dyn Error + Sync + Send>;

/// PostgreSQL counts from 2000-01-01, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match (self, ty) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Bool(value), &Type::BOOL) => out.put_u8(u8::from(*value)),
            (Self::Int(value), &Type::INT8) => out.put_i64(*value),
            (Self::Int(value), &Type::INT4) => out.put_i32(i32::try_from(*value)?),
            (Self::Int(value), &Type::INT2) => out.put_i16(i16::try_from(*value)?),
            (Self::Text(value), &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME) => {
                out.put_slice(value.as_bytes());
            }
            (Self::Bytes(value), &Type::BYTEA) => out.put_slice(value),
            (Self::Uuid(value), &Type::UUID) => out.put_slice(value.as_bytes()),
            (Self::Time(value), &Type::TIMESTAMPTZ) => out.put_i64(value.micros() - EPOCH),
            (Self::Json(value), &Type::JSONB) => {
                out.put_u8(1);
                out.put_slice(value.to_string().as_bytes());
            }
            (Self::Json(value), &Type::JSON) => out.put_slice(value.to_string().as_bytes()),
            _ => return Err(format!("{} was given where the server takes `{ty}`", self.type_name()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        Ok(match *ty {
            Type::BOOL => Self::Bool(raw == [1]),
            Type::INT8 => Self::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Self::Int(i32::from_be_bytes(raw.try_into()?).into()),
            Type::INT2 => Self::Int(i16::from_be_bytes(raw.try_into()?).into()),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                Self::Text(std::str::from_utf8(raw)?.to_owned())
            }
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            Type::UUID => Self::Uuid(Uuid::from_slice(raw)?),
            Type::TIMESTAMPTZ => {
                let micros = i64::from_be_bytes(raw.try_into()?);
                Self::Time(Timestamp::from_micros(micros.saturating_add(EPOCH)))
            }
            Type::JSONB => match raw.split_first() {
                Some((1, text)) => Self::Json(serde_json::from_slice(text)?),
                _ => return Err("jsonb of an unknown version".into()),
            },
            Type::JSON => Self::Json(serde_json::from_slice(raw)?),
            ref other => {
                return Err(format!("a column is of type `{other}`: cast it in the statement").into());
            }
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Fault> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
