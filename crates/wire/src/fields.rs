//! The language of `fields=`: which parts of an answer are sent.
//!
//! A list of paths, separated by commas. Bare paths: these alone. `-path`: all but this. `+path`: this too, though it
//! is not sent by default. `*` stands for every name on its level. Arrays are passed through: in a collection,
//! `values.name` is the name of each value. Where several items speak of the same part, the most specific one counts
//! (a name before `*`, the longer path before the shorter), then the later one; so the order of items rarely matters.

use std::collections::BTreeMap;

use model::{Error, Result};
use serde_json::{Map, Value};

/// The longest list, in bytes.
pub const LONGEST: usize = 4 * 1024;
/// The most items.
pub const MOST: usize = 100;
/// The most names in a path.
pub const DEEPEST: usize = 16;

/// Which parts of an answer are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    root: Node,
    /// Whether bare paths stand in the list, so that nothing else is sent.
    only: bool,
}

/// What the list says of one path and those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    rule: Option<Rule>,
    children: BTreeMap<String, Self>,
    any: Option<Box<Self>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Send,
    Hold,
}

impl Selection {
    /// Reads a list. An empty text selects what is sent by default.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |message: String| Err(Error::invalid_field("fields", message));
        let mut selection = Self::default();
        if text.len() > LONGEST {
            return refused(format!("keep the list within {LONGEST} bytes"));
        }
        if text.trim().is_empty() {
            return Ok(selection);
        }
        for (at, item) in text.split(',').map(str::trim).enumerate() {
            if at >= MOST {
                return refused(format!("name at most {MOST} paths"));
            }
            let (rule, path) = match (item.strip_prefix('-'), item.strip_prefix('+')) {
                (Some(path), _) => (Rule::Hold, path),
                (_, Some(path)) => (Rule::Send, path),
                _ => {
                    selection.only = true;
                    (Rule::Send, item)
                }
            };
            let names: Vec<&str> = path.split('.').collect();
            if names.len() > DEEPEST {
                return refused(format!("`{path}` names more than {DEEPEST} levels"));
            }
            if !names.iter().all(|name| is_name(name)) {
                return refused(format!(
                    "`{item}` is not a path such as `values.links.self`, `-values.links` or `+*`"
                ));
            }
            let node = names.iter().fold(&mut selection.root, |node, name| node.child(name));
            node.rule = Some(rule);
        }
        Ok(selection)
    }

    /// Whether everything that is sent by default is sent, and nothing else.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the list asks for a part, or for something below it, by name or by `*`. Tells a caller whether it is
    /// worth gathering what is not sent by default.
    #[must_use]
    pub fn asks_for(&self, path: &[&str]) -> bool {
        let mut active = vec![&self.root];
        for name in path {
            active = below(&active, name);
        }
        active.iter().any(|node| node.sends())
    }

    /// The parts of an answer that are sent. `wider` is the same answer with more in it than is sent by default,
    /// where such a one was gathered: from it comes what is asked for and not in `default`.
    #[must_use]
    pub fn apply(&self, default: Value, wider: Option<&Value>) -> Value {
        if self.is_default() {
            return default;
        }
        let empty = || Value::Object(Map::new());
        cut(Some(&default), wider, &[&self.root], !self.only).unwrap_or_else(empty)
    }
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    name == "*" || (!name.is_empty() && name.bytes().all(plain))
}

impl Node {
    fn child(&mut self, name: &str) -> &mut Self {
        match name {
            "*" => self.any.get_or_insert_default(),
            _ => self.children.entry(name.to_owned()).or_default(),
        }
    }

    fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.any.is_none()
    }

    /// Whether this or anything below is asked for.
    fn sends(&self) -> bool {
        self.rule == Some(Rule::Send)
            || self.children.values().any(Self::sends)
            || self.any.as_ref().is_some_and(|any| any.sends())
    }
}

/// What the list says of `name` below the active nodes: those that name it before those that say `*`.
fn below<'a>(active: &[&'a Node], name: &str) -> Vec<&'a Node> {
    let named = active.iter().filter_map(|node| node.children.get(name));
    let any = active.iter().filter_map(|node| node.any.as_deref());
    named.chain(any).collect()
}

/// The part of a value that is sent. `active` is what the list says of this value and those below; with `keep`, what
/// it does not speak of is sent.
fn cut(default: Option<&Value>, wider: Option<&Value>, active: &[&Node], keep: bool) -> Option<Value> {
    if active.iter().all(|node| node.is_leaf()) {
        return default.filter(|_| keep).cloned();
    }
    match default.or(wider)? {
        Value::Array(items) => {
            let part = |index| cut(at(default, index), at(wider, index), active, keep);
            let parts: Vec<Value> = (0..items.len()).filter_map(part).collect();
            if parts.is_empty() && default.is_none() { None } else { Some(Value::Array(parts)) }
        }
        Value::Object(_) => {
            let map = cut_object(default, wider, active, keep);
            // What is not sent by default and holds nothing that was asked for is left out altogether.
            if map.is_empty() && default.is_none() { None } else { Some(Value::Object(map)) }
        }
        // Asked for a part of nothing: there is nothing.
        Value::Null => default.cloned(),
        _ => default.filter(|_| keep).cloned(),
    }
}

/// The part of a value under a name or a number.
fn at<I: serde_json::value::Index>(value: Option<&Value>, index: I) -> Option<&Value> {
    value.and_then(|value| value.get(index))
}

