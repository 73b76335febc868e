//! From a checked `q=` expression to a condition in SQL. No text of the user's ever becomes SQL: fields are looked up
//! in a declared list of columns, and values are parameters.

use model::{Error, Result};
use wire::query::{Comparison, FieldKind, Operator, Typed, TypedValue};

use crate::{Query, Value};

/// A field that can be filtered and sorted by, and the column behind it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The field, as the API names it.
    pub field: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// The column.
    pub sql: &'static str,
    /// The column in lower case, by which texts are searched and sorted.
    pub folded: &'static str,
}

/// The declaration by which an expression over these columns is checked.
#[must_use]
pub const fn declared<const N: usize>(columns: &[Column; N]) -> [(&'static str, FieldKind); N] {
    let mut fields = [("", FieldKind::Text); N];
    let mut at = 0;
    while at < N {
        #[expect(clippy::indexing_slicing, reason = "in a constant, and bounded by the loop")]
        {
            fields[at] = (columns[at].field, columns[at].kind);
        }
        at += 1;
    }
    fields
}

/// Adds the condition to a statement, in parentheses.
pub(crate) fn push(query: &mut Query, condition: &Typed, columns: &[Column]) -> Result<()> {
    match condition {
        Typed::And(parts) => push_all(query, parts, " AND ", columns),
        Typed::Or(parts) => push_all(query, parts, " OR ", columns),
        Typed::Compare(comparison) => compare(query, comparison, columns),
    }
}

fn push_all(query: &mut Query, parts: &[Typed], between: &'static str, columns: &[Column]) -> Result<()> {
    query.sql("(");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            query.sql(between);
        }
        push(query, part, columns)?;
    }
    query.sql(")");
    Ok(())
}

fn column(field: &str, columns: &[Column]) -> Result<Column> {
    let found = columns.iter().copied().find(|column| column.field == field);
    found.ok_or_else(|| Error::internal(format!("the field `{field}` has no column")))
}

fn value(value: &TypedValue) -> Value {
    match value {
        TypedValue::Null | TypedValue::List(_) => Value::Null,
        TypedValue::Text(text) => text.as_str().into(),
        TypedValue::Word { word, .. } => (*word).into(),
        TypedValue::Bool(flag) => (*flag).into(),
        TypedValue::Time(moment) => (*moment).into(),
        TypedValue::Uuid(uuid) => (*uuid).into(),
        TypedValue::Number(number) => (*number).into(),
    }
}

fn compare(query: &mut Query, comparison: &Comparison, columns: &[Column]) -> Result<()> {
    let column = column(comparison.field, columns)?;
    match (comparison.op, &comparison.value) {
        (Operator::Equal, TypedValue::Null) => {
            query.sql(column.sql).sql(" IS NULL");
        }
        (_, TypedValue::Null) => {
            query.sql(column.sql).sql(" IS NOT NULL");
        }
        (Operator::In | Operator::NotIn, TypedValue::List(items)) => {
            query.sql(column.sql).sql(if comparison.op == Operator::In { " IN " } else { " NOT IN " });
            query.bind_list(items.iter().map(value));
        }
        (Operator::Contains | Operator::ContainsNot, TypedValue::Text(text)) => {
            let pattern = format!(
                "%{}%",
                text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
            );
            let like = if comparison.op == Operator::Contains { " LIKE " } else { " NOT LIKE " };
            query.sql(column.folded).sql(like).bind(pattern).sql(" ESCAPE '\\'");
        }
        (op, TypedValue::Word { rank, .. }) => {
            let FieldKind::Enum(words) = column.kind else {
                return Err(Error::internal("a word for a field that is no enumeration"));
            };
            let fits = |at: usize| match op {
                Operator::NotEqual => at != *rank,
                Operator::Greater => at > *rank,
                Operator::GreaterOrEqual => at >= *rank,
                Operator::Less => at < *rank,
                Operator::LessOrEqual => at <= *rank,
                _ => at == *rank,
            };
            let fitting: Vec<&str> =
                words.iter().enumerate().filter(|(at, _)| fits(*at)).map(|(_, word)| *word).collect();
            if fitting.is_empty() {
                query.sql("1 = 0");
            } else {
                query.sql(column.sql).sql(" IN ").bind_list(fitting);
            }
        }
        (op, simple) => {
            let sign = match op {
                Operator::NotEqual => " <> ",
                Operator::Greater => " > ",
                Operator::GreaterOrEqual => " >= ",
                Operator::Less => " < ",
                Operator::LessOrEqual => " <= ",
                _ => " = ",
            };
            query.sql(column.sql).sql(sign).bind(value(simple));
        }
    }
    Ok(())
}

/// Adds an order by a declared field; `id` breaks ties, so that pages do not overlap.
pub(crate) fn order(
    query: &mut Query,
    sort: Option<wire::sort::Sort>,
    columns: &[Column],
    default: &'static str,
    id: &'static str,
) -> Result<()> {
    query.sql(" ORDER BY ");
    match sort {
        Some(sort) => {
            let column = column(sort.field, columns)?;
            query.sql(column.folded).sql(if sort.descending { " DESC" } else { "" });
        }
        None => {
            query.sql(default);
        }
    }
    query.sql(", ").sql(id);
    Ok(())
}
