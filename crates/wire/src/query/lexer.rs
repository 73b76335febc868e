//! Cuts an expression into words, each with the column it begins at.

use model::{Error, Result, Timestamp};

use super::{LONGEST, Literal, Operator};

/// How many characters of a word a message repeats.
const LONGEST_QUOTE: usize = 60;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A field's path, or a keyword.
    Name(String),
    /// A value.
    Literal(Literal),
    /// `=`, `!=` and so on, but for `IN` and `NOT IN`, which are names here.
    Operator(Operator),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
}

/// A word and the column it begins at, from 1, in characters.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) column: usize,
    /// As it was written, for messages.
    pub(super) text: String,
}

/// The error for a place in the expression.
pub(super) fn fault(column: usize, message: impl std::fmt::Display) -> Error {
    Error::invalid_field("q", format!("column {column}: {message}"))
}

/// The words of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>> {
    if text.len() > LONGEST {
        return Err(Error::invalid_field("q", format!("keep the expression within {LONGEST} bytes")));
    }
    let mut lexer = Lexer { rest: text, column: 1 };
    let mut words = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        if lexer.rest.is_empty() {
            return Ok(words);
        }
        let (start, column) = (lexer.rest, lexer.column);
        let token = lexer.token()?;
        let taken = start.len() - lexer.rest.len();
        let text = start.get(..taken).unwrap_or_default().chars().take(LONGEST_QUOTE).collect();
        words.push(Spanned { token, column, text });
    }
}

struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.column += taken.chars().count();
        self.rest = rest;
        taken
    }

    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.column += 1;
        Some(c)
    }

    fn next_is(&mut self, wanted: char) -> bool {
        let found = self.rest.starts_with(wanted);
        if found {
            self.next_char();
        }
        found
    }

    fn token(&mut self) -> Result<Token> {
        let column = self.column;
        let first = self.rest.chars().next();
        match first {
            Some('"') => return self.quoted(),
            Some('-' | '0'..='9') => return self.number_or_time(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => return self.name(),
            _ => {}
        }
        self.next_char();
        let operator = |op| Ok(Token::Operator(op));
        match first {
            Some('(') => Ok(Token::Open),
            Some(')') => Ok(Token::Close),
            Some(',') => Ok(Token::Comma),
            Some('=') => operator(Operator::Equal),
            Some('~') => operator(Operator::Contains),
            Some('>') if self.next_is('=') => operator(Operator::GreaterOrEqual),
            Some('>') => operator(Operator::Greater),
            Some('<') if self.next_is('=') => operator(Operator::LessOrEqual),
            Some('<') => operator(Operator::Less),
            Some('!') if self.next_is('=') => operator(Operator::NotEqual),
            Some('!') if self.next_is('~') => operator(Operator::ContainsNot),
            Some('!') => Err(fault(column, "expected `!=` or `!~`")),
            Some(other) => Err(fault(
                column,
                format!("`{}` has no meaning here: put texts in double quotes", other.escape_debug()),
            )),
            None => Err(fault(column, "the expression ends too early")),
        }
    }

    fn name(&mut self) -> Result<Token> {
        let column = self.column;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let well_formed =
            name.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
        if !well_formed {
            return Err(fault(column, format!("`{name}` is not a field's name, such as `project.key`")));
        }
        Ok(Token::Name(name.to_owned()))
    }

    fn quoted(&mut self) -> Result<Token> {
        let column = self.column;
        self.next_char();
        let mut text = String::new();
        loop {
            let at = self.column;
            match self.next_char() {
                Some('"') => return Ok(Token::Literal(Literal::Text(text))),
                Some('\\') => match self.next_char() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    _ => return Err(fault(at, "after `\\` expected `\"` or `\\`")),
                },
                // No text column holds a NUL, and PostgreSQL refuses one outright.
                Some('\0') => return Err(fault(at, "a text cannot hold a NUL character")),
                Some(c) => text.push(c),
                None => return Err(fault(column, "this text has no closing `\"`")),
            }
        }
    }

    fn number_or_time(&mut self) -> Result<Token> {
        let column = self.column;
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | ':' | '.'));
        number(text).or_else(|| time(text).map(Literal::Time)).map(Token::Literal).ok_or_else(|| {
            fault(column, format!("`{text}` is neither a number nor a date such as 2030-01-31"))
        })
    }
}

fn number(text: &str) -> Option<Literal> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let well_formed = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    well_formed.then(|| Literal::Number(text.to_owned()))
}

/// A date, a date and time, or a date and time with an offset.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    if text.len() > 64 {
        return None;
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let moment = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_micros(moment.as_microsecond()))
}
