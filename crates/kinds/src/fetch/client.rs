//! Fetches a URL, including redirects and the response body.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use engine::work::{Detail, Done, LeaseId, Retry, TaskError};
use quilt::Color;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect;
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::host_limiter::HostLimiter;
use super::html;
use super::policy::{AddressError, FetchPolicy, PolicyResolver, parse_url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time between two reads of a response.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer `Retry-After` values are reduced to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
pub(super) struct FetchOptions {
    pub(super) max_redirects: u8,
    /// The maximum number of bytes read of a body, after decompression.
    pub(super) max_body_bytes: usize,
}

/// An HTTP client that connects only to addresses that the policy allows. Cheap to clone.
#[derive(Clone)]
pub(super) struct FetchClient {
    http: reqwest::Client,
    policy: Arc<FetchPolicy>,
}

#[derive(Debug)]
struct FetchError {
    /// The `error` field of the detail.
    class: &'static str,
    /// A short description without the names of hosts, by which failures are grouped.
    reason: Cow<'static, str>,
    message: String,
    retry: Retry,
}

impl FetchError {
    fn permanent(class: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { class, reason: reason.into(), message: message.into(), retry: Retry::Never }
    }
}

/// A request with its redirects and the final response.
#[derive(Debug)]
struct Exchange {
    /// The fencing token of the task, if the exchange belongs to one.
    lease: Option<LeaseId>,
    /// The URL after the redirects so far.
    url: Url,
    /// The time spent waiting for the limits of hosts, which does not count as response time.
    limiter_wait: Duration,
    redirects: u8,
    status: Option<StatusCode>,
    content_type: Option<String>,
    body_bytes: usize,
    is_truncated: bool,
    title: Option<String>,
    links: Option<u32>,
}

/// Carries the fencing token of the task.
const LEASE_HEADER: &str = "quilt-lease";

/// Installs the process-wide TLS provider. Call it before creating a client; later calls have no effect.
pub fn install_tls() {
    // Fails if a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl FetchClient {
    pub(super) fn new(policy: Arc<FetchPolicy>) -> Result<Self, String> {
        install_tls();
        let http = reqwest::Client::builder()
            .user_agent(concat!("Quilt/", env!("CARGO_PKG_VERSION")))
            // Redirects are followed here, because each target must be checked against the policy.
            .redirect(redirect::Policy::none())
            .dns_resolver(PolicyResolver(Arc::clone(&policy)))
            // A proxy would resolve names itself and bypass the policy.
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| format!("cannot create the HTTP client: {error}"))?;
        Ok(Self { http, policy })
    }

    /// Fetches a URL for a task. The detail of the result or the error describes the exchange.
    pub(super) async fn fetch(
        &self,
        url: Url,
        options: FetchOptions,
        redirect_limits: &HostLimiter,
        lease: LeaseId,
    ) -> Result<Done, TaskError> {
        let host = url.host_str().map(ToOwned::to_owned);
        let mut exchange = Exchange { lease: Some(lease), ..Exchange::new(url) };
        let started = Instant::now();
        let result = self.run(&mut exchange, options, Some(redirect_limits)).await;
        let result = result.and_then(|(body, retry_after)| exchange.classify(&body, retry_after));
        let mut key_pause = None;
        if let Err(FetchError { retry: Retry::After(pause), .. }) = &result {
            if exchange.url.host_str() == host.as_deref() {
                key_pause = Some(*pause);
            } else {
                redirect_limits.pause_host(&exchange.url, *pause);
            }
        }
        let response_time = started.elapsed().saturating_sub(exchange.limiter_wait);
        let detail = exchange.detail(response_time, result.as_ref().err());
        match result {
            Ok(()) => Ok(Done { color: exchange.color(response_time), detail: Some(detail) }),
            Err(FetchError { reason, message, retry, .. }) => {
                Err(TaskError { reason, message, retry, detail: Some(Box::new(detail)), key_pause })
            }
        }
    }

    /// Fetches a complete body, without limits per host.
    ///
    /// # Errors
    ///
    /// The status is not 2xx, or the body exceeds the limit.
    pub(super) async fn fetch_body(&self, url: Url, options: FetchOptions) -> Result<Bytes, String> {
        let mut exchange = Exchange::new(url);
        let (body, _) = self.run(&mut exchange, options, None).await.map_err(|error| error.message)?;
        match exchange.status {
            Some(status) if !status.is_success() => Err(status.to_string()),
            _ if exchange.is_truncated => Err(format!("the body has more than {} bytes", options.max_body_bytes)),
            _ => Ok(body),
        }
    }

    /// Follows redirects and reads the final response. Returns its body and its `Retry-After`. The limits of the first host are those of the
    /// task's key, and those of others are `redirect_limits`.
    async fn run(
        &self,
        exchange: &mut Exchange,
        options: FetchOptions,
        redirect_limits: Option<&HostLimiter>,
    ) -> Result<(Bytes, Option<Duration>), FetchError> {
        let first_host = exchange.url.host_str().map(ToOwned::to_owned);
        loop {
            self.policy
                .check(&exchange.url)
                .map_err(|refused| FetchError::permanent("refused", "not a public address", refused.to_string()))?;
            let queued_at = Instant::now();
            let _permit = match redirect_limits {
                Some(limits) => {
                    // The concurrency of the first host is that of the task's key. Its rate counts redirects as well.
                    let is_first_host = exchange.url.host_str() == first_host.as_deref();
                    let admitted = match is_first_host {
                        true => limits.pace(&exchange.url).await.map(|()| None),
                        false => limits.acquire(&exchange.url).await,
                    };
                    admitted.map_err(|pause| FetchError {
                        class: "held",
                        reason: "throttled".into(),
                        message: format!("the host asked clients to pause; {} s remain", pause.as_secs()),
                        // Nothing was sent: this is no attempt, and no worker waits for the host.
                        retry: Retry::Snooze(pause),
                    })?
                }
                None => None,
            };
            exchange.limiter_wait += queued_at.elapsed();
            let request =
                self.http.get(exchange.url.clone()).header(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
            let request = match exchange.lease {
                Some(lease) => request.header(LEASE_HEADER, lease.to_string()),
                None => request,
            };
            let response = request.send().await.map_err(|error| classify_error(&error))?;
            exchange.status = Some(response.status());
            match redirect_target(&exchange.url, &response)? {
                Some(_) if exchange.redirects >= options.max_redirects => {
                    let message = format!("more than {} redirects", options.max_redirects);
                    return Err(FetchError::permanent("redirects", "too many redirections", message));
                }
                Some(target) => {
                    exchange.redirects += 1;
                    exchange.url = target;
                }
                None => {
                    let headers = response.headers();
                    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                    exchange.content_type = content_type.map(truncate_header);
                    let retry_after = retry_after(headers);
                    // For other content types only the size is recorded.
                    let keep_body = redirect_limits.is_none() || exchange.content_type.as_deref().is_some_and(is_html);
                    let body = exchange.read_body(response, options.max_body_bytes, keep_body).await?;
                    return Ok((body, retry_after));
                }
            }
        }
    }
}

/// Truncates a header value before it is stored.
fn truncate_header(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Returns the target of a redirect; `None` for any other response.
fn redirect_target(base: &Url, response: &Response) -> Result<Option<Url>, FetchError> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else { return Ok(None) };
    let invalid = |reason: String| {
        FetchError::permanent("redirects", "invalid redirection", format!("invalid Location header: {reason}"))
    };
    let location = std::str::from_utf8(location.as_bytes()).map_err(|error| invalid(error.to_string()))?;
    let target = base.join(location).map_err(|error| invalid(error.to_string()))?;
    parse_url(target.as_str()).map(Some).map_err(invalid)
}

/// Parses `Retry-After` in seconds. Dates are ignored, because the clocks of the two machines may differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

impl Exchange {
    fn new(url: Url) -> Self {
        Self {
            lease: None,
            url,
            limiter_wait: Duration::ZERO,
            redirects: 0,
            status: None,
            content_type: None,
            body_bytes: 0,
            is_truncated: false,
            title: None,
            links: None,
        }
    }

    /// Reads and counts up to `max_bytes` bytes. Returns an empty body unless `keep` is set.
    async fn read_body(&mut self, mut response: Response, max_bytes: usize, keep: bool) -> Result<Bytes, FetchError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| classify_error(&error))? {
            let remaining = max_bytes - self.body_bytes;
            self.is_truncated = chunk.len() > remaining;
            let length = remaining.min(chunk.len());
            if keep {
                body.extend_from_slice(chunk.get(..length).unwrap_or_default());
            }
            self.body_bytes += length;
            if self.is_truncated {
                break;
            }
        }
        Ok(body.freeze())
    }

    /// Extracts title and links from an HTML body, and maps the status to success or failure.
    fn classify(&mut self, body: &Bytes, retry_after: Option<Duration>) -> Result<(), FetchError> {
        if self.content_type.as_deref().is_some_and(is_html) {
            let page = html::parse(body);
            (self.title, self.links) = (page.title, Some(page.links));
        }
        let status = self.status.unwrap_or_default();
        let retry = retry_after.map_or(Retry::Soon, Retry::After);
        let (class, retry) = match status.as_u16() {
            200..300 => return Ok(()),
            429 => ("429", retry),
            500..600 => ("5xx", retry),
            400..500 => ("4xx", Retry::Never),
            300..400 => ("3xx", Retry::Never),
            _ => ("status", Retry::Never),
        };
        Err(FetchError { class, reason: status.to_string().into(), message: status.to_string(), retry })
    }

    fn detail(&self, response_time: Duration, error: Option<&FetchError>) -> Detail {
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
        put("bytes", self.body_bytes.into());
        put("ms", (response_time.as_millis() as u64).into());
        put("title", self.title.clone().into());
        put("links", self.links.into());
        put("error", error.map(|error| error.class).into());
        if self.is_truncated {
            put("truncated", true.into());
        }
        Detail::Record(record)
    }

    /// Green without redirects, blue with redirects; the slower, the darker.
    fn color(&self, response_time: Duration) -> Color {
        let [red, green, blue] = if self.redirects == 0 { [92, 184, 120] } else { [86, 150, 210] };
        // A response after one second is half as bright as an immediate one.
        let light = 1.0 / (1.0 + response_time.as_secs_f64());
        let channel = |value: u32| (f64::from(value) * light.max(0.35)) as u32;
        Color::from_rgb(channel(red) << 16 | channel(green) << 8 | channel(blue))
    }
}

fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

fn classify_error(error: &reqwest::Error) -> FetchError {
    let causes = || std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    // Errors of `PolicyResolver` arrive as causes.
    if let Some(refused) = causes().find_map(|cause| cause.downcast_ref::<AddressError>()) {
        return match refused {
            AddressError::NotPublic { .. } => {
                FetchError::permanent("refused", "not a public address", refused.to_string())
            }
            AddressError::Unresolved { .. } => FetchError::permanent("dns", "no such host", refused.to_string()),
        };
    }
    let is_tls = causes().any(|cause| cause.is::<rustls::Error>());
    let last = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
    if is_tls {
        FetchError::permanent("tls", "TLS error", format!("TLS error: {last}"))
    } else if error.is_timeout() {
        let message = match error.is_connect() {
            true => format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
            false => format!("no data received for {} s", READ_TIMEOUT.as_secs()),
        };
        FetchError { class: "timeout", reason: "timed out".into(), message, retry: Retry::Soon }
    } else if error.is_connect() {
        // Usually the port is closed, which does not change within seconds.
        FetchError::permanent("connect", "cannot connect", format!("cannot connect: {last}"))
    } else if error.is_body() || error.is_decode() {
        FetchError::permanent("body", "incomplete response", format!("incomplete response: {last}"))
    } else {
        FetchError::permanent("http", "invalid response", format!("invalid response: {last}"))
    }
}