fn cut_object(
    default: Option<&Value>,
    wider: Option<&Value>,
    active: &[&Node],
    keep: bool,
) -> Map<String, Value> {
    let names = [default, wider].into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys);
    let mut map = Map::new();
    for name in names {
        if map.contains_key(name) {
            continue;
        }
        let (default, wider, next) = (at(default, name), at(wider, name), below(active, name));
        let part = match next.iter().find_map(|node| node.rule) {
            Some(Rule::Send) => cut(default.or(wider), wider, &next, true),
            Some(Rule::Hold) => cut(default, wider, &next, false),
            None => cut(default, wider, &next, keep),
        };
        if let Some(part) = part {
            map.insert(name.clone(), part);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn page() -> Value {
        json!({
            "values": [
                { "name": "one", "links": { "self": { "href": "x" }, "clone": [{ "name": "https", "href": "y" }] } },
                { "name": "two", "links": { "self": { "href": "z" }, "clone": [] }, "parent": null },
            ],
            "pagelen": 10,
            "page": 1,
        })
    }

    fn selected(list: &str) -> Value {
        Selection::parse(list).unwrap().apply(page(), None)
    }

    #[test]
    fn bare_paths_are_all_that_is_sent() {
        assert_eq!(
            selected("values.name,page"),
            json!({ "values": [{ "name": "one" }, { "name": "two" }], "page": 1 })
        );
        assert_eq!(
            selected("values.links.clone.href"),
            json!({ "values": [{ "links": { "clone": [{ "href": "y" }] } }, { "links": { "clone": [] } }] })
        );
        assert_eq!(selected("values.parent.name"), json!({ "values": [{}, { "parent": null }] }));
        assert_eq!(selected("nothing"), json!({}));
        assert_eq!(selected(""), page());
        assert_eq!(selected("*"), page());
    }

    #[test]
    fn a_minus_holds_back_and_the_more_specific_item_counts() {
        assert_eq!(selected("-values.links"), selected("values.name,values.parent,page,pagelen"));
        for list in ["-*,+page", "+page,-*"] {
            assert_eq!(selected(list), json!({ "page": 1 }), "{list}");
        }
        assert_eq!(
            selected("-*,+values.links.self,-values.links.self.nothing")["values"][1],
            json!({ "links": { "self": { "href": "z" } } })
        );
        assert_eq!(selected("values,-values.links,-values.parent"), selected("values.name"));
        assert_eq!(
            selected("values.links.*.href"),
            selected("values.links.self.href,values.links.clone.href")
        );
        assert_eq!(selected("-page,+page"), page());
    }

    #[test]
    fn a_plus_brings_what_was_gathered_and_nothing_else() {
        let default = json!({ "id": 1, "project": { "key": "A" } });
        let wider = json!({ "id": 1, "project": { "key": "A", "owner": { "name": "o", "x": 1 }, "more": 2 }, "hidden": 3 });
        let apply = |list: &str| Selection::parse(list).unwrap().apply(default.clone(), Some(&wider));
        assert_eq!(
            apply("+project.owner.name"),
            json!({ "id": 1, "project": { "key": "A", "owner": { "name": "o" } } })
        );
        assert_eq!(apply("+hidden"), json!({ "id": 1, "project": { "key": "A" }, "hidden": 3 }));
        assert_eq!(apply("hidden,project.key"), json!({ "project": { "key": "A" }, "hidden": 3 }));
        assert_eq!(apply("*"), json!({ "id": 1, "project": { "key": "A" }, "hidden": 3 }));
        assert_eq!(apply("-id"), json!({ "project": { "key": "A" } }));
        assert_eq!(apply("+project.nothing.x"), default);
        let selection = Selection::parse("+values.project.owner.name,-values.id").unwrap();
        assert!(selection.asks_for(&["values", "project", "owner"]));
        assert!(!selection.asks_for(&["values", "id"]) && !selection.asks_for(&["values", "project", "key"]));
    }

    #[test]
    fn the_bounds_hold() {
        let deep = |levels: usize| vec!["a"; levels].join(".");
        assert!(Selection::parse(&deep(DEEPEST)).is_ok());
        assert!(Selection::parse(&vec!["a"; MOST].join(",")).is_ok());
        for bad in [
            &deep(DEEPEST + 1),
            &vec!["a"; MOST + 1].join(","),
            &"a".repeat(LONGEST + 1),
            "a,,b",
            "-",
            "a..b",
            "a b",
            "a*",
        ] {
            let error = Selection::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("`fields`: "), "{error}");
        }
    }

    /// Every leaf of `part` stands at the same path in `whole`, arrays aside.
    fn is_part(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::Object(part), Value::Object(whole)) => {
                part.iter().all(|(name, value)| whole.get(name).is_some_and(|other| is_part(value, other)))
            }
            (Value::Array(part), Value::Array(whole)) => {
                part.iter().all(|value| whole.iter().any(|other| is_part(value, other)))
            }
            _ => part == whole,
        }
    }

    fn any_list() -> impl Strategy<Value = String> {
        let path = "[-+]?(values|links|name|page|self|\\*)(\\.(links|name|self|clone|href|\\*)){0,4}";
        prop::collection::vec(path, 0..6).prop_map(|items| items.join(","))
    }

    proptest! {
        /// Nothing is ever sent that was not in the answer, and selecting again changes nothing.
        #[test]
        fn a_selection_only_takes_away(list in any_list()) {
            let selection = Selection::parse(&list).unwrap();
            let once = selection.apply(page(), None);
            prop_assert!(is_part(&once, &page()), "{once}");
            prop_assert_eq!(selection.apply(once.clone(), None), once);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            if let Ok(selection) = Selection::parse(&text) {
                let _ = selection.apply(page(), None);
            }
        }
    }
}
