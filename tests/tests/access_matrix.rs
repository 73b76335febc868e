//! `docs/access-matrix.txt` says who may do what, made from the policies and the route table, and reviewed like code.
//!
//! Would catch: a change of a policy, of a route's scopes or of the credentials it admits, that nobody looked at.
//! To accept a change: `BASTIDE_BLESS=1 cargo test -p acceptance --test access_matrix`.

#![cfg(test)]

use std::fmt::Write as _;

use policy::AccessModel;
use server::route::{Handler, ROUTES, Visibility};

fn text() -> String {
    let mut text = String::from(
        "Who may do what. Made from crates/policy/policies and crates/server/src/route; a test compares.\n\n\
         ROLES AND ACTIONS, every scope being held\n\n",
    );
    text.push_str(&policy::matrix::matrix(&AccessModel::load().expect("the access model loads")));
    text.push_str("\nOPERATIONS: what each asks, and the scopes it requires (classic | flat)\n\n");
    for route in ROUTES {
        let scopes = match route.visibility {
            Visibility::Public => "open to everybody".to_owned(),
            Visibility::Hidden => format!("{} | {}", or_dash(route.classic), or_dash(route.flat)),
        };
        let state = match route.handler {
            Handler::Built(_) => "",
            Handler::NotBuilt => "  (501)",
            Handler::Retired(_) => "  (410)",
        };
        let _ = writeln!(
            text,
            "{:6} {}{state}\n       {} ; {scopes} ; {:?}",
            route.method.as_str(),
            route.path,
            route.action,
            route.credentials
        );
    }
    text
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[test]
fn the_access_matrix_is_the_one_that_was_reviewed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/access-matrix.txt");
    let text = text();
    if std::env::var_os("BASTIDE_BLESS").is_some() {
        std::fs::write(path, &text).expect("the matrix is written");
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    let first = reviewed.lines().zip(text.lines()).find(|(one, two)| one != two);
    assert!(
        reviewed == text,
        "docs/access-matrix.txt is not what the policies and the route table say; first difference: {first:?}"
    );
}
