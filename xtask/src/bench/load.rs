//! Clients that make load: curl for single requests and for parallel downloads, wrk for many small ones. What opens
//! a host goes to them by a private file or by standard input, never by the command line.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Result, process};

/// Whether anything answers HTTP on this port of 127.0.0.1.
pub(super) fn answers(port: u16) -> bool {
    status(port, "/", None).is_some()
}

/// The status of a GET, by a bare connection: nothing is started, so that it can be timed.
pub(super) fn status(port: u16, path: &str, header: Option<&str>) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let header = header.map(|header| format!("{header}\r\n")).unwrap_or_default();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut start = [0u8; 12];
    stream.read_exact(&mut start).ok()?;
    std::str::from_utf8(&start).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// One request by curl, or the same one many times.
pub(super) struct Request {
    lines: Vec<String>,
}

impl Request {
    /// A GET.
    pub(super) fn get(url: &str, authorization: &str) -> Self {
        Self { lines: Vec::new() }.line("url", url).line("header", authorization)
    }

    /// A POST of JSON.
    pub(super) fn post(url: &str, authorization: &str, body: &Value) -> Self {
        let request = Self::get(url, authorization).line("header", "Content-Type: application/json");
        request.line("data", &body.to_string())
    }

    /// By another method.
    pub(super) fn by(self, method: &str) -> Self {
        self.line("request", method)
    }

    fn line(mut self, name: &str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.lines.push(format!("{name} = \"{value}\"\n"));
        self
    }

    /// Sends it and gives the answer's body. An answer that is not a success is an error with its text.
    pub(super) fn send(&self) -> Result<String> {
        curl(&["--silent", "--show-error", "--fail-with-body"], &self.lines.concat())
    }
}

/// POSTs a file `times` times, `at_once` of them at a time, discards the answers, and gives the bytes received and
/// the time.
pub(super) fn drain(
    url: &str,
    headers: &[&str],
    body: &Path,
    times: usize,
    at_once: usize,
) -> Result<(f64, Duration)> {
    let mut request = Request { lines: Vec::new() };
    for header in headers {
        request = request.line("header", header);
    }
    request = request.line("data-binary", &format!("@{}", body.display()));
    for _ in 0..times {
        request = request.line("url", url).line("output", "/dev/null");
    }
    let at_once = at_once.to_string();
    let arguments =
        ["--silent", "--show-error", "--fail", "--parallel", "--parallel-immediate", "--parallel-max"];
    let arguments: Vec<&str> =
        arguments.into_iter().chain([at_once.as_str(), "-w", "%{size_download}\\n"]).collect();
    let start = Instant::now();
    let said = curl(&arguments, &request.lines.concat())?;
    let elapsed = start.elapsed();
    let sizes: Vec<f64> = said.lines().filter_map(|line| line.trim().parse().ok()).collect();
    if sizes.len() != times {
        return Err(format!("{} of {times} downloads came to an end", sizes.len()).into());
    }
    Ok((sizes.iter().sum(), elapsed))
}

/// A person in a browser: what they are known by is kept in a file of curl's.
pub(super) struct Visitor {
    site: String,
    cookies: PathBuf,
}

impl Visitor {
    /// Signs in with a name and a password.
    pub(super) fn sign_in(folder: &Path, site: &str, name: &str, password: &str) -> Result<Self> {
        let visitor = Self { site: site.to_owned(), cookies: folder.join("cookies") };
        process::write_private(&visitor.cookies, "")?;
        let request = visitor
            .at("/sign-in")
            .line("cookie-jar", &visitor.cookies.display().to_string())
            .line("header", &format!("Origin: {site}"))
            .line("data-urlencode", &format!("name={name}"))
            .line("data-urlencode", &format!("password={password}"));
        let said = curl(
            &["--silent", "--show-error", "-o", "/dev/null", "-w", "%{http_code}"],
            &request.lines.concat(),
        )?;
        if said.trim() == "303" {
            Ok(visitor)
        } else {
            Err(format!("signing in was answered with {said}").into())
        }
    }

