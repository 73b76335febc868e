//! `q=`, `sort=` and paging over lists that do not lie in the store: refs, files, effective permissions.

use std::cmp::Ordering;

use model::Timestamp;
use uuid::Uuid;
use wire::query::{Comparison, Operator, Typed, TypedValue};
use wire::sort::Sort;

use crate::{Listing, Window};

/// What a value has in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// A text in which runs of digits are ordered as numbers.
    Natural(String),
    /// A number.
    Number(i64),
    /// A moment.
    Time(Timestamp),
    /// Yes or no.
    Bool(bool),
    /// An id.
    Id(Uuid),
    /// A word's place in its enumeration.
    Rank(usize),
}

/// The values that fit, in order, and the part of them that the window shows. `field` gives a value's field by the
/// name that the endpoint declared.
pub(crate) fn select<T>(
    mut values: Vec<T>,
    field: impl Fn(&T, &str) -> Field,
    filter: Option<&Typed>,
    sort: Option<Sort>,
    window: Window,
) -> Listing<T> {
    if let Some(filter) = filter {
        values.retain(|value| fits(filter, &|name| field(value, name)));
    }
    if let Some(sort) = sort {
        values.sort_by(|one, other| {
            let order = compare(&field(one, sort.field), &field(other, sort.field));
            if sort.descending { order.reverse() } else { order }
        });
    }
    let size = i64::try_from(values.len()).unwrap_or(i64::MAX);
    let (skip, take) =
        (usize::try_from(window.offset).unwrap_or(0), usize::try_from(window.limit).unwrap_or(0));
    Listing::new(values.into_iter().skip(skip).take(take).collect(), size)
}

fn fits(filter: &Typed, field: &dyn Fn(&str) -> Field) -> bool {
    match filter {
        Typed::And(parts) => parts.iter().all(|part| fits(part, field)),
        Typed::Or(parts) => parts.iter().any(|part| fits(part, field)),
        Typed::Compare(comparison) => holds(comparison, &field(comparison.field)),
    }
}

fn holds(comparison: &Comparison, found: &Field) -> bool {
    let order = || order_to(found, &comparison.value);
    match (comparison.op, &comparison.value) {
        (Operator::Equal, TypedValue::Null) => *found == Field::Null,
        (Operator::NotEqual, TypedValue::Null) => *found != Field::Null,
        // As in the store: what is absent compares with nothing.
        _ if *found == Field::Null => false,
        (Operator::In | Operator::NotIn, TypedValue::List(items)) => {
            let there = items.iter().any(|item| order_to(found, item) == Some(Ordering::Equal));
            there == (comparison.op == Operator::In)
        }
        (Operator::Contains, value) => contains(found, value),
        (Operator::ContainsNot, value) => !contains(found, value),
        (Operator::NotEqual, _) => order() != Some(Ordering::Equal),
        (Operator::Greater, _) => order() == Some(Ordering::Greater),
        (Operator::GreaterOrEqual, _) => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        (Operator::Less, _) => order() == Some(Ordering::Less),
        (Operator::LessOrEqual, _) => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        _ => order() == Some(Ordering::Equal),
    }
}

fn contains(found: &Field, value: &TypedValue) -> bool {
    match (found, value) {
        (Field::Text(text) | Field::Natural(text), TypedValue::Text(part)) => {
            text.to_lowercase().contains(&part.to_lowercase())
        }
        _ => false,
    }
}

fn order_to(found: &Field, value: &TypedValue) -> Option<Ordering> {
    match (found, value) {
        (Field::Text(one) | Field::Natural(one), TypedValue::Text(other)) => Some(one.cmp(other)),
        (Field::Number(one), TypedValue::Number(other)) => Some(one.cmp(other)),
        (Field::Time(one), TypedValue::Time(other)) => Some(one.cmp(other)),
        (Field::Bool(one), TypedValue::Bool(other)) => Some(one.cmp(other)),
        (Field::Id(one), TypedValue::Uuid(other)) => Some(one.cmp(other)),
        (Field::Rank(one), TypedValue::Word { rank, .. }) => Some(one.cmp(rank)),
        _ => None,
    }
}

