//! Variables of a custom pipeline, which whoever starts it may set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    diagnostic::{Code, Diagnostic, listed, quoted},
    node::Node,
    read::{Reader, error_at},
    span::Span,
};

/// A variable that a custom pipeline declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is set to where nobody sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// For whoever starts the pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it may be set to; anything where this is empty.
    pub allowed_values: Vec<String>,
}

/// The values that a run begins with: those given, and the defaults of the others.
///
/// # Errors
/// One sentence for each value that is not allowed, and for each variable that has allowed values, no default, and no
/// value.
pub fn values(
    declared: &[Variable],
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut values = given.clone();
    let mut wrong = Vec::new();
    for variable in declared {
        let name = &variable.name;
        let allowed: Vec<&str> = variable.allowed_values.iter().map(String::as_str).collect();
        match given.get(name).or(variable.default.as_ref()) {
            Some(value) if !allowed.is_empty() && !allowed.contains(&value.as_str()) => {
                let choice = listed(&allowed, "and");
                wrong.push(format!("`{name}` cannot be {}; it is one of {choice}", quoted(value)));
            }
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None if !allowed.is_empty() => {
                wrong.push(format!("`{name}` must be given; it is one of {}", listed(&allowed, "and")));
            }
            None => {}
        }
    }
    for name in given.keys().filter(|name| !is_name(name)) {
        wrong.push(format!("{} is not the name of a variable", quoted(name)));
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

/// The values that a run begins with that nobody started by hand.
#[must_use]
pub fn defaults(declared: &[Variable]) -> BTreeMap<String, String> {
    declared.iter().filter_map(|variable| Some((variable.name.clone(), variable.default.clone()?))).collect()
}

/// Whether a text can be the name of a variable.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    for item in reader.list(node, "`variables` of a custom pipeline is a list of maps with `name`") {
        let Some((variable, span)) = read_one(reader, item) else { continue };
        if variables.iter().any(|other| other.name == variable.name) {
            let message = format!("the variable {} is declared twice", quoted(&variable.name));
            reader.push(Diagnostic::error(Code::Conflict, span, message));
        }
        variables.push(variable);
    }
    variables
}

fn read_one(reader: &mut Reader, node: &Node) -> Option<(Variable, Span)> {
    let mut fields = reader.map(node, "a variable of a custom pipeline is a map with `name`")?;
    let name = fields.take("name").and_then(|node| reader.filled(node, "the name of a variable is a text"));
    let default = fields.take("default");
    let value = default.and_then(|node| reader.text(node, "`default` is a text"));
    let description =
        fields.take("description").and_then(|node| reader.text(node, "`description` is a text"));
    let allowed = fields.take("allowed-values").map(|node| {
        let items = reader.list(node, "`allowed-values` is a list of texts");
        items.iter().filter_map(|item| reader.text(item, "an allowed value is a text")).collect::<Vec<_>>()
    });
    reader.finish(&fields, "a variable of a custom pipeline");
    if !fields.has("name") {
        reader.push(error_at(node, Code::MissingKey, "a variable has a `name`, and there is none"));
    }
    let name = name?;
    reader.variable_name(&name, name.span);
    let allowed_values = allowed.unwrap_or_default();
    if let (Some(node), Some(value)) = (default, &value)
        && !allowed_values.is_empty()
        && !allowed_values.contains(value)
    {
        let message = format!("the default {} is not among the allowed values", quoted(value));
        reader.push(error_at(node, Code::Conflict, message));
    }
    let span = name.span;
    Some((Variable { name: name.value, default: value, description, allowed_values }, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, default: Option<&str>, allowed: &[&str]) -> Variable {
        Variable {
            name: name.to_owned(),
            default: default.map(str::to_owned),
            description: None,
            allowed_values: allowed.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_come_from_who_starts_then_from_defaults() {
        let declared = [variable("A", Some("x"), &["x", "y"]), variable("B", None, &[])];
        assert_eq!(values(&declared, &given(&[])), Ok(given(&[("A", "x")])));
        assert_eq!(
            values(&declared, &given(&[("A", "y"), ("C", "z")])),
            Ok(given(&[("A", "y"), ("C", "z")]))
        );
    }

    #[test]
    fn values_that_are_not_allowed_are_refused() {
        let declared = [variable("A", Some("x"), &["x", "y"]), variable("B", None, &["1"])];
        let wrong = values(&declared, &given(&[("A", "z"), ("9", "")])).unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("`A` cannot be `z`; it is one of `x` and `y`"), "{wrong:?}");
    }
}
