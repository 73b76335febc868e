//! Markdown of repositories, as HTML. Its author is anybody: raw HTML is cut down to a few harmless elements, links lead to
//! pages or to the web and to nothing else, and what is longer than anybody reads is shown as plain text. Pictures that lie
//! in the repository are shown; all others become links, since a page loads nothing from elsewhere. Headings can be led to,
//! by names that no part of the page itself has.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use comrak::nodes::{AstNode, NodeLink, NodeValue};
use comrak::{Arena, Options, format_html, parse_document};

use crate::{Markup, address};

/// The longest text that is rendered, in bytes.
pub const LONGEST: usize = 256 << 10;

/// The deepest nesting that is rendered: of elements in elements, and of lists and quotes in one another.
const DEEPEST: usize = 60;

/// In front of the names of headings: nothing else on a page is called so.
const ANCHOR: &str = "text-";

/// The endings of pictures that are shown. What can hold scripts or other pictures is none of them.
const PICTURES: [&str; 5] = [".png", ".jpg", ".jpeg", ".gif", ".webp"];

/// Where relative links lead.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The parts of the address that a path follows: workspace, repository, `src`, commit.
    pub base: &'a [&'a str],
    /// The directory of the file; empty for the root.
    pub directory: &'a str,
}

static CLEANER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let tags: HashSet<&str> = [
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
    .into();
    let attributes: HashMap<&str, HashSet<&str>> = [
        ("a", ["href", "id"].into()),
        ("img", ["src", "alt", "title"].into()),
        ("ol", ["start"].into()),
        ("th", ["align"].into()),
        ("td", ["align"].into()),
    ]
    .into();
    let mut cleaner = ammonia::Builder::empty();
    cleaner
        .tags(tags)
        .tag_attributes(attributes)
        .url_schemes(["http", "https", "mailto"].into())
        .url_relative(ammonia::UrlRelative::PassThrough)
        .attribute_filter(|element, attribute, value| {
            let fits = match (element, attribute) {
                (_, "id") => value.starts_with(ANCHOR),
                ("img", "src") => {
                    value.starts_with('/') && !value.starts_with("//") && value.contains("/raw/")
                }
                _ => true,
            };
            fits.then_some(Cow::Borrowed(value))
        })
        .link_rel(Some("nofollow noopener noreferrer ugc"));
    cleaner
});

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    // What is raw is let through here and cleaned after, so that one list says what may stay.
    options.render.r#unsafe = true;
    options
}

/// The text as HTML; none where it is too long or nested too deeply, and to be shown as it is.
#[must_use]
pub fn render(text: &str, place: Place<'_>) -> Option<Markup> {
    if text.len() > LONGEST || nests_deeply(text) {
        return None;
    }
    let (arena, options) = (Arena::new(), options());
    let root = parse_document(&arena, text, &options);
    let nodes: Vec<_> = root.descendants().collect();
    let mut names = BTreeMap::new();
    for node in nodes {
        mend(node, place);
        name_heading(&arena, node, &mut names);
    }
    let mut html = String::new();
    format_html(root, &options, &mut html).ok()?;
    // What scrolls can be reached by keys. The cleaner leaves no other way to write this than the element itself.
    Some(Markup::new(CLEANER.clean(&html).to_string().replace("<pre>", "<pre tabindex=\"0\">")))
}

/// Whether a line opens more quotes, lists or elements than a person would. Elements are counted over the whole text:
/// those that are never closed nest in one another.
fn nests_deeply(text: &str) -> bool {
    let deep_line = |line: &str| {
        let marks = line
            .chars()
            .take_while(|c| matches!(c, '>' | '-' | '*' | '+' | ' ' | '\t' | '.') || c.is_ascii_digit());
        let (blank, marked) = marks.fold((0, 0), |(blank, marked), c| match c {
            '>' | '-' | '*' | '+' | '.' => (blank, marked + 1),
            _ => (blank + 1, marked),
        });
        let rule = line.trim().chars().all(|c| matches!(c, '-' | '*' | ' '));
        (marked > DEEPEST && !rule) || blank > 4 * DEEPEST
    };
    let opened = text.matches('<').count();
    let closed = text.matches("</").count() + text.matches("/>").count();
    let unclosed = opened.saturating_sub(closed.saturating_mul(2));
    unclosed > 2_000 || text.lines().any(deep_line)
}

/// The name by which a heading is led to: its words in small letters, as other forges write them.
fn slug(text: &str) -> String {
    let kept = text.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).take(100).collect()
}

