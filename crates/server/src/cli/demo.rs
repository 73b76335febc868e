//! `bastide demo`: the main job, done with the real `git` on an instance that lies in a temporary directory and goes
//! with it: a token that reaches one repository, is refused at its neighbour, and ends when it is revoked.

mod story;
mod workbench;

use clap::Args;
use model::{Error, Random, RequestId, Result};
use runner::Signals;

use super::Verdict;
use super::installation::Installation;
use super::output::Output;
use super::serve::{Running, Start, start};
use crate::http::take_over_panics;

use workbench::Workbench;

/// The flags of `demo`.
#[derive(Args)]
pub(super) struct Demo {
    /// End after the story, and leave nothing behind
    #[arg(long)]
    once: bool,
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
}

/// Runs the command.
pub(super) async fn run(demo: Demo) -> Result<Verdict> {
    take_over_panics();
    let mut signals = Signals::new()?;
    let workbench = Workbench::new(&Random::system())?;
    let installation = Installation::at(workbench.data());
    let how = Start { address: demo.listen, ..Start::on_loopback() };
    let running = start(&installation, how).await?;
    let told = tokio::select! {
        told = tell(&running, &workbench, demo.once) => told,
        () = signals.next() => Ok(()),
    };
    if told.is_ok() && !demo.once {
        tokio::select! {
            () = signals.next() => {}
            () = std::future::pending() => {}
        }
    }
    let finished = tokio::select! {
        finished = running.finish() => finished,
        () = signals.next() => Ok(()),
    };
    drop(workbench);
    told.and(finished).map(|()| Verdict::Good)
}

async fn tell(running: &Running, workbench: &Workbench, once: bool) -> Result<()> {
    let output = Output::new();
    let operator = service::Caller::operator(RequestId::new(&running.app.random));
    let scene = story::tell(running, workbench, &output, &operator).await?;
    if !once {
        scene.what_next(&output)?;
    }
    Ok(())
}

/// A text that this program makes itself.
fn own<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::internal(format_args!("the demonstration cannot use `{text}`")))
}
