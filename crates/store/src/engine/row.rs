//! A row of an answer, read by the names of its columns.

use std::str::FromStr;
use std::sync::Arc;

use model::{Error, Result};

use super::{FromValue, Value};

/// The names of the columns, shared by all rows of an answer.
pub(crate) type Columns = Arc<[String]>;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Columns,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Columns, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    fn value(&self, column: &str) -> Result<&Value> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|at| self.values.get(at))
            .ok_or_else(|| Error::internal(format_args!("the answer has no column `{column}`")))
    }

    /// The column of this name as a `T`; a type that does not fit is an internal error that names the column.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T> {
        T::from_value(self.value(column)?)
            .map_err(|found| Error::internal(format_args!("column `{column}` holds {found}")))
    }

    /// A text column parsed into a `T`: a name, a level, an action.
    pub fn parse<T: FromStr>(&self, column: &str) -> Result<T> {
        let text: String = self.get(column)?;
        text.parse()
            .map_err(|_| Error::internal(format_args!("column `{column}` holds text that is not its type")))
    }

    /// A text column that may be null, parsed into a `T`.
    pub fn parse_some<T: FromStr>(&self, column: &str) -> Result<Option<T>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            _ => self.parse(column).map(Some),
        }
    }

    /// The first column: for answers of one column, such as a count.
    pub fn only<T: FromValue>(&self) -> Result<T> {
        let value = self.values.first().ok_or_else(|| Error::internal("the answer has no columns"))?;
        T::from_value(value)
            .map_err(|found| Error::internal(format_args!("the answer's column holds {found}")))
    }
}
