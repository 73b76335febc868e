//! What Amazon's token service answers: XML, of which a few texts matter. It is read as what a stranger sent: in bounds, with
//! no document types and no entities but XML's own.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;

/// The longest answer that is read, in bytes.
pub(crate) const LONGEST: usize = 64 * 1024;
/// How deep an answer may be.
const DEEPEST: usize = 16;
/// The longest message of Amazon's that is told on, in characters.
const LONGEST_MESSAGE: usize = 400;

/// The texts that matter, by the name of their element. What stands in several places is taken from the first.
const WANTED: &[&str] =
    &["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Arn", "Account", "Code", "Message"];

/// The texts of an answer; none where it is not one.
pub(crate) fn read(bytes: &[u8]) -> Option<BTreeMap<&'static str, String>> {
    if bytes.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader::from_str(text);
    let mut found = BTreeMap::new();
    let mut depth = 0_usize;
    let mut open: Option<(&'static str, String)> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                depth = depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?;
                let name = start.local_name();
                let wanted = WANTED.iter().find(|wanted| ***wanted == *name.as_ref());
                open = wanted.map(|wanted| (*wanted, String::new()));
            }
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                if let Some((name, text)) = open.take() {
                    found.entry(name).or_insert(text);
                }
            }
            Event::Text(piece) => {
                if let Some((_, text)) = &mut open {
                    text.push_str(&piece);
                }
            }
            Event::CData(piece) => {
                if let Some((_, text)) = &mut open {
                    text.push_str(&piece);
                }
            }
            Event::GeneralRef(entity) => {
                let known = match entity.resolve_char_ref().ok()? {
                    Some(one) => one,
                    None => match &*entity {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return None,
                    },
                };
                if let Some((_, text)) = &mut open {
                    text.push(known);
                }
            }
            Event::DocType(_) => return None,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return (depth == 0).then_some(found),
        }
    }
}

/// Why Amazon refused, in its words. Its answers to wrong signatures repeat what was sent, the session's token among it: of
/// those only the code is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn of(texts: &BTreeMap<&'static str, String>) -> Option<Self> {
        let plain = |c: &char| c.is_ascii_alphanumeric() || ".-_".contains(*c);
        let code: String = texts.get("Code")?.chars().filter(plain).take(80).collect();
        let repeats = code.contains("Signature") || code.contains("Token") || code.contains("Authentication");
        let message = texts.get("Message").filter(|_| !repeats);
        let message = message.and_then(|text| text.lines().next()).unwrap_or_default();
        let message = message.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect();
        Some(Self { code, message })
    }

    /// The same, of an answer in JSON.
    pub(crate) fn of_json(bytes: &[u8]) -> Option<Self> {
        let told: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let text = |name: &str| told.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let kind = text("__type")?;
        let code = kind.rsplit('#').next().unwrap_or_default().to_owned();
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        Self::of(&BTreeMap::from([("Code", code), ("Message", message)]))
    }

    /// Whether the key is none that Amazon knows: one that was removed, or that is too new to be known everywhere.
    pub(crate) fn is_unknown_key(&self) -> bool {
        matches!(self.code.as_str(), "InvalidClientTokenId" | "UnrecognizedClientException")
    }

    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException")
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.message.is_empty() {
            true => f.write_str(&self.code),
            false => write!(f, "{}: {}", self.code, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SESSION: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/x/y</Arn></AssumedRoleUser>
        <Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>a/b&amp;c&#43;</SecretAccessKey>
        <SessionToken>t==</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>
        </AssumeRoleResult></AssumeRoleResponse>"#;

    #[test]
    fn a_session_is_read() {
        let found = read(SESSION.as_bytes()).unwrap();
        assert_eq!(found["SecretAccessKey"], "a/b&c+");
        assert_eq!(found["Expiration"], "2030-01-01T00:00:00Z");
        assert_eq!(Refused::of(&found), None);
    }

    #[test]
    fn a_refusal_is_told_without_what_it_repeats() {
        let text = |code: &str, message: &str| {
            format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
        };
        let denied = Refused::of(&read(text("AccessDenied", "User x may not").as_bytes()).unwrap()).unwrap();
        assert!(denied.is_denied());
        assert_eq!(denied.to_string(), "AccessDenied: User x may not");
        for code in ["SignatureDoesNotMatch", "IncompleteSignature", "InvalidClientTokenId"] {
            let told = text(code, "x-amz-security-token:SECRET");
            assert_eq!(Refused::of(&read(told.as_bytes()).unwrap()).unwrap().to_string(), code);
        }
    }

    #[test]
    fn a_refusal_in_json_is_told_likewise() {
        let of = |text: &str| Refused::of_json(text.as_bytes()).map(|refused| refused.to_string());
        let denied = r#"{"__type":"com.amazonaws#AccessDeniedException","message":"x may not"}"#;
        assert_eq!(of(denied).as_deref(), Some("AccessDeniedException: x may not"));
        let repeats = r#"{"__type":"InvalidSignatureException","message":"x-amz-security-token:SECRET"}"#;
        assert_eq!(of(repeats).as_deref(), Some("InvalidSignatureException"));
        assert_eq!(of("[]"), None);
    }

    /// Attack: an answer that names a file, or grows when it is read.
    #[test]
    fn document_types_and_entities_are_not_read() {
        let doctype = r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><Code>&x;</Code></a>"#;
        assert_eq!(read(doctype.as_bytes()), None);
        assert_eq!(read(b"<a><Code>&x;</Code></a>"), None);
        assert_eq!(read("<a>".repeat(100).as_bytes()), None);
        assert_eq!(read(&vec![b'x'; LONGEST + 1]), None);
        assert_eq!(read(b"<a><Code>x"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn whatever_becomes_of_an_answer_is_read_or_not(at in 0_usize..400, with in "[<>&;!\\[\\]a-zA-Z/\"]{0,8}") {
            let mut text = SESSION.to_owned();
            let at = at.min(text.len());
            text.insert_str(at, &with);
            let _ = read(text.as_bytes());
        }
    }
}
