//! One address, with its redirections, up to the end of what it answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use engine::work::{Detail, Done, Retry, TaskError};
use quilt::Color;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect;
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::addresses::{Policy, Refused, Resolver, address};
use super::hosts::Hosts;
use super::html;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);

/// The longest pause that a host can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// What an answer is read up to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    /// How many redirections are followed.
    pub(super) redirects: u8,
    /// How many bytes are read, unpacked.
    pub(super) max_bytes: usize,
}

/// Asks for addresses that may be asked. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    client: reqwest::Client,
    policy: Arc<Policy>,
}

/// Why there is no response, or not all of it.
#[derive(Debug)]
struct Failure {
    class: &'static str,
    /// In a few words, without the names of hosts.
    reason: Cow<'static, str>,
    message: String,
    retry: Retry,
}

impl Failure {
    fn permanent(class: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), message: message.into(), retry: Retry::Never }
    }
}

/// What is known of an address so far.
#[derive(Debug)]
struct Visit {
    url: Url,
    /// How long others were asked first.
    waited: Duration,
    redirects: u8,
    status: Option<StatusCode>,
    content_type: Option<String>,
    bytes: usize,
    is_truncated: bool,
    title: Option<String>,
    links: Option<u32>,
}

/// Chooses the cryptography for all clients of this process. Needed before one is made; done again it changes nothing.
pub fn install_tls() {
    // Fails where there is one already, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    pub(super) fn new(policy: Arc<Policy>) -> Result<Self, String> {
        install_tls();
        let client = reqwest::Client::builder()
            .user_agent(concat!("Quilt/", env!("CARGO_PKG_VERSION")))
            // Each redirection is an address of its own to check.
            .redirect(redirect::Policy::none())
            .dns_resolver(Resolver(Arc::clone(&policy)))
            // A proxy would ask for us, whatever the address.
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| format!("no client for the web can be made: {error}"))?;
        Ok(Self { client, policy })
    }

    /// Asks for an address, and tells what came of it.
    pub(super) async fn fetch(&self, url: Url, asking: Asking, hosts: &Hosts) -> Result<Done, TaskError> {
        let mut visit = Visit::of(url);
        let started = Instant::now();
        let result = self.visit(&mut visit, asking, Some(hosts)).await;
        let result = result.and_then(|(body, retry_after)| visit.judge(&body, retry_after));
        if let Err(Failure { retry: Retry::After(pause), .. }) = &result {
            hosts.hold(&visit.url, *pause);
        }
        let took = started.elapsed().saturating_sub(visit.waited);
        let detail = visit.detail(took, result.as_ref().err());
        match result {
            Ok(()) => Ok(Done { color: visit.color(took), detail: Some(detail) }),
            Err(Failure { reason, message, retry, .. }) => {
                Err(TaskError { reason, message, retry, detail: Some(Box::new(detail)) })
            }
        }
    }

    /// The whole of what an address answers, of which everything is needed.
    pub(super) async fn read_all(&self, url: Url, asking: Asking) -> Result<Bytes, String> {
        let mut visit = Visit::of(url);
        let (body, _) = self.visit(&mut visit, asking, None).await.map_err(|failure| failure.message)?;
        match visit.status {
            Some(status) if !status.is_success() => Err(status.to_string()),
            _ if visit.is_truncated => Err(format!("it has more than {} bytes", asking.max_bytes)),
            _ => Ok(body),
        }
    }

    /// Follows redirections to an answer, and reads it.
    async fn visit(
        &self,
        visit: &mut Visit,
        asking: Asking,
        hosts: Option<&Hosts>,
    ) -> Result<(Bytes, Option<Duration>), Failure> {
        loop {
            self.policy
                .check(&visit.url)
                .map_err(|refused| Failure::permanent("refused", "not a public address", refused.to_string()))?;
            let waiting = Instant::now();
            let _place = match hosts {
                Some(hosts) => hosts.wait_for(&visit.url).await.map_err(|left| Failure {
                    class: "held",
                    reason: "throttled".into(),
                    message: "its host has asked to be left alone for a while".into(),
                    retry: Retry::After(left),
                })?,
                None => None,
            };
            visit.waited += waiting.elapsed();
            let request =
                self.client.get(visit.url.clone()).header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
            let response = request.send().await.map_err(|error| failure(&error))?;
            visit.status = Some(response.status());
            match next_address(&visit.url, &response)? {
                Some(_) if visit.redirects >= asking.redirects => {
                    let message = format!("more than {} redirections", asking.redirects);
                    return Err(Failure::permanent("redirects", "too many redirections", message));
                }
                Some(next) => {
                    visit.redirects += 1;
                    visit.url = next;
                }
                None => {
                    let headers = response.headers();
                    visit.content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(shortened);
                    let retry_after = retry_after(headers);
                    // Of what is no page nothing is told but its size.
                    let keeps = hosts.is_none() || visit.content_type.as_deref().is_some_and(is_html);
                    let body = visit.read(response, asking.max_bytes, keeps).await?;
                    return Ok((body, retry_after));
                }
            }
        }
    }
}

