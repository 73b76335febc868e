#![cfg(test)]
//! Mail through a real mail server, and through none.

use model::{Clock, Email, Random, RequestId, Timestamp};
use proptest::prelude::*;
use testkit::MailServer;

use super::{LONGEST_SUBJECT, MAIL, MailSettings, Message, delivery};
use crate::{Caller, NewUser, Service, Settings};

pub(super) struct House {
    pub(super) service: Service,
    pub(super) clock: Clock,
    _folder: tempfile::TempDir,
}

fn to() -> Email {
    "ann@example.com".parse().unwrap()
}

pub(super) async fn house(server: Option<String>) -> House {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_micros(1_790_000_000_000_000));
    let from = "bastide@bastide.example".parse().unwrap();
    let settings = Settings {
        mail: server.map(|url| MailSettings::read(&url, None, from, None, false).unwrap()),
        ..Settings::new(folder.path().join("data"), "https://bastide.example", "/bin/true")
    };
    let service = Service::open(settings, clock.clone(), Random::seeded(1)).await.unwrap();
    House { service, clock, _folder: folder }
}

impl House {
    async fn queue(&self, message: Message) -> bool {
        let outbox = self.service.outbox.clone();
        self.service.store.keep(move |books| outbox.queue(books, &message)).await.unwrap()
    }

    pub(super) async fn waiting(&self) -> i64 {
        self.service.store.read(|reader| store::job::waiting_of(reader, MAIL)).await.unwrap()
    }
}

/// Would catch mail that does not leave, leaves twice, or lies readable in the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_waits_sealed_and_leaves_once() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    let secret = "bst_eml_a-secret";
    assert!(
        house.queue(Message::new(&to(), "Grüße an Ann", &format!("Der Link: {secret}\n.\nEnde\n"))).await
    );
    let claimed = house.service.store.keep(|books| store::job::claim(books, "a test", 0, &[MAIL]));
    let payload = claimed.await.unwrap().unwrap().payload;
    house.clock.advance(1);
    assert!(!payload.to_string().contains("secret") && !payload.to_string().contains("ann@"), "{payload}");
    house.service.deliver_mail().await.unwrap();
    house.service.deliver_mail().await.unwrap();
    let [message] = server.messages().try_into().unwrap();
    for part in [
        "From: Bastide <bastide@bastide.example>",
        "To: ann@example.com",
        secret,
        "\n.\nEnde",
        "Message-ID: <",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(house.waiting().await, 0);
}

/// Attack: a line end in what somebody wrote becomes a header or a recipient on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn no_line_end_reaches_the_head_of_a_message() {
    let server = MailServer::start();
    let house = house(Some(server.url())).await;
    let subject = "Ann\r\nBcc: eve@example.com\r\n\r\nnot the body";
    assert!(
        house.queue(Message::new(&to(), subject, "the body\r\n.\r\nMAIL FROM:<eve@example.com>\r\n")).await
    );
    house.service.deliver_mail().await.unwrap();
    let [message] = server.messages().try_into().unwrap();
    let (head, body) = message.split_once("\n\n").unwrap();
    assert!(!head.contains("\nBcc:") && head.matches("X-RcptTo").count() == 1, "{message}");
    assert!(body.contains("the body\n.\nMAIL FROM:"), "{message}");
}

/// Without a mail server nothing waits for one.
#[tokio::test]
async fn without_a_server_nothing_is_queued() {
    let house = house(None).await;
    assert!(!house.queue(Message::new(&to(), "Hello", "Hello")).await);
    assert_eq!(house.waiting().await, 0);
    let operator = Caller::operator(RequestId::new(&Random::system()));
    let refused = house.service.test_mail(&operator, &to()).await.unwrap_err();
    assert!(refused.to_string().contains("--smtp-url"), "{refused}");
}

/// A server that is away gets the message when it is back; a message that is of no use any more is not sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_gets_the_message_later() {
    let address = {
        let server = MailServer::start();
        server.address()
    };
    let house = house(Some(format!("smtp://{address}"))).await;
    let over = house.clock.now().plus_seconds(60);
    assert!(house.queue(Message::new(&to(), "First", "x")).await);
    assert!(house.queue(Message::new(&to(), "A link", "x").good_until(over)).await);
    house.service.deliver_mail().await.unwrap();
    house.service.deliver_mail().await.unwrap();
    assert_eq!(house.waiting().await, 2, "kept, each tried once");
    let server = MailServer::at(address);
    house.service.deliver_mail().await.unwrap();
    assert_eq!(server.messages().len(), 0, "not before its time");
    house.clock.advance(120);
    house.service.deliver_mail().await.unwrap();
    let [message] = server.messages().try_into().unwrap();
    assert!(message.contains("Subject: First"), "{message}");
    assert_eq!(house.waiting().await, 0);
}

/// Attack: a mail server that says nothing holds up those whose requests cause mail.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_up_nobody() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = house(Some(format!("smtp://{}", silent.local_addr().unwrap()))).await;
    assert!(house.queue(Message::new(&to(), "Hello", "x")).await);
    let service = house.service.clone();
    let delivery = tokio::spawn(async move { service.deliver_mail().await });
    let _held = silent.accept().await.unwrap();
    let new = NewUser {
        username: "ben".parse().unwrap(),
        email: "ben@example.com".parse().unwrap(),
        display_name: None,
        password: None,
    };
    let operator = Caller::operator(RequestId::new(&Random::system()));
    house.service.create_user(&operator, new).await.unwrap();
    assert!(house.queue(Message::new(&to(), "Another", "x")).await);
    assert!(!delivery.is_finished());
    house.service.close().await.unwrap();
    delivery.await.unwrap().unwrap();
}

/// Attack: a name with line ends in it adds a header, or a recipient.
#[test]
fn a_line_end_stays_in_no_subject() {
    let message = Message::new(&to(), "Hello Ann\r\nBcc: eve@example.com\u{2028}x\0", "one\r\ntwo\u{7}\n");
    assert_eq!(message.subject, "Hello Ann  Bcc: eve@example.com x");
    assert_eq!(message.body, "one\ntwo\n");
}

proptest! {
    #[test]
    fn whatever_is_said_is_one_subject_and_a_body(subject in "(\\PC|[\r\n\0\t]){0,300}", body in "(\\PC|[\r\n\0]){0,300}") {
        let message = Message::new(&to(), &subject, &body);
        prop_assert!(!message.subject.chars().any(char::is_control));
        prop_assert!(message.subject.chars().count() <= LONGEST_SUBJECT);
        let email = delivery::written(&to(), "bastide.example", "1", &message, std::time::SystemTime::UNIX_EPOCH).unwrap();
        let bytes = email.formatted();
        let text = String::from_utf8_lossy(&bytes);
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .collect();
        let known = ["Message-ID", "From", "To", "Subject", "Date", "Auto-Submitted", "MIME-Version",
            "Content-Type", "Content-Transfer-Encoding"];
        prop_assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        prop_assert_eq!(email.envelope().to().len(), 1);
    }
}
