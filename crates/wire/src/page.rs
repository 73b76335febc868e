//! Paging: what a request asks for, and the envelope that a page comes in.
//!
//! There are two styles. A list has numbered pages and may know its size; a walk (commits, for example) only knows
//! what comes next, under a token that means nothing to the client. The links to other pages repeat every other
//! parameter of the request, so that a client that follows them keeps its filter and order.

use model::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Parameters;

/// The page length where none is asked for.
pub const DEFAULT_LENGTH: u32 = 10;

/// The longest page.
pub const LONGEST: u32 = 100;

/// The longest token of a walk, in bytes.
pub const LONGEST_TOKEN: usize = 1024;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// The page of this number, from 1.
    Number(u32),
    /// The page that a token leads to; the first without one.
    Token(Option<String>),
}

/// A page that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many values, 1 to 100.
    pub pagelen: u32,
    /// Which page.
    pub position: Position,
}

/// What is known about the length of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// So many values in all.
    Known(u64),
    /// Not counted; `more` says whether there is another page.
    Unknown {
        /// Whether there is another page.
        more: bool,
    },
}

fn number(parameters: &Parameters, name: &str, most: u32, default: u32) -> Result<u32> {
    let Some(text) = parameters.get(name)? else { return Ok(default) };
    // `u32::from_str` would also take a sign.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(number) if digits && (1..=most).contains(&number) => Ok(number),
        _ => Err(Error::invalid_field(name, format!("use a whole number from 1 to {most}"))),
    }
}

impl PageRequest {
    /// Reads `page` and `pagelen` where pages are numbered.
    pub fn list(parameters: &Parameters) -> Result<Self> {
        let pagelen = number(parameters, "pagelen", LONGEST, DEFAULT_LENGTH)?;
        let page = number(parameters, "page", u32::MAX, 1)?;
        Ok(Self { pagelen, position: Position::Number(page) })
    }

    /// Reads `page` and `pagelen` where `page` is a token from the last answer's `next`.
    pub fn walk(parameters: &Parameters) -> Result<Self> {
        let pagelen = number(parameters, "pagelen", LONGEST, DEFAULT_LENGTH)?;
        let token = parameters.get("page")?.map(str::to_owned);
        let printable = |text: &String| text.bytes().all(|b| b.is_ascii_graphic());
        match &token {
            Some(text) if text.is_empty() || text.len() > LONGEST_TOKEN || !printable(text) => {
                Err(Error::invalid_field("page", "follow the address in the last answer's `next`"))
            }
            _ => Ok(Self { pagelen, position: Position::Token(token) }),
        }
    }

    /// How many values stand before this page. 0 where pages have no numbers.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match self.position {
            Position::Number(page) => u64::from(page.saturating_sub(1)) * u64::from(self.pagelen),
            Position::Token(_) => 0,
        }
    }
}

/// One page of a collection.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "paginated_{T}")]
pub struct Page<T> {
    /// The values on this page.
    pub values: Vec<T>,
    /// How many values a page has at most.
    pub pagelen: u32,
    /// How many there are in all, where that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// This page's number, where pages have numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The next page's address; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The page before; absent on the first, and where pages have no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

impl<T> Page<T> {
    /// A page of a list. `here` is the collection's absolute address without parameters.
    #[must_use]
    pub fn list(
        values: Vec<T>,
        request: &PageRequest,
        total: Total,
        here: &str,
        parameters: &Parameters,
    ) -> Self {
        let page = match request.position {
            Position::Number(page) => page,
            Position::Token(_) => 1,
        };
        let address = |page: u32| link(here, parameters, &page.to_string());
        let (size, more) = match total {
            Total::Known(size) => {
                (Some(size), request.offset().saturating_add(u64::from(request.pagelen)) < size)
            }
            Total::Unknown { more } => (None, more),
        };
        Self {
            values,
            pagelen: request.pagelen,
            size,
            page: Some(page),
            next: if more { page.checked_add(1).map(address) } else { None },
            previous: if page > 1 { Some(address(page - 1)) } else { None },
        }
    }

    /// A page of a walk. `next` is the token that leads on.
    #[must_use]
    pub fn walk(
        values: Vec<T>,
        request: &PageRequest,
        next: Option<&str>,
        here: &str,
        parameters: &Parameters,
    ) -> Self {
        Self {
            values,
            pagelen: request.pagelen,
            size: None,
            page: None,
            next: next.map(|token| link(here, parameters, token)),
            previous: None,
        }
    }

