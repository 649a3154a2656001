//! Extracts title and links from HTML.

use std::cell::{Cell, RefCell};

use html_escape::decode_html_entities;
use lol_html::{HtmlRewriter, MemorySettings, Settings, element, text};

/// Longer titles are truncated.
const MAX_TITLE_CHARS: usize = 300;

/// The memory limit of the parser in bytes, against deeply nested pages.
const MAX_PARSER_MEMORY: usize = 8 << 20;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageInfo {
    pub(super) title: Option<String>,
    /// The number of `a` and `area` elements with `href`.
    pub(super) links: u32,
}

/// Parses any input in linear time. Parsing stops at the memory limit; the result then covers the part before it.
pub(super) fn parse(html: &[u8]) -> PageInfo {
    let titles = Cell::new(0);
    let title = RefCell::new(String::new());
    let links = Cell::new(0_u32);
    let settings = Settings::new()
        .append_element_content_handler(element!("title", |_| {
            titles.set(titles.get() + 1);
            Ok(())
        }))
        // Only the first one: inline SVG contains title elements, too.
        .append_element_content_handler(text!("title", |chunk| {
            let mut title = title.borrow_mut();
            if titles.get() == 1 && title.len() < MAX_TITLE_CHARS * 8 {
                title.push_str(chunk.as_str());
            }
            Ok(())
        }))
        .append_element_content_handler(element!("a[href], area[href]", |_| {
            links.set(links.get().saturating_add(1));
            Ok(())
        }))
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(MAX_PARSER_MEMORY))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    if rewriter.write(html).is_ok() {
        let _ = rewriter.end();
    }
    let title = title.take();
    let words: Vec<&str> = title.split_whitespace().collect();
    let title: String = decode_html_entities(&words.join(" ")).chars().take(MAX_TITLE_CHARS).collect();
    PageInfo { title: (!title.is_empty()).then_some(title), links: links.get() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_html_is_parsed() {
        let page = "<title> A\n &amp; B</title><p><a href=x>1<a href='y'>2<a name=z>3<!-- <a href=no> --><svg><title>no</title>";
        assert_eq!(parse(page.as_bytes()), PageInfo { title: Some("A & B".into()), links: 2 });
        assert_eq!(parse(b""), PageInfo::default());
        assert_eq!(parse(b"<title>\xff\xfe"), PageInfo { title: Some("\u{fffd}\u{fffd}".into()), links: 0 });
    }

    #[test]
    fn parsing_stops_at_the_memory_limit() {
        let deep = "<a href=x><div>".repeat(200_000);
        assert!(parse(deep.as_bytes()).links > 1_000);
    }
}
