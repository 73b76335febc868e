//! Asking a provider of dynamic pipelines: a signed request to an address that an administrator names, tried three times
//! under one key, and an answer that is bounded.
//!
//! Nothing here runs inside a transaction. Who was cut off asks again under the same key.

use std::time::Duration;

use model::{DynamicPlace, Error, PipelineError, PipelineTrigger, Result};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use store::dynamic_pipeline::Kept;
use store::repository::Located;

use super::key_context;
use crate::Service;
use crate::audit_delivery::signature;
use crate::outbound::{TOO_LARGE, Unreached};
use crate::pipeline_start::{Start, error};

/// How much of an answer is read, in bytes.
const ANSWER: usize = 1024 * 1024;
/// How long is waited before the second try, and before the third.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// The longest key and message of a provider that are kept, in characters.
const LONGEST_KEY: usize = 100;
const LONGEST_MESSAGE: usize = 4_000;

/// What a provider answers.
#[derive(Deserialize)]
struct Answer {
    pipelines_configuration: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    key: Option<String>,
    message: Option<String>,
}

/// Why nothing came of one try.
enum Failed {
    /// It may go better the next time.
    ForNow(Unreached),
    /// It will not.
    ForGood(Unreached),
}

/// What is asked of one provider.
#[derive(Clone)]
pub(super) struct Question<'q> {
    /// The run's id, or another that is the same each time the same is asked.
    pub(super) key: String,
    /// All but the configuration.
    pub(super) about: &'q Value,
    /// The configuration.
    pub(super) form: &'q Value,
    /// Whether one try must do.
    pub(super) once: bool,
}

/// Whose a provider or rules are, in words.
pub(super) fn owner(located: &Located, place: DynamicPlace) -> String {
    match place {
        DynamicPlace::Repository(_) => {
            format!("the repository `{}/{}`", located.workspace.slug, located.repository.slug)
        }
        DynamicPlace::Workspace(_) => format!("the workspace `{}`", located.workspace.slug),
    }
}

/// What a provider is told of a run, all but its configuration.
pub(super) fn about(located: &Located, start: &Start, selector: (&str, Option<&str>)) -> Value {
    let reference = start.reference.as_ref();
    let branch = reference.and_then(|name| name.as_branch()).map(|name| ("branch", name));
    let named = branch.or_else(|| reference.and_then(|name| name.as_tag()).map(|name| ("tag", name)));
    let selector = json!({ "type": selector.0, "pattern": selector.1 });
    let commit = json!({ "type": "commit", "hash": start.commit.to_string() });
    let target = match named {
        Some((kind, name)) => json!({
            "type": "pipeline_ref_target", "ref_type": kind, "ref_name": name, "commit": commit, "selector": selector,
        }),
        None => json!({ "type": "pipeline_commit_target", "commit": commit, "selector": selector }),
    };
    let mut told = json!({
        "workspace": located.workspace.id.braced(),
        "repository": located.repository.id.braced(),
        "creator": start.creator_id.map(|id| id.braced()),
        "trigger": match start.trigger {
            PipelineTrigger::Push => "push",
            PipelineTrigger::Manual => "manual",
            PipelineTrigger::Schedule => "schedule",
        },
        "target": target,
        "pipeline": start.id.braced(),
    });
    // What a push or a schedule starts is asked for again after the server was cut off, at another time: the same key goes
    // with the same body.
    if start.trigger == PipelineTrigger::Manual
        && let Value::Object(told) = &mut told
    {
        told.insert("created_on".to_owned(), json!(start.created_on.to_string()));
    }
    told
}

