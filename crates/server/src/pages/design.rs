//! Every part that pages are made of, on one page: in debug builds alone.

use axum::http::StatusCode;
use model::{Error, Result};
use pages::design::DesignPage;

use super::{Around, page};
use crate::http::{Cx, Response};

/// `GET /-/design`
///
/// # Errors
/// In release builds: there is no such page.
pub async fn get(cx: Cx) -> Result<Response> {
    match cfg!(debug_assertions) {
        true => page(StatusCode::OK, &DesignPage::new(Around::of(&cx).frame())),
        false => Err(Error::not_found("this page")),
    }
}
