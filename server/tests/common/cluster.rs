//! Nodes of a cluster: processes of the binary, on a NATS server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::{Server, command, folder};

/// A node that only runs tasks.
pub(crate) struct Worker(Child);

impl Worker {
    /// Starts a node and waits until it is ready.
    pub(crate) fn start(nats: &str, name: &str, slots: u32) -> Self {
        Self::start_with(nats, name, slots, &[])
    }

    pub(crate) fn start_with(nats: &str, name: &str, slots: u32, options: &[&str]) -> Self {
        let slots = slots.to_string();
        let mut child = command()
            .args(["work", "--nats", nats, "--name", name, "--slots", &slots, "--log-filter", "error"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says that it works");
        assert!(line.starts_with("Quilt works here"), "{line}");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that runs no tasks.
pub(crate) struct Web {
    pub(crate) server: Server,
    /// The data folder, which stays empty.
    _folder: TempDir,
}

impl Web {
    pub(crate) fn start(nats: &str, name: &str, options: &[&str]) -> Self {
        let folder = folder();
        let all = [&["--nats", nats, "--name", name, "--workers", "0", "--log-filter", "error"], options].concat();
        let server = Server::start_with(folder.path(), &all);
        assert!(folder.path().read_dir().expect("readable").next().is_none(), "nothing is kept on this machine");
        Self { server, _folder: folder }
    }
}