/// The beginning of what a host says, as long as it makes sense.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Where an answer leads, if it is a redirection.
fn next_address(here: &Url, response: &Response) -> Result<Option<Url>, Failure> {
    let is_redirection = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirection) else { return Ok(None) };
    let bad = |reason: String| {
        Failure::permanent("redirects", "invalid redirection", format!("a redirection leads nowhere: {reason}"))
    };
    let location = std::str::from_utf8(location.as_bytes()).map_err(|error| bad(error.to_string()))?;
    let next = here.join(location).map_err(|error| bad(error.to_string()))?;
    address(next.as_str()).map(Some).map_err(bad)
}

/// How long a host asks to be left alone. A date is not understood: it would be compared with another clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

impl Visit {
    fn of(url: Url) -> Self {
        Self {
            url,
            waited: Duration::ZERO,
            redirects: 0,
            status: None,
            content_type: None,
            bytes: 0,
            is_truncated: false,
            title: None,
            links: None,
        }
    }

    /// Reads up to so many bytes. They are counted, and kept where somebody looks at them.
    async fn read(&mut self, mut response: Response, most: usize, keeps: bool) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| failure(&error))? {
            let room = most - self.bytes;
            self.is_truncated = piece.len() > room;
            let taken = room.min(piece.len());
            if keeps {
                body.extend_from_slice(piece.get(..taken).unwrap_or_default());
            }
            self.bytes += taken;
            if self.is_truncated {
                break;
            }
        }
        Ok(body.freeze())
    }

    /// What an answer means, and what stands in it.
    fn judge(&mut self, body: &Bytes, retry_after: Option<Duration>) -> Result<(), Failure> {
        if self.content_type.as_deref().is_some_and(is_html) {
            let page = html::read(body);
            (self.title, self.links) = (page.title, Some(page.links));
        }
        let status = self.status.unwrap_or_default();
        let soon = retry_after.map_or(Retry::Soon, Retry::After);
        let (class, retry) = match status.as_u16() {
            200..300 => return Ok(()),
            429 => ("429", soon),
            500..600 => ("5xx", soon),
            400..500 => ("4xx", Retry::Never),
            300..400 => ("3xx", Retry::Never),
            _ => ("status", Retry::Never),
        };
        Err(Failure { class, reason: status.to_string().into(), message: status.to_string(), retry })
    }

    fn detail(&self, took: Duration, failure: Option<&Failure>) -> Detail {
        let mut record = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                record.insert(name.into(), value);
            }
        };
        put("status", self.status.map(|status| status.as_u16()).into());
        put("final_url", self.url.as_str().into());
        put("redirects", self.redirects.into());
        put("type", self.content_type.clone().into());
        put("bytes", self.bytes.into());
        put("ms", (took.as_millis() as u64).into());
        put("title", self.title.clone().into());
        put("links", self.links.into());
        put("error", failure.map(|failure| failure.class).into());
        if self.is_truncated {
            put("truncated", true.into());
        }
        Detail::Record(record)
    }

    /// Green where it answered, blue where it did so elsewhere; the longer it took, the darker.
    fn color(&self, took: Duration) -> Color {
        let [red, green, blue] = if self.redirects == 0 { [92, 184, 120] } else { [86, 150, 210] };
        // A second is half as bright.
        let light = 1.0 / (1.0 + took.as_secs_f64());
        let channel = |value: u32| (f64::from(value) * light.max(0.35)) as u32;
        Color::from_rgb(channel(red) << 16 | channel(green) << 8 | channel(blue))
    }
}

fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

/// What an error of the client means.
fn failure(error: &reqwest::Error) -> Failure {
    let causes = || std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    // The resolver's own word, if it has refused.
    if let Some(refused) = causes().find_map(|cause| cause.downcast_ref::<Refused>()) {
        return match refused {
            Refused::NotPublic { .. } => Failure::permanent("refused", "not a public address", refused.to_string()),
            Refused::Unknown { .. } => Failure::permanent("dns", "no such host", refused.to_string()),
        };
    }
    let is_tls = causes().any(|cause| cause.is::<rustls::Error>());
    let last = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
    if is_tls {
        Failure::permanent("tls", "TLS error", format!("tls: {last}"))
    } else if error.is_timeout() {
        Failure {
            class: "timeout",
            reason: "timed out".into(),
            message: "nothing came in time".into(),
            retry: Retry::Soon,
        }
    } else if error.is_connect() {
        // Nobody listens there. That does not change within seconds.
        Failure::permanent("connect", "cannot connect", format!("connect: {last}"))
    } else if error.is_body() || error.is_decode() {
        Failure::permanent("body", "incomplete response", format!("its answer is not whole: {last}"))
    } else {
        Failure::permanent("http", "invalid response", format!("http: {last}"))
    }
}
