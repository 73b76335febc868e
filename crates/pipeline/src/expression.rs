//! The language of conditions: `glob(BITBUCKET_BRANCH, "release/*") && !(coverage < 80 || skip == true)`.
//!
//! Variables are named without `$`; one that is not set is empty text. Literals are `"text"`, numbers, `true` and
//! `false`; a word to compare with that is no variable is text as well (Bitbucket's documentation has it both ways:
//! `stage == "test"` and `stage == test`). `==` and `!=` compare as text, and as numbers where both sides are numbers
//! and neither is in quotes. `<` and its kind compare numbers; where a side is in quotes, the order of text. A variable
//! alone holds where its value is `true`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{bounds, glob::Glob};

/// A condition over variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    root: Term,
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|malformed| de::Error::custom(malformed.message))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Any(Vec<Term>),
    All(Vec<Term>),
    Not(Box<Term>),
    Compare(Operand, Comparison, Operand),
    Glob(Operand, Glob),
    Holds(Operand),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Variable(String),
    Text(String),
    Number(String),
    Truth(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a text is not an expression, and at which of its characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Expression {
    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > bounds::EXPRESSION {
            let message = format!("an expression has at most {} bytes", bounds::EXPRESSION);
            return Err(Malformed { at: 0, message });
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0, end: text.chars().count() };
        let root = parser.any(0)?;
        match parser.peek() {
            None => Ok(Self { text: text.to_owned(), root }),
            Some(Token::Close) => Err(parser.error("`)` closes nothing")),
            Some(token) => {
                Err(parser.error(format!("expected `&&`, `||` or the end, found {}", token.shown())))
            }
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds. Variables that are not set are asked for and not found.
    pub fn holds(&self, variable: impl Fn(&str) -> Option<String>) -> bool {
        self.root.holds(&variable)
    }
}

impl Term {
    fn holds(&self, variable: &dyn Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::Any(terms) => terms.iter().any(|term| term.holds(variable)),
            Self::All(terms) => terms.iter().all(|term| term.holds(variable)),
            Self::Not(term) => !term.holds(variable),
            Self::Compare(one, comparison, other) => comparison.holds(one, other, variable),
            Self::Glob(operand, glob) => glob.matches(&operand.text(variable)),
            Self::Holds(operand) => operand.text(variable) == "true",
        }
    }
}

impl Operand {
    fn text(&self, variable: &dyn Fn(&str) -> Option<String>) -> String {
        match self {
            Self::Variable(name) => variable(name).unwrap_or_default(),
            Self::Text(text) | Self::Number(text) => text.clone(),
            Self::Truth(truth) => truth.to_string(),
        }
    }

    /// As what something is compared with.
    fn compared(&self, variable: &dyn Fn(&str) -> Option<String>) -> String {
        match self {
            Self::Variable(name) => variable(name).unwrap_or_else(|| name.clone()),
            _ => self.text(variable),
        }
    }

    fn number(&self, text: &str) -> Option<f64> {
        if matches!(self, Self::Text(_) | Self::Truth(_)) { None } else { number(text) }
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    text.parse().ok().filter(|_| text.chars().all(plain))
}

impl Comparison {
    fn holds(self, one: &Operand, other: &Operand, variable: &dyn Fn(&str) -> Option<String>) -> bool {
        let (left, right) = (one.text(variable), other.compared(variable));
        let numbers = one.number(&left).zip(other.number(&right));
        let texts = matches!(one, Operand::Text(_)) || matches!(other, Operand::Text(_));
        let order = match numbers {
            Some((left, right)) => left.partial_cmp(&right),
            None if texts => Some(left.cmp(&right)),
            None => None,
        };
        let equal = numbers.map_or(left == right, |(left, right)| left == right);
        match self {
            Self::Equal => equal,
            Self::NotEqual => !equal,
            Self::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Compare(Comparison),
    And,
    Or,
    Not,
    Open,
    Close,
    Comma,
}

impl Token {
    fn shown(&self) -> String {
        let sign = match self {
            Self::Name(name) | Self::Number(name) => name,
            Self::Text(_) => return "a text in quotes".to_owned(),
            Self::Compare(_) => "a comparison",
            Self::And => "&&",
            Self::Or => "||",
            Self::Not => "!",
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
        };
        format!("`{sign}`")
    }
}

/// The tokens, each with the character at which it begins.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Malformed> {
    let letters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at).copied() {
        let follows = |wanted| letters.get(at + 1) == Some(&wanted);
        let (length, token) = match letter {
            ' ' | '\t' | '\n' | '\r' => {
                at += 1;
                continue;
            }
            '(' => (1, Token::Open),
            ')' => (1, Token::Close),
            ',' => (1, Token::Comma),
            '&' if follows('&') => (2, Token::And),
            '|' if follows('|') => (2, Token::Or),
            '=' if follows('=') => (2, Token::Compare(Comparison::Equal)),
            '!' if follows('=') => (2, Token::Compare(Comparison::NotEqual)),
            '!' => (1, Token::Not),
            '<' if follows('=') => (2, Token::Compare(Comparison::LessOrEqual)),
            '<' => (1, Token::Compare(Comparison::Less)),
            '>' if follows('=') => (2, Token::Compare(Comparison::GreaterOrEqual)),
            '>' => (1, Token::Compare(Comparison::Greater)),
            '"' | '\'' => quoted(&letters, at)?,
            _ if letter.is_ascii_digit() || letter == '-' => {
                let (length, word) = word(&letters, at, |c| c.is_ascii_digit() || matches!(c, '.' | '-'));
                if number(&word).is_none() {
                    return Err(Malformed { at, message: format!("`{word}` is not a number") });
                }
                (length, Token::Number(word))
            }
            _ if letter.is_ascii_alphabetic() || letter == '_' => {
                let (length, word) = word(&letters, at, |c| c.is_ascii_alphanumeric() || c == '_');
                (length, Token::Name(word))
            }
            _ => return Err(Malformed { at, message: slip(letter) }),
        };
        found.push((at, token));
        at += length;
    }
    Ok(found)
}

fn word(letters: &[char], at: usize, belongs: impl Fn(char) -> bool) -> (usize, String) {
    let word: String = letters.iter().skip(at).take_while(|c| belongs(**c)).collect();
    (word.len(), word)
}

fn quoted(letters: &[char], at: usize) -> Result<(usize, Token), Malformed> {
    let quote = letters.get(at).copied();
    let mut text = String::new();
    let mut rest = letters.iter().copied().enumerate().skip(at + 1);
    while let Some((end, letter)) = rest.next() {
        match letter {
            _ if Some(letter) == quote => return Ok((end + 1 - at, Token::Text(text))),
            '\\' => text.extend(rest.next().map(|(_, escaped)| escaped)),
            _ => text.push(letter),
        }
    }
    Err(Malformed { at, message: "a quote is opened and not closed".to_owned() })
}

fn slip(letter: char) -> String {
    match letter {
        '$' => "a variable is named without `$`".to_owned(),
        '&' => "`&` alone says nothing; write `&&`".to_owned(),
        '|' => "`|` alone says nothing; write `||`".to_owned(),
        '=' => "`=` alone says nothing; write `==`".to_owned(),
        _ => format!("`{letter}` has no meaning here"),
    }
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    at: usize,
    end: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// An error at the token that comes next.
    fn error(&self, message: impl Into<String>) -> Malformed {
        let at = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at);
        Malformed { at, message: message.into() }
    }

    fn expected(&self, what: &str) -> Malformed {
        let found = self.peek().map_or("the end".to_owned(), Token::shown);
        self.error(format!("expected {what}, found {found}"))
    }

    fn any(&mut self, depth: usize) -> Result<Term, Malformed> {
        let mut terms = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            terms.push(self.all(depth)?);
        }
        Ok(one_or(terms, Term::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Term, Malformed> {
        let mut terms = vec![self.term(depth)?];
        while self.take(&Token::And) {
            terms.push(self.term(depth)?);
        }
        Ok(one_or(terms, Term::All))
    }

    fn term(&mut self, depth: usize) -> Result<Term, Malformed> {
        if depth >= bounds::EXPRESSION_DEPTH {
            let message =
                format!("more than {} parentheses stand within each other", bounds::EXPRESSION_DEPTH);
            return Err(self.error(message));
        }
        if self.take(&Token::Not) {
            return Ok(Term::Not(Box::new(self.term(depth + 1)?)));
        }
        let opened = self.at;
        if self.take(&Token::Open) {
            let within = self.any(depth + 1)?;
            if !self.take(&Token::Close) {
                self.at = opened;
                return Err(self.error("`(` is opened and not closed"));
            }
            return Ok(within);
        }
        let start = self.at;
        let operand = self.operand("a variable, a value, `!` or `(`")?;
        match self.peek() {
            Some(Token::Open) => {
                self.at = start;
                self.call()
            }
            Some(Token::Compare(comparison)) => {
                self.at += 1;
                let other = self.operand("a variable or a value to compare with")?;
                Ok(Term::Compare(operand, *comparison, other))
            }
            _ if matches!(operand, Operand::Text(_) | Operand::Number(_)) => {
                self.at = start;
                Err(self.error("a value alone is neither true nor false; compare it with something"))
            }
            _ => Ok(Term::Holds(operand)),
        }
    }

    fn operand(&mut self, what: &str) -> Result<Operand, Malformed> {
        let operand = match self.peek() {
            Some(Token::Name(name)) if name == "true" || name == "false" => Operand::Truth(name == "true"),
            Some(Token::Name(name)) => Operand::Variable(name.clone()),
            Some(Token::Text(text)) => Operand::Text(text.clone()),
            Some(Token::Number(number)) => Operand::Number(number.clone()),
            _ => return Err(self.expected(what)),
        };
        self.at += 1;
        Ok(operand)
    }

    /// `glob(VARIABLE, "pattern")`.
    fn call(&mut self) -> Result<Term, Malformed> {
        if self.peek() != Some(&Token::Name("glob".to_owned())) {
            return Err(self.error("this function is not known; there is `glob(VARIABLE, \"pattern\")`"));
        }
        self.at += 2;
        let operand = self.operand("a variable")?;
        if !self.take(&Token::Comma) {
            return Err(self.expected("`,` and a pattern in quotes"));
        }
        let Some(Token::Text(pattern)) = self.peek() else {
            return Err(self.expected("a pattern in quotes"));
        };
        let glob = Glob::parse(pattern).map_err(|malformed| self.error(malformed.0))?;
        self.at += 1;
        if !self.take(&Token::Close) {
            return Err(self.expected("`)`"));
        }
        Ok(Term::Glob(operand, glob))
    }
}

fn one_or(mut terms: Vec<Term>, several: impl FnOnce(Vec<Term>) -> Term) -> Term {
    match (terms.pop(), terms.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            terms.extend(last);
            several(terms)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(text: &str) -> bool {
        let variable = |name: &str| match name {
            "branch" => Some("release/1".to_owned()),
            "yes" => Some("true".to_owned()),
            "no" => Some("false".to_owned()),
            "ten" => Some("10".to_owned()),
            "nine" => Some("9.0".to_owned()),
            _ => None,
        };
        Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).holds(variable)
    }

    #[test]
    fn conditions_hold_or_do_not() {
        for text in [
            "true",
            "yes",
            "!no && !unset",
            "yes == true",
            "no == false",
            r#"branch == "release/1""#,
            r#"glob(branch, "release/*")"#,
            r#"glob(branch, 'release/*') && ten >= 10 || no"#,
            "ten > nine",
            "ten == 10.0",
            "nine < 10",
            r#"unset == """#,
            r#"unset != "x""#,
            "no || (yes && !(ten < 9))",
            r#""b" > "a""#,
            "ten > -1",
            "unset != word",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "no",
            "unset",
            "ten",
            "unset < 5",
            "unset >= 0",
            r#"nine == "9""#,
            r#"!glob(branch, "release/*")"#,
            "yes && no || no",
            "branch == true",
            "unset == word",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn a_word_to_compare_with_may_stand_without_quotes() {
        let stage = Expression::parse("stage == test").unwrap();
        assert!(stage.holds(|name| (name == "stage").then(|| "test".to_owned())));
        assert!(!stage.holds(|name| Some(name.to_owned())));
    }

    #[test]
    fn and_binds_more_than_or() {
        assert!(holds("yes || yes && no"));
        assert!(!holds("(yes || yes) && no"));
    }

    #[test]
    fn errors_say_where() {
        for (text, at, part) in [
            ("", 0, "expected a variable"),
            ("a &&", 4, "found the end"),
            ("(a == b", 0, "not closed"),
            ("a)", 1, "closes nothing"),
            ("a == $b", 5, "without `$`"),
            ("a = b", 2, "write `==`"),
            ("a & b", 2, "write `&&`"),
            ("\"x\"", 0, "neither true nor false"),
            ("a == \"x", 5, "not closed"),
            ("globb(a, \"x\")", 0, "not known"),
            ("glob(a, b)", 8, "pattern in quotes"),
            ("glob(a, \"[\")", 8, "not closed"),
            ("a b", 2, "expected `&&`"),
            ("1.2.3 == a", 0, "not a number"),
        ] {
            let error = Expression::parse(text).unwrap_err();
            assert!(error.at == at && error.message.contains(part), "{text}: {error:?}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
        assert!(Expression::parse(&deep(49)).is_ok());
        assert!(Expression::parse(&deep(50)).is_err());
        assert!(Expression::parse(&"!".repeat(2000)).is_err());
        assert!(Expression::parse(&"a || ".repeat(1000)).is_err());
        let long = format!("a{}", " || a".repeat(800));
        assert!(Expression::parse(&long).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c!&|()=<> \"'0-9.,$-]{0,40}|glob\\(a, \"[a*]{0,3}\"\\)") {
            if let Ok(expression) = Expression::parse(&text) {
                let _ = expression.holds(|_| Some("1".to_owned()));
            }
        }
    }
}
