//! What a file is taken for, by its name alone: its content is never looked at, so that nobody can make a browser see
//! more in it than the name says.

/// By extension.
const KNOWN: &[(&str, &str)] = &[
    ("bmp", "image/bmp"),
    ("c", "text/x-csrc"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("go", "text/x-go"),
    ("gz", "application/gzip"),
    ("h", "text/x-chdr"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/x-icon"),
    ("jar", "application/java-archive"),
    ("java", "text/x-java"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("py", "text/x-python"),
    ("rs", "text/x-rust"),
    ("rst", "text/x-rst"),
    ("sh", "application/x-sh"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tf", "text/plain"),
    ("toml", "application/toml"),
    ("ts", "text/plain"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// Types that a browser runs something in.
const ACTIVE: &[&str] = &[
    "text/html",
    "image/svg+xml",
    "application/xml",
    "text/javascript",
    "application/wasm",
    "application/pdf",
];

/// The type that the name stands for, where it is known.
pub(super) fn guess(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next()?;
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    KNOWN.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

/// The type in which the content is sent: as the contract has it, by the name; but nothing that runs.
pub(super) fn safe(path: &str) -> &'static str {
    match guess(path) {
        Some(active) if ACTIVE.contains(&active) => "text/plain",
        Some(known) => known,
        None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_and_nothing_that_runs_is_sent_as_such() {
        assert_eq!(guess("docs/a.MD"), Some("text/markdown"));
        assert_eq!(guess("Makefile"), None);
        assert_eq!(guess("a.d/README"), None);
        assert_eq!(safe("x.svg"), "text/plain");
        assert_eq!(safe("x.html"), "text/plain");
        assert_eq!(safe("x.png"), "image/png");
        assert_eq!(safe("x.unknown"), "application/octet-stream");
    }
}
