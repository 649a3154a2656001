//! Starts the server and shuts it down gracefully.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use leptos::config::LeptosOptions;
use tokio::net::TcpListener;

use crate::backend::Backend;
use crate::config::Config;
use crate::routes::router;
use crate::serve_error::ServeError;
use crate::site_files::OUTPUT_NAME;
use crate::state::AppState;

/// How long the journal, the connections and closing the journal may each take after the grace period of the tasks.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// A server with a bound listener and a running engine.
pub(crate) struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    state: AppState,
    grace: Duration,
    /// The lock of the data folder.
    _lock: Option<File>,
}

impl Server {
    pub(crate) async fn bind(config: Config) -> Result<Self, ServeError> {
        let backend = Backend::open(&config).await?;
        Self::start(config, backend).await
    }

    /// Starts a server on an open backend.
    pub(crate) async fn start(config: Config, backend: Backend) -> Result<Self, ServeError> {
        // Bind before the engine starts, so that no task runs if the address is in use.
        let bind = |source| ServeError::Bind { addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let engine = backend.start(&config).await?;
        let leptos = leptos_options(&config, addr);
        let state = AppState::new(&config, engine, backend.key, leptos);
        Ok(Self { listener, addr, state, grace: config.grace, _lock: backend.lock })
    }

    /// The bound address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addr
    }

    /// Prints the URL of the server to standard output.
    pub(crate) fn print_address(&self) {
        // An error means that standard output is closed, which is allowed.
        let _ = writeln!(std::io::stdout(), "Quilt is at http://{}", self.addr);
    }

    /// Serves requests until `stop` completes. Then it starts no more tasks, running ones have the grace period to end, and channels are
    /// closed with a code that makes pages reconnect.
    pub(crate) async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let Self { listener, state, grace, _lock, .. } = self;
        let stopping = state.stopping.clone();
        let served =
            axum::serve(listener, router(state.clone())).with_graceful_shutdown(stopping.clone().cancelled_owned());
        let mut served = tokio::spawn(served.into_future());
        tokio::select! {
            () = stop => {}
            ended = &mut served => return ended.map_err(std::io::Error::from).flatten().map_err(ServeError::Serve),
        }
        tracing::info!("stopping");
        stopping.cancel();
        if tokio::time::timeout(grace + SHUTDOWN_TIMEOUT, state.engine.shutdown(grace)).await.is_err() {
            tracing::warn!("the journal does not answer; what it did not acknowledge is run again at the next start");
        }
        state.channels.close();
        let drained = async {
            state.channels.wait().await;
            let _ = served.await;
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, drained).await.is_err() {
            tracing::info!("some connections did not end in time");
        }
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, state.engine.close()).await.is_err() {
            tracing::warn!("the journal could not be closed in time; it is whole together with the files beside it");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

fn leptos_options(config: &Config, addr: SocketAddr) -> LeptosOptions {
    let mut options = LeptosOptions::builder()
        .output_name(OUTPUT_NAME)
        .site_root(config.site.root().to_string_lossy().into_owned())
        .site_addr(addr)
        .build();
    // Set by `cargo leptos watch`.
    if let Some(port) = std::env::var("LEPTOS_RELOAD_PORT").ok().and_then(|port| port.parse().ok()) {
        options.reload_port = port;
    }
    options
}

/// Waits for Ctrl+C (SIGINT) or SIGTERM.
pub(crate) async fn shutdown_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
