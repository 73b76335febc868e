//! Whose address the trail shows. Attack: a client names an address of its choice in a forwarding header, to hide, to frame
//! somebody else, or to get around whatever goes by the address.

#![cfg(test)]

use serde_json::{Value, json};
use testkit::{Login, Server};

/// The address in the audit event of a request with these headers.
async fn recorded(server: &Server, number: usize, headers: &[(&str, &str)]) -> String {
    let Login::Basic(user, secret) = &server.administrator else { panic!("an API token") };
    let slug = format!("w{number}");
    let mut request = server
        .client()
        .post(format!("{}/api/workspaces", server.url))
        .basic_auth(user, Some(secret.expose()))
        .json(&json!({ "slug": slug, "name": slug }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let made = request.send().await.unwrap();
    assert_eq!(made.status(), 201, "{headers:?}");
    let path = "/api/audit/events?action=workspace.create&pagelen=1";
    let events = server.administer("GET", path, &Value::Null).await;
    let event = &events["values"][0];
    assert_eq!(event["resource"], format!("workspace:{slug}"), "{events}");
    event["address"].as_str().unwrap().to_owned()
}

const FORWARDED: &str = "x-forwarded-for";

#[tokio::test]
async fn what_a_direct_client_forwards_is_ignored() {
    let server = Server::start();
    for (number, headers) in [
        &[(FORWARDED, "203.0.113.7")][..],
        &[("forwarded", "for=203.0.113.7;proto=https")],
        &[("x-real-ip", "203.0.113.7")],
        &[
            (FORWARDED, "127.0.0.1, 203.0.113.7"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "203.0.113.7"),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(recorded(&server, number, headers).await, "127.0.0.1", "{headers:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_believed_for_the_hop_it_saw_and_no_further() {
    let server = Server::start_with(&["--proxy", "127.0.0.1/32,10.0.0.0/8"]);
    for (number, (headers, address)) in [
        (&[][..], "127.0.0.1"),
        (&[(FORWARDED, "203.0.113.7")], "203.0.113.7"),
        // What the client itself had written stands before what the proxy added.
        (&[(FORWARDED, "192.0.2.66, 203.0.113.7")], "203.0.113.7"),
        (&[(FORWARDED, "127.0.0.1, 203.0.113.7")], "203.0.113.7"),
        // Several hops, in one header or in several, each of them trusted but the last.
        (&[(FORWARDED, "203.0.113.7, 10.1.2.3")], "203.0.113.7"),
        (&[(FORWARDED, "192.0.2.66,203.0.113.7 ,10.1.2.3, 10.4.5.6")], "203.0.113.7"),
        (&[(FORWARDED, "203.0.113.7"), (FORWARDED, "10.1.2.3")], "203.0.113.7"),
        (&[(FORWARDED, "203.0.113.7, 192.0.2.66, 10.1.2.3")], "192.0.2.66"),
        (&[(FORWARDED, "10.1.2.3")], "10.1.2.3"),
        // IPv6, and IPv4 as IPv6 writes it, in either place.
        (&[(FORWARDED, "2001:db8::7")], "2001:db8::7"),
        (&[(FORWARDED, "::ffff:203.0.113.7")], "203.0.113.7"),
        (&[(FORWARDED, "203.0.113.7, ::ffff:10.1.2.3")], "203.0.113.7"),
        // Behind what cannot be read nobody knows who stands: the last that was vouched for stays.
        (&[(FORWARDED, "garbage")], "127.0.0.1"),
        (&[(FORWARDED, "")], "127.0.0.1"),
        (&[(FORWARDED, "203.0.113.7, garbage")], "127.0.0.1"),
        (&[(FORWARDED, "203.0.113.7, garbage, 10.1.2.3")], "10.1.2.3"),
        (&[(FORWARDED, "garbage, 203.0.113.7")], "203.0.113.7"),
        (&[(FORWARDED, "203.0.113.7/32")], "127.0.0.1"),
        (&[(FORWARDED, "unknown")], "127.0.0.1"),
        // Headers that this proxy may not set, so that they came from the client.
        (&[("forwarded", "for=192.0.2.66")], "127.0.0.1"),
        (&[("x-real-ip", "192.0.2.66"), (FORWARDED, "203.0.113.7")], "203.0.113.7"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(recorded(&server, number, headers).await, address, "{headers:?}");
    }
}
