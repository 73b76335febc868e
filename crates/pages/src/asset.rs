//! The files that pages load: they lie in the program, and their names change with their content, so that a browser may
//! keep them for ever.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One file.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its name, with a part of the content's hash: what stands behind `/assets/`.
    pub name: String,
    /// Its type.
    pub media_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

struct Assets {
    style: Asset,
    script: Asset,
    passkey: Asset,
    icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: asset(
        "bastide",
        "css",
        "text/css; charset=utf-8",
        concat!(
            include_str!("../assets/base.css"),
            include_str!("../assets/frame.css"),
            include_str!("../assets/parts.css"),
            include_str!("../assets/code.css"),
            include_str!("../assets/pipeline.css"),
        ),
    ),
    script: asset(
        "bastide",
        "js",
        "text/javascript; charset=utf-8",
        concat!(
            include_str!("../assets/bastide.js"),
            include_str!("../assets/tail.js"),
            include_str!("../assets/log.js"),
        ),
    ),
    passkey: asset("passkey", "js", "text/javascript; charset=utf-8", include_str!("../assets/passkey.js")),
    icon: asset("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")),
});

fn asset(stem: &str, ending: &str, media_type: &'static str, content: &'static str) -> Asset {
    let hash = hex::encode(Sha256::digest(content.as_bytes()));
    let name = format!("{stem}-{}.{ending}", hash.get(..16).unwrap_or(&hash));
    Asset { name, media_type, content }
}

/// The asset of this name; none where it is of another version.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    let Assets { style, script, passkey, icon } = &*ASSETS;
    [style, script, passkey, icon].into_iter().find(|asset| asset.name == name)
}

/// The address of the stylesheet.
#[must_use]
pub fn style() -> String {
    format!("/assets/{}", ASSETS.style.name)
}

/// The address of the script.
#[must_use]
pub fn script() -> String {
    format!("/assets/{}", ASSETS.script.name)
}

/// The address of the script for passkeys, which only pages with a prompt load.
#[must_use]
pub fn passkey() -> String {
    format!("/assets/{}", ASSETS.passkey.name)
}

/// The address of the icon.
#[must_use]
pub fn icon() -> String {
    format!("/assets/{}", ASSETS.icon.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_whole_names() {
        for address in [style(), script(), passkey(), icon()] {
            let name = address.strip_prefix("/assets/").unwrap();
            assert_eq!(find(name).unwrap().name, name);
        }
        assert!(find("bastide.css").is_none());
    }

    /// Would catch a stylesheet that loads from elsewhere, which the policy of every page forbids.
    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in [&ASSETS.style, &ASSETS.script, &ASSETS.passkey] {
            assert!(!asset.content.contains("://") && !asset.content.contains("@import"), "{}", asset.name);
        }
    }
}