fn words<'a>(node: &'a AstNode<'a>) -> String {
    let mut text = String::new();
    for inner in node.descendants() {
        match &inner.data.borrow().value {
            NodeValue::Text(piece) => text.push_str(piece),
            NodeValue::Code(code) => text.push_str(&code.literal),
            NodeValue::SoftBreak | NodeValue::LineBreak => text.push(' '),
            _ => {}
        }
    }
    text
}

/// Puts a name before a heading's words; of several with the same words, each has another.
fn name_heading<'a>(arena: &'a Arena<'a>, node: &'a AstNode<'a>, names: &mut BTreeMap<String, usize>) {
    if !matches!(node.data.borrow().value, NodeValue::Heading(_)) {
        return;
    }
    let slug = slug(&words(node));
    if slug.is_empty() {
        return;
    }
    let count = names.entry(slug.clone()).or_insert(0);
    let name = if *count == 0 { slug } else { format!("{slug}-{count}") };
    *count = count.saturating_add(1);
    let html = NodeValue::HtmlInline(format!("<a id=\"{ANCHOR}{name}\"></a>"));
    node.prepend(arena.alloc(html.into()));
}

/// Where a picture of the repository is had from; none where it is not one, or lies elsewhere.
fn picture(url: &str, place: Place<'_>) -> Option<String> {
    let path = url.split(['#', '?']).next().unwrap_or_default();
    let [workspace, repository, _, rest @ ..] = place.base else { return None };
    let lower = path.to_lowercase();
    let is_picture = PICTURES.iter().any(|ending| lower.ends_with(ending));
    if !is_picture || is_elsewhere(path) {
        return None;
    }
    let base: Vec<&str> = [*workspace, *repository, "raw"].into_iter().chain(rest.iter().copied()).collect();
    Some(led(path, Place { base: &base, ..place }))
}

/// Raw HTML brings no pictures: their places would not be looked at here.
fn without_pictures(html: &mut String) {
    let lower = html.to_ascii_lowercase();
    if !lower.contains("<img") {
        return;
    }
    let mut kept = String::with_capacity(html.len());
    let mut rest = html.as_str();
    let mut from = 0;
    for (at, _) in lower.match_indices("<img") {
        let (before, after) = rest.split_at(at.saturating_sub(from).saturating_add(1));
        kept.push_str(before);
        kept.push_str("no-");
        (rest, from) = (after, at.saturating_add(1));
    }
    kept.push_str(rest);
    *html = kept;
}

/// Headings step down below the page's own, pictures of the repository stay and others become links, relative links lead
/// into the repository.
fn mend<'a>(node: &'a AstNode<'a>, place: Place<'_>) {
    let mut data = node.data.borrow_mut();
    match &mut data.value {
        NodeValue::Heading(heading) => heading.level = heading.level.saturating_add(1).min(6),
        NodeValue::Link(link) => link.url = led(&link.url, place),
        NodeValue::HtmlInline(html) => without_pictures(html),
        NodeValue::HtmlBlock(block) => without_pictures(&mut block.literal),
        NodeValue::Image(image) if picture(&image.url, place).is_some() => {
            image.url = picture(&image.url, place).unwrap_or_default();
        }
        NodeValue::Image(image) => {
            let link = NodeLink { url: led(&image.url, place), title: String::new() };
            data.value = NodeValue::Link(Box::new(link));
        }
        _ => {}
    }
}

/// Whether a path leads out of the repository: it has a scheme or a host.
fn is_elsewhere(path: &str) -> bool {
    path.starts_with("//") || path.split('/').next().is_some_and(|head| head.contains(':'))
}

