//! Commands that hang, fork, flood and fail.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{PATIENCE, build, prepare, record, task};
use engine::work::{AsyncWork, Done, Retry, TaskError};
use kinds::command::{Command, CommandKind, Commands};
use serde_json::json;

fn sh(script: &str) -> Command {
    Command {
        program: "sh".into(),
        args: ["-c", script, "sh"].map(str::to_owned).to_vec(),
        env: BTreeMap::from([("GREETING".into(), "hello".into())]),
        dir: None,
        max_output: 1_000,
        about: String::new(),
    }
}

fn kind(command: Command) -> CommandKind {
    CommandKind::new(Commands { named: BTreeMap::from([("it".into(), command)]), any_program: false })
}

async fn work(command: Command, items: &[&str]) -> Arc<dyn AsyncWork> {
    let kind = kind(command);
    build(&kind, prepare(&kind, &json!({"name": "it", "items": items}), None).await.expect("valid"))
}

async fn run(script: &str, items: &[&str]) -> Result<Done, TaskError> {
    work(sh(script), items).await.run(task(0)).await
}

#[tokio::test]
async fn output_and_environment_are_those_of_the_command() {
    let done = run(r#"echo "$GREETING $1"; echo oh >&2"#, &["a b; $(x)"]).await.expect("it succeeds");
    let record = record(done.detail);
    assert_eq!(
        (&record["stdout"], &record["stderr"], &record["exit"]),
        (&json!("hello a b; $(x)\n"), &json!("oh\n"), &json!(0))
    );
}

#[tokio::test]
async fn a_failure_tells_its_status_and_what_it_complained_about() {
    let error = run("echo first >&2; echo last >&2; exit 3", &["x"]).await.expect_err("it fails");
    assert_eq!((&*error.reason, &*error.message, error.retry), ("exit status 3", "exit status 3: last", Retry::Soon));
    assert_eq!(record(error.detail.map(|detail| *detail))["exit"], 3);
    let error = run("kill -9 $$", &["x"]).await.expect_err("it is killed");
    assert_eq!(error.reason, "killed by signal 9");
    let record = record(error.detail.map(|detail| *detail));
    assert_eq!((&record["exit"], &record["signal"]), (&json!(137), &json!(9)));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_not_tried_again() {
    let missing = Command { program: "/no/such/program".into(), ..sh("") };
    let error = work(missing, &["x"]).await.run(task(0)).await.expect_err("it is not there");
    assert_eq!(error.retry, Retry::Never);
    assert!(error.message.contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn of_a_flood_the_beginning_is_kept_and_the_rest_counted() {
    let done = run("head -c 5000000 /dev/zero | tr '\\0' x", &["x"]).await.expect("it succeeds");
    let record = record(done.detail);
    assert_eq!(record["stdout"].as_str().map(str::len), Some(1_000));
    assert_eq!(record["stdout_bytes"], 5_000_000);
}

/// Waits for a file to have something in it.
async fn content(path: &Path) -> String {
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Waits until a process is gone, or at least dead and waiting to be forgotten.
async fn is_gone(pid: &str) {
    let is_alive = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    };
    while is_alive() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_killed_with_everything_it_has_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = "sleep 1000 & echo $! > \"$1\"; trap '' TERM INT; wait";
    let work = work(sh(script), &[file.to_str().expect("plain")]).await;
    let mut running = Box::pin(work.run(task(0)));
    let pid = tokio::select! {
        result = &mut running => panic!("it ended: {result:?}"),
        pid = content(&file) => pid,
    };
    drop(running);
    tokio::time::timeout(PATIENCE, is_gone(&pid)).await.expect("what it started ends with it");
}

#[tokio::test]
async fn what_a_command_leaves_behind_with_its_output_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = "sleep 1000 & echo $! > \"$1\"; echo over";
    let items = [file.to_str().expect("plain")];
    let running = run(script, &items);
    let done = tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("it succeeds");
    assert_eq!(record(done.detail)["stdout"], "over\n");
    tokio::time::timeout(PATIENCE, is_gone(&content(&file).await)).await.expect("what it started ends with it");
}

#[tokio::test]
async fn what_a_command_leaves_behind_without_its_output_ends_with_it_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = "sleep 1000 > /dev/null 2>&1 & echo $! > \"$1\"";
    run(script, &[file.to_str().expect("plain")]).await.expect("it succeeds");
    tokio::time::timeout(PATIENCE, is_gone(&content(&file).await)).await.expect("it ends with it");
}

#[tokio::test]
async fn output_that_others_hold_open_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = folder.path().join("held");
    std::fs::write(&held, "").expect("writable");
    // It holds the output until this test has ended, one way or the other.
    let script = "setsid sh -c 'while [ -e \"$1\" ]; do sleep 0.1; done' sh \"$1\" & echo over";
    let items = [held.to_str().expect("plain")];
    let running = run(script, &items);
    let done = tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("it succeeds");
    assert_eq!(record(done.detail)["stdout"], "over\n");
}

#[tokio::test]
async fn output_of_nothing_but_zeros_is_kept_as_any_other() {
    let command = Command { max_output: 60 << 10, ..sh("head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2") };
    let done = work(command, &["x"]).await.run(task(0)).await.expect("it succeeds");
    assert!(done.detail.expect("there is one").encode().len() <= engine::work::MAX_DETAIL);
}

#[tokio::test]
async fn only_what_the_operator_has_named_is_run() {
    let kind = kind(sh("true"));
    for (parameters, reason) in [
        (json!({"name": "rm"}), "there is no command 'rm'; there is: it"),
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
async fn a_users_own_server_runs_what_the_user_names() {
    let kind = CommandKind::new(Commands { named: BTreeMap::new(), any_program: true });
    let parameters = json!({"program": "echo", "args": ["{.}", "{#}"], "items": ["a.txt", "b.txt"]});
    let work = build(&kind, prepare(&kind, &parameters, None).await.expect("allowed"));
    assert_eq!(record(work.run(task(1)).await.expect("it succeeds").detail)["stdout"], "b 2\n");
}

#[test]
fn what_an_operator_has_written_is_checked() {
    for (command, reason) in [
        (Command { program: String::new(), ..sh("") }, "program is empty"),
        (Command { max_output: 0, ..sh("") }, "max_output"),
        (Command { dir: Some("/no/such/folder".into()), ..sh("") }, "/no/such/folder"),
    ] {
        let commands = Commands { named: BTreeMap::from([("it".into(), command)]), any_program: false };
        let error = commands.check().expect_err(reason);
        assert!(error.contains(reason) && error.starts_with("commands.it: "), "{error}");
    }
}
