//! `fetch`: one HTTP request per square.
//!
//! # Layout
//!
//! - `policy`: which URLs and IP addresses may be requested
//! - `client`: one exchange, including redirects and the response body
//! - `host_limiter`: concurrency and rate limits per host
//! - `html`: title and links of a page; `sitemap`: URLs in sitemaps

mod client;
mod host_limiter;
mod html;
mod policy;
mod sitemap;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{
    AsyncWork, Column, Done, Example, Field, FieldKind, Form, KeyLimits, Kind, Launch, Task, TaskError, TaskKeys, Unit,
    Work, counted, parameters,
};
use quilt::{BatchSpec, Grid, Index, WorkSpec};
use serde::{Deserialize, Serialize};
use url::Url;

pub use self::client::install_tls;
use self::client::{FetchClient, FetchOptions};
use self::host_limiter::HostLimiter;
use self::policy::parse_url;
pub use self::policy::{AddressError, FetchPolicy};
use crate::item_list::{self, ItemList};

/// Pages that everybody may request, one of which does not exist.
const EXAMPLE_URLS: &str = "https://example.org/
https://example.com/
https://example.net/
https://www.iana.org/help/example-domains
https://www.rfc-editor.org/
https://example.org/no-such-page";

/// The upper limit of `max_bytes`.
const MAX_BODY_BYTES: u32 = 16 << 20;

/// The upper limit of `redirects`.
const MAX_REDIRECTS: u8 = 20;

/// The upper limit of `per_host`.
const MAX_PER_HOST: u16 = 256;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FetchParameters {
    /// The URLs. The batch's input stores them, not its parameters.
    #[serde(default, skip_serializing)]
    urls: Option<serde_json::Value>,
    /// The URL of a sitemap, which is read once at launch.
    #[serde(default, skip_serializing)]
    sitemap: Option<String>,
    /// The maximum number of concurrent requests per host.
    #[serde(default = "default_per_host")]
    per_host: u16,
    /// The maximum number of requests per host and second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_host_per_second: Option<f64>,
    /// The maximum number of redirects.
    #[serde(default = "default_redirects")]
    redirects: u8,
    /// The maximum number of bytes read of a body, after decompression.
    #[serde(default = "default_max_bytes")]
    max_bytes: u32,
}

fn default_per_host() -> u16 {
    4
}

fn default_redirects() -> u8 {
    10
}

fn default_max_bytes() -> u32 {
    2 << 20
}

impl FetchParameters {
    fn check(&self) -> Result<(), String> {
        let within = |name, value: u64, min: u64, max: u64| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} must be a whole number from {min} to {max}, not {value}")),
        };
        within("per_host", self.per_host.into(), 1, MAX_PER_HOST.into())?;
        within("redirects", self.redirects.into(), 0, MAX_REDIRECTS.into())?;
        within("max_bytes", self.max_bytes.into(), 1, MAX_BODY_BYTES.into())?;
        match self.per_host_per_second {
            Some(rate) if !(0.01..=10_000.0).contains(&rate) => {
                Err(format!("per_host_per_second must be a number from 0.01 to 10000, not {rate}"))
            }
            _ => Ok(()),
        }
    }
}

/// The `fetch` kind.
pub struct FetchKind {
    policy: Arc<FetchPolicy>,
    /// Shared by all batches, because creating a client loads all root certificates.
    client: OnceLock<Result<FetchClient, String>>,
}

impl FetchKind {
    /// Creates the kind for the addresses that `policy` allows.
    #[must_use]
    pub fn new(policy: FetchPolicy) -> Self {
        Self { policy: Arc::new(policy), client: OnceLock::new() }
    }

    fn client(&self) -> Result<FetchClient, String> {
        self.client.get_or_init(|| FetchClient::new(Arc::clone(&self.policy))).clone()
    }
}

