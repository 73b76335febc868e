//! Receivers of the audit trail: seeing, adding and removing them. Sending is `audit_delivery`.

use model::{
    AuditSink, AuditSinkId, AuditSinkKind, AuditSinkState, Error, IssuedSecret, Result, SecretKind,
    WorkspaceId, act,
};
use serde_json::{Value, json};

use crate::access::Ground;
use crate::{Caller, Service};

/// The most receivers of one trail.
const MOST: usize = 10;
/// Where syslog over TLS is received unless another port is named.
const SYSLOG_PORT: u16 = 6514;

/// A receiver that is to be.
#[derive(Clone, Debug)]
pub struct NewAuditSink {
    /// How it is spoken to.
    pub kind: AuditSinkKind,
    /// Where it is.
    pub address: String,
    /// Whether it is told everything from the beginning, rather than from now on.
    pub from_beginning: bool,
}

/// A receiver as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSinkView {
    /// The receiver.
    pub sink: AuditSink,
    /// How far it has been told.
    pub state: AuditSinkState,
    /// How many places of the ledger it has not been told of.
    pub behind: u64,
}

/// A receiver that was added, and the key that signs what it is sent: shown this once.
pub struct AddedAuditSink {
    /// The receiver.
    pub view: AuditSinkView,
    /// The key, of a webhook.
    pub secret: Option<IssuedSecret>,
}

/// What a key is sealed for.
pub(crate) fn key_context(sink: AuditSinkId) -> [String; 3] {
    ["audit_sink".to_owned(), sink.to_string(), "secret".to_owned()]
}

fn shown(sink: &AuditSink) -> Value {
    json!({ "sink": sink.id, "kind": sink.kind.as_str(), "address": sink.address })
}

/// A host and a port, as syslog's receivers are named.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(SYSLOG_PORT), |port| port.parse().ok().filter(|port| *port != 0))?;
    let well = !host.is_empty() && host.len() <= 253;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'_');
    (well && host.bytes().all(plain)).then_some((host, port))
}

impl Service {
    async fn sink_ground(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
    ) -> Result<Ground<Option<WorkspaceId>>> {
        self.guardrail_ground(caller, workspace).await
    }

    /// The receivers of a workspace's trail, or, without one, of the whole trail.
    pub async fn audit_sinks(&self, caller: &Caller, workspace: Option<&str>) -> Result<Vec<AuditSinkView>> {
        let ground = self.sink_ground(caller, workspace).await?;
        self.check(caller, act::AuditSinkRead, &ground)?;
        let of = ground.subject;
        self.store
            .read(move |reader| {
                let size = store::sequence::frontier(reader)?.size();
                let view = |kept: store::audit_sink::Kept| AuditSinkView {
                    behind: size.saturating_sub(kept.state.next),
                    sink: kept.sink,
                    state: kept.state,
                };
                Ok(store::audit_sink::list(reader, of)?.into_iter().map(view).collect())
            })
            .await
    }

    /// Adds a receiver.
    pub async fn add_audit_sink(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
        new: NewAuditSink,
    ) -> Result<AddedAuditSink> {
        let ground = self.sink_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AuditSinkUpdate, &ground)?;
        let odd = |why: &str| Error::invalid_field("address", why);
        match new.kind {
            AuditSinkKind::Webhook => {
                self.outbound.address(&new.address).map_err(odd)?;
            }
            AuditSinkKind::Syslog => {
                let (host, _) = host_and_port(&new.address)
                    .ok_or_else(|| odd("use a host and a port: logs.example.com:6514"))?;
                self.outbound.host(host).map_err(odd)?;
            }
        }
        let sink = AuditSink {
            id: AuditSinkId::new(&self.random),
            workspace: ground.subject,
            kind: new.kind,
            address: new.address,
            created_by: caller.label(),
            created_on: self.clock.now(),
        };
        let signed = new.kind == AuditSinkKind::Webhook;
        let secret = signed.then(|| IssuedSecret::new(SecretKind::AuditSink, &self.random));
        let context = key_context(sink.id);
        let context = context.each_ref().map(String::as_str);
        let seal = |secret: &IssuedSecret| self.keyring.seal(&context, secret.secret().expose().as_bytes());
        let sealed = secret.as_ref().map(seal).transpose().map_err(Error::internal)?;
        let from_beginning = new.from_beginning;
        let added = sink.clone();
        let (next, size) = self
            .store
            .write(&permit, move |writer| {
                if store::audit_sink::list(writer, added.workspace)?.len() >= MOST {
                    return Err(Error::Conflict(format!(
                        "a trail has at most {MOST} receivers: remove one first"
                    )));
                }
                let size = store::sequence::frontier(writer)?.size();
                let next = if from_beginning { 0 } else { size };
                store::audit_sink::insert(writer, &added, sealed.clone(), next)?;
                writer.note(Value::Null, shown(&added));
                Ok((next, size))
            })
            .await?;
        let state = AuditSinkState { next, ..AuditSinkState::default() };
        let view = AuditSinkView { sink, state, behind: size.saturating_sub(next) };
        Ok(AddedAuditSink { view, secret })
    }

    /// Removes a receiver. What it was not told yet, it is not told.
    pub async fn remove_audit_sink(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
        id: AuditSinkId,
    ) -> Result<()> {
        let ground = self.sink_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AuditSinkUpdate, &ground)?;
        let of = ground.subject;
        self.store
            .write(&permit, move |writer| {
                let removed = store::audit_sink::remove(writer, of, id)?;
                let removed = removed.ok_or_else(|| Error::not_found("the receiver"))?;
                writer.note(shown(&removed), Value::Null);
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_and_ports_are_read() {
        assert_eq!(host_and_port("logs.example.com"), Some(("logs.example.com", 6514)));
        assert_eq!(host_and_port("logs.example.com:10514"), Some(("logs.example.com", 10514)));
        assert_eq!(host_and_port("[2001:db8::1]:6514"), Some(("2001:db8::1", 6514)));
        assert_eq!(host_and_port("[2001:db8::1]"), Some(("2001:db8::1", 6514)));
        for bad in ["", ":6514", "a b", "host:0", "host:99999", "host:x", "https://x", "a\n", "[::1", "u@h"] {
            assert_eq!(host_and_port(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = host_and_port(&text);
        }
    }
}
