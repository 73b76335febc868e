//! Alerts: seeing and acknowledging them. Raising them is `alert_watch`.

use model::{Alert, AlertFilter, AlertId, Error, Result, act};
use serde_json::{Value, json};

use crate::{Caller, Listing, Service, Window};

impl Service {
    /// The alerts of a workspace, or, without one, of the instance; the newest first.
    pub async fn alerts(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
        filter: AlertFilter,
        window: Window,
    ) -> Result<Listing<Alert>> {
        let ground = self.guardrail_ground(caller, workspace).await?;
        self.check(caller, act::AlertRead, &ground)?;
        let of = ground.subject;
        let (values, size) = self
            .store
            .read(move |reader| store::alert::list(reader, of, filter, window.limit, window.offset))
            .await?;
        Ok(Listing::new(values, size))
    }

    /// How many alerts of a workspace, or of the instance, nobody has acknowledged.
    pub async fn open_alerts(&self, caller: &Caller, workspace: Option<&str>) -> Result<i64> {
        let ground = self.guardrail_ground(caller, workspace).await?;
        self.check(caller, act::AlertRead, &ground)?;
        let of = ground.subject;
        self.store.read(move |reader| store::alert::count(reader, of, AlertFilter::Open)).await
    }

    /// Notes that the caller has looked at an alert. Who came first stays.
    pub async fn acknowledge_alert(
        &self,
        caller: &Caller,
        workspace: Option<&str>,
        id: AlertId,
    ) -> Result<Alert> {
        let ground = self.guardrail_ground(caller, workspace).await?;
        let permit = self.permit(caller, act::AlertAcknowledge, &ground)?;
        let of = ground.subject;
        self.store
            .write(&permit, move |writer| {
                let unknown = || Error::not_found("the alert");
                let before = store::alert::find(writer, of, id)?.ok_or_else(unknown)?;
                let origin = writer.origin();
                store::alert::acknowledge(writer, id, &origin.actor, origin.time)?;
                writer.note(
                    Value::Null,
                    json!({ "alert": id, "pattern": before.pattern.as_str(), "subject": before.subject }),
                );
                store::alert::find(writer, of, id)?.ok_or_else(unknown)
            })
            .await
    }
}