fn compare(one: &Field, other: &Field) -> Ordering {
    match (one, other) {
        (Field::Null, Field::Null) => Ordering::Equal,
        (Field::Null, _) => Ordering::Less,
        (_, Field::Null) => Ordering::Greater,
        (Field::Text(one), Field::Text(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
        (Field::Natural(one), Field::Natural(other)) => natural(one, other),
        (Field::Number(one), Field::Number(other)) => one.cmp(other),
        (Field::Time(one), Field::Time(other)) => one.cmp(other),
        (Field::Bool(one), Field::Bool(other)) => one.cmp(other),
        (Field::Id(one), Field::Id(other)) => one.cmp(other),
        (Field::Rank(one), Field::Rank(other)) => one.cmp(other),
        _ => Ordering::Equal,
    }
}

/// `v9` before `v10`: runs of digits compare as numbers, of whatever length.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let (text, number, rest) = split(left);
        let (other_text, other_number, other_rest) = split(right);
        let order = text
            .cmp(other_text)
            .then_with(|| number.len().cmp(&other_number.len()))
            .then_with(|| number.cmp(other_number));
        if order != Ordering::Equal {
            return order;
        }
        if rest.is_empty() || other_rest.is_empty() {
            // `1` and `01` are the same number, and still two names.
            return rest.len().cmp(&other_rest.len()).then_with(|| one.cmp(other));
        }
        (left, right) = (rest, other_rest);
    }
}

/// What stands before the first run of digits, the run without leading zeros, and what follows.
fn split(text: &str) -> (&str, &str, &str) {
    let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (before, run) = text.split_at_checked(start).unwrap_or((text, ""));
    let end = run.find(|c: char| !c.is_ascii_digit()).unwrap_or(run.len());
    let (digits, rest) = run.split_at_checked(end).unwrap_or((run, ""));
    (before, digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::query::{FieldKind, check, parse};

    use super::*;

    const FIELDS: &[(&str, FieldKind)] = &[("name", FieldKind::Text), ("size", FieldKind::Number)];

    fn shown(q: Option<&str>, sort: Option<Sort>, window: Window) -> (Vec<&'static str>, Option<i64>) {
        let filter = q.map(|q| check(&parse(q).unwrap(), FIELDS).unwrap());
        let values = vec![("v10", 1), ("v9", 2), ("Main", 3)];
        let field = |value: &(&'static str, i64), name: &str| match name {
            "name" => Field::Natural(value.0.to_owned()),
            _ => Field::Number(value.1),
        };
        let listing = select(values, field, filter.as_ref(), sort, window);
        (listing.values.into_iter().map(|value| value.0).collect(), listing.size)
    }

    const ALL: Window = Window { limit: 10, offset: 0 };

    #[test]
    fn values_are_filtered_sorted_and_cut() {
        assert_eq!(shown(Some("name ~ \"V\" AND size > 1"), None, ALL).0, ["v9"]);
        assert_eq!(shown(Some("name !~ \"v\" OR size IN (2)"), None, ALL).0, ["v9", "Main"]);
        assert_eq!(shown(Some("name = null"), None, ALL), (vec![], Some(0)));
        let by_name = |descending| Some(Sort { field: "name", descending });
        assert_eq!(shown(None, by_name(false), ALL).0, ["Main", "v9", "v10"]);
        assert_eq!(shown(None, by_name(true), Window { limit: 1, offset: 1 }), (vec!["v9"], Some(3)));
    }

    proptest! {
        #[test]
        fn natural_order_is_an_order(one in "[a01]{0,6}", two in "[a01]{0,6}", three in "[a01]{0,6}") {
            prop_assert_eq!(natural(&one, &two), natural(&two, &one).reverse());
            prop_assert_eq!(natural(&one, &two) == Ordering::Equal, one == two);
            if natural(&one, &two) != Ordering::Greater && natural(&two, &three) != Ordering::Greater {
                prop_assert_ne!(natural(&one, &three), Ordering::Greater);
            }
        }
    }
}
