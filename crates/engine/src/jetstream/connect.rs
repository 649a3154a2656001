//! Connects to NATS, and checks the server and the account.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::AccountErrorKind;
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, sleep};

use super::error::{ConnectError, LEAST_PAYLOAD, LEAST_STORAGE, OLDEST};
use super::link::Link;
use super::monitor::Monitor;
use super::names::Names;
use super::set_up::SetUp;
use super::stores::Stores;
use super::upgrade;

/// How long startup waits for servers that respond but are still starting.
const START_TIME: Duration = Duration::from_secs(30);

/// How often it is logged that no server is reachable. Startup waits for a server, because a node may start before NATS, or while it is
/// down.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The interval of pings. After two unanswered pings, the client connects to another server.
const PING_INTERVAL: Duration = Duration::from_secs(4);

/// The addresses of servers, and how to authenticate.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Addresses of servers of one cluster, separated by commas, such as `nats://user:password@host:4222`. A token replaces the user;
    /// `tls://` requires TLS. In passwords, characters with a meaning in addresses are percent-encoded.
    pub servers: String,
    /// A file with credentials.
    pub credentials: Option<PathBuf>,
    /// A file with the certificate of the authority that signed the servers' certificates, if the system does not trust it.
    pub ca: Option<PathBuf>,
    /// Files with a client certificate and its key, for servers that require one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The number of servers that store each message: 1, 3 or 5.
    pub replicas: usize,
    /// The prefix of the names of all streams, buckets and subjects: 1 to 32 letters, digits, `-` and `_`. Nodes with the same prefix form
    /// one cluster. An empty prefix means `quilt`.
    pub prefix: String,
    /// The name of this node in the server's list of connections.
    pub name: String,
}

/// A checked connection to NATS JetStream with all streams and buckets. Cheap to clone.
#[derive(Clone)]
pub struct JetStream {
    pub(super) stores: Stores,
    pub(super) monitor: Arc<Monitor>,
}

impl JetStream {
    /// Connects, checks the server, and creates missing streams and buckets. Waits until a server is reachable, and for a limited time
    /// while servers are starting.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the server rejects the credentials, or is unsuitable.
    pub async fn connect(options: &Options) -> Result<Self, ConnectError> {
        let mut answering_since = None;
        let mut logged: Option<Instant> = None;
        loop {
            let error = match Box::pin(connect_once(options)).await {
                Ok(connected) => return Ok(connected),
                Err(error) => error,
            };
            match &error {
                ConnectError::Unreachable { .. } => answering_since = None,
                // A server or cluster that is starting may return one of these at first.
                ConnectError::Connect { .. } | ConnectError::SetUp { .. }
                    if answering_since.get_or_insert_with(Instant::now).elapsed() < START_TIME => {}
                _ => return Err(error),
            }
            if logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
                logged = Some(Instant::now());
                tracing::warn!(%error, "waiting for NATS");
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}

async fn connect_once(options: &Options) -> Result<JetStream, ConnectError> {
    let addresses = addresses(&options.servers)?;
    let servers = addresses.iter().map(without_password).collect::<Vec<_>>().join(", ");
    let failed = |reason: String| ConnectError::Connect { servers: servers.clone(), reason };
    let names = match &*options.prefix {
        "" => Names::default(),
        prefix => Names::new(prefix).ok_or_else(|| ConnectError::Prefix(prefix.into()))?,
    };
    let link = Link::new(names.clone());
    let client = connect_options(options, &addresses, &link)?.connect(addresses).await.map_err(|error| {
        let reason = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
        match error.kind() {
            ConnectErrorKind::Io | ConnectErrorKind::Dns | ConnectErrorKind::TimedOut => {
                ConnectError::Unreachable { servers: servers.clone(), reason }
            }
            _ => failed(reason),
        }
    })?;
    let server = client.server_info();
    if version(&server.version).is_none_or(|found| found < OLDEST) {
        return Err(ConnectError::TooOld { found: server.version });
    }
    if server.max_payload < LEAST_PAYLOAD {
        return Err(ConnectError::SmallMessages { found: server.max_payload });
    }
    let context = jetstream::new(client);
    let checked = async {
        let checked = check_account(&context).await;
        checked.map_err(|error| error.unwrap_or_else(|| failed("JetStream does not answer".into())))
    };
    link.guard(checked).await?;
    link.guard(upgrade::delete_unused(&context)).await?;
    let set_up =
        SetUp { context, names, link: link.clone(), replicas: options.replicas, max_payload: server.max_payload };
    let stores = link.guard(Box::pin(Stores::set_up(set_up))).await?;
    tracing::info!(servers, version = server.version, "connected to NATS");
    Ok(JetStream { monitor: Arc::new(Monitor::start(stores.clone())), stores })
}

fn addresses(servers: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    let parse = |address: &str| {
        let unreadable = |error: std::io::Error| {
            // The part before the host may contain a password.
            let address = address.rsplit('@').next().unwrap_or_default().into();
            ConnectError::Address { address, reason: error.to_string() }
        };
        address.parse::<ServerAddr>().map_err(unreadable)
    };
    servers.split(',').map(str::trim).map(parse).collect()
}

fn without_password(address: &ServerAddr) -> String {
    format!("{}:{}", address.host(), address.port())
}

fn connect_options(options: &Options, addresses: &[ServerAddr], link: &Link) -> Result<ConnectOptions, ConnectError> {
    let link = link.clone();
    let mut connect = ConnectOptions::new()
        .name(format!("quilt {}", options.name))
        .ping_interval(PING_INTERVAL)
        .event_callback(move |event| {
            link.observe(&event);
            std::future::ready(())
        });
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    // All servers of a cluster accept the same users.
    if let Some((user, address)) = addresses.iter().find_map(|address| Some((decoded(address.username()?), address))) {
        connect = match address.password() {
            Some(password) => connect.user_and_password(user, decoded(password)),
            None => connect.token(user),
        };
    }
    if let Some(file) = &options.credentials {
        let unusable = |source| ConnectError::Credentials { file: file.clone(), source };
        let credentials = std::fs::read_to_string(file).map_err(unusable)?;
        connect = connect.credentials(&credentials).map_err(unusable)?;
    }
    if let Some(ca) = &options.ca {
        connect = connect.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &options.certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

/// Checks the account. The error is `None` if it may be transient.
async fn check_account(context: &Context) -> Result<(), Option<ConnectError>> {
    let account = context.query_account().await.map_err(|error| match error.kind() {
        AccountErrorKind::JetStreamUnavailable => Some(ConnectError::NoJetStream),
        AccountErrorKind::JetStream(error)
            if [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
                .contains(&error.error_code()) =>
        {
            Some(ConnectError::NoJetStream)
        }
        _ => None,
    })?;
    match account.limits.max_storage {
        Some(found) if found < LEAST_STORAGE => Err(Some(ConnectError::TooLittleStorage { found })),
        _ => Ok(()),
    }
}

/// The major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("2.15.1"), Some((2, 15)));
        assert_eq!(version("2.9.25-beta.1"), Some((2, 9)));
        assert!(version("2.9.25").expect("one") < OLDEST && version("3.0.0").expect("one") > OLDEST);
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn an_address_is_told_without_its_password() {
        let known = addresses("nats://me:secret@one:4222, two").expect("addresses");
        assert_eq!(known.iter().map(without_password).collect::<Vec<_>>(), ["one:4222", "two:4222"]);
        assert!(matches!(addresses("http://one"), Err(ConnectError::Address { .. })));
    }
}
