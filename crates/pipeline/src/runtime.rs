//! How large a step's machine is, and of what kind.

use serde::{Deserialize, Serialize};

use crate::{node::Node, read::Reader};

/// The size of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Size {
    /// 2 processors, 4 GB.
    #[default]
    #[serde(rename = "1x")]
    X1,
    /// 4 processors, 8 GB.
    #[serde(rename = "2x")]
    X2,
    /// 8 processors, 16 GB.
    #[serde(rename = "4x")]
    X4,
    /// 16 processors, 32 GB.
    #[serde(rename = "8x")]
    X8,
    /// 32 processors, 64 GB.
    #[serde(rename = "16x")]
    X16,
    /// 64 processors, 128 GB.
    #[serde(rename = "32x")]
    X32,
}

const SIZES: [(&str, Size); 6] = [
    ("1x", Size::X1),
    ("2x", Size::X2),
    ("4x", Size::X4),
    ("8x", Size::X8),
    ("16x", Size::X16),
    ("32x", Size::X32),
];

impl Size {
    fn factor(self) -> u32 {
        match self {
            Self::X1 => 1,
            Self::X2 => 2,
            Self::X4 => 4,
            Self::X8 => 8,
            Self::X16 => 16,
            Self::X32 => 32,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        SIZES.iter().find(|(_, size)| *size == self).map_or("1x", |(name, _)| name)
    }

    /// Processors.
    #[must_use]
    pub fn processors(self) -> u32 {
        2 * self.factor()
    }

    /// Memory of the step and its services together, in megabytes.
    #[must_use]
    pub fn memory(self) -> u32 {
        4096 * self.factor()
    }
}

pub(crate) fn read_size(reader: &mut Reader, node: &Node) -> Option<Size> {
    reader.choice(node, "size", &SIZES)
}

/// What kind of machine a step asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// The version of the hosted runtime, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The processor.
    pub arch: Architecture,
    /// Whether traffic leaves from a fixed list of addresses.
    pub atlassian_ip_ranges: bool,
}

/// A kind of processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// x86-64.
    #[default]
    X86,
    /// 64-bit ARM.
    Arm,
}

pub(crate) fn read(reader: &mut Reader, node: &Node) -> Option<Runtime> {
    let mut fields = reader.map(node, "`runtime` is a map with `cloud`")?;
    let cloud = fields.take("cloud");
    reader.finish(&fields, "`runtime`");
    let mut fields = reader.map(cloud?, "`cloud` is a map of settings")?;
    // Real files write a number as often as a text.
    let version = fields.take("version").and_then(|node| reader.loose_text(node, "`version` is a text"));
    let kinds = [("x86", Architecture::X86), ("arm", Architecture::Arm)];
    let arch = fields.take("arch").and_then(|node| reader.choice(node, "arch", &kinds)).unwrap_or_default();
    let ranges = fields.take("atlassian-ip-ranges");
    let atlassian_ip_ranges =
        ranges.and_then(|node| reader.truth(node, "atlassian-ip-ranges")).unwrap_or_default();
    reader.finish(&fields, "`cloud`");
    Some(Runtime { version, arch, atlassian_ip_ranges })
}
