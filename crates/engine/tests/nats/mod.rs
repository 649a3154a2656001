//! Real NATS servers, on ports and with folders of their own.

#![allow(dead_code, reason = "each program that uses it uses its share")]

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the server writes, in its folder.
const LOG: &str = "nats.log";

/// A NATS server with JetStream.
pub(crate) struct Nats {
    arguments: Vec<String>,
    pub(crate) port: u16,
    /// Where it tells how it is, over HTTP.
    pub(crate) monitor: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl Nats {
    /// A server that stands alone.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server that stands alone, with arguments of its own.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut nats = Self::new(arguments.iter().map(ToString::to_string).collect());
        nats.run();
        nats
    }

    /// A server without JetStream.
    pub(crate) fn start_without_jetstream() -> Self {
        let mut nats = Self::new(Vec::new());
        nats.arguments.retain(|argument| argument != "-js");
        nats.run();
        nats
    }

    /// A server with a configuration file.
    pub(crate) fn start_configured(configuration: &str) -> Self {
        let mut nats = Self::new(Vec::new());
        let file = nats.folder.path().join("nats.conf");
        std::fs::write(&file, configuration).expect("writable");
        nats.arguments.extend(["-c".into(), file.to_string_lossy().into_owned()]);
        nats.run();
        nats
    }

    /// Three servers that are one cluster.
    pub(crate) fn start_cluster() -> [Self; 3] {
        let routes = [free_port(), free_port(), free_port()];
        let all = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(",");
        let mut servers = [0, 1, 2].map(|number| {
            let route = routes[number];
            let cluster = ["--name", &format!("n{number}"), "--cluster_name", "quilt", "--routes", &all]
                .map(ToString::to_string)
                .into_iter()
                .chain(["--cluster".to_string(), format!("nats://127.0.0.1:{route}")]);
            Self::new(cluster.collect())
        });
        servers.iter_mut().for_each(Self::run);
        servers
    }

    fn new(mut arguments: Vec<String>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (port, monitor) = (free_port(), free_port());
        let store = folder.path().to_string_lossy().into_owned();
        let own = ["-a", "127.0.0.1", "-p", &port.to_string(), "-m", &monitor.to_string(), "-js", "-sd", &store];
        arguments.extend(own.map(ToString::to_string));
        Self { arguments, port, monitor, child: None, folder }
    }

    /// Starts the server, also again with what it has stored.
    pub(crate) fn run(&mut self) {
        let log = self.folder.path().join(LOG);
        let log = std::fs::File::options().create(true).append(true).open(log).expect("writable");
        let child = Command::new(binary())
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nats-server starts; 'make test' installs it");
        let child = self.child.insert(child);
        let started = Instant::now();
        let log = || std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        loop {
            let ended = child.try_wait().expect("it is ours");
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "the NATS server does not start:\n{}", log());
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).expect("it runs")
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The addresses of some servers.
pub(crate) fn urls(servers: &[Nats]) -> String {
    servers.iter().map(Nats::url).collect::<Vec<_>>().join(",")
}

/// A port that nobody has just now, each once. It is lower than those that the system gives to whoever asks for any: another listener, or the
/// other end of a connection, cannot take it before the server does.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = rand::random_range(10_000..32_768);
        let is_new = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
        if is_new && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Where `make test` has put the server, or the one that is on the path.
fn binary() -> PathBuf {
    let installed = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
        Some(cache.join("quilt/tools/nats-server")).filter(|path| Path::exists(path))
    };
    std::env::var_os("NATS_SERVER").map(PathBuf::from).or_else(installed).unwrap_or_else(|| "nats-server".into())
}
