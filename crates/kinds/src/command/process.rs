//! A process, with whatever it starts, from its beginning to its end.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use engine::work::TaskError;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;

use super::allowed::Command;

/// How long a process that has ended may have its output held open by others.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// The exit status, as a shell would tell it.
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

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        Self::Exit(status.code().unwrap_or(-1))
    }
}

/// What a process wrote.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// As much of it as is kept.
    pub(super) kept: Vec<u8>,
    /// How much it was.
    pub(super) bytes: u64,
}

/// A process that has run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) ended: Ended,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
}

/// Runs a command to its end. If nobody waits for it any more, it is killed with everything that it has started.
pub(super) async fn run(command: &Command, args: &[String]) -> Result<Ran, TaskError> {
    let mut process = tokio::process::Command::new(&command.program);
    process.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process.kill_on_drop(true);
    // What the operator has set for the server, such as passwords, is nothing for those who see what a command writes.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUILT_")) {
        process.env_remove(name);
    }
    // A group of its own, with which it ends.
    #[cfg(unix)]
    process.process_group(0);
    process.envs(&command.env);
    if let Some(dir) = &command.dir {
        process.current_dir(dir);
    }
    let child = process.spawn().map_err(|error| {
        let error_of = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => TaskError::permanent,
            // Too many processes, or too many files that are open: later there may be fewer.
            _ => TaskError::retryable,
        };
        error_of("cannot run the command").with_message(format!("cannot run {}: {error}", command.program))
    })?;
    let mut group = Group::of(child);
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let (mut out, mut err) = (Output::default(), Output::default());
    let ended = {
        let reading = async {
            tokio::join!(read(stdout, command.max_output, &mut out), read(stderr, command.max_output, &mut err))
        };
        let mut reading = std::pin::pin!(reading);
        let mut has_read = false;
        let ended = tokio::select! {
            _ = &mut reading => {
                has_read = true;
                group.child.wait().await
            }
            ended = group.child.wait() => ended,
        };
        // What it has left behind ends with it, and from here on its number may be another one's.
        group.kill();
        group.forget();
        if !has_read {
            // Something that has left its group may hold its output open for as long as it likes.
            let _ = timeout(LAST_WORDS, reading).await;
        }
        ended
    };
    let (stdout, stderr) = (out, err);
    let ended = ended.map_err(|error| {
        let message = format!("cannot wait for {}: {error}", command.program);
        TaskError::retryable("cannot wait for the command").with_message(message)
    })?;
    Ok(Ran { ended: ended.into(), stdout, stderr })
}

/// Reads to the end, and keeps the beginning.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize, output: &mut Output) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; 8 << 10];
    // An error here is an end as well.
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        output.bytes += length as u64;
        let kept = length.min(most - output.kept.len());
        output.kept.extend_from_slice(piece.get(..kept).unwrap_or_default());
    }
}

/// A process with everything that it has started, as long as that has not left its group.
struct Group {
    child: Child,
    /// The number of the process, which is that of its group as well.
    #[cfg(unix)]
    number: Option<rustix::process::Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        Self {
            #[cfg(unix)]
            number: child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())),
            child,
        }
    }

    fn kill(&self) {
        #[cfg(unix)]
        if let Some(number) = self.number {
            // It may have ended already.
            let _ = rustix::process::kill_process_group(number, rustix::process::Signal::KILL);
        }
    }

    fn forget(&mut self) {
        #[cfg(unix)]
        {
            self.number = None;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