/// Where a link of the text leads. What has a scheme is left to the cleaner.
fn led(url: &str, place: Place<'_>) -> String {
    let (path, rest) = url.split_at(url.find(['#', '?']).unwrap_or(url.len()));
    if let (true, Some(name)) = (path.is_empty(), rest.strip_prefix('#')) {
        let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        return format!("#{ANCHOR}{}", slug(&decoded));
    }
    if is_elsewhere(path) || path.is_empty() {
        return url.to_owned();
    }
    let mut segments: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { place.directory };
    for segment in start.split('/').chain(path.split('/')) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    // What is encoded stays so: it is decoded first, so that it is not encoded twice.
    let joined = segments.join("/");
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(&joined).collect();
    let fragment = rest.split_once('#').map(|(_, fragment)| format!("#{fragment}")).unwrap_or_default();
    address::with_path(place.base, &decoded) + &fragment
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'static> = Place { base: &["acme", "one", "src", "main"], directory: "docs" };

    fn html(text: &str) -> String {
        render(text, PLACE).unwrap().to_string()
    }

    #[test]
    fn plain_markdown_is_shown() {
        let shown = html("# Title\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n~~old~~ `x<y`\n");
        for part in ["Title</h2>", "<table>", "align=\"right\"", "<del>old</del>", "x&lt;y"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn links_lead_into_the_repository_or_to_the_web() {
        assert!(html("[x](../a%20b.md#part)").contains("href=\"/acme/one/src/main/a%20b.md#part\""));
        assert!(html("[x](guide.md)").contains("href=\"/acme/one/src/main/docs/guide.md\""));
        assert!(html("[x](../../../../etc)").contains("href=\"/acme/one/src/main/etc\""));
        assert!(html("[x](https://example.com/)").contains("href=\"https://example.com/\""));
        let image = html("![a badge](https://tracker.example/pixel.png)");
        assert!(!image.contains("<img") && image.contains(">a badge</a>"), "{image}");
    }

    #[test]
    fn headings_are_led_to_and_pictures_of_the_repository_are_shown() {
        let shown = html("# Build & run `x`\n\n## Build & run `x`\n\n[there](#build--run-x)\n");
        assert!(
            shown.contains("id=\"text-build--run-x\"") && shown.contains("id=\"text-build--run-x-1\""),
            "{shown}"
        );
        assert!(shown.contains("href=\"#text-build--run-x\""), "{shown}");
        let shown = html("![logo](../img/a%20b.PNG \"t\")");
        assert!(shown.contains("<img src=\"/acme/one/raw/main/img/a%20b.PNG\" alt=\"logo\""), "{shown}");
        // What may hold a script, lies elsewhere, or comes by raw HTML is no picture.
        for text in [
            "![x](a.svg)",
            "![x](//e/a.png)",
            "![x](https://e/a.png)",
            "<IMG src=\"/a/b/raw/c.png\">",
            "![x](a.png:)",
        ] {
            assert!(!html(text).contains("<img"), "{text}: {}", html(text));
        }
        let named = html("<a id=\"content\">x</a> <a id=\"text-x\">y</a>");
        assert!(!named.contains("id=\"content\"") && named.contains("id=\"text-x\""), "{named}");
    }

    /// Attack: a README that runs a script, loads something, or draws over the page.
    #[test]
    fn hostile_text_is_inert() {
        let shown = html(concat!(
            "<script>alert(1)</script><img src=x onerror=alert(1)>\n\n[x](javascript:alert(1)) <a href=\"jAvAsCript:1\">y</a>\n\n",
            "<style>*{display:none}</style><iframe src=//e></iframe><form action=//e><input name=password></form>\n\n",
            "<p style=\"position:fixed\" class=\"x\" id=\"content\" onclick=\"x()\">text</p><svg onload=1><math><mi>\n\n",
            "<meta http-equiv=refresh content=\"0;url=//e\"><base href=//e><object data=//e><link rel=stylesheet href=//e>\n\n",
            "<a href=\"data:text/html,x\">z</a> ![x](data:image/svg+xml,x)"
        ));
        for bad in [
            "<script",
            "<img",
            "javascript:",
            "jAvAsCript",
            "<style",
            "<iframe",
            "<form",
            "<input",
            "style=",
            "class=",
            "id=",
            "onclick",
            "onerror",
            "<svg",
            "<math",
            "<meta",
            "<base",
            "<object",
            "<link",
            "data:",
        ] {
            assert!(!shown.contains(bad), "{bad}: {shown}");
        }
    }

    /// Attack: text that takes minutes or the whole stack to render.
    #[test]
    fn deep_and_long_text_is_bounded() {
        let count = LONGEST / 8;
        for unit in [
            ">",
            "> ",
            "* ",
            "<div>",
            "[",
            "![",
            "**a ",
            "`a",
            "<a href=x>",
            "| a ",
            "[a](<",
            "<!--",
            "&",
            "~~a",
            "[x]: y\n",
        ] {
            let text: String = unit.repeat(count.min(LONGEST / unit.len()));
            let _ = render(&text, PLACE);
        }
        assert!(render(&"a".repeat(LONGEST + 1), PLACE).is_none());
        assert!(render(&"<div>".repeat(10_000), PLACE).is_none());
        assert!(render(&format!("{} x", ">".repeat(100)), PLACE).is_none());
        assert!(render(&"-".repeat(200), PLACE).is_some());
    }

    proptest! {
        #[test]
        fn no_text_brings_an_element_that_acts(text in "[<>a-z/=\"'()\\[\\]!:\\n &;#-]{0,80}") {
            let html = html(&text);
            for bad in ["<script", "<img", "<iframe", "<style", "<form", "<input", "<svg", "<object", "<embed", "<meta", "javascript:"] {
                prop_assert!(!html.contains(bad), "{}", html);
            }
        }
    }
}