#[async_trait]
impl Kind for FetchKind {
    fn name(&self) -> &'static str {
        "fetch"
    }

    fn form(&self) -> Option<Form> {
        let field = |name, label, kind, is_advanced| Field { name, label, kind, is_advanced };
        let number = |name, label, unit, value, empty, min, max, step| {
            field(name, label, FieldKind::Number { unit, value, empty, min, max, step }, true)
        };
        let requests = Unit::of("requests");
        let urls =
            FieldKind::Lines { example: "https://example.org/", file_label: "Or upload a file, one URL per line" };
        let sitemap = FieldKind::Text { example: "https://example.org/sitemap.xml" };
        Some(Form {
            title: "Check URLs",
            about: "Each task requests a URL and records its status, redirects, response time, title and links.",
            counts_tasks: true,
            examples: vec![Example { label: "six example pages", values: vec![("urls", EXAMPLE_URLS)] }],
            fields: vec![
                field("urls", "URLs", urls, false),
                field("sitemap", "Or a sitemap URL", sitemap, false),
                number("per_host", "Concurrent requests per host", requests, "4", "Default: 4", "1", "256", "1"),
                number(
                    "per_host_per_second",
                    "Requests per second per host",
                    requests,
                    "",
                    "no limit",
                    "0.01",
                    "10000",
                    "any",
                ),
                number("redirects", "Max redirects", Unit::of("redirects"), "10", "Default: 10", "0", "20", "1"),
                number("max_bytes", "Max response size", Unit::MEBIBYTES, "2", "Default: 2", "0.001", "16", "any"),
            ],
            ..Form::default()
        })
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Column { name: "status", label: "Status" },
            Column { name: "ms", label: "Time (ms)" },
            Column { name: "bytes", label: "Bytes" },
            Column { name: "type", label: "Type" },
            Column { name: "title", label: "Title" },
            Column { name: "links", label: "Links" },
            Column { name: "redirects", label: "Redirects" },
            Column { name: "final_url", label: "Final URL" },
            Column { name: "error", label: "Error" },
        ]
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        let parameters = parameters::<FetchParameters>(&work)?;
        parameters.check()?;
        let mut lines = item_list::collect("urls", parameters.urls.as_ref(), upload.as_ref())?;
        let listed = parameters.urls.as_ref().and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        let uploaded = lines.len();
        if let Some(sitemap) = parameters.sitemap.as_deref().filter(|sitemap| !sitemap.trim().is_empty()) {
            let sitemap = parse_url(sitemap).map_err(|reason| format!("sitemap: {reason}"))?;
            lines.extend(sitemap::fetch_urls(&self.client()?, sitemap).await?);
        }
        let mut urls = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            urls.push(parse_url(line).map_err(|reason| match index {
                _ if index < listed => format!("urls: line {}: {reason}", index + 1),
                _ if index < uploaded => format!("file: line {}: {reason}", index - listed + 1),
                _ => format!("sitemap: URL {}: {reason}", index - uploaded + 1),
            })?);
        }
        if urls.is_empty() {
            return Err("there is no URL to fetch: pass urls, a file with one URL per line, or a sitemap".into());
        }
        let tasks = u32::try_from(urls.len()).ok().filter(|tasks| *tasks <= quilt::grid::MAX_SQUARES);
        let tasks = tasks.ok_or_else(|| {
            format!("there are {} URLs; at most {} are allowed", urls.len(), quilt::grid::MAX_SQUARES)
        })?;
        Ok(Launch::with_parameters(&work, &parameters)?
            .with_input(item_list::encode(urls.iter().map(Url::as_str)))
            .with_tasks(tasks))
    }

    fn title(&self, _requested: &WorkSpec, grid: Grid, _file: Option<&str>) -> String {
        counted(grid.squares(), "web page")
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<FetchParameters>(&spec.work)?;
        parameters.check()?;
        let urls = ItemList::parse(input.ok_or("the list of URLs is missing")?)?;
        let squares = spec.grid.squares();
        if urls.len() != squares as usize {
            return Err(format!("the batch has {squares} squares, but its input has {} URLs", urls.len()));
        }
        let options =
            FetchOptions { max_redirects: parameters.redirects, max_body_bytes: parameters.max_bytes as usize };
        let interval = parameters.per_host_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let limits = KeyLimits { concurrency: parameters.per_host.into(), interval: interval.unwrap_or_default() };
        let redirect_limits = HostLimiter::new(parameters.per_host.into(), interval);
        Ok(Work::waiting(FetchWork { client: self.client()?, limits, redirect_limits, urls, options }))
    }

    fn items(&self, _spec: &BatchSpec, input: Option<Bytes>) -> Result<Vec<String>, String> {
        item_list::decode(input)
    }
}

struct FetchWork {
    client: FetchClient,
    /// The limits per host, which apply to all nodes together.
    limits: KeyLimits,
    /// The same limits on this node alone, for targets of redirects to other hosts.
    redirect_limits: HostLimiter,
    urls: ItemList,
    options: FetchOptions,
}

#[async_trait]
impl AsyncWork for FetchWork {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let url = self.url(task.index).ok_or_else(|| TaskError::permanent("its address cannot be read"))?;
        self.client.fetch(url, self.options, &self.redirect_limits, task.lease).await
    }

    fn keys(&self) -> Option<&dyn TaskKeys> {
        Some(self)
    }
}

impl TaskKeys for FetchWork {
    fn key(&self, index: Index) -> Option<Box<str>> {
        self.url(index)?.host_str().map(Into::into)
    }

    fn limits(&self) -> KeyLimits {
        self.limits
    }
}

impl FetchWork {
    fn url(&self, index: Index) -> Option<Url> {
        self.urls.get(index.0).and_then(|url| Url::parse(url).ok())
    }
}
