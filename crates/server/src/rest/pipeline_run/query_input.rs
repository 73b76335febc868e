//! What a body of YAML says besides: in the query, by the paths of the JSON that it stands in for.

use std::collections::BTreeMap;

use model::{Error, Result};
use wire::Parameters;
use wire::pipeline_run::{CommitInput, PipelineInput, RunVariableInput, SelectorInput};

/// The most variables that are told apart: as many as a body may have.
const MOST_VARIABLES: usize = 100;
/// How much of a name that cannot be read is told, in characters.
const TOLD: usize = 60;

/// The target and the variables that the query names.
pub(super) fn wanted(query: &Parameters) -> Result<PipelineInput> {
    let text = |name: &str| Ok::<_, Error>(query.get(name)?.map(str::to_owned));
    let mut input = PipelineInput::default();
    input.target.kind = text("target.type")?;
    input.target.ref_type = text("target.ref_type")?;
    input.target.ref_name = text("target.ref_name")?;
    input.target.commit = text("target.commit.hash")?.map(|hash| CommitInput { hash: Some(hash) });
    let (kind, pattern) = (text("target.selector.type")?, text("target.selector.pattern")?);
    if kind.is_some() || pattern.is_some() {
        input.target.selector = Some(SelectorInput { kind, pattern });
    }
    input.variables = Some(variables(query)?);
    Ok(input)
}

/// What was sent of one variable.
#[derive(Default)]
struct Sent<'a> {
    key: Option<&'a str>,
    value: Option<&'a str>,
    secured: Option<&'a str>,
}

/// `variables[0].key=…&variables[0].value=…&variables[0].secured=true`, in the order of their numbers.
fn variables(query: &Parameters) -> Result<Vec<RunVariableInput>> {
    let mut found: BTreeMap<usize, Sent<'_>> = BTreeMap::new();
    for (name, value) in query.iter() {
        let rest =
            name.strip_prefix("variables").filter(|rest| rest.is_empty() || rest.starts_with(['[', '.']));
        let Some(rest) = rest else { continue };
        let (number, part) = place(rest).ok_or_else(|| unread(name))?;
        let one = found.entry(number).or_default();
        let kept = match part {
            "key" => &mut one.key,
            "value" => &mut one.value,
            "secured" => &mut one.secured,
            _ => return Err(unread(name)),
        };
        if kept.replace(value).is_some() {
            let message = format!("give `variables[{number}].{part}` once");
            return Err(Error::invalid_field("variables", message));
        }
    }
    found.into_iter().map(|(number, one)| variable(number, &one)).collect()
}

fn variable(number: usize, sent: &Sent<'_>) -> Result<RunVariableInput> {
    let wrong = |part: &str, message: &str| {
        Error::invalid_field("variables", format!("`variables[{number}].{part}`: {message}"))
    };
    let key = sent.key.ok_or_else(|| wrong("key", "name the variable"))?;
    let secured = match sent.secured {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong("secured", "use `true` or `false`")),
    };
    Ok(RunVariableInput { key: key.to_owned(), value: sent.value.unwrap_or_default().to_owned(), secured })
}

/// `[3].key`: which variable, and what of it.
fn place(rest: &str) -> Option<(usize, &str)> {
    let (number, part) = rest.strip_prefix('[')?.split_once("].")?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse::<usize>().ok().filter(|number| digits && *number < MOST_VARIABLES)?;
    Some((number, part))
}

fn unread(name: &str) -> Error {
    let name: String = name.chars().take(TOLD).flat_map(char::escape_debug).collect();
    let message = format!(
        "`{name}` cannot be read: use `variables[N].key`, `variables[N].value` and `variables[N].secured`, N from 0 to {}",
        MOST_VARIABLES - 1
    );
    Error::invalid_field("variables", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Vec<(String, String, bool)>> {
        let input = wanted(&Parameters::parse(query).unwrap())?;
        let told = |one: RunVariableInput| (one.key, one.value, one.secured);
        Ok(input.variables.unwrap_or_default().into_iter().map(told).collect())
    }

    /// Would catch: variables beside a body of YAML that are ignored, or come in the order of the query.
    #[test]
    fn variables_stand_in_the_query_by_their_paths() {
        let query = "target.ref_name=main&variables%5B1%5D.key=B&variables[1].secured=true&variables[0].key=A\
            &variables[0].value=x%3Dy&variables[1].value=hidden&variablesque=1";
        let one = |key: &str, value: &str, secured: bool| (key.to_owned(), value.to_owned(), secured);
        assert_eq!(read(query).unwrap(), [one("A", "x=y", false), one("B", "hidden", true)]);
        assert!(read("target.ref_name=main").unwrap().is_empty());
        // As in a body, a value may be left out.
        assert_eq!(read("variables[7].key=A").unwrap(), [one("A", "", false)]);
    }

    /// Would catch: a variable that is dropped, or set to something else, without a word; and a refusal that tells the value.
    #[test]
    fn what_cannot_be_read_is_refused() {
        for query in [
            "variables=A",
            "variables.key=A",
            "variables[].key=A",
            "variables[x].key=A",
            "variables[%2B1].key=A",
            "variables[100].key=A",
            "variables[99999999999999999999999].key=A",
            "variables[0]key=A",
            "variables[0].name=A",
            "variables[0].value=s3cret",
            "variables[0].key=A&variables[0].key=B",
            "variables[0].key=A&variables[00].key=B",
            "variables[0].key=A&variables[0].secured=yes",
        ] {
            match read(query) {
                Err(Error::Invalid { message, fields }) => {
                    assert!(fields.contains_key("variables"), "{query}: {fields:?}");
                    assert!(!message.contains("s3cret"), "{message}");
                }
                other => panic!("{query}: {other:?}"),
            }
        }
        let long = read(&format!("variables[{}]=A", "x".repeat(5_000))).unwrap_err();
        assert!(long.to_string().len() < 400, "{long}");
    }
}
