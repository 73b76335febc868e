//! The figures of a report: a heading, a kind, and a value of a shape that goes with the kind.

use model::report::{DataType, LONGEST_DETAILS, LONGEST_SUMMARY, ReportData};
use serde_json::{Value, json};

use crate::field::Fields;

/// A figure, by its place in the body; none where something is wrong with it.
pub(crate) fn figure(
    fields: &mut Fields,
    at: usize,
    one: &(Option<String>, Option<String>, Value),
) -> Option<ReportData> {
    let (title, kind, value) = one;
    let named = |part: &str| format!("data[{at}].{part}");
    let title = fields.text(&named("title"), title.as_deref(), LONGEST_SUMMARY);
    let title = fields.required(&named("title"), title);
    let said = fields.word::<DataType>(&named("type"), kind.as_deref());
    let kind = match (kind.as_deref().unwrap_or_default(), value) {
        (word, _) if !word.is_empty() => said?,
        (_, Value::Bool(_)) => DataType::Boolean,
        (_, Value::Number(_)) => DataType::Number,
        (_, Value::String(_)) => DataType::Text,
        _ => {
            fields.wrong(&named("value"), "use a truth value, a number or a text, or say the `type`");
            return None;
        }
    };
    let value = figure_value(fields, &named("value"), kind, value)?;
    Some(ReportData { title: title?, kind, value })
}

/// The value, where it is of a shape that goes with the kind.
fn figure_value(fields: &mut Fields, field: &str, kind: DataType, value: &Value) -> Option<Value> {
    let wanted = match kind {
        DataType::Boolean if value.is_boolean() => return Some(value.clone()),
        DataType::Boolean => "use `true` or `false`",
        DataType::Number if value.is_number() => return Some(value.clone()),
        DataType::Number => "use a number",
        DataType::Percentage if value.as_f64().is_some_and(|share| (0.0..=100.0).contains(&share)) => {
            return Some(value.clone());
        }
        DataType::Percentage => "use a number from 0 to 100",
        DataType::Date | DataType::Duration if value.as_i64().is_some_and(|millis| millis >= 0) => {
            return Some(value.clone());
        }
        DataType::Date => "use milliseconds since 1970, a whole number",
        DataType::Duration => "use milliseconds, a whole number from 0",
        DataType::Text => match value {
            Value::String(text) => return fields.text(field, Some(text), LONGEST_DETAILS).map(Value::from),
            _ => "use a text",
        },
        DataType::Link => {
            let part = |name: &str| value.get(name).and_then(Value::as_str);
            let href = fields.address(&format!("{field}.href"), part("href"));
            let href = fields.required(&format!("{field}.href"), href)?;
            let text = fields.text(&format!("{field}.text"), part("text"), LONGEST_SUMMARY);
            return Some(json!({ "text": text.unwrap_or_else(|| href.clone()), "href": href }));
        }
    };
    fields.wrong(field, wanted);
    None
}

#[cfg(test)]
mod tests {
    use model::Result;

    use super::*;

    fn figures(data: &[(Option<&str>, Value)]) -> Result<Vec<ReportData>> {
        let data =
            data.iter().map(|(kind, value)| (Some("t".to_owned()), kind.map(str::to_owned), value.clone()));
        let mut fields = Fields::default();
        let data: Vec<_> = data.collect();
        let read = data.iter().enumerate().filter_map(|(at, one)| figure(&mut fields, at, one)).collect();
        fields.finish()?;
        Ok(read)
    }

    /// Would catch: a figure that no client can show, an address in one that runs as a script.
    #[test]
    fn a_figure_is_of_the_shape_of_its_kind() {
        let fine = [
            (Some("BOOLEAN"), json!(true)),
            (Some("DATE"), json!(1_700_000_000_000_i64)),
            (Some("DURATION"), json!(0)),
            (Some("LINK"), json!({ "text": "x", "href": "https://example.com" })),
            (Some("NUMBER"), json!(1.5)),
            (Some("PERCENTAGE"), json!(100)),
            (Some("TEXT"), json!("x")),
            (None, json!("x")),
            (None, json!(2)),
            (None, json!(false)),
        ];
        let kinds: Vec<DataType> = figures(&fine).unwrap().into_iter().map(|one| one.kind).collect();
        assert_eq!(kinds[7..], [DataType::Text, DataType::Number, DataType::Boolean]);
        for (kind, value) in [
            (Some("BOOLEAN"), json!("true")),
            (Some("DATE"), json!("2026-01-01")),
            (Some("DATE"), json!(1.5)),
            (Some("DURATION"), json!(-1)),
            (Some("LINK"), json!("https://example.com")),
            (Some("LINK"), json!({ "text": "x", "href": "javascript:alert(1)" })),
            (Some("NUMBER"), json!("1")),
            (Some("PERCENTAGE"), json!(100.1)),
            (Some("TEXT"), json!({})),
            (Some("COLOUR"), json!("red")),
            (None, json!({})),
            (None, json!(null)),
        ] {
            assert!(figures(&[(kind, value.clone())]).is_err(), "{kind:?} {value}");
        }
    }
}
