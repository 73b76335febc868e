//! Where a finding is: from the addresses of the format to paths of the repository.

use percent_encoding::percent_decode_str;

use super::document::{ArtifactLocation, Head};

/// Where a step finds the repository.
pub(super) const CLONE: &str = "/opt/atlassian/pipelines/agent/build/";
/// How many bases may build on each other.
const DEEPEST: usize = 5;

/// The path in the repository, or none where it is elsewhere or not a path.
pub(super) fn path(location: &ArtifactLocation, head: &Head) -> Option<String> {
    let written = match decoded(location.uri.as_deref()?)? {
        Written::Absolute(path) => inside(&path)?,
        // A base that is not the clone is where the scanner ran; what is told is from the root of the code either way.
        Written::Relative(path) => {
            let base = location.uri_base_id.as_deref().and_then(|id| base(id, head, DEEPEST));
            match base.and_then(|base| base_inside(&base)) {
                Some(base) => format!("{base}/{path}"),
                None => path,
            }
        }
    };
    model::report::normal_path(&without_dots(&written)?)
}

enum Written {
    Absolute(String),
    Relative(String),
}

fn decoded(uri: &str) -> Option<Written> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
    if let Some(rest) = uri.strip_prefix("file://") {
        // Behind the two slashes stands a host, mostly none.
        let path = rest.find('/').and_then(|at| rest.get(at..))?;
        return decode(path).map(Written::Absolute);
    }
    if uri.starts_with('/') {
        return decode(uri).map(Written::Absolute);
    }
    if uri.split('/').next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    decode(uri).map(Written::Relative)
}

/// An absolute path, from the root of the repository.
fn inside(path: &str) -> Option<String> {
    let rest = path.strip_prefix(CLONE);
    rest.filter(|rest| !rest.is_empty()).map(str::to_owned)
}

fn base_inside(base: &str) -> Option<String> {
    format!("{}/", base.trim_end_matches('/')).strip_prefix(CLONE).map(str::to_owned)
}

/// The absolute path that a base stands for.
fn base(id: &str, head: &Head, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let (_, location) = head.original_uri_base_ids.0.iter().find(|(name, _)| name == id)?;
    match decoded(location.uri.as_deref()?)? {
        Written::Absolute(path) => Some(path),
        Written::Relative(path) => {
            let above = base(location.uri_base_id.as_deref()?, head, depth)?;
            Some(format!("{}/{path}", above.trim_end_matches('/')))
        }
    }
}

/// The same path without `.` and `..`; none where it leads out.
fn without_dots(path: &str) -> Option<String> {
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()?),
            other => kept.push(other),
        }
    }
    Some(kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(uri: &str, base: Option<&str>, bases: &str) -> Option<String> {
        let head = serde_json::from_str(&format!("{{\"originalUriBaseIds\": {bases}}}")).unwrap();
        let location = ArtifactLocation { uri: Some(uri.to_owned()), uri_base_id: base.map(str::to_owned) };
        path(&location, &head)
    }

    #[test]
    fn a_path_is_from_the_root_of_the_repository() {
        let plain = |uri| at(uri, None, "{}");
        assert_eq!(plain("src/a%20b.rs").as_deref(), Some("src/a b.rs"));
        assert_eq!(
            plain("file:///opt/atlassian/pipelines/agent/build/src/a.rs").as_deref(),
            Some("src/a.rs")
        );
        assert_eq!(plain("/opt/atlassian/pipelines/agent/build/./a.rs").as_deref(), Some("a.rs"));
        assert_eq!(plain("src/../lib/a.rs").as_deref(), Some("lib/a.rs"));
        for elsewhere in [
            "file:///etc/passwd",
            "/etc/passwd",
            "https://example.com/a",
            "C:/a.rs",
            "../a.rs",
            "..%2F..%2Fa",
            "file:///opt/atlassian/pipelines/agent/build/../../a",
            "file:///opt/atlassian/pipelines/agent/build/",
            "a%00b",
            "%ff",
            "",
        ] {
            assert_eq!(plain(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_base_inside_of_the_clone_counts() {
        let bases = r#"{"ROOT": {"uri": "file:///opt/atlassian/pipelines/agent/build/"},
            "WEB": {"uri": "web/", "uriBaseId": "ROOT"}, "ELSEWHERE": {"uri": "file:///home/ann/one/"},
            "CIRCLE": {"uri": "a/", "uriBaseId": "CIRCLE"}}"#;
        assert_eq!(at("a.js", Some("WEB"), bases).as_deref(), Some("web/a.js"));
        assert_eq!(at("a.js", Some("ROOT"), bases).as_deref(), Some("a.js"));
        for base in ["ELSEWHERE", "CIRCLE", "UNKNOWN"] {
            assert_eq!(at("src/a.js", Some(base), bases).as_deref(), Some("src/a.js"), "{base}");
        }
        assert_eq!(at("../../a.js", Some("WEB"), bases), None);
    }
}
