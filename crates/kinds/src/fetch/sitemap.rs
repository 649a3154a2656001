//! Lists of addresses that a site has of itself.

use std::collections::{HashSet, VecDeque};
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use quick_xml::Reader;
use quick_xml::events::Event;
use url::Url;

use super::addresses::address;
use super::client::{Asking, Client};

/// The most sitemaps that are read for one.
const MAX_SITEMAPS: usize = 100;

/// How long all of them may take.
const TIME: Duration = Duration::from_secs(60);

/// How deeply elements may be nested: those of sitemaps are four deep, with extensions some more.
const MAX_DEPTH: usize = 16;

/// The most bytes of one, unpacked: what the protocol allows.
const MAX_BYTES: usize = 50 << 20;

/// The most bytes of all of their addresses.
const MAX_LISTED: usize = 64 << 20;

/// The addresses in a sitemap, and in those that it leads to.
pub(super) async fn read(client: &Client, sitemap: Url) -> Result<Vec<String>, String> {
    let first = sitemap.clone();
    let read = tokio::time::timeout(TIME, read_all(client, sitemap)).await;
    read.unwrap_or_else(|_| Err(format!("sitemap {first}: it takes longer than {} s", TIME.as_secs())))
}

async fn read_all(client: &Client, sitemap: Url) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut seen = HashSet::from([sitemap.clone()]);
    let mut left = VecDeque::from([sitemap]);
    while let Some(sitemap) = left.pop_front() {
        let asking = Asking { redirects: 10, max_bytes: MAX_BYTES };
        let body =
            client.read_all(sitemap.clone(), asking).await.map_err(|reason| format!("sitemap {sitemap}: {reason}"))?;
        let listed =
            tokio::task::spawn_blocking(move || parse(&body)).await.map_err(|error| error.to_string()).flatten();
        let listed = listed.map_err(|reason| format!("sitemap {sitemap}: {reason}"))?;
        for url in listed.pages {
            bytes += url.len();
            found.push(url);
        }
        if bytes > MAX_LISTED || found.len() > quilt::grid::MAX_SQUARES as usize {
            return Err(format!("sitemap {sitemap}: it lists more than fits into a batch"));
        }
        for other in listed.sitemaps {
            let other = address(&other).map_err(|reason| format!("sitemap {sitemap}: {reason}"))?;
            if seen.insert(other.clone()) {
                left.push_back(other);
            }
            if seen.len() > MAX_SITEMAPS {
                return Err(format!("sitemap {sitemap}: it leads to more than {MAX_SITEMAPS} others"));
            }
        }
    }
    Ok(found)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    pages: Vec<String>,
    sitemaps: Vec<String>,
}

/// Reads one, which may be packed.
fn parse(body: &Bytes) -> Result<Listed, String> {
    let mut unpacked = Vec::new();
    let text = if body.starts_with(&[0x1f, 0x8b]) {
        let mut reader = GzDecoder::new(&**body).take(MAX_BYTES as u64 + 1);
        reader.read_to_end(&mut unpacked).map_err(|error| format!("it cannot be unpacked: {error}"))?;
        if unpacked.len() > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes"));
        }
        &unpacked[..]
    } else {
        body
    };
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut listed = Listed::default();
    let mut open: Vec<String> = Vec::new();
    let mut location = String::new();
    let mut has_root = false;
    loop {
        match reader.read_event().map_err(|error| format!("it is not XML: {error}"))? {
            Event::Start(_) if open.len() == MAX_DEPTH => return Err("its elements are nested too deeply".into()),
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
                    ["urlset", "url", "loc"] => listed.pages.push(location.trim().into()),
                    ["sitemapindex", "sitemap", "loc"] => listed.sitemaps.push(location.trim().into()),
                    _ => {}
                }
                open.pop();
            }
            Event::Eof if !open.is_empty() => return Err("it breaks off".into()),
            Event::Eof => break,
            _ => {}
        }
    }
    if has_root { Ok(listed) } else { Err("it is no sitemap: it begins with neither urlset nor sitemapindex".into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn pages_and_other_sitemaps_are_found() {
        let text = r#"<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:i="i">
            <url><loc> http://a/?x=1&amp;y=2 </loc><i:image><i:loc>http://a/no.png</i:loc></i:image></url>
            <url><loc><![CDATA[http://a/b]]></loc></url></urlset>"#;
        let expected = Listed { pages: vec!["http://a/?x=1&y=2".into(), "http://a/b".into()], sitemaps: Vec::new() };
        assert_eq!(parse(&Bytes::from(text)), Ok(expected));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"<sitemapindex><sitemap><loc>http://a/s.xml</loc></sitemap></sitemapindex>").expect("memory");
        let expected = Listed { pages: Vec::new(), sitemaps: vec!["http://a/s.xml".into()] };
        assert_eq!(parse(&packed.finish().expect("memory").into()), Ok(expected));
    }

    #[test]
    fn other_documents_are_refused_and_bombs_are_not_unpacked() {
        for text in ["", "<html></html>", "no", "<urlset><url>", "<urlset></url>"] {
            let parsed = parse(&Bytes::from(text));
            assert!(parsed.is_err(), "{text}: {parsed:?}");
        }
        let deep = "<a>".repeat(1_000_000);
        assert!(parse(&deep.into()).expect_err("too deep").contains("too deeply"));
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..60 {
            bomb.write_all(&[b' '; 1 << 20]).expect("memory");
        }
        let bomb = Bytes::from(bomb.finish().expect("memory"));
        assert!(bomb.len() < 100_000);
        assert!(parse(&bomb).expect_err("too large").contains("more than"));
    }
}
