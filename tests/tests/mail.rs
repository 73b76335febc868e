//! Mail through a server that wants TLS and a login, from the flags to the mailbox.
//!
//! Would catch: mail or a password given to a server that is not the one that was named, or in the clear where STARTTLS
//! was taken away; a password in the log; mail that is lost while the operator mends what is wrong, or that nobody is
//! told of.

#![cfg(test)]

use std::path::Path;

use serde_json::json;
use testkit::mail_server::certificate;
use testkit::{MailProtection, MailServer, Server};

const RIGHT: &str = "right-mail-password-4711";
const WRONG: &str = "wrong-mail-password-0815";

/// A server that mails through another, with the certificate and the password that lie in a folder.
fn server(mail: &MailServer, scheme: &str, folder: &Path) -> Server {
    let url = format!("{scheme}://bastide@{}", mail.address());
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (trusted, password) = (file("trusted.pem"), file("password"));
    Server::start_with(&[
        "--smtp-url",
        &url,
        "--smtp-from",
        "bastide@example.com",
        "--smtp-root-certificate",
        &trusted,
        "--smtp-password-file",
        &password,
    ])
}

/// Makes an account, whose address is then to be proved by a link that is mailed.
async fn account(server: &Server, name: &str) {
    let body = json!({ "username": name, "email": format!("{name}@example.com") });
    let _ = server.administer("POST", "/api/users", &body).await;
}

fn test_mail(server: &Server) -> testkit::Transcript {
    server.command(&["admin", "mail", "test", "ann@example.com"])
}

/// What the command and the log tell while mail does not leave. The log's line is of what was queued, not of the test.
fn does_not_leave(server: &Server, because: &str) {
    let told = test_mail(server);
    assert!(told.expect_failure().contains(because), "{told}");
    let line = server.logged("mail could not be sent and will be tried again");
    assert!(line.contains(because), "{because}: {line}");
    let doctor = server.command(&["doctor"]);
    assert!(
        !doctor.success() && doctor.to_string().contains("have failed and will be tried again"),
        "{doctor}"
    );
}

/// Attack: somebody between Bastide and its mail server answers in its place, and takes the password or the mail.
async fn mends_what_is_wrong(protection: MailProtection, scheme: &str) {
    let mail = MailServer::locked(protection, RIGHT);
    let folder = tempfile::tempdir().unwrap();
    let (trusted, password) = (folder.path().join("trusted.pem"), folder.path().join("password"));
    let (others, _) = certificate(folder.path(), "others");
    std::fs::copy(&others, &trusted).unwrap();
    std::fs::write(&password, WRONG).unwrap();
    let mut server = server(&mail, scheme, folder.path());

    // The certificate is not the one that is trusted: nothing is said to the server behind it.
    account(&server, "ann").await;
    does_not_leave(&server, "certificate");
    assert_eq!(mail.tried(), [""; 0], "no login is told to a server that nobody vouches for");

    // Trusted, but by the wrong password.
    std::fs::copy(mail.certificate(), &trusted).unwrap();
    account(&server, "ben").await;
    does_not_leave(&server, "535");
    assert!(mail.tried().iter().all(|tried| *tried == format!("bastide {WRONG}")), "{:?}", mail.tried());
    assert!(!mail.tried().is_empty() && mail.messages().is_empty());
    let mut log = server.whole_log();

    // Mended: what waited leaves, and what is said at once as well.
    std::fs::write(&password, format!("{RIGHT}\n")).unwrap();
    assert_eq!(server.stop(), Some(0));
    server.restart();
    let told = test_mail(&server);
    assert!(told.expect_success().contains("took a message to ann@example.com"), "{told}");
    let messages = mail.wait_for(3);
    for name in ["ann", "ben"] {
        let link = |text: &&String| text.contains(&format!("To: {name}@")) && text.contains("verify-email#");
        assert_eq!(messages.iter().filter(link).count(), 1, "{name}: {messages:#?}");
    }
    log.push_str(&server.whole_log());
    assert!(log.contains("mail could not be sent"), "{log}");
    assert!(!log.contains(RIGHT) && !log.contains(WRONG), "a password is in the log:\n{log}");
}

#[tokio::test]
async fn mail_waits_while_the_login_or_the_certificate_is_wrong_under_tls() {
    mends_what_is_wrong(MailProtection::Tls, "smtps").await;
}

#[tokio::test]
async fn mail_waits_while_the_login_or_the_certificate_is_wrong_under_starttls() {
    mends_what_is_wrong(MailProtection::StartTls, "smtp").await;
}

/// Attack: whoever is in between takes STARTTLS out of what the mail server offers, and reads the password and the mail.
#[tokio::test]
async fn without_starttls_neither_mail_nor_password_is_given() {
    let mail = MailServer::locked(MailProtection::Clear, RIGHT);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(mail.certificate(), folder.path().join("trusted.pem")).unwrap();
    std::fs::write(folder.path().join("password"), RIGHT).unwrap();
    let server = server(&mail, "smtp", folder.path());
    account(&server, "ann").await;
    does_not_leave(&server, "STARTTLS");
    assert!(mail.tried().is_empty() && mail.messages().is_empty(), "{:?}", mail.tried());
}
