//! The first answer of protocol version 2: what the server can do. It is the same for every repository, so no
//! process is started for it.
//!
//! Only what git's own upload-pack accepts with our settings may stand here: a test compares the two.

use crate::pkt_line::{FLUSH, write_data};

/// What the client calls the version of the protocol it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The original, without a name.
    V0,
    /// The original, with its version said first.
    V1,
    /// Commands and capabilities.
    V2,
}

impl Protocol {
    /// Reads a `Git-Protocol` header or `GIT_PROTOCOL` variable: colon-separated keys, of which only `version` is
    /// known, and the highest known version counts. Nothing of the text is ever handed on.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let versions = text.unwrap_or_default().split(':').filter_map(|part| match part {
            "version=1" => Some(Self::V1),
            "version=2" => Some(Self::V2),
            _ => None,
        });
        versions.max().unwrap_or(Self::V0)
    }

    /// The value of `GIT_PROTOCOL` for the process.
    pub(crate) fn variable(self) -> Option<&'static str> {
        match self {
            Self::V0 => None,
            Self::V1 => Some("version=1"),
            Self::V2 => Some("version=2"),
        }
    }
}

/// The capability advertisement of protocol version 2.
#[must_use]
pub fn capabilities() -> Vec<u8> {
    let mut bytes = Vec::new();
    let agent = concat!("agent=bastide/", env!("CARGO_PKG_VERSION"));
    let lines = [
        "version 2",
        agent,
        "ls-refs=unborn",
        "fetch=shallow wait-for-done filter",
        "server-option",
        "object-format=sha1",
    ];
    for line in lines {
        write_data(&mut bytes, format!("{line}\n").as_bytes());
    }
    bytes.extend_from_slice(FLUSH);
    bytes
}

/// The line that stands before an advertisement of version 0 or 1 over HTTP.
pub(crate) fn service_line(service: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_data(&mut bytes, format!("# service={service}\n").as_bytes());
    bytes.extend_from_slice(FLUSH);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: a header that smuggles variables or lines into the process's environment.
    #[test]
    fn only_known_versions_are_read_from_the_header() {
        assert_eq!(Protocol::parse(None), Protocol::V0);
        assert_eq!(Protocol::parse(Some("version=2")), Protocol::V2);
        assert_eq!(Protocol::parse(Some("x=y:version=1:version=2:version=3")), Protocol::V2);
        for other in ["", "version=3", "version=2\nLD_PRELOAD=x", "VERSION=2", "version=02"] {
            assert_eq!(Protocol::parse(Some(other)), Protocol::V0, "{other}");
        }
    }
}
