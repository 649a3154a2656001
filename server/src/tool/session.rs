//! Connects to the target: a remote server, or a local server on a folder that runs only as long as the tool.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use quilt::OwnerId;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::api::Api;
use super::args::Target;
use super::error::ToolError;
use crate::backend::Backend;
use crate::config::Config;
use crate::serve_error::ServeError;
use crate::server::Server;
use crate::session::cookie_of;

/// The file with the id of the owner of all batches in the folder.
const OWNER_FILE: &str = "owner";

/// The file with the URL of the server, while one runs on the folder.
const ADDRESS_FILE: &str = "address";

/// A connection to the server of a target.
pub(crate) struct Session {
    pub(crate) api: Api,
    /// The server that this process started for the target, if any.
    local_server: Option<LocalServer>,
}

/// A server in this process.
struct LocalServer {
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
    /// Removes the file on drop.
    _address: AddressFile,
}

/// The file with a server's URL.
struct AddressFile(PathBuf);

impl Drop for AddressFile {
    fn drop(&mut self) {
        // After a crash, the next server on the folder removes it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The default number of I/O-bound tasks that run at the same time.
pub(super) const DEFAULT_CONCURRENCY: u32 = 64;

/// The options of a local server.
#[derive(Debug, Clone)]
pub(crate) struct LocalOptions {
    /// Maximum number of tasks that run at the same time; 0 to run none.
    pub(crate) workers: u32,
    /// Networks that tasks may fetch from although they are not public.
    pub(crate) fetch_allow: Option<String>,
}

impl LocalOptions {
    /// A server that runs tasks.
    pub(crate) const DEFAULT: Self = Self { workers: DEFAULT_CONCURRENCY, fetch_allow: None };

    /// A server that runs no tasks, but can read and control batches.
    pub(crate) const NO_WORKERS: Self = Self { workers: 0, fetch_allow: None };
}

/// Opens a session, runs `work`, and closes the session even if `work` fails.
pub(super) async fn with_session<T>(
    target: &Target,
    options: LocalOptions,
    work: impl AsyncFnOnce(&mut Session) -> Result<T, ToolError>,
) -> Result<T, ToolError> {
    let mut session = Session::open(target, options).await?;
    let result = work(&mut session).await;
    let closed = session.close().await;
    let result = result?;
    closed?;
    Ok(result)
}

impl Session {
    /// Connects to the server at the target's URL, or to the server of its folder, which is started if no other process runs one.
    async fn open(target: &Target, options: LocalOptions) -> Result<Self, ToolError> {
        match &target.url {
            Some(url) => Ok(Self { api: Api::remote(url, session_file(url))?, local_server: None }),
            None => Box::pin(Self::open_local(&target.folder, options)).await,
        }
    }

    async fn open_local(folder: &Path, options: LocalOptions) -> Result<Self, ToolError> {
        let runs_tasks = options.workers > 0;
        if !runs_tasks && !folder.is_dir() {
            return Err(ToolError::Usage(format!("there is no batch here: there is no folder {}", folder.display())));
        }
        make_private(folder)?;
        let config = Config::load_for_tool(folder, options.workers, options.fetch_allow).map_err(ServeError::from)?;
        let backend = match Backend::open(&config).await {
            Ok(backend) => backend,
            // Another process uses the folder and has written its server's URL there.
            Err(ServeError::InUse { .. }) if !runs_tasks => return Self::connect_local(folder),
            Err(ServeError::InUse { .. }) => return Err(ToolError::InUse(folder.into())),
            Err(error) => return Err(error.into()),
        };
        // The file may remain from a server that crashed.
        let _ = std::fs::remove_file(folder.join(ADDRESS_FILE));
        let owner = owner(folder)?;
        let cookie = cookie_of(&backend.key, owner);
        let config = Config { sole_owner: Some(owner), ..config };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Box::pin(Server::start(Config { addr: address, ..config }, backend)).await?;
        let url = format!("http://{}", server.address());
        let address = folder.join(ADDRESS_FILE);
        write(&address, &url)?;
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.run(async move {
            // Sent by `close`, or the session was dropped.
            let _ = stopped.await;
        }));
        Ok(Self {
            api: Api::local(url, cookie)?,
            local_server: Some(LocalServer { stop, served, _address: AddressFile(address) }),
        })
    }

    /// Connects to the server that another process runs for a folder.
    fn connect_local(folder: &Path) -> Result<Self, ToolError> {
        let url = std::fs::read_to_string(folder.join(ADDRESS_FILE)).map_err(|_| ToolError::InUse(folder.into()))?;
        let key = crate::session::load_key(&folder.join("session.key")).map_err(ServeError::from)?;
        Ok(Self { api: Api::local(url, cookie_of(&key, owner(folder)?))?, local_server: None })
    }

    /// Whether the batches run in this process, and stop when it exits.
    pub(crate) fn owns_server(&self) -> bool {
        self.local_server.is_some()
    }

    /// Stops the server that this process started.
    async fn close(self) -> Result<(), ToolError> {
        let Some(LocalServer { stop, served, _address }) = self.local_server else { return Ok(()) };
        let _ = stop.send(());
        match served.await {
            Ok(served) => Ok(served?),
            Err(_) => Ok(()),
        }
    }
}

/// Creates a folder that only this user can access.
fn make_private(folder: &Path) -> Result<(), ToolError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| ToolError::File { path: folder.into(), source })
}

/// Returns the owner of the batches in a folder. Generates one if there is none.
fn owner(folder: &Path) -> Result<OwnerId, ToolError> {
    let path = folder.join(OWNER_FILE);
    if let Some(owner) = std::fs::read_to_string(&path).ok().and_then(|owner| owner.trim().parse().ok()) {
        return Ok(owner);
    }
    let owner = OwnerId::from_bytes(rand::random());
    write(&path, &owner.to_string())?;
    Ok(owner)
}

fn write(path: &Path, text: &str) -> Result<(), ToolError> {
    std::fs::write(path, text).map_err(|source| ToolError::File { path: path.into(), source })
}

/// The file with the session cookie for a remote server.
fn session_file(url: &str) -> PathBuf {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")));
    let digest = Sha256::digest(url.trim_end_matches('/').to_ascii_lowercase());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    state.unwrap_or_else(std::env::temp_dir).join("quilt/sessions").join(name)
}
