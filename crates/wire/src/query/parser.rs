//! Reads an expression: `or := and ("OR" and)*`, `and := term ("AND" term)*`, `term := "(" or ")" | comparison`.

use std::iter::Peekable;
use std::vec::IntoIter;

use model::{Error, Result};

use super::lexer::{Spanned, Token, fault, tokens};
use super::{DEEPEST, Expression, Literal, MOST_ITEMS, MOST_TERMS, Operator};

const OPERATORS: &str = "one of `=`, `!=`, `~`, `!~`, `>`, `>=`, `<`, `<=`, `IN`, `NOT IN`";
const VALUE: &str = "a text in double quotes, a number, a date, `true`, `false` or `null`";

/// Reads an expression. Errors name the column and what was expected there.
pub fn parse(text: &str) -> Result<Expression> {
    let words = tokens(text)?;
    let end = text.chars().count() + 1;
    let mut parser = Parser { words: words.into_iter().peekable(), end, terms: 0 };
    let expression = parser.any(0)?;
    match parser.words.next() {
        Some(word) => {
            Err(fault(word.column, format!("expected `AND`, `OR` or the end, found `{}`", word.text)))
        }
        None => Ok(expression),
    }
}

struct Parser {
    words: Peekable<IntoIter<Spanned>>,
    end: usize,
    terms: usize,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Expression> {
        let mut parts = vec![self.all(depth)?];
        while self.keyword("or") {
            parts.push(self.all(depth)?);
        }
        Ok(joined(parts, Expression::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Expression> {
        let mut parts = vec![self.term(depth)?];
        while self.keyword("and") {
            parts.push(self.term(depth)?);
        }
        Ok(joined(parts, Expression::And))
    }

    fn term(&mut self, depth: usize) -> Result<Expression> {
        let Some(word) = self.words.next() else {
            return Err(self.ended("a field's name or `(`"));
        };
        match word.token {
            Token::Open if depth >= DEEPEST => {
                Err(fault(word.column, format!("parentheses may be nested {DEEPEST} deep")))
            }
            Token::Open => {
                let inner = self.any(depth + 1)?;
                self.close(word.column)?;
                Ok(inner)
            }
            Token::Name(field) => self.comparison(field, word.column),
            _ => Err(fault(word.column, format!("expected a field's name or `(`, found `{}`", word.text))),
        }
    }

    fn comparison(&mut self, field: String, column: usize) -> Result<Expression> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(fault(column, format!("an expression may hold {MOST_TERMS} comparisons")));
        }
        let op = self.operator()?;
        let value = if op.takes_list() { self.list()? } else { self.value()? };
        Ok(Expression::Compare { field, op, value })
    }

    fn operator(&mut self) -> Result<Operator> {
        if self.keyword("in") {
            return Ok(Operator::In);
        }
        if self.keyword("not") {
            return match self.keyword("in") {
                true => Ok(Operator::NotIn),
                false => Err(self.unexpected("`IN` after `NOT`")),
            };
        }
        match self.words.next_if(|word| matches!(word.token, Token::Operator(_))) {
            Some(Spanned { token: Token::Operator(op), .. }) => Ok(op),
            _ => Err(self.unexpected(OPERATORS)),
        }
    }

    fn value(&mut self) -> Result<Literal> {
        let literal = match self.words.peek().map(|word| &word.token) {
            Some(Token::Literal(literal)) => Some(literal.clone()),
            Some(Token::Name(name)) if name.eq_ignore_ascii_case("null") => Some(Literal::Null),
            Some(Token::Name(name)) if name.eq_ignore_ascii_case("true") => Some(Literal::Bool(true)),
            Some(Token::Name(name)) if name.eq_ignore_ascii_case("false") => Some(Literal::Bool(false)),
            _ => None,
        };
        match literal {
            Some(literal) => {
                self.words.next();
                Ok(literal)
            }
            None => Err(self.unexpected(VALUE)),
        }
    }

    fn list(&mut self) -> Result<Literal> {
        let Some(open) = self.words.next_if(|word| word.token == Token::Open) else {
            return Err(self.unexpected("a list in parentheses"));
        };
        let mut items = vec![self.value()?];
        while self.words.next_if(|word| word.token == Token::Comma).is_some() {
            if items.len() >= MOST_ITEMS {
                return Err(fault(open.column, format!("a list may hold {MOST_ITEMS} values")));
            }
            items.push(self.value()?);
        }
        self.close(open.column)?;
        Ok(Literal::List(items))
    }

    fn close(&mut self, opened: usize) -> Result<()> {
        match self.words.next_if(|word| word.token == Token::Close) {
            Some(_) => Ok(()),
            None => Err(self.unexpected(&format!("`)` for the `(` in column {opened}"))),
        }
    }

    /// Takes the next word if it is this keyword.
    fn keyword(&mut self, keyword: &str) -> bool {
        self.words
            .next_if(|word| matches!(&word.token, Token::Name(name) if name.eq_ignore_ascii_case(keyword)))
            .is_some()
    }

    fn unexpected(&mut self, expected: &str) -> Error {
        match self.words.peek() {
            Some(word) => fault(word.column, format!("expected {expected}, found `{}`", word.text)),
            None => self.ended(expected),
        }
    }

    fn ended(&self, expected: &str) -> Error {
        fault(self.end, format!("expected {expected}, found the end"))
    }
}

fn joined(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        parse(text).unwrap().to_string()
    }

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn and_binds_tighter_than_or_and_keywords_have_no_case() {
        assert_eq!(shown("a=1 or b=2 aNd c=3 OR d = NULL"), "a = 1 OR (b = 2 AND c = 3) OR d = null");
        assert_eq!(shown("(a=1 OR b=2) AND c=True"), "(a = 1 OR b = 2) AND c = true");
    }

