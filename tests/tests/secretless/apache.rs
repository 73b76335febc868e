//! Apache with mod_auth_openidc as a server of resources: a stranger who believes tokens by what their issuer publishes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Running, free_port};

const PROGRAM: &str = "/usr/sbin/apache2";
const MODULES: &str = "/usr/lib/apache2/modules";

/// What a place asks of tokens, beside a signature that holds.
pub(crate) struct Place<'a> {
    pub(crate) name: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
}

pub(crate) struct Apache {
    _running: Running,
    url: String,
    client: reqwest::Client,
}

impl Apache {
    /// One of the test's own: its settings, its files and its port, and nothing of the machine's.
    pub(crate) fn start(folder: &Path, keys: &str, trusted: &Path, places: &[Place<'_>]) -> Self {
        let module = format!("{MODULES}/mod_auth_openidc.so");
        assert!(Path::new(PROGRAM).exists(), "Debian's package apache2-bin is missing");
        assert!(Path::new(&module).exists(), "Debian's package libapache2-mod-auth-openidc is missing");
        let root = folder.display();
        let port = free_port();
        let mut text = format!(
            "ServerRoot {root}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {root}/apache.pid\n\
             DefaultRuntimeDir {root}\nErrorLog {root}/error.log\nDocumentRoot {root}/files\n\
             LoadModule mpm_event_module {MODULES}/mod_mpm_event.so\n\
             LoadModule authn_core_module {MODULES}/mod_authn_core.so\n\
             LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
             LoadModule auth_openidc_module {module}\nUser www-data\nGroup www-data\n\
             OIDCCryptoPassphrase of-no-use-here\nOIDCCABundlePath {trusted}\nOIDCOAuthVerifyJwksUri {keys}\n\
             <Directory {root}/files>\nRequire all denied\n</Directory>\n",
            trusted = trusted.display(),
        );
        std::fs::create_dir_all(folder.join("files")).expect("a folder");
        for Place { name, issuer, audience } in places {
            std::fs::write(folder.join("files").join(name), "let in").expect("a file");
            text.push_str(&format!(
                "<Location /{name}>\nAuthType oauth20\n<RequireAll>\nRequire claim \"iss:{issuer}\"\n\
                 Require claim \"aud:{audience}\"\n</RequireAll>\n</Location>\n"
            ));
        }
        let settings = folder.join("apache.conf");
        std::fs::write(&settings, text).expect("a file");
        // Those who serve are other users than the one who starts them.
        let open = Command::new("chmod").args(["-R", "a+rX"]).arg(folder).status();
        assert!(open.expect("chmod runs").success());
        let mut apache = Command::new(PROGRAM);
        apache.args(["-D", "FOREGROUND", "-f"]).arg(&settings).env_clear().stdin(Stdio::null());
        let mut running = Running(apache.spawn().expect("apache2 runs"));
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.0.try_wait().expect("its state");
            let told = || std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(30), "{}", told());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { _running: running, url: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() }
    }

    /// What is answered to who comes with a token, or without one.
    pub(crate) async fn answer(&self, place: &str, token: Option<&str>) -> u16 {
        let mut request = self.client.get(format!("{}/{place}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a text");
        assert_eq!(status == 200, text == "let in", "{status}: {text}");
        status
    }
}
