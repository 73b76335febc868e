//! Holds an expression against the fields that an endpoint declares.

use model::{Error, Result, Timestamp};
use uuid::Uuid;

use super::lexer::time;
use super::{Expression, Literal, Operator};

/// What a field holds, and so what it can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A text: `=`, `!=`, `~`, `!~`, `IN`, `NOT IN`.
    Text,
    /// One of these words, in their order, lowest first; compared without regard to case.
    Enum(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A moment.
    Time,
    /// An id, in a text with or without braces.
    Uuid,
    /// A whole number.
    Number,
}

/// An expression of which every field is declared and every value is of its field's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// All of them hold. At least two.
    And(Vec<Self>),
    /// One of them holds. At least two.
    Or(Vec<Self>),
    /// A comparison.
    Compare(Comparison),
}

/// A comparison of a declared field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The field's name, from the declaration.
    pub field: &'static str,
    /// How. With `null` only [`Operator::Equal`] and [`Operator::NotEqual`].
    pub op: Operator,
    /// With what. A [`TypedValue::List`] exactly where the operator takes a list.
    pub value: TypedValue,
}

/// A value of its field's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedValue {
    /// The absence of a value.
    Null,
    /// Of [`FieldKind::Text`].
    Text(String),
    /// Of [`FieldKind::Enum`]: the word as declared, and its place.
    Word {
        /// As declared.
        word: &'static str,
        /// From 0, the lowest.
        rank: usize,
    },
    /// Of [`FieldKind::Bool`].
    Bool(bool),
    /// Of [`FieldKind::Time`].
    Time(Timestamp),
    /// Of [`FieldKind::Uuid`].
    Uuid(Uuid),
    /// Of [`FieldKind::Number`].
    Number(i64),
    /// For [`Operator::In`] and [`Operator::NotIn`]: none of them a list or null.
    List(Vec<Self>),
}

impl FieldKind {
    fn allows(self, op: Operator) -> bool {
        match op {
            Operator::Equal | Operator::NotEqual | Operator::In | Operator::NotIn => true,
            Operator::Contains | Operator::ContainsNot => self == Self::Text,
            Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => {
                matches!(self, Self::Enum(_) | Self::Time | Self::Number)
            }
        }
    }

    fn expected(self) -> String {
        match self {
            Self::Text => "a text in double quotes".to_owned(),
            Self::Enum(words) => format!("one of {}", listed(words.iter().copied())),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Time => "a date or time such as 2030-01-31T12:00:00Z".to_owned(),
            Self::Uuid => "a UUID in double quotes".to_owned(),
            Self::Number => "a whole number".to_owned(),
        }
    }