    #[test]
    fn every_kind_of_value_is_read() {
        assert_eq!(shown(r#"name~"say \"hi\" \\ done""#), r#"name ~ "say \"hi\" \\ done""#);
        assert_eq!(shown("n not in (1,-10.302)"), "n NOT IN (1, -10.302)");
        assert_eq!(shown("t>2015-03-04"), "t > 2015-03-04T00:00:00.000000+00:00");
        assert_eq!(shown("t<=2015-03-04T14:08:59"), "t <= 2015-03-04T14:08:59.000000+00:00");
        assert_eq!(shown("t<2015-03-04T14:08:59.123+02:00"), "t < 2015-03-04T12:08:59.123000+00:00");
        assert_eq!(shown("is_private!=false"), "is_private != false");
    }

    #[test]
    fn a_complaint_names_the_column_and_what_was_expected() {
        for (text, expected) in [
            ("", "column 1: expected a field's name or `(`, found the end"),
            ("name", "column 5: expected one of `=`"),
            ("name \"x\"", "column 6: expected one of `=`"),
            ("name = x", "column 8: expected a text in double quotes"),
            ("name = \"x", "column 8: this text has no closing"),
            ("name = \"\\n\"", "column 9: after `\\`"),
            ("name ! 1", "column 6: expected `!=` or `!~`"),
            ("(name = 1", "column 10: expected `)` for the `(` in column 1"),
            ("name = 1 name = 2", "column 10: expected `AND`, `OR` or the end"),
            ("name IN 1", "column 9: expected a list"),
            ("name NOT = 1", "column 10: expected `IN` after `NOT`"),
            ("name IN ()", "column 10: expected a text"),
            ("name = 1-2", "column 8: `1-2` is neither a number nor a date"),
            ("t = 2015-13-01", "column 5: `2015-13-01` is neither"),
            ("a..b = 1", "column 1: `a..b` is not a field's name"),
            ("name = 'x'", "column 8: `\\'` has no meaning here"),
            ("größe = 1", "column 3: `ö` has no meaning"),
        ] {
            let complaint = complaint(text);
            assert!(complaint.starts_with(&format!("`q`: {expected}")), "{text}: {complaint}");
        }
    }

    #[test]
    fn the_bounds_hold() {
        let nested = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEEPEST)).is_ok());
        assert!(complaint(&nested(DEEPEST + 1)).contains("nested"));
        assert!(complaint(&"(".repeat(4000)).contains("nested"));
        let terms = |count: usize| vec!["a=1"; count].join(" AND ");
        assert!(parse(&terms(MOST_TERMS)).is_ok());
        assert!(complaint(&terms(MOST_TERMS + 1)).contains("64 comparisons"));
        let list = |count: usize| format!("a IN ({})", vec!["1"; count].join(","));
        assert!(parse(&list(MOST_ITEMS)).is_ok());
        assert!(complaint(&list(MOST_ITEMS + 1)).contains("100 values"));
        assert!(complaint(&format!("a=\"{}\"", "x".repeat(5000))).contains("4096 bytes"));
    }

    fn literal() -> impl Strategy<Value = Literal> {
        prop_oneof![
            "[^\0]{0,12}".prop_map(Literal::Text),
            "-?[0-9]{1,30}(\\.[0-9]{1,9})?".prop_map(Literal::Number),
            any::<bool>().prop_map(Literal::Bool),
            Just(Literal::Null),
            (0i64..253_402_207_200_000_000)
                .prop_map(|micros| Literal::Time(model::Timestamp::from_micros(micros))),
        ]
    }

    fn comparison() -> impl Strategy<Value = Expression> {
        let single = prop_oneof![
            Just(Operator::Equal),
            Just(Operator::NotEqual),
            Just(Operator::Contains),
            Just(Operator::ContainsNot),
            Just(Operator::Greater),
            Just(Operator::GreaterOrEqual),
            Just(Operator::Less),
            Just(Operator::LessOrEqual),
        ];
        let list = prop_oneof![Just(Operator::In), Just(Operator::NotIn)];
        // Names that are keywords too: no field is so named, but a query may try.
        let field = prop_oneof!["[a-z_][a-z0-9_]{0,6}(\\.[a-z_]{1,5}){0,2}", Just("in".to_owned())];
        let value = prop_oneof![
            (single, literal()),
            (list, prop::collection::vec(literal(), 1..5).prop_map(Literal::List)),
        ];
        (field, value).prop_map(|(field, (op, value))| Expression::Compare { field, op, value })
    }

    fn expression() -> impl Strategy<Value = Expression> {
        comparison().prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
                prop::collection::vec(inner, 2..4).prop_map(Expression::Or),
            ]
        })
    }

    fn terms(expression: &Expression) -> usize {
        match expression {
            Expression::Compare { .. } => 1,
            Expression::And(parts) | Expression::Or(parts) => parts.iter().map(terms).sum(),
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(expression in expression()) {
            let text = expression.to_string();
            prop_assume!(text.len() <= super::super::LONGEST && terms(&expression) <= MOST_TERMS);
            prop_assert_eq!(parse(&text).unwrap(), expression);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }

        /// Texts made of the language's own pieces get further than random ones.
        #[test]
        fn pieces_in_any_order_are_read_without_panic(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b.c", "=", "!=", "~", "!", "<", "in", "NOT", "and", "OR", "(", ")", ",", "\"x\"", "\"",
                    "\\", "1", "-", "2020-01-01", "null", "é", "2020-01-01T00:00",
                ]),
                0..30,
            ),
            gap in "[ ]?",
        ) {
            if let Ok(expression) = parse(&pieces.join(&gap)) {
                prop_assert!(terms(&expression) <= MOST_TERMS);
                prop_assert_eq!(parse(&expression.to_string()).unwrap(), expression);
            }
        }
    }
}
