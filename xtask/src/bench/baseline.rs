//! The baselines: `git http-backend` behind nginx and fcgiwrap, and `file://`.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use super::host::{Create, Host, Kind};
use crate::process::{self, Running};
use crate::{Result, bench::load};

/// As many processes as fcgiwrap keeps ready: more than the load has connections at once on two cores.
const BACKENDS: &str = "16";

/// nginx, fcgiwrap and `git http-backend`, as git's own manual sets them up, without any authentication.
/// `accounted`: fcgiwrap does not wait for its children, so the kernel forgets their processor time; then a shell
/// between the two writes it down, its own time left out.
pub(super) fn http_backend(folder: &Path, accounted: bool) -> Result<Host> {
    let home = tempfile::Builder::new().prefix("nginx-").tempdir_in(folder)?.keep();
    let root = home.join("repositories");
    std::fs::create_dir(&root)?;
    let socket = home.join("fcgiwrap.sock");
    let fcgiwrap = process::found("fcgiwrap").ok_or("fcgiwrap is not installed")?;
    let mut backends = Command::new(fcgiwrap);
    backends.args(["-c", BACKENDS, "-s"]).arg(format!("unix:{}", socket.display()));
    backends.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")]);
    let mut backends = Running::start(&mut backends)?;
    backends.wait_until(|| UnixStream::connect(&socket).is_ok())?;
    let port = process::free_port()?;
    let libexec = process::output(&mut process::command("git", &["--exec-path"]))?;
    let mut backend = Path::new(libexec.trim()).join("git-http-backend");
    let accounts = home.join("times");
    if accounted {
        let script = format!("#!/bin/bash\n{}\ntimes >>{}\n", backend.display(), accounts.display());
        backend = home.join("accounted");
        std::fs::write(&backend, script)?;
        std::fs::set_permissions(&backend, PermissionsExt::from_mode(0o700))?;
    }
    std::fs::write(home.join("nginx.conf"), configuration(&home, &socket, port, &backend))?;
    let nginx = process::found("nginx").ok_or("nginx is not installed")?;
    let mut nginx = Command::new(nginx);
    nginx.arg("-p").arg(&home).args(["-c", "nginx.conf", "-e", "error.log"]);
    let mut nginx = Running::start(&mut nginx)?;
    nginx.wait_until(|| load::answers(port))?;
    Ok(Host {
        kind: if accounted { Kind::AccountedHttpBackend } else { Kind::HttpBackend },
        accounts: accounted.then_some(accounts),
        name: "http-backend",
        base: format!("http://127.0.0.1:{port}/"),
        authorization: None,
        running: vec![nginx, backends],
        create: Create::Init(root),
        folder: folder.to_owned(),
    })
}

/// git on a local folder.
pub(super) fn file(folder: &Path) -> Result<Host> {
    let root = tempfile::Builder::new().prefix("file-").tempdir_in(folder)?.keep();
    Ok(Host {
        kind: Kind::File,
        accounts: None,
        name: "file://",
        base: format!("file://{}/", root.display()),
        authorization: None,
        running: Vec::new(),
        create: Create::Init(root),
        folder: folder.to_owned(),
    })
}

fn configuration(home: &Path, socket: &Path, port: u16, backend: &Path) -> String {
    // Workers run as who started the benchmark, so that all of it owns the repositories.
    let user = if process::superuser() { "user root;" } else { "" };
    let (home, socket) = (home.display(), socket.display());
    let temporary: String = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("    {kind}_temp_path {home}/{kind};\n"))
        .collect();
    format!(
        "daemon off;
{user}
worker_processes auto;
pid {home}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    keepalive_requests 1000000;
{temporary}    server {{
        listen 127.0.0.1:{port};
        location = / {{ return 204; }}
        location / {{
            fastcgi_pass unix:{socket};
            fastcgi_buffering off;
            fastcgi_read_timeout 600;
            fastcgi_param SCRIPT_FILENAME {backend};
            fastcgi_param GIT_PROJECT_ROOT {home}/repositories;
            fastcgi_param GIT_HTTP_EXPORT_ALL \"\";
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
            fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_USER bench;
            fastcgi_param REMOTE_ADDR $remote_addr;
        }}
    }}
}}
",
        backend = backend.display()
    )
}
