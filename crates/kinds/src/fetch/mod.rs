//! `fetch`: an address on the web for each square.
//!
//! # Layout
//!
//! - `addresses`: what an address is, and which may be asked; `hosts`: how often each host is
//! - `client`: one address, with its redirections, up to the end of what it answers
//! - `html`: what stands in a page; `sitemap`: lists of addresses

mod addresses;
mod client;
mod hosts;
mod html;
mod sitemap;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{AsyncWork, Column, Done, Field, FieldKind, Form, Kind, Launch, Task, TaskError, Work, parameters};
use quilt::{BatchSpec, WorkSpec};
use serde::{Deserialize, Serialize};
use url::Url;

use self::addresses::address;
pub use self::addresses::{Policy, Refused};
pub use self::client::install_tls;
use self::client::{Asking, Client};
use self::hosts::Hosts;
use crate::lines::{self, Lines, gather, store};

/// The most bytes of an answer that can be asked for.
const MAX_BYTES: u32 = 16 << 20;

/// The most redirections that can be followed.
const MAX_REDIRECTS: u8 = 20;

/// The most requests to a host at the same time.
const MAX_PER_HOST: u16 = 256;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The addresses.
    #[serde(default, skip_serializing)]
    urls: Option<serde_json::Value>,
    /// The address of a sitemap, which is read at the launch.
    #[serde(default, skip_serializing)]
    sitemap: Option<String>,
    /// How many requests to one host go on at the same time.
    #[serde(default = "four")]
    per_host: u16,
    /// How many requests to one host are started a second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_host_per_second: Option<f64>,
    /// How many redirections are followed.
    #[serde(default = "ten")]
    redirects: u8,
    /// How many bytes of an answer are read, after they are unpacked.
    #[serde(default = "two_mebibytes")]
    max_bytes: u32,
}

fn four() -> u16 {
    4
}

fn ten() -> u8 {
    10
}

fn two_mebibytes() -> u32 {
    2 << 20
}

impl Parameters {
    fn check(&self) -> Result<(), String> {
        let within = |name, value: u64, min: u64, max: u64| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} must be a whole number from {min} to {max}, not {value}")),
        };
        within("per_host", self.per_host.into(), 1, MAX_PER_HOST.into())?;
        within("redirects", self.redirects.into(), 0, MAX_REDIRECTS.into())?;
        within("max_bytes", self.max_bytes.into(), 1, MAX_BYTES.into())?;
        match self.per_host_per_second {
            Some(rate) if !(0.01..=10_000.0).contains(&rate) => {
                Err(format!("per_host_per_second must be a number from 0.01 to 10000, not {rate}"))
            }
            _ => Ok(()),
        }
    }
}

/// The kind.
pub struct FetchKind {
    policy: Arc<Policy>,
    /// One for all batches: to make it is to read the certificates of all authorities.
    client: OnceLock<Result<Client, String>>,
}

impl FetchKind {
    /// With what may be fetched.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), client: OnceLock::new() }
    }

    fn client(&self) -> Result<Client, String> {
        self.client.get_or_init(|| Client::new(Arc::clone(&self.policy))).clone()
    }
}

#[async_trait]
impl Kind for FetchKind {
    fn name(&self) -> &'static str {
        "fetch"
    }

    fn form(&self) -> Option<Form> {
        let field = |name, label, kind, is_advanced| Field { name, label, kind, is_advanced };
        let number = |name, label, unit, value, min, max, step| {
            field(name, label, FieldKind::Number { unit, value, min, max, step }, true)
        };
        Some(Form {
            title: "Web pages",
            about: "Each task asks for an address: does it answer, where does it lead, how long does it take?",
            presets: Vec::new(),
            draws_presets: false,
            counts_tasks: true,
            fields: vec![
                field("urls", "Addresses", FieldKind::Lines { example: "https://example.org/" }, false),
                field(
                    "sitemap",
                    "Or those of a sitemap",
                    FieldKind::Text { example: "https://example.org/sitemap.xml" },
                    false,
                ),
                number("per_host", "Requests to a host at once", "at most", "4", "1", "256", "1"),
                number("per_host_per_second", "Requests to a host a second", "at most", "", "0.01", "10000", "any"),
                number("redirects", "Redirections", "at most", "10", "0", "20", "1"),
                number("max_bytes", "Bytes of an answer", "at most", "2097152", "1", "16777216", "1"),
            ],
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
            Column { name: "redirects", label: "Redirections" },
            Column { name: "final_url", label: "Led to" },
            Column { name: "error", label: "Error" },
        ]
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        let parameters = parameters::<Parameters>(&work)?;
        parameters.check()?;
        let mut listed = gather("urls", parameters.urls.as_ref(), upload.as_ref())?;
        if let Some(sitemap) = parameters.sitemap.as_deref().filter(|sitemap| !sitemap.trim().is_empty()) {
            let sitemap = address(sitemap).map_err(|reason| format!("sitemap: {reason}"))?;
            listed.extend(sitemap::read(&self.client()?, sitemap).await?);
        }
        let mut urls = Vec::with_capacity(listed.len());
        for (place, line) in listed.iter().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            urls.push(address(line).map_err(|reason| format!("line {}: {reason}", place + 1))?);
        }
        if urls.is_empty() {
            return Err("there is no address to fetch: give urls, a file with one a line, or a sitemap".into());
        }
        let tasks = u32::try_from(urls.len()).ok().filter(|tasks| *tasks <= quilt::grid::MAX_SQUARES);
        let tasks = tasks.ok_or_else(|| {
            format!("there are {} addresses; at most {} are allowed", urls.len(), quilt::grid::MAX_SQUARES)
        })?;
        Ok(Launch::with_parameters(&work, &parameters)?
            .with_input(store(urls.iter().map(Url::as_str)))
            .with_tasks(tasks))
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<Parameters>(&spec.work)?;
        parameters.check()?;
        let urls = Lines::read(input.ok_or("the list of addresses is missing")?)?;
        if urls.len() != spec.grid.squares() as usize {
            return Err("there are not as many addresses as squares".into());
        }
        let asking = Asking { redirects: parameters.redirects, max_bytes: parameters.max_bytes as usize };
        let pause = parameters.per_host_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let hosts = Hosts::new(parameters.per_host.into(), pause);
        Ok(Work::waiting(Fetch { client: self.client()?, hosts, urls, asking }))
    }

    fn items(&self, _spec: &BatchSpec, input: Option<Bytes>) -> Result<Vec<String>, String> {
        lines::items(input)
    }
}

struct Fetch {
    client: Client,
    hosts: Hosts,
    urls: Lines,
    asking: Asking,
}

#[async_trait]
impl AsyncWork for Fetch {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let url = self.urls.get(task.index.0).and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| TaskError::permanent("its address cannot be read"))?;
        self.client.fetch(url, self.asking, &self.hosts).await
    }
}
