//! What the YAML parser could not read, in words that help: the usual slips have a hint each.

use granit_parser::{ErrorKind, ScanError};

use crate::{
    bounds,
    diagnostic::{Code, Diagnostic},
    node::position,
    span::{Position, Span},
};

/// The diagnostic for an error of the parser.
pub(crate) fn diagnostic(text: &str, error: &ScanError) -> Diagnostic {
    let start = position(error.marker());
    let span = Span { start, end: Position { column: start.column + 1, offset: start.offset + 1, ..start } };
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        let message = format!("more than {} lists and maps stand within each other", bounds::DEPTH);
        return Diagnostic::error(Code::TooLarge, span, message);
    }
    let message = format!("this is not YAML: {}", words(error));
    Diagnostic::error(Code::Syntax, span, message).maybe_hint(hint(text, error.kind(), start))
}

fn words(error: &ScanError) -> String {
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => "a tab stands where spaces are expected".to_owned(),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "found a `:` where no key can stand".to_owned()
        }
        ErrorKind::SimpleKeyExpected => "found text where `key: value` is expected".to_owned(),
        ErrorKind::ExpectedBlockMappingKey => {
            "expected another key of the map that stands here, at the same indentation".to_owned()
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            "expected another `- ` of the list that stands here, at the same indentation".to_owned()
        }
        ErrorKind::UnexpectedCharacter { character } => format!("`{character}` cannot begin a text"),
        ErrorKind::UnclosedQuotedScalar => "a quote is opened and not closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { open, .. } => format!("`{open}` is opened and not closed"),
        _ => error.info(),
    }
}

fn hint(text: &str, kind: &ErrorKind, at: Position) -> Option<String> {
    let rest = text.get(at.offset..).unwrap_or_default();
    let line_start =
        text.get(..at.offset).map_or(0, |before| before.rfind(['\n', '\r']).map_or(0, |n| n + 1));
    let before = text.get(line_start..at.offset).unwrap_or_default();
    let hint = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => "indent with spaces: YAML admits no tabs there",
        _ if before.trim().is_empty() && before.contains('\t') => {
            "indent with spaces: YAML admits no tabs there"
        }
        _ if rest.starts_with('*') || before.trim_start().starts_with('*') => {
            "a pattern that begins with `*` must stand in quotes, as in `'*'`"
        }
        _ if rest.starts_with('@') || rest.starts_with('`') || rest.starts_with('%') => {
            "text that begins with this character must stand in quotes"
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement
            if before.trim_start().starts_with("- ") || before.contains(['"', '\'', ' ']) =>
        {
            "a command with `: ` in it must stand in quotes, or on lines of its own below `- |`"
        }
        ErrorKind::MappingValueNotAllowed => "is this line indented as far as the keys beside it?",
        ErrorKind::SimpleKeyExpected => {
            "a command of several lines stands below `- |`; a line that belongs to the value above is indented further"
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => {
            "is this line indented as far as the lines beside it?"
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            "text follows the closing quote: put the whole into quotes of the other kind, or below `- |`"
        }
        ErrorKind::UnknownQuotedScalarEscape => "a backslash means itself in single quotes",
        _ => return None,
    };
    Some(hint.to_owned())
}
