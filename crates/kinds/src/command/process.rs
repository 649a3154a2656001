//! Runs a process and its descendants to completion.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use engine::work::{LeaseId, TaskError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;

use super::policy::CommandSpec;

/// How long output is still read after the process has exited, if another process holds the pipe open.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How a process terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Termination {
    /// It exited with this status.
    Exit(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Termination {
    /// The exit status as a shell reports it: 128 plus the number of the signal that killed the process.
    pub(super) fn status(self) -> i32 {
        match self {
            Self::Exit(status) => status,
            Self::Signal(signal) => 128 + signal,
        }
    }

    pub(super) fn signal(self) -> Option<i32> {
        match self {
            Self::Exit(_) => None,
            Self::Signal(signal) => Some(signal),
        }
    }
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

impl From<ExitStatus> for Termination {
    fn from(status: ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        Self::Exit(status.code().unwrap_or(-1))
    }
}

/// What a process wrote to one stream.
#[derive(Debug, Default)]
pub(super) struct CapturedStream {
    /// The first bytes, up to the limit.
    pub(super) kept: Vec<u8>,
    pub(super) total_bytes: u64,
}

#[derive(Debug)]
pub(super) struct ProcessOutput {
    pub(super) termination: Termination,
    pub(super) stdout: CapturedStream,
    pub(super) stderr: CapturedStream,
}

/// Runs a command to completion, with the lease as its fencing token in `QUILT_LEASE`. Dropping the future kills its process group.
///
/// # Errors
///
/// The process cannot be started or awaited. A non-zero exit status is not an error here.
pub(super) async fn run_process(
    command: &CommandSpec,
    args: &[String],
    lease: LeaseId,
) -> Result<ProcessOutput, TaskError> {
    let mut process = tokio::process::Command::new(&command.program);
    process.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process.kill_on_drop(true);
    // The server's settings may contain passwords, which clients could read in the output of a command.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUILT_")) {
        process.env_remove(name);
    }
    // A process group of its own, which is killed with it.
    #[cfg(unix)]
    process.process_group(0);
    process.env("QUILT_LEASE", lease.to_string()).envs(&command.env);
    if let Some(dir) = &command.dir {
        process.current_dir(dir);
    }
    let child = process.spawn().map_err(|error| {
        let error_of = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => TaskError::permanent,
            // For example a limit on processes or open files, which is likely to be temporary.
            _ => TaskError::retryable,
        };
        error_of("cannot run the command").with_message(format!("cannot run {}: {error}", command.program))
    })?;
    let mut group = ProcessGroup::new(child);
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let (mut out, mut err) = (CapturedStream::default(), CapturedStream::default());
    let status = {
        let reading = async {
            tokio::join!(capture(stdout, command.max_output, &mut out), capture(stderr, command.max_output, &mut err))
        };
        let mut reading = std::pin::pin!(reading);
        let mut is_drained = false;
        let status = tokio::select! {
            _ = &mut reading => {
                is_drained = true;
                group.child.wait().await
            }
            status = group.child.wait() => status,
        };
        // Kill its descendants. From here on, the system may reuse the id of the group.
        group.kill();
        group.disarm();
        if !is_drained {
            // A descendant that has left the group may hold the pipes open indefinitely.
            let _ = timeout(OUTPUT_DRAIN_TIMEOUT, reading).await;
        }
        status
    };
    let (stdout, stderr) = (out, err);
    let status = status.map_err(|error| {
        let message = format!("cannot wait for {}: {error}", command.program);
        TaskError::retryable("cannot wait for the command").with_message(message)
    })?;
    Ok(ProcessOutput { termination: status.into(), stdout, stderr })
}

/// Reads to the end of the stream or the first error, and keeps the first `max_bytes`.
async fn capture(stream: Option<impl AsyncRead + Unpin>, max_bytes: usize, output: &mut CapturedStream) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 8 << 10];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        output.total_bytes += length as u64;
        let kept = length.min(max_bytes - output.kept.len());
        output.kept.extend_from_slice(buffer.get(..kept).unwrap_or_default());
    }
}

/// A process and its descendants, except those that leave the process group. Dropping it kills them.
struct ProcessGroup {
    child: Child,
    /// The id of the process and of its group; `None` once the process has been reaped.
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
}

impl ProcessGroup {
    fn new(child: Child) -> Self {
        Self {
            #[cfg(unix)]
            id: child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())),
            child,
        }
    }

    fn kill(&self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            // Fails if the group has already exited.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }

    fn disarm(&mut self) {
        #[cfg(unix)]
        {
            self.id = None;
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
