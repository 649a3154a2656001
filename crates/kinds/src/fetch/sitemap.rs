//! Reads URLs from sitemaps (<https://www.sitemaps.org/protocol.html>).

use std::collections::{HashSet, VecDeque};
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use quick_xml::Reader;
use quick_xml::events::Event;
use url::Url;

use super::client::{FetchClient, FetchOptions};
use super::policy::parse_url;

/// The maximum number of sitemaps that an index may lead to, including itself.
const MAX_SITEMAPS: usize = 100;

/// The time limit for a sitemap with all sitemaps that it leads to.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum depth of elements. Sitemaps need three; extensions need a few more.
const MAX_XML_DEPTH: usize = 16;

/// The maximum size of a decompressed sitemap in bytes, as in the protocol.
const MAX_SITEMAP_BYTES: usize = 50 << 20;

/// The maximum number of URLs.
const MAX_URLS: usize = quilt::grid::MAX_SQUARES as usize;

/// The maximum total length of all URLs.
const MAX_TOTAL_URL_BYTES: usize = 64 << 20;

/// Returns the page URLs in a sitemap and in all sitemaps that it leads to.
pub(super) async fn fetch_urls(client: &FetchClient, sitemap: Url) -> Result<Vec<String>, String> {
    let root = sitemap.clone();
    let result = tokio::time::timeout(TOTAL_TIMEOUT, fetch_recursively(client, sitemap)).await;
    result.unwrap_or_else(|_| Err(format!("sitemap {root}: reading it took longer than {} s", TOTAL_TIMEOUT.as_secs())))
}

async fn fetch_recursively(client: &FetchClient, sitemap: Url) -> Result<Vec<String>, String> {
    let mut urls = Vec::new();
    let mut url_bytes = 0;
    let mut seen = HashSet::from([sitemap.clone()]);
    let mut queue = VecDeque::from([sitemap]);
    while let Some(sitemap) = queue.pop_front() {
        let options = FetchOptions { max_redirects: 10, max_body_bytes: MAX_SITEMAP_BYTES };
        let body = client.fetch_body(sitemap.clone(), options).await;
        let body = body.map_err(|reason| format!("sitemap {sitemap}: {reason}"))?;
        let parsed =
            tokio::task::spawn_blocking(move || parse(&body)).await.map_err(|error| error.to_string()).flatten();
        let parsed = parsed.map_err(|reason| format!("sitemap {sitemap}: {reason}"))?;
        for url in parsed.pages {
            url_bytes += url.len();
            urls.push(url);
        }
        if url_bytes > MAX_TOTAL_URL_BYTES || urls.len() > MAX_URLS {
            let count = urls.len();
            return Err(format!(
                "sitemap {sitemap}: {count} URLs with {url_bytes} bytes; at most {MAX_URLS} with {MAX_TOTAL_URL_BYTES} bytes are allowed"
            ));
        }
        for other in parsed.sitemaps {
            let other = parse_url(&other).map_err(|reason| format!("sitemap {sitemap}: {reason}"))?;
            if seen.insert(other.clone()) {
                queue.push_back(other);
            }
            if seen.len() > MAX_SITEMAPS {
                return Err(format!("sitemap {sitemap}: it leads to more than {MAX_SITEMAPS} sitemaps"));
            }
        }
    }
    Ok(urls)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct SitemapContent {
    pages: Vec<String>,
    sitemaps: Vec<String>,
}

/// Parses a sitemap or a sitemap index, which may be compressed with gzip.
fn parse(body: &Bytes) -> Result<SitemapContent, String> {
    let mut decompressed = Vec::new();
    let text = if body.starts_with(&[0x1f, 0x8b]) {
        let mut reader = GzDecoder::new(&**body).take(MAX_SITEMAP_BYTES as u64 + 1);
        reader.read_to_end(&mut decompressed).map_err(|error| format!("invalid gzip data: {error}"))?;
        if decompressed.len() > MAX_SITEMAP_BYTES {
            return Err(format!("it has more than {MAX_SITEMAP_BYTES} bytes"));
        }
        &decompressed[..]
    } else {
        body
    };
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut content = SitemapContent::default();
    let mut open: Vec<String> = Vec::new();
    let mut location = String::new();
    let mut has_root = false;
    loop {
        match reader.read_event().map_err(|error| format!("invalid XML: {error}"))? {
            Event::Start(_) if open.len() == MAX_XML_DEPTH => {
                return Err(format!("elements are nested more than {MAX_XML_DEPTH} deep"));
            }
            Event::Start(element) => {
                open.push(element.local_name().as_ref().to_owned());
                has_root |= matches!(open.first().map(String::as_str), Some("urlset" | "sitemapindex"));
                location.clear();
            }
            Event::Text(text) if open.last().is_some_and(|name| name == "loc") => location.push_str(&text),
            Event::CData(text) if open.last().is_some_and(|name| name == "loc") => location.push_str(&text),
            Event::GeneralRef(name) if open.last().is_some_and(|name| name == "loc") => {
                let text = format!("&{};", &*name);
                location.push_str(&quick_xml::escape::unescape(&text).map_err(|error| error.to_string())?);
            }
            Event::End(_) => {
                let path: Vec<&str> = open.iter().map(String::as_str).collect();
                match path.as_slice() {
                    ["urlset", "url", "loc"] => content.pages.push(location.trim().into()),
                    ["sitemapindex", "sitemap", "loc"] => content.sitemaps.push(location.trim().into()),
                    _ => {}
                }
                open.pop();
            }
            Event::Eof if !open.is_empty() => return Err("it ends within an element".into()),
            Event::Eof => break,
            _ => {}
        }
    }
    if has_root {
        Ok(content)
    } else {
        Err("not a sitemap: the root element is neither urlset nor sitemapindex".into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn pages_and_sitemap_references_are_extracted() {
        let text = r#"<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:i="i">
            <url><loc> http://a/?x=1&amp;y=2 </loc><i:image><i:loc>http://a/no.png</i:loc></i:image></url>
            <url><loc><![CDATA[http://a/b]]></loc></url></urlset>"#;
        let expected =
            SitemapContent { pages: vec!["http://a/?x=1&y=2".into(), "http://a/b".into()], sitemaps: Vec::new() };
        assert_eq!(parse(&Bytes::from(text)), Ok(expected));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"<sitemapindex><sitemap><loc>http://a/s.xml</loc></sitemap></sitemapindex>").expect("memory");
        let expected = SitemapContent { pages: Vec::new(), sitemaps: vec!["http://a/s.xml".into()] };
        assert_eq!(parse(&gzip.finish().expect("memory").into()), Ok(expected));
    }

    #[test]
    fn other_documents_and_gzip_bombs_are_refused() {
        for text in ["", "<html></html>", "no", "<urlset><url>", "<urlset></url>"] {
            let parsed = parse(&Bytes::from(text));
            assert!(parsed.is_err(), "{text}: {parsed:?}");
        }
        let deep = "<a>".repeat(1_000_000);
        assert!(parse(&deep.into()).expect_err("too deep").contains("more than 16 deep"));
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..60 {
            bomb.write_all(&[b' '; 1 << 20]).expect("memory");
        }
        let bomb = Bytes::from(bomb.finish().expect("memory"));
        assert!(bomb.len() < 100_000);
        assert!(parse(&bomb).expect_err("too large").contains("more than"));
    }
}