    fn at(&self, path: &str) -> Request {
        let request = Request { lines: Vec::new() }.line("url", &format!("{}{path}", self.site));
        request.line("cookie", &self.cookies.display().to_string())
    }

    /// Opens a page `times` times, one after the other over one connection: each time the milliseconds until the
    /// answer began, and the page's bytes.
    pub(super) fn open(&self, path: &str, times: usize) -> Result<(Vec<f64>, f64)> {
        let mut request = self.at(path).line("output", "/dev/null");
        for _ in 1..times {
            request = request.line("url", &format!("{}{path}", self.site)).line("output", "/dev/null");
        }
        let told = "%{http_code} %{size_download} %{time_starttransfer}\\n";
        let said = curl(&["--silent", "--show-error", "-w", told], &request.lines.concat())?;
        let (mut milliseconds, mut bytes) = (Vec::new(), 0.0);
        for line in said.lines() {
            let cells: Vec<&str> = line.split(' ').collect();
            let [status, size, seconds] = cells[..] else { continue };
            if status != "200" {
                return Err(format!("{path} was answered with {status}").into());
            }
            bytes = size.parse()?;
            milliseconds.push(seconds.parse::<f64>()? * 1000.0);
        }
        Ok((milliseconds, bytes))
    }
}

fn curl(arguments: &[&str], configuration: &str) -> Result<String> {
    let mut command = Command::new("curl");
    command.args(arguments).args(["--config", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(configuration.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(said);
    }
    Err(format!("curl: {}: {}{said}", done.status, String::from_utf8_lossy(&done.stderr)).into())
}

/// What wrk measured.
pub(super) struct Answers {
    pub(super) per_second: f64,
    /// As wrk writes them: `1.23ms`.
    pub(super) half: String,
    pub(super) ninety_nine: String,
}

/// GETs one address for some seconds over this many connections by one thread.
pub(super) fn wrk(
    folder: &Path,
    url: &str,
    headers: &[&str],
    connections: usize,
    seconds: u32,
) -> Result<Answers> {
    let script = folder.join("wrk.lua");
    let mut text = String::new();
    for (name, value) in headers.iter().filter_map(|header| header.split_once(": ")) {
        text.push_str(&format!("wrk.headers[\"{name}\"] = \"{value}\"\n"));
    }
    process::write_private(&script, &text)?;
    let mut wrk = Command::new("wrk");
    wrk.arg(format!("-c{connections}")).arg(format!("-d{seconds}")).args(["-t1", "--latency", "-s"]);
    let said = process::output(wrk.arg(&script).arg(url))?;
    read_wrk(&said).ok_or_else(|| format!("wrk did not measure answers of success:\n{said}").into())
}

fn read_wrk(said: &str) -> Option<Answers> {
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    let after = |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::trim);
    Some(Answers {
        per_second: after("Requests/sec:")?.parse().ok()?,
        half: after("50%")?.to_owned(),
        ninety_nine: after("99%")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 1s test\n  Latency Distribution\n     50%   12.60ms\n     75%   13.00ms\n     \
                        99%   22.00ms\n  620 requests in 1.00s\nRequests/sec:    620.12\nTransfer/sec: 1MB\n";

    #[test]
    fn wrk_is_read() {
        let answers = read_wrk(SAID).unwrap();
        assert!((answers.per_second - 620.12).abs() < 1e-9);
        assert_eq!((answers.half.as_str(), answers.ninety_nine.as_str()), ("12.60ms", "22.00ms"));
    }

    #[test]
    fn refusals_do_not_count_as_answers() {
        assert!(read_wrk(&format!("{SAID}  Non-2xx or 3xx responses: 620\n")).is_none());
        assert!(read_wrk("").is_none());
    }

    #[test]
    fn nothing_answers_on_a_free_port() {
        assert!(!answers(process::free_port().unwrap()));
    }
}