    fn value(self, literal: &Literal) -> Option<TypedValue> {
        match (self, literal) {
            (Self::Text, Literal::Text(text)) => Some(TypedValue::Text(text.clone())),
            (Self::Enum(words), Literal::Text(text)) => words
                .iter()
                .position(|word| word.eq_ignore_ascii_case(text))
                .and_then(|rank| words.get(rank).map(|word| TypedValue::Word { word, rank })),
            (Self::Bool, Literal::Bool(value)) => Some(TypedValue::Bool(*value)),
            (Self::Time, Literal::Time(moment)) => Some(TypedValue::Time(*moment)),
            // Many clients put times in quotes too.
            (Self::Time, Literal::Text(text)) => time(text).map(TypedValue::Time),
            (Self::Uuid, Literal::Text(text)) => {
                text.parse::<model::RequestId>().ok().map(|id| TypedValue::Uuid(id.uuid()))
            }
            (Self::Number, Literal::Number(digits)) => digits.parse().ok().map(TypedValue::Number),
            _ => None,
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Holds an expression against the declared fields. Unknown fields, operators that a field does not have and values
/// of another kind are refused, naming the field and what it takes.
pub fn check(expression: &Expression, fields: &'static [(&'static str, FieldKind)]) -> Result<Typed> {
    let all = |parts: &[Expression]| parts.iter().map(|part| check(part, fields)).collect::<Result<_>>();
    match expression {
        Expression::And(parts) => Ok(Typed::And(all(parts)?)),
        Expression::Or(parts) => Ok(Typed::Or(all(parts)?)),
        Expression::Compare { field, op, value } => {
            let Some((name, kind)) = fields.iter().find(|(name, _)| name == field) else {
                let known = listed(fields.iter().map(|(name, _)| *name));
                return Err(refused(format!("no field `{field}` to filter by: use one of {known}")));
            };
            if !kind.allows(*op) {
                return Err(refused(format!("`{name}` cannot be compared by `{}`", op.as_str())));
            }
            let value = typed(name, *kind, *op, value)?;
            Ok(Typed::Compare(Comparison { field: name, op: *op, value }))
        }
    }
}

fn typed(name: &str, kind: FieldKind, op: Operator, literal: &Literal) -> Result<TypedValue> {
    let single = |literal: &Literal| {
        kind.value(literal)
            .ok_or_else(|| refused(format!("`{name}` compares with {}, not `{literal}`", kind.expected())))
    };
    match (literal, op.takes_list()) {
        (Literal::List(items), true) => {
            Ok(TypedValue::List(items.iter().map(single).collect::<Result<_>>()?))
        }
        (Literal::Null, false) => match op {
            Operator::Equal | Operator::NotEqual => Ok(TypedValue::Null),
            _ => Err(refused(format!("`{name}` compares with `null` by `=` and `!=` only"))),
        },
        (literal, false) => single(literal),
        (_, true) => Err(refused(format!("`{name}` takes a list in parentheses after `{}`", op.as_str()))),
    }
}

fn refused(message: String) -> Error {
    Error::invalid_field("q", message)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const FIELDS: &[(&str, FieldKind)] = &[
        ("name", FieldKind::Text),
        ("permission", FieldKind::Enum(&["read", "write", "admin"])),
        ("is_private", FieldKind::Bool),
        ("updated_on", FieldKind::Time),
        ("uuid", FieldKind::Uuid),
        ("size", FieldKind::Number),
    ];

    fn checked(text: &str) -> Result<Typed> {
        check(&parse(text).unwrap(), FIELDS)
    }

    fn value(text: &str) -> TypedValue {
        match checked(text) {
            Ok(Typed::Compare(comparison)) => comparison.value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_get_their_fields_kind() {
        assert_eq!(value("permission > \"READ\""), TypedValue::Word { word: "read", rank: 0 });
        assert_eq!(value("size <= 9223372036854775807"), TypedValue::Number(i64::MAX));
        assert_eq!(value("updated_on > \"1970-01-01\""), TypedValue::Time(Timestamp::from_micros(0)));
        assert_eq!(value("name = null"), TypedValue::Null);
        let id = "9f2c1d4e-0000-4000-8000-000000000001";
        assert_eq!(value(&format!("uuid = \"{{{id}}}\"")), value(&format!("uuid=\"{id}\"")));
        assert!(matches!(checked("name IN (\"a\") OR is_private = true").unwrap(), Typed::Or(_)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        for (text, expected) in [
            ("username = \"x\"", "no field `username` to filter by: use one of `name`, `permission`"),
            ("name > \"x\"", "`name` cannot be compared by `>`"),
            ("size ~ 1", "`size` cannot be compared by `~`"),
            ("name = 1", "`name` compares with a text in double quotes, not `1`"),
            ("permission = \"own\"", "`permission` compares with one of `read`, `write`, `admin`"),
            ("size = 1.5", "`size` compares with a whole number"),
            ("size = 9223372036854775808", "`size` compares with a whole number"),
            ("uuid = \"x\"", "`uuid` compares with a UUID"),
            ("updated_on = \"soon\"", "`updated_on` compares with a date"),
            ("name ~ null", "`name` compares with `null` by"),
            ("name IN (null)", "`name` compares with a text"),
            ("is_private = \"true\"", "`is_private` compares with `true` or `false`"),
        ] {
            let complaint = checked(text).unwrap_err().to_string();
            assert!(complaint.starts_with(&format!("`q`: {expected}")), "{text}: {complaint}");
        }
    }
}
