//! What only the command line on the server's machine calls, through the operator's socket. No credential reaches
//! these rows; the use cases behind them say so once more.

use axum::http::StatusCode;
use model::Result;
use serde::{Deserialize, Serialize};
use service::NewUser;
use wire::api::UserCreate;

use super::admitted;
use crate::http::{Cx, Response, answer};

/// The answer with the first administrator's token. Without `Debug`, so that it reaches no log.
#[derive(Serialize)]
struct Made<'a> {
    username: &'a str,
    email: &'a str,
    api_token: &'a str,
}

/// `POST /api/operator/init`: the first administrator.
///
/// # Errors
/// When there is one already, or anybody but the command line asks.
pub async fn init(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: UserCreate = cx.json().await?;
    let new = NewUser {
        username: body.username,
        email: body.email,
        display_name: body.display_name,
        password: body.password,
    };
    let (user, minted) = cx.service()?.bootstrap(&cx.caller, new).await?;
    let made = Made {
        username: user.username.as_str(),
        email: user.email.as_str(),
        api_token: minted.token.secret().expose(),
    };
    answer::json(StatusCode::CREATED, &made)
}

/// `GET /api/operator/verification?checkpoint=…`: holds the audit trail against its ledger, and against checkpoints
/// that were put aside before.
///
/// # Errors
/// When the trail cannot be read, or anybody but the command line asks.
pub async fn verify(cx: Cx) -> Result<Response> {
    let service = admitted(&cx)?;
    let kept = cx.query.all("checkpoint").map(str::to_owned).collect();
    answer::json(StatusCode::OK, &service.verify_audit(&cx.caller, kept).await?)
}

#[derive(Serialize)]
struct Health {
    unsequenced: i64,
    oldest_unsequenced: Option<model::Timestamp>,
    jobs: i64,
    failing_jobs: i64,
    administrators: i64,
    aws_key: Option<String>,
    aws_key_error: Option<String>,
    base_url: String,
    mail_server: bool,
}

/// `GET /api/operator/health`: how the instance is.
///
/// # Errors
/// When anybody but the command line asks.
pub async fn health(cx: Cx) -> Result<Response> {
    let found = admitted(&cx)?.health(&cx.caller).await?;
    let (aws_key, aws_key_error) = found.aws_key.map(|key| (key.id.to_string(), key.last_error)).unzip();
    let shape = Health {
        unsequenced: found.unsequenced,
        oldest_unsequenced: found.oldest_unsequenced,
        jobs: found.jobs,
        failing_jobs: found.failing_jobs,
        administrators: found.administrators,
        aws_key,
        aws_key_error: aws_key_error.flatten(),
        base_url: cx.app.settings.base_url.clone(),
        mail_server: cx.service()?.has_mail(),
    };
    answer::json(StatusCode::OK, &shape)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct MailTest {
    address: model::Email,
}

#[derive(Serialize)]
struct MailTaken {
    server: String,
}

/// `POST /api/operator/mail/test`: sends a message at once.
///
/// # Errors
/// When there is no mail server, it does not take the message, or anybody but the command line asks.
pub async fn test_mail(mut cx: Cx) -> Result<Response> {
    admitted(&cx)?;
    let body: MailTest = cx.json().await?;
    let server = cx.service()?.test_mail(&cx.caller, &body.address).await?;
    answer::json(StatusCode::OK, &MailTaken { server })
}
