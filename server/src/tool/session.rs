//! Connects to the target: a remote server, or a local server that runs on a folder while the tool needs it.

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

/// The file in the folder with the id of the owner of its batches.
const OWNER_FILE: &str = "owner";

/// The file in the folder with the URL of its server while one runs.
const ADDRESS_FILE: &str = "address";

/// A connection to the server of a target.
pub(crate) struct Session {
    pub(crate) api: Api,
    /// The server that this process started for the target, if any.
    local_server: Option<LocalServer>,
}

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
        // Without it, the next server of the folder removes it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How many tasks that wait run at the same time where nobody says how many.
pub(super) const DEFAULT_CONCURRENCY: u32 = 64;

/// What a server of our own has to do.
#[derive(Debug, Clone)]
pub(crate) struct LocalOptions {
    /// How many tasks run at the same time; none where nothing is to be run.
    pub(crate) workers: u32,
    /// Networks that may be asked though they are not public.
    pub(crate) fetch_allow: Option<String>,
}

impl LocalOptions {
    /// A server that runs what there is.
    pub(crate) const DEFAULT: Self = Self { workers: DEFAULT_CONCURRENCY, fetch_allow: None };

    /// A server that shows what there is.
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
        // A leftover of a server that has crashed.
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

/// Makes a folder that nobody else can look into.
fn make_private(folder: &Path) -> Result<(), ToolError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| ToolError::File { path: folder.into(), source })
}

/// Who launches the batches of a folder; made where there is nobody yet.
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

/// Where it is kept who we are at a server.
fn session_file(url: &str) -> PathBuf {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")));
    let digest = Sha256::digest(url.trim_end_matches('/').to_ascii_lowercase());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    state.unwrap_or_else(std::env::temp_dir).join("quilt/sessions").join(name)
}