    /// The same page of other values.
    #[must_use]
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            values: self.values.into_iter().map(convert).collect(),
            pagelen: self.pagelen,
            size: self.size,
            page: self.page,
            next: self.next,
            previous: self.previous,
        }
    }
}

fn link(here: &str, parameters: &Parameters, page: &str) -> String {
    format!("{here}?{}", parameters.with("page", page).encode())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const HERE: &str = "https://git.example.com/2.0/repositories/acme";

    fn parameters(text: &str) -> Parameters {
        Parameters::parse(text).unwrap()
    }

    #[test]
    fn a_middle_page_links_both_ways_and_keeps_the_filter() {
        let parameters = parameters("q=name+~+%22a%22&pagelen=2&page=2&sort=-name");
        let request = PageRequest::list(&parameters).unwrap();
        let page = Page::list(vec!["a", "b"], &request, Total::Known(5), HERE, &parameters);
        assert_eq!(
            json!(page),
            json!({
                "values": ["a", "b"],
                "pagelen": 2,
                "size": 5,
                "page": 2,
                "next": format!("{HERE}?q=name+%7E+%22a%22&pagelen=2&sort=-name&page=3"),
                "previous": format!("{HERE}?q=name+%7E+%22a%22&pagelen=2&sort=-name&page=1"),
            })
        );
    }

    #[test]
    fn the_last_page_has_no_next() {
        let parameters = parameters("pagelen=5");
        let request = PageRequest::list(&parameters).unwrap();
        for (size, more) in [(0, false), (5, false), (6, true)] {
            let page = Page::<u8>::list(vec![], &request, Total::Known(size), HERE, &parameters);
            assert_eq!(page.next.is_some(), more, "{size}");
            assert_eq!(page.previous, None);
        }
        let page = Page::<u8>::list(vec![], &request, Total::Unknown { more: true }, HERE, &parameters);
        assert!(page.size.is_none() && page.next.is_some());
    }

    #[test]
    fn a_walk_leads_on_by_its_token() {
        let parameters = parameters("exclude=x");
        let request = PageRequest::walk(&parameters).unwrap();
        let page = Page::walk(vec![1], &request, Some("Zm9v=="), HERE, &parameters);
        assert_eq!(
            json!(page),
            json!({ "values": [1], "pagelen": 10, "next": format!("{HERE}?exclude=x&page=Zm9v%3D%3D") })
        );
        assert!(PageRequest::walk(&self::parameters("page=")).is_err());
        assert!(PageRequest::walk(&self::parameters("page=a%00b")).is_err());
    }

    #[test]
    fn a_number_out_of_range_names_its_parameter() {
        for bad in ["pagelen=0", "pagelen=101", "page=0", "page=-1", "page=%2B1", "page=", "page=4294967296"]
        {
            let error = PageRequest::list(&parameters(bad)).unwrap_err();
            let name = bad.split('=').next().unwrap();
            assert!(error.to_string().starts_with(&format!("`{name}`: use a whole number")), "{error}");
        }
    }

    proptest! {
        /// Following `next` from the first page visits every value once.
        #[test]
        fn following_next_visits_all(size in 0u64..60, pagelen in 1u32..20) {
            let mut query = format!("pagelen={pagelen}&q=%22%26%22");
            let mut seen = 0;
            loop {
                let parameters = Parameters::parse(&query).unwrap();
                let request = PageRequest::list(&parameters).unwrap();
                prop_assert_eq!(request.offset(), seen);
                let values: Vec<u64> = (seen..size.min(seen + u64::from(pagelen))).collect();
                seen += u64::try_from(values.len()).unwrap();
                let page = Page::list(values, &request, Total::Known(size), HERE, &parameters);
                match page.next {
                    Some(next) => query = next.strip_prefix(&format!("{HERE}?")).unwrap().to_owned(),
                    None => break,
                }
            }
            prop_assert_eq!(seen, size);
        }

        #[test]
        fn any_parameters_are_read_without_panic(page in "\\PC{0,12}", pagelen in "\\PC{0,12}") {
            let parameters = Parameters::default().with("page", &page).with("pagelen", &pagelen);
            if let Ok(request) = PageRequest::list(&parameters) {
                prop_assert!((1..=LONGEST).contains(&request.pagelen));
            }
            let _ = PageRequest::walk(&parameters);
        }
    }
}
