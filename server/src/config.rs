//! Settings. In increasing precedence: defaults, `quilt.toml`, `QUILT_*` in the environment, flags.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::jetstream::Options;
use engine::{MAX_SLOTS, Node, Retention, Settings, Slots};
use figment::Figment;
use figment::providers::{Env, Serialized};
use kinds::WorkPolicy;
use kinds::command::{CommandPolicy, CommandSpec};
use kinds::fetch::FetchPolicy;
use quilt::grid::{MAX_SIDE, MAX_SQUARES};
use quilt::{Limits, OwnerId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cli::{ServeOptions, WorkOptions};
use crate::logging::{Log, LogFormat};
use crate::origin::{AllowedOrigins, InvalidOrigin};
use crate::settings_file::SettingsFile;
use crate::site_files::Site;

/// The settings file that is read by default, if it exists.
const DEFAULT_FILE: &str = "quilt.toml";

/// Maximum length of the name of a node, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// An invalid setting.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// A value has the wrong type or format, or a key is unknown. The message has the source, the key and the expected type.
    #[error("{0}")]
    Setting(Box<figment::Error>),
    /// The file of `--config` does not exist.
    #[error("there is no file {0}")]
    NoFile(PathBuf),
    /// A number is outside its range.
    #[error("{key} must be from {min} to {max}, not {value}")]
    OutOfRange { key: &'static str, value: u64, min: u64, max: u64 },
    /// The filter cannot be parsed.
    #[error("log_filter: {0}")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    /// The origin is invalid.
    #[error("origin: {0}")]
    Origin(#[from] InvalidOrigin),
    /// The number of replicas is invalid.
    #[error("nats_replicas must be 1, 3 or 5, not {0}")]
    Replicas(u8),
    /// The certificate or the key is missing.
    #[error("nats_certificate and nats_key go together")]
    IncompleteCertificate,
    /// The name of the node is invalid.
    #[error(
        "name must have 1 to {MAX_NAME_BYTES} letters, digits, hyphens, underscores or single dots within, unlike {0:?}"
    )]
    Name(String),
    /// A network is invalid.
    #[error("fetch_allow must name networks such as 10.1.0.0/16, unlike '{0}'")]
    Network(String),
    /// A command is invalid.
    #[error("{0}")]
    Command(String),
    /// `quilt work` without NATS.
    #[error("quilt work needs the addresses of NATS servers (--nats); quilt serve runs tasks by itself")]
    MissingNats,
}

/// The settings as in a file. [`ServeOptions`] documents them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConfig {
    addr: SocketAddr,
    data: PathBuf,
    site: Option<PathBuf>,
    origin: Option<String>,
    nats: Option<String>,
    nats_credentials: Option<PathBuf>,
    nats_ca: Option<PathBuf>,
    nats_certificate: Option<PathBuf>,
    nats_key: Option<PathBuf>,
    nats_replicas: u8,
    nats_prefix: String,
    name: Option<String>,
    slots: u32,
    /// The former name of `slots`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workers: Option<u32>,
    compute_slots: Option<u32>,
    process_slots: Option<u32>,
    grace_ms: u32,
    fetch_allow: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    commands: BTreeMap<String, CommandSpec>,
    log_filter: String,
    log_format: LogFormat,
    max_side: u16,
    max_squares: u32,
    max_attempts: u8,
    max_timeout_ms: u32,
    max_deadline_ms: u32,
    max_running: u32,
    max_running_squares: u64,
    keep_hours: u32,
    keep_bytes: u64,
    max_channels: u32,
    max_body: u32,
    max_input: u32,
    max_memory: u64,
}

impl Default for RawConfig {
    fn default() -> Self {
        let limits = Limits::default();
        let engine = Settings::default();
        Self {
            addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000),
            data: "data".into(),
            site: None,
            origin: None,
            nats: None,
            nats_credentials: None,
            nats_ca: None,
            nats_certificate: None,
            nats_key: None,
            nats_replicas: 1,
            nats_prefix: "quilt".into(),
            name: None,
            slots: engine.node.slots.async_,
            workers: None,
            compute_slots: None,
            process_slots: None,
            grace_ms: 5_000,
            fetch_allow: None,
            commands: BTreeMap::new(),
            log_filter: "info,async_nats=warn".into(),
            log_format: LogFormat::Text,
            max_side: limits.side,
            max_squares: limits.squares,
            max_attempts: limits.attempts,
            max_timeout_ms: limits.timeout_ms,
            max_deadline_ms: limits.deadline_ms,
            max_running: engine.running_per_owner,
            max_running_squares: engine.running_squares,
            keep_hours: 30 * 24,
            keep_bytes: 10 << 30,
            max_channels: 10_000,
            max_body: 1 << 20,
            max_input: 64 << 20,
            max_memory: WorkPolicy::default().max_memory,
        }
    }
}

