//! What stands in a page.

use std::cell::{Cell, RefCell};

use html_escape::decode_html_entities;
use lol_html::{HtmlRewriter, MemorySettings, Settings, element, text};

/// The longest title that is kept, in characters.
const MAX_TITLE: usize = 300;

/// The most memory that reading a page may take, in bytes, besides the page itself. Hostile ones are nested without end.
const MAX_MEMORY: usize = 8 << 20;

/// What is told of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: Option<String>,
    /// How many links lead from it.
    pub(super) links: u32,
}

/// Reads a page in one go, in a time that depends on its length alone, whatever is wrong with it. What cannot be read ends it.
pub(super) fn read(page: &[u8]) -> Page {
    let titles = Cell::new(0);
    let title = RefCell::new(String::new());
    let links = Cell::new(0_u32);
    let settings = Settings::new()
        .append_element_content_handler(element!("title", |_| {
            titles.set(titles.get() + 1);
            Ok(())
        }))
        // Of the first one. There are others, in pictures.
        .append_element_content_handler(text!("title", |chunk| {
            let mut title = title.borrow_mut();
            if titles.get() == 1 && title.len() < MAX_TITLE * 8 {
                title.push_str(chunk.as_str());
            }
            Ok(())
        }))
        .append_element_content_handler(element!("a[href], area[href]", |_| {
            links.set(links.get().saturating_add(1));
            Ok(())
        }))
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(MAX_MEMORY))
        .with_strict(false);
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    // A page that takes too much memory is told as far as it was read.
    if rewriter.write(page).is_ok() {
        let _ = rewriter.end();
    }
    let title = title.take();
    let words: Vec<&str> = title.split_whitespace().collect();
    let title: String = decode_html_entities(&words.join(" ")).chars().take(MAX_TITLE).collect();
    Page { title: (!title.is_empty()).then_some(title), links: links.get() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_whatever_is_wrong_with_them() {
        let page = "<title> A\n &amp; B</title><p><a href=x>1<a href='y'>2<a name=z>3<!-- <a href=no> --><svg><title>no</title>";
        assert_eq!(read(page.as_bytes()), Page { title: Some("A & B".into()), links: 2 });
        assert_eq!(read(b""), Page::default());
        assert_eq!(read(b"<title>\xff\xfe"), Page { title: Some("\u{fffd}\u{fffd}".into()), links: 0 });
    }

    #[test]
    fn a_page_without_end_is_read_as_far_as_memory_goes() {
        let deep = "<a href=x><div>".repeat(200_000);
        assert!(read(deep.as_bytes()).links > 1_000);
    }
}
