//! The language of `q=`: comparisons of an object's fields, joined by `AND` and `OR`.
//!
//! Here is the expression and its bounds; [`parse`] reads it, [`check`] holds it against the fields that an endpoint
//! declares, and gives back only names and values of known kinds, so that the store never meets a name from outside.
//! What a comparison means in SQL is the store's business. Source: the published contract's chapter on filtering;
//! what it leaves open is decided here: `AND` binds tighter than `OR`, and in a text `\"` and `\\` stand for `"` and `\`.

mod check;
mod lexer;
mod parser;

use std::fmt;

use model::Timestamp;

pub use check::{Comparison, FieldKind, Typed, TypedValue, check};
pub use parser::parse;

/// The longest expression, in bytes.
pub const LONGEST: usize = 4 * 1024;
/// The deepest nesting of parentheses.
pub const DEEPEST: usize = 16;
/// The most comparisons.
pub const MOST_TERMS: usize = 64;
/// The most values in a list.
pub const MOST_ITEMS: usize = 100;

/// What is asked of each object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// All of them hold. At least two.
    And(Vec<Self>),
    /// One of them holds. At least two.
    Or(Vec<Self>),
    /// A field compares so with a value.
    Compare {
        /// The field's path, dotted.
        field: String,
        /// How.
        op: Operator,
        /// With what.
        value: Literal,
    },
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `~`: contains, without regard to case.
    Contains,
    /// `!~`
    ContainsNot,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
}

impl Operator {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Contains => "~",
            Self::ContainsNot => "!~",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
        }
    }

    /// Whether it compares with a list.
    #[must_use]
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }
}

/// A value as it stands in the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// In double quotes.
    Text(String),
    /// A decimal number, digit by digit: it may be of any size.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`: the absence of a value.
    Null,
    /// A date or a date and time; in UTC where it names no offset.
    Time(Timestamp),
    /// In parentheses.
    List(Vec<Self>),
}

/// As it would be written; reads back to the same.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => {
                write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Self::Number(digits) => f.write_str(digits),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
            Self::Time(moment) => write!(f, "{moment}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "({})", items.join(", "))
            }
        }
    }
}

/// As it would be written; reads back to the same.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::Compare { .. } => write!(f, "{part}")?,
                    _ => write!(f, "({part})")?,
                }
            }
            Ok(())
        };
        match self {
            Self::And(parts) => joined(f, parts, "AND"),
            Self::Or(parts) => joined(f, parts, "OR"),
            Self::Compare { field, op, value } => write!(f, "{field} {} {value}", op.as_str()),
        }
    }
}
