//! Settings of the instance: a key and a JSON value.

use model::Result;
use serde_json::Value as Json;

use crate::params;
use crate::reader::Reader;
use crate::writer::Writer;

/// The value of a setting.
pub fn get(reader: &mut Reader<'_>, key: &str) -> Result<Option<Json>> {
    let row = reader.one("SELECT value FROM setting WHERE key = $1", params![key])?;
    row.map(|row| row.get("value")).transpose()
}

/// Sets it.
pub fn set(writer: &mut Writer<'_>, key: &str, value: &Json) -> Result<()> {
    writer
        .execute(
            "INSERT INTO setting (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![key, value],
        )
        .map(drop)
}
