//! Commands that hang, fork, fail, or write large outputs.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{TEST_TIMEOUT, build, prepare, record, task};
use engine::work::{AsyncWork, Done, Retry, TaskError};
use kinds::command::{CommandKind, CommandPolicy, CommandSpec};
use serde_json::json;

fn sh(script: &str) -> CommandSpec {
    CommandSpec {
        program: "sh".into(),
        args: ["-c", script, "sh"].map(str::to_owned).to_vec(),
        env: BTreeMap::from([("GREETING".into(), "hello".into())]),
        dir: None,
        max_output: 1_000,
        about: String::new(),
    }
}

fn kind(command: CommandSpec) -> CommandKind {
    CommandKind::new(CommandPolicy { named: BTreeMap::from([("it".into(), command)]), allow_any_program: false })
}

async fn work(command: CommandSpec, items: &[&str]) -> Arc<dyn AsyncWork> {
    let kind = kind(command);
    build(&kind, prepare(&kind, &json!({"name": "it", "items": items}), None).await.expect("valid"))
}

async fn run(script: &str, items: &[&str]) -> Result<Done, TaskError> {
    work(sh(script), items).await.run(task(0)).await
}

#[tokio::test]
async fn environment_is_set_and_output_is_recorded() {
    let done = run(r#"echo "$GREETING $1 $QUILT_LEASE"; echo oh >&2"#, &["a b; $(x)"]).await.expect("succeeds");
    let record = record(done.detail);
    assert_eq!(
        (&record["stdout"], &record["stderr"], &record["exit"]),
        (&json!("hello a b; $(x) 0-0\n"), &json!("oh\n"), &json!(0))
    );
}

#[tokio::test]
async fn failure_has_status_and_last_line_of_stderr() {
    let error = run("echo first >&2; echo last >&2; exit 3", &["x"]).await.expect_err("fails");
    assert_eq!((&*error.reason, &*error.message, error.retry), ("exit status 3", "exit status 3: last", Retry::Soon));
    assert_eq!(record(error.detail.map(|detail| *detail))["exit"], 3);
    let error = run("kill -9 $$", &["x"]).await.expect_err("is killed");
    assert_eq!(error.reason, "killed by signal 9");
    let record = record(error.detail.map(|detail| *detail));
    assert_eq!((&record["exit"], &record["signal"]), (&json!(137), &json!(9)));
}

#[tokio::test]
async fn missing_program_is_not_retried() {
    let missing = CommandSpec { program: "/no/such/program".into(), ..sh("") };
    let error = work(missing, &["x"]).await.run(task(0)).await.expect_err("does not exist");
    assert_eq!(error.retry, Retry::Never);
    assert!(error.message.contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn large_output_is_truncated_and_counted() {
    let done = run("head -c 5000000 /dev/zero | tr '\\0' x", &["x"]).await.expect("succeeds");
    let record = record(done.detail);
    assert_eq!(record["stdout"].as_str().map(str::len), Some(1_000));
    assert_eq!(record["stdout_bytes"], 5_000_000);
}

/// Waits until a file has a complete line.
async fn wait_for_line(path: &Path) -> String {
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Waits until a process has exited, even if it has not been reaped.
async fn wait_for_exit(pid: &str) {
    let is_alive = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    };
    while is_alive() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn dropped_task_kills_its_process_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = "sleep 1000 & echo $! > \"$1\"; trap '' TERM INT; wait";
    let work = work(sh(script), &[file.to_str().expect("plain")]).await;
    let mut running = Box::pin(work.run(task(0)));
    let pid = tokio::select! {
        result = &mut running => panic!("ended early: {result:?}"),
        pid = wait_for_line(&file) => pid,
    };
    drop(running);
    tokio::time::timeout(TEST_TIMEOUT, wait_for_exit(&pid)).await.expect("the child is killed");
}

#[tokio::test]
async fn child_with_inherited_output_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = "sleep 1000 & echo $! > \"$1\"; echo over";
    let items = [file.to_str().expect("plain")];
    let running = run(script, &items);
    let done = tokio::time::timeout(TEST_TIMEOUT, running).await.expect("ends in time").expect("succeeds");
    assert_eq!(record(done.detail)["stdout"], "over\n");
    tokio::time::timeout(TEST_TIMEOUT, wait_for_exit(&wait_for_line(&file).await)).await.expect("the child is killed");
}

#[tokio::test]
async fn child_with_redirected_output_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = "sleep 1000 > /dev/null 2>&1 & echo $! > \"$1\"";
    run(script, &[file.to_str().expect("plain")]).await.expect("succeeds");
    tokio::time::timeout(TEST_TIMEOUT, wait_for_exit(&wait_for_line(&file).await)).await.expect("the child is killed");
}

#[tokio::test]
async fn pipes_held_open_by_escaped_processes_do_not_block() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("lock");
    std::fs::write(&lock, "").expect("writable");
    // The process holds the pipes open until the test ends and removes the folder.
    let script = "setsid sh -c 'while [ -e \"$1\" ]; do sleep 0.1; done' sh \"$1\" & echo over";
    let items = [lock.to_str().expect("plain")];
    let running = run(script, &items);
    let done = tokio::time::timeout(TEST_TIMEOUT, running).await.expect("ends in time").expect("succeeds");
    assert_eq!(record(done.detail)["stdout"], "over\n");
}

#[tokio::test]
async fn detail_with_escaped_bytes_stays_within_the_limit() {
    let command = CommandSpec { max_output: 60 << 10, ..sh("head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2") };
    let done = work(command, &["x"]).await.run(task(0)).await.expect("succeeds");
    assert!(done.detail.expect("a detail").encode().len() <= engine::work::MAX_DETAIL);
}

#[tokio::test]
async fn only_configured_commands_run() {
    let kind = kind(sh("true"));
    for (parameters, reason) in [
        (json!({"name": "rm"}), "there is no command 'rm'; available: it"),
        (json!({"program": "rm"}), "only commands that its operator has named"),
        (json!({"name": "it", "program": "rm"}), "not both"),
        (json!({"name": "it", "args": ["-rf"]}), "its own args"),
        (json!({}), "name is missing"),
        (json!({"name": "it", "shell": true}), "shell"),
        (json!({"name": "it", "items": "x"}), "items must be a list"),
        (json!({"name": "it", "items": ["a\nb"]}), "no line break"),
        (json!({"name": "it", "items": ["x".repeat(200_000)]}), "200000 bytes"),
    ] {
        let error = prepare(&kind, &parameters, None).await.expect_err(reason);
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn any_program_runs_if_the_policy_allows_it() {
    let kind = CommandKind::new(CommandPolicy { named: BTreeMap::new(), allow_any_program: true });
    let parameters = json!({"program": "echo", "args": ["{.}", "{#}"], "items": ["a.txt", "b.txt"]});
    let work = build(&kind, prepare(&kind, &parameters, None).await.expect("allowed"));
    assert_eq!(record(work.run(task(1)).await.expect("succeeds").detail)["stdout"], "b 2\n");
}

#[test]
fn policy_check_names_the_invalid_setting() {
    for (command, reason) in [
        (CommandSpec { program: String::new(), ..sh("") }, "program is empty"),
        (CommandSpec { max_output: 0, ..sh("") }, "max_output"),
        (CommandSpec { dir: Some("/no/such/folder".into()), ..sh("") }, "/no/such/folder"),
    ] {
        let commands = CommandPolicy { named: BTreeMap::from([("it".into(), command)]), allow_any_program: false };
        let error = commands.check().expect_err(reason);
        assert!(error.contains(reason) && error.starts_with("commands.it: "), "{error}");
    }
}