/// Validated settings.
#[derive(Debug)]
pub(crate) struct Config {
    /// The address to listen on.
    pub(crate) addr: SocketAddr,
    /// The folder for the journal and the session key.
    pub(crate) data: PathBuf,
    /// The static files.
    pub(crate) site: Site,
    /// The server's own origin.
    pub(crate) origin: AllowedOrigins,
    /// The connection to NATS; `None` for a single node.
    pub(crate) nats: Option<Options>,
    /// The settings of the engine.
    pub(crate) engine: Settings,
    /// What tasks are allowed to do.
    pub(crate) work: WorkPolicy,
    /// The limits of a launch.
    pub(crate) limits: Limits,
    /// The only visitor who may send unsafe requests, if a command-line tool runs this server.
    pub(crate) sole_owner: Option<OwnerId>,
    /// How long running tasks may take to end on shutdown.
    pub(crate) grace: Duration,
    /// Maximum number of pages and event streams that watch one batch.
    pub(crate) max_channels: usize,
    /// Maximum size of a request body, in bytes.
    pub(crate) max_body: usize,
    /// Maximum size of the body of a launch request, in bytes.
    pub(crate) max_input: usize,
    /// Filter and format of the log.
    pub(crate) log: Log,
}

impl Config {
    /// Loads the settings of a server from all sources.
    pub(crate) fn load(options: &ServeOptions) -> Result<Self, ConfigError> {
        RawConfig::load(options.node.config.as_deref(), options)?.check()
    }

    /// Loads the settings of a node that only runs tasks. Only servers delete finished batches.
    pub(crate) fn load_for_work(options: &WorkOptions) -> Result<Self, ConfigError> {
        let raw = RawConfig::load(options.node.config.as_deref(), options)?;
        if raw.nats.is_none() {
            return Err(ConfigError::MissingNats);
        }
        let mut config = raw.check()?;
        check_range("slots", config.engine.node.slots.sum(), 1, u32::MAX)?;
        config.engine.retention = Retention::default();
        Ok(config)
    }
}

impl Config {
    /// Loads the settings of a server that a command-line tool starts on a folder. `quilt.toml` and the environment apply.
    pub(crate) fn load_for_tool(folder: &Path, workers: u32, fetch_allow: Option<String>) -> Result<Self, ConfigError> {
        let raw = RawConfig::load(None, &serde_json::Map::new())?;
        let raw = RawConfig {
            data: folder.into(),
            nats: None,
            origin: None,
            // Set below.
            slots: 1,
            workers: None,
            fetch_allow: fetch_allow.or_else(|| raw.fetch_allow.clone()),
            grace_ms: 500,
            max_running: u32::MAX,
            keep_hours: 0,
            keep_bytes: 0,
            ..raw
        };
        let mut config = raw.check()?;
        config.engine.node.slots = Slots::all(workers);
        config.engine.reserved_slots = Slots::default();
        config.work.commands.allow_any_program = true;
        // Interrupted batches continue only with `quilt run --resume`.
        config.engine.pauses_unfinished = true;
        Ok(config)
    }
}

impl RawConfig {
    fn load(file: Option<&Path>, options: &impl Serialize) -> Result<Self, ConfigError> {
        let file = match file {
            Some(file) if !file.is_file() => return Err(ConfigError::NoFile(file.into())),
            Some(file) => Some(file.into()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.is_file()),
        };
        let mut settings = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            settings = settings.merge(SettingsFile(file));
        }
        settings
            // `QUILT_URL` is an option of the command-line tools.
            .merge(Env::prefixed("QUILT_").ignore(&["url"]))
            .merge(Serialized::defaults(options))
            .extract()
            .map_err(|error| ConfigError::Setting(Box::new(error)))
    }

    fn check(self) -> Result<Config, ConfigError> {
        let (slots, reserved_slots) = self.slots()?;
        let node = self.node(slots)?;
        let nats = self.nats_options(&node)?;
        check_range("max_side", self.max_side, 1, MAX_SIDE)?;
        check_range("max_squares", self.max_squares, 1, MAX_SQUARES)?;
        check_range("max_attempts", self.max_attempts, 1, u8::MAX)?;
        check_range("max_timeout_ms", self.max_timeout_ms, 1, u32::MAX)?;
        check_range("max_deadline_ms", self.max_deadline_ms, 1, u32::MAX)?;
        check_range("max_running", self.max_running, 1, u32::MAX)?;
        check_range("max_running_squares", self.max_running_squares, u64::from(self.max_squares), 1 << 40)?;
        let age = Some(u64::from(self.keep_hours)).filter(|hours| *hours > 0);
        let retention = Retention {
            age: age.map(|hours| Duration::from_secs(hours * 3_600)),
            bytes: Some(self.keep_bytes).filter(|bytes| *bytes > 0),
        };
        check_range("max_body", self.max_body, 1_024, 1 << 30)?;
        check_range("max_input", self.max_input, self.max_body, 1 << 30)?;
        let work = self.work()?;
        let crash_log = nats.is_none().then(|| self.data.join("quilt.running"));
        Ok(Config {
            addr: self.addr,
            data: self.data,
            site: Site::find(self.site),
            origin: AllowedOrigins::new(self.origin.as_deref())?,
            nats,
            engine: Settings {
                reserved_slots,
                crash_log,
                node,
                running_per_owner: self.max_running,
                running_squares: self.max_running_squares,
                retention,
                ..Settings::default()
            },
            work,
            sole_owner: None,
            limits: Limits {
                side: self.max_side,
                squares: self.max_squares,
                attempts: self.max_attempts,
                timeout_ms: self.max_timeout_ms,
                deadline_ms: self.max_deadline_ms,
            },
            grace: Duration::from_millis(self.grace_ms.into()),
            max_channels: self.max_channels as usize,
            max_body: self.max_body as usize,
            max_input: self.max_input as usize,
            log: Log::new(&self.log_filter, self.log_format)?,
        })
    }
}