fn shortened(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Whether a key says what this server says itself: a provider does not speak for it.
fn is_ours(key: &str) -> bool {
    key.starts_with("dynamic-") || ["plan-refused", "configuration-invalid", "not-built"].contains(&key)
}

/// What an answer says.
fn read(body: &[u8], whose: &str) -> Result<Value, PipelineError> {
    let answer = serde_json::from_slice::<Answer>(body).map_err(|_| {
        let message = format!(
            "the provider of {whose} did not answer with a JSON object that has `pipelines_configuration` or `error`"
        );
        error("dynamic-provider-answer", message)
    })?;
    if let Some(Refusal { key, message }) = answer.error {
        let key = key.filter(|key| !key.is_empty() && !is_ours(key));
        let key = key.unwrap_or_else(|| "dynamic-provider-refused".to_owned());
        let message = message.unwrap_or_else(|| "it gave no reason".to_owned());
        let message = format!("the provider of {whose}: {}", shortened(&message, LONGEST_MESSAGE));
        return Err(error(&shortened(&key, LONGEST_KEY), message));
    }
    answer.pipelines_configuration.filter(Value::is_object).ok_or_else(|| {
        let message =
            format!("the provider of {whose} answered without a `pipelines_configuration` that is an object");
        error("dynamic-provider-answer", message)
    })
}

impl Service {
    /// What a provider makes of a configuration, or why the run cannot be.
    pub(super) async fn ask_provider(
        &self,
        located: &Located,
        kept: &Kept,
        address: &str,
        question: Question<'_>,
    ) -> Result<Result<Value, PipelineError>> {
        let place = kept.settings.place;
        let whose = owner(located, place);
        let mut body = question.about.clone();
        if let Value::Object(body) = &mut body {
            body.insert("pipelines_configuration".to_owned(), question.form.clone());
        }
        let body = serde_json::to_vec(&body).map_err(Error::internal)?;
        let key = format!("{} {}", question.key, place.kind());
        let (tries, told) = if question.once { (0, "") } else { (WAITS.len(), " after 3 tries") };
        let mut waits = WAITS.into_iter().take(tries);
        let mut stopping = self.stopping.subscribe();
        let asked = async {
            loop {
                match self.try_provider(kept, address, &key, &body).await {
                    Ok(answer) => return read(&answer, &whose),
                    Err(Failed::ForNow(why)) => match waits.next() {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => return Err(unreached(&whose, why, told)),
                    },
                    Err(Failed::ForGood(why)) => return Err(unreached(&whose, why, "")),
                }
            }
        };
        tokio::select! {
            answer = asked => Ok(answer),
            // It is asked again, by the same key, when the server is back.
            _ = stopping.wait_for(|stopping| *stopping) => Err(Error::internal("the server stops")),
        }
    }

    async fn try_provider(
        &self,
        kept: &Kept,
        address: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        let unsealed = || Failed::ForGood("its key cannot be opened: set a new one");
        let context = key_context(kept.settings.place);
        let context = context.each_ref().map(String::as_str);
        let sealed = kept.secret.as_ref().ok_or_else(unsealed)?;
        let secret = self.keyring.open(&context, sealed).map_err(|_| unsealed())?;
        let url = self.outbound.address(address).map_err(Failed::ForGood)?;
        let time = self.clock.now().seconds();
        let signed = signature(secret.expose(), time, body);
        let limit = u64::try_from(kept.settings.time_limit).unwrap_or(1);
        let request = self
            .outbound
            .request(Method::POST, url)
            .timeout(Duration::from_secs(limit))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("idempotency-key", key)
            .header("x-bastide-timestamp", time.to_string())
            .header("x-bastide-signature", format!("sha256={signed}"))
            .body(body.to_vec());
        let fetched = self.outbound.fetch(request, ANSWER).await.map_err(|why| match why {
            TOO_LARGE => Failed::ForGood("its answer has more than 1 MiB"),
            why => Failed::ForNow(why),
        })?;
        match fetched.status {
            200..=299 => Ok(fetched.body),
            300..=399 => Err(Failed::ForGood("it leads elsewhere: name the address that it leads to")),
            400..=499 => Err(Failed::ForGood("it refused what it was asked (4xx)")),
            _ => Err(Failed::ForNow("it failed (5xx)")),
        }
    }
}

fn unreached(whose: &str, why: Unreached, tries: &str) -> PipelineError {
    error(
        "dynamic-provider-unreached",
        format!("the provider of {whose} gave no configuration{tries}: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_configuration_or_a_refusal() {
        let told = |body: &str| read(body.as_bytes(), "the workspace `acme`");
        assert_eq!(told(r#"{"pipelines_configuration":{"a":1}}"#).unwrap(), json!({ "a": 1 }));
        let refused = told(r#"{"error":{"key":"no","message":"not on Fridays"}}"#).unwrap_err();
        assert_eq!((refused.key.as_str(), refused.message.contains("not on Fridays")), ("no", true));
        // Attack: a refusal that the server takes for its own, and tells the one who asked alone.
        for ours in ["plan-refused", "dynamic-rules", "dynamic-no-target", "configuration-invalid", ""] {
            let refused = told(&format!(r#"{{"error":{{"key":"{ours}","message":"m"}}}}"#)).unwrap_err();
            assert_eq!(refused.key, "dynamic-provider-refused", "{ours}");
        }
        for bad in
            ["", "x", "[]", "{}", r#"{"pipelines_configuration":[]}"#, r#"{"pipelines_configuration":null}"#]
        {
            assert_eq!(told(bad).unwrap_err().key, "dynamic-provider-answer", "{bad}");
        }
        let deep = format!(r#"{{"pipelines_configuration":{}"#, "[".repeat(100_000));
        assert!(told(&deep).is_err());
    }
}
