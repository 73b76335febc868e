//! A panic in a handler becomes an answer like any other failure of ours, and is logged once, with the request's id
//! and the place in the code.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo};

use futures_util::FutureExt;
use model::{Error, RequestId, Result};

tokio::task_local! {
    static REQUEST: RequestId;
}

thread_local! {
    /// Where the panic that is being unwound on this thread arose.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics inside requests off standard error: [`guarded`] logs them. Others go where they went before.
pub fn take_over_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if REQUEST.try_with(|_| ()).is_ok() {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            PLACE.with(|kept| *kept.borrow_mut() = place);
        } else {
            before(info);
        }
    }));
}

/// Runs a request's work; a panic in it is an internal error.
pub(super) async fn guarded<T>(id: RequestId, work: impl Future<Output = Result<T>>) -> Result<T> {
    REQUEST.scope(id, AssertUnwindSafe(work).catch_unwind()).await.unwrap_or_else(|cause| {
        let place = PLACE.with(|kept| std::mem::take(&mut *kept.borrow_mut()));
        Err(Error::Internal(format!("panic at {place}: {}", text(cause.as_ref()))))
    })
}

fn text(cause: &(dyn Any + Send)) -> &str {
    let literal = cause.downcast_ref::<&str>().copied();
    literal.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
