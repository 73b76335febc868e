//! Targets over `service`: what an outsider hands to the offline verifier.

use service::{LedgerLine, verify_export};

/// Every kind of line.
pub const EXPORT_LINES: &[&str] = &[
    concat!(
        r#"{"bastide-audit-export":1,"origin":"example.com/log","#,
        r#""verifier_key":"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW","size":3}"#
    ),
    concat!(
        r#"{"index":0,"leaf":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","event":"#,
        r#"{"v":1,"id":"00000000-0000-4000-8000-000000000001","time":"2030-01-31T12:00:00.000000+00:00"}}"#
    ),
    r#"{"index":1,"leaf":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","entry":"AAAA"}"#,
    r#"{"from":0,"to":3,"hashes":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}"#,
    r#"{"checkpoint":"example.com/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"}"#,
];

/// A line is read back as what it was read as, and no line that nobody has signed makes an export an intact one.
pub fn export_line(data: &[u8]) {
    if let Some(line) = std::str::from_utf8(data).ok().and_then(LedgerLine::read) {
        assert_eq!(LedgerLine::read(&line.written()), Some(line));
    }
    let head = EXPORT_LINES.first().map(|line| line.as_bytes()).unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("export.jsonl");
    for whole in [data.to_vec(), [head, b"\n", data, b"\n"].concat()] {
        std::fs::write(&file, whole).expect("the export is written");
        // An empty trail needs no signature; an event does.
        if let Ok(found) = verify_export(&file, None, &[]) {
            assert!(found.verified == 0 && (found.events == 0 || !found.intact), "{found:?}");
        }
    }
}
