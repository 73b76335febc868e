//! The least that axum needs to answer a file's bytes as JSON: what `cargo xtask bench rest` compares with.
//! Usage: `plain_axum PORT FILE`.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().ok_or("which port?")?.parse()?;
    let body = std::fs::read_to_string(arguments.next().ok_or("which file?")?)?;
    // Leaked once, so that each answer borrows it.
    let body: &'static str = body.leak();
    let router =
        Router::new().route("/", get(move || async move { ([(CONTENT_TYPE, "application/json")], body) }));
    axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?, router).await?;
    Ok(())
}