impl RawConfig {
    /// Returns the slots of this node, and how many of them are reserved for owners that use none.
    fn slots(&self) -> Result<(Slots, Slots), ConfigError> {
        // A single node must run tasks, so it needs at least one slot.
        let slots = self.workers.unwrap_or(self.slots);
        check_range("slots", slots, u32::from(self.nats.is_none()), MAX_SLOTS)?;
        let Settings { processors, .. } = Settings::default();
        let default = if slots == 0 { Slots::default() } else { Settings::usual_slots(processors) };
        let compute = self.compute_slots.unwrap_or(default.compute);
        check_range("compute_slots", compute, 0, MAX_SLOTS)?;
        // One owner may use all processors; the reserved slots come on top.
        let others = default.process.div_ceil(16);
        let process = self.process_slots.unwrap_or(default.process + others);
        check_range("process_slots", process, 0, MAX_SLOTS)?;
        let reserved = Slots {
            async_: reserved(slots),
            compute: reserved(compute),
            process: self.process_slots.map_or(others, reserved),
        };
        Ok((Slots { async_: slots, compute, process }, reserved))
    }

    fn node(&self, slots: Slots) -> Result<Node, ConfigError> {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let name = match (&self.name, &self.nats) {
            (Some(name), _) => name.clone(),
            (None, None) => "worker".into(),
            (None, Some(_)) => format!("{host}-{}", std::process::id()),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_dotted = name.split('.').count() > 1 && name.split('.').any(str::is_empty);
        if name.is_empty() || is_dotted || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
            return Err(ConfigError::Name(name));
        }
        Ok(Node { name: name.into(), host: host.into(), slots, ..Settings::default().node })
    }

    fn work(&self) -> Result<WorkPolicy, ConfigError> {
        let networks = self.fetch_allow.iter().flat_map(|networks| networks.split(',')).map(str::trim);
        let networks = networks.filter(|network| !network.is_empty());
        let networks = networks.map(|network| network.parse().map_err(|_| ConfigError::Network(network.into())));
        let commands = CommandPolicy { named: self.commands.clone(), allow_any_program: false };
        commands.check().map_err(ConfigError::Command)?;
        let fetch = FetchPolicy { allowed_networks: networks.collect::<Result<_, _>>()? };
        check_range("max_memory", self.max_memory, kinds::MIN_SHARED_MEMORY, 1 << 40)?;
        Ok(WorkPolicy { fetch, commands, max_memory: self.max_memory })
    }

    fn nats_options(&self, node: &Node) -> Result<Option<Options>, ConfigError> {
        if ![1, 3, 5].contains(&self.nats_replicas) {
            return Err(ConfigError::Replicas(self.nats_replicas));
        }
        let certificate = match (self.nats_certificate.clone(), self.nats_key.clone()) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(ConfigError::IncompleteCertificate),
        };
        Ok(self.nats.clone().map(|servers| Options {
            servers,
            credentials: self.nats_credentials.clone(),
            ca: self.nats_ca.clone(),
            certificate,
            replicas: self.nats_replicas.into(),
            prefix: self.nats_prefix.clone(),
            name: node.name.to_string(),
        }))
    }
}

/// Returns how many of `slots` are reserved for owners that use none: one in 16, at least one, but none of fewer than 4.
fn reserved(slots: u32) -> u32 {
    if slots < 4 { 0 } else { (slots / 16).max(1) }
}

fn check_range<T: Into<u64>>(key: &'static str, value: T, min: T, max: T) -> Result<(), ConfigError> {
    let (value, min, max) = (value.into(), min.into(), max.into());
    if (min..=max).contains(&value) { Ok(()) } else { Err(ConfigError::OutOfRange { key, value, min, max }) }
}
