//! `cargo xtask screenshots`: pictures of every page, light and dark, at two widths, and what axe-core says of them.
//!
//! The browser and what drives it come from Debian (chromium, nodejs, npm) and npm; nothing of it is part of the product.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{self, Running};
use crate::{Result, root};

/// What drives the browser, from npm.
const TOOLS: &str = "target/screenshots-tools";
/// An identity provider to sign in through, from npm: the one of the tests.
const PROVIDER: &str = "target/oidc-provider";

/// Runs the command; one argument takes only the pages whose names contain it, or a part of it between commas.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let only = arguments.first().map_or("", String::as_str);
    crate::packages::for_screenshots()?;
    let (tools, provider) = (driver()?, provider()?);
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), Into::into);
    process::run(&mut process::command("cargo", &["build", "--quiet", "--package", "server"]))?;
    let program = target.join("debug/bastide");

    let folder = tempfile::Builder::new().prefix("bastide-screenshots-").tempdir()?;
    let (data, administrator) = (folder.path().join("data"), folder.path().join("administrator.json"));
    let mut init = Command::new(&program);
    init.args(["admin", "init", "--username", "ann", "--email", "ann@example.com", "--json", "--data"]);
    std::fs::write(&administrator, process::output(init.arg(&data))?)?;
    let port = process::free_port()?;
    let site = format!("http://localhost:{port}");
    let mut serve = Command::new(&program);
    serve.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--base-url", &site]);
    serve.args(["--outbound-allow", "127.0.0.0/8", "--data"]).arg(&data);
    serve.stdin(Stdio::null()).stdout(Stdio::null());
    let mut running = Running::start(&mut serve)?;
    running.wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;

    let mut node = process::command("node", &["xtask/screenshots/run.mjs", &site]);
    node.arg(&administrator).arg(root().join("target/screenshots")).arg(only);
    node.env("BASTIDE_NODE", &tools).env("BASTIDE_CHROMIUM", browser()?).env("BASTIDE_OIDC", provider);
    process::run(&mut node)
}

/// Sees to it that what drives the browser is there, and tells where.
pub(crate) fn driver() -> Result<PathBuf> {
    let tools = root().join(TOOLS);
    install(&tools, &root().join("xtask/screenshots"))?;
    Ok(tools)
}

/// Sees to it that the identity provider is there, and tells where.
fn provider() -> Result<PathBuf> {
    let (folder, ours) = (root().join(PROVIDER), root().join("tests/oidc"));
    install(&folder, &ours)?;
    std::fs::copy(ours.join("provider.mjs"), folder.join("provider.mjs"))?;
    Ok(folder)
}

/// Where the browser is.
pub(crate) fn browser() -> Result<PathBuf> {
    process::found("chromium").ok_or_else(|| "there is no chromium".into())
}

/// Installs from npm what the `package.json` in `ours` names.
fn install(tools: &Path, ours: &Path) -> Result<()> {
    std::fs::create_dir_all(tools)?;
    let wanted = std::fs::read_to_string(ours.join("package.json"))?;
    let kept = tools.join("package.json");
    let same = std::fs::read_to_string(&kept).is_ok_and(|text| text == wanted);
    if same && tools.join("node_modules").is_dir() {
        return Ok(());
    }
    std::fs::write(&kept, wanted)?;
    let words = ["install", "--no-audit", "--no-fund", "--silent", "--prefix"];
    let mut npm = process::command("npm", &words);
    process::run(npm.arg(tools))
}
