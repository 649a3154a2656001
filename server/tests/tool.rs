//! The command-line tools.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::{Server, folder};
use serde_json::Value;

/// The command `quilt` in a folder, in which it stores its batches and sessions.
fn quilt(folder: &Path, args: &[&str]) -> Command {
    let mut command = common::command();
    command.current_dir(folder).env("XDG_STATE_HOME", folder).args(args).stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    quilt(folder, args).output().expect("it runs")
}

/// Runs with this standard input.
fn run_with(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut command = quilt(folder, args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("it was killed: {output:?}"))
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a process has a number");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
}

#[test]
fn a_command_is_run_for_each_line_and_what_they_write_comes_in_their_order() {
    let folder = folder();
    let output = run_with(folder.path(), &["run", "command", "--", "echo", "hi {.} {#}"], "b.txt\na.txt\nc d.txt\n");
    assert_eq!((code(&output), text(&output.stdout).as_str()), (0, "hi b 1\nhi a 2\nhi c d 3\n"));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("Watch it at http://127.0.0.1:") && stderr.contains("finished: 3 of 3 done"), "{stderr}");
    let output = run(
        folder.path(),
        &[
            "run",
            "-q",
            "command",
            "-o",
            "-",
            "--format",
            "csv",
            "--",
            "sh",
            "-c",
            "echo $0; test $0 != b",
            ":::",
            "a",
            "b",
        ],
    );
    let table = text(&output.stdout);
    assert_eq!((code(&output), text(&output.stderr).as_str()), (1, ""));
    assert!(
        table.starts_with("row,column,item,state,color,failed,reason,exit,ms,stdout,stderr\n0,0,a,done,"),
        "{table}"
    );
    assert!(table.contains("0,1,b,failed,,exit status 1,exit status 1,1,"), "{table}");
}

#[test]
fn what_failed_is_run_once_more_and_only_that() {
    let folder = folder();
    // Each task appends a line to a file. All but `a` fail until another file exists.
    let script = "echo $0 >> log; test $0 = a -o -e mended";
    let args = ["run", "--quiet", "command", "--", "sh", "-c", script, ":::", "a", "b", "c"];
    assert_eq!(code(&run(folder.path(), &args)), 1);
    std::fs::write(folder.path().join("mended"), "").expect("writable");
    let output = run(folder.path(), &["run", "--retry-failed"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let log = std::fs::read_to_string(folder.path().join("log")).expect("they left it");
    let mut ran: Vec<&str> = log.lines().collect();
    ran.sort_unstable();
    assert_eq!(ran, ["a", "b", "b", "c", "c"]);
}

#[test]
fn after_an_interrupt_the_rest_is_run_when_it_is_asked_for() {
    let folder = folder();
    let script = "echo $0 >> log; if [ $0 -gt 2 ] && [ ! -e on ]; then exec sleep 1000; fi";
    let args = ["run", "--jobs", "1", "--seed", "1", "command", "--", "sh", "-c", script, ":::", "1", "2", "3", "4"];
    let mut child = quilt(folder.path(), &args).stderr(Stdio::piped()).spawn().expect("it runs");
    let log = folder.path().join("log");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains('3') || log.contains('4')) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    interrupt(&child);
    let mut stderr = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{stderr}");
    assert!(stderr.contains("quilt run --resume"), "{stderr}");
    std::fs::write(folder.path().join("on"), "").expect("writable");
    // Another batch does not resume it.
    assert_eq!(code(&run(folder.path(), &["run", "-q", "color", "--rows", "2", "--columns", "2"])), 0);
    let list = text(&run(folder.path(), &["list", "--json"]).stdout);
    let batches: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!((batches.len(), &batches[1]["status"]), (2, &Value::from("paused")), "{list}");
    let id = batches[1]["id"].as_str().expect("an id");
    assert_eq!(code(&run(folder.path(), &["run", "--resume", "--batch", id])), 0);
    let mut ran: Vec<String> =
        std::fs::read_to_string(&log).expect("they left it").lines().map(str::to_owned).collect();
    ran.sort_unstable();
    ran.dedup();
    assert_eq!(ran, ["1", "2", "3", "4"]);
}

#[test]
fn scripts_are_told_in_json_and_by_the_exit_status() {
    let folder = folder();
    let output = run(folder.path(), &["run", "--json", "color", "--rows", "3", "--columns", "5"]);
    let events: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!((code(&output), text(&output.stderr).as_str()), (0, ""));
    assert_eq!(events.first().expect("it tells")["event"], "launched");
    let last = events.last().expect("it tells");
    assert_eq!((&last["event"], &last["done"], &last["tasks"]), (&"ended".into(), &15.into(), &15.into()));
    for (args, reason) in [
        (&["run"][..], "nothing to run"),
        (&["run", "color", "--rows", "0"], "rows must be a whole number"),
        (&["run", "render", "--preset", "x"], "there is no preset 'x'"),
        (&["run", "fetch", "no-such-file"], "no-such-file"),
        (&["run", "fetch", "ftp://x/"], "ftp:"),
        (&["run", "color", "-o", "results.xyz"], "does not end with .csv"),
        (&["run", "color", "--halt", "many"], "neither a number of failures"),
        (&["run", "--url", "nowhere", "color"], "must begin with http"),
        (&["run", "--nonsense"], "unexpected argument"),
        (&["show", "x"], "invalid value"),
    ] {
        let output = run(folder.path(), args);
        assert!(text(&output.stderr).contains(reason), "{args:?}: {}", text(&output.stderr));
        assert!(matches!(code(&output), 1 | 2), "{args:?}");
    }
    let output = run(folder.path(), &["run", "--halt", "0%", "--attempts", "1", "color", "--failure-rate", "1"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).contains("cancelled: "), "{}", text(&output.stderr));
}

#[test]
fn a_server_elsewhere_is_driven_in_the_same_way() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let url = ["--url", server.url.as_str()];
    // Before the arguments of a command, which extend to the end.
    let with = |args: &[&'static str]| [&args[..1], &url[..], &args[1..]].concat();
    let output = run(folder.path(), &with(&["run", "render", "--side", "16", "-o", "out.png"]));
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    assert!(std::fs::read(folder.path().join("out.png")).expect("it is written").starts_with(b"\x89PNG"));
    // The session is stored, so the batch belongs to the same visitor.
    let shown = text(&run(folder.path(), &with(&["show", "--json"])).stdout);
    let batch: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&batch["status"], &batch["tasks"]), (&"finished".into(), &256.into()));
    let csv = text(&run(folder.path(), &with(&["results", "--format", "csv", "--state", "done"])).stdout);
    assert_eq!(csv.lines().count(), 257);
    let drawn = text(&run(folder.path(), &with(&["watch"])).stdout);
    assert!(drawn.contains('▀') && drawn.contains("finished: 256 of 256 done"), "{drawn}");
    let refused = run(folder.path(), &with(&["run", "command", "--", "id", ":::", "x"]));
    assert_eq!(code(&refused), 2);
    assert!(text(&refused.stderr).contains("only commands that its operator has named"), "{}", text(&refused.stderr));
    let mut child = quilt(folder.path(), &with(&["run", "--json", "color", "--duration-ms", "3600000", "3600000"]))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    // Kept open, because the tool exits if standard output is closed.
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it tells");
    let cancelled = run(folder.path(), &with(&["cancel", "--json"]));
    assert!(text(&cancelled.stdout).contains("\"status\":\"cancelled\""), "{cancelled:?}");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[tokio::test]
async fn nobody_else_runs_anything_on_a_users_own_server() {
    let folder = folder();
    let mut child = quilt(folder.path(), &["run", "--json", "color", "--duration-ms", "3600000", "3600000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    // Kept open, because the tool exits if standard output is closed.
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it tells");
    let launched: Value = serde_json::from_str(&line).expect("JSON");
    let page = launched["page"].as_str().expect("an address");
    let (site, _) = page.split_once("/batches/").expect("an address of a batch");
    let stranger = common::visitor();
    let body = serde_json::json!({"work": {"kind": "command", "program": "id"}, "rows": 1, "columns": 1});
    let refused = stranger.post(format!("{site}/api/batches")).json(&body).send().await.expect("an answer");
    assert_eq!(refused.status(), 403);
    // Others may only read.
    assert_eq!(stranger.get(page).send().await.expect("an answer").status(), 200);
    // The folder is locked, but other tools of the user connect to its server.
    let other = run(folder.path(), &["run", "color"]);
    assert!(text(&other.stderr).contains("another quilt uses the folder"), "{}", text(&other.stderr));
    assert_eq!(code(&run(folder.path(), &["cancel"])), 0);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

/// Runs in a pseudo-terminal and returns the output. Calls back with the output so far after each read.
fn in_a_terminal(folder: &Path, args: &str, mut drawn_so_far: impl FnMut(&str)) -> String {
    let mut command = Command::new("script");
    let quilt = env!("CARGO_BIN_EXE_quilt");
    command.current_dir(folder).args(["-qec", &format!("stty cols 60 rows 20; {quilt} {args}"), "/dev/null"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("script is there");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (mut drawn, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match stdout.read(&mut piece).expect("readable") {
            0 => break,
            length => drawn.extend_from_slice(&piece[..length]),
        }
        drawn_so_far(&text(&drawn));
    }
    child.wait().expect("it ends");
    text(&drawn)
}

#[test]
fn in_a_terminal_there_is_a_bar_and_a_picture() {
    let folder = folder();
    // The tasks wait until the bar is drawn.
    let go = folder.path().join("go");
    let waiting = "run command -- sh -c 'until [ -e go ]; do sleep 0.05; done' ::: 1 2 3";
    let drawn = in_a_terminal(folder.path(), waiting, |drawn| {
        if drawn.contains("left") && !go.exists() {
            std::fs::write(&go, "").expect("writable");
        }
    });
    assert!(drawn.contains("/3 (") && drawn.contains("left"), "{drawn:?}");
    let drawn = in_a_terminal(folder.path(), "watch", |_| {});
    assert!(
        drawn.contains("\u{1b}[?25l") && drawn.contains("\u{1b}[?25h"),
        "the cursor is hidden and shown again: {drawn:?}"
    );
    assert!(drawn.contains('▀'), "{drawn:?}");
}

#[test]
fn completions_and_manual_pages_are_made() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let completions = text(&run(folder.path(), &["completions", shell]).stdout);
        assert!(completions.contains("retry-failed"), "{shell}");
    }
    assert_eq!(code(&run(folder.path(), &["man", "pages"])), 0);
    let page = std::fs::read_to_string(folder.path().join("pages/quilt-run.1")).expect("there is one");
    assert!(page.contains("retry\\-failed"), "{page}");
}

#[test]
fn what_a_killed_tool_has_left_is_not_run_beside_something_else() {
    let folder = folder();
    let log = folder.path().join("log");
    let args = [
        "run",
        "-q",
        "--jobs",
        "1",
        "command",
        "--",
        "sh",
        "-c",
        "echo $0 >> log; exec sleep 1000",
        ":::",
        "1",
        "2",
        "3",
    ];
    let mut child = quilt(folder.path(), &args).spawn().expect("it runs");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.ends_with('\n')) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(code(&run(folder.path(), &["run", "-q", "color"])), 0);
    assert_eq!(std::fs::read_to_string(&log).expect("it is there").lines().count(), 1);
    let list = text(&run(folder.path(), &["list", "--json"]).stdout);
    assert!(list.lines().nth(1).is_some_and(|batch| batch.contains("\"status\":\"paused\"")), "{list}");
    let refused = run(folder.path(), &["retry", "--quiet"]);
    assert_eq!(code(&refused), 0, "nothing has failed in the last one: {refused:?}");
    assert_eq!(code(&run(folder.path(), &["cancel", "--quiet"])), 0);
}

/// A shell script that fails for `b`, and for all items if the file `broken` exists.
const PICKY: &str = "test $0 != b && test ! -e broken || { echo \"cannot use $0\" >&2; exit 3; }";

#[test]
fn a_stopped_batch_goes_on_with_what_was_not_run_or_failed() {
    let folder = folder();
    std::fs::write(folder.path().join("broken"), "").expect("a file");
    let command = ["--", "sh", "-c", PICKY, ":::", "a", "b", "c", "d"];
    let options = ["run", "command", "--jobs", "1", "--order", "input", "--halt", "2", "--title", "Four letters"];
    let output = run(folder.path(), &[&options[..], &command[..]].concat());
    let stderr = text(&output.stderr);
    assert_eq!(code(&output), 1);
    assert!(stderr.contains("cancelled: 0 of 4 done, 2 failed, 2 not run"), "{stderr}");
    assert!(stderr.contains("a: exit status 3: cannot use a"), "{stderr}");
    assert!(stderr.contains("--retry-failed") && stderr.contains("quilt continue"), "{stderr}");
    let shown = text(&run(folder.path(), &["show"]).stdout);
    assert!(shown.contains("2 x exit status 3") && shown.contains("Four letters"), "{shown}");

    std::fs::remove_file(folder.path().join("broken")).expect("it was there");
    let output = run(folder.path(), &["continue"]);
    assert_eq!(code(&output), 1, "two of the first lap have still failed");
    assert!(text(&output.stderr).contains("finished: 2 of 4 done, 2 failed"), "{}", text(&output.stderr));
    let output = run(folder.path(), &["retry", "--reason", "exit status 4"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("2 failed and 0 were not run"), "{}", text(&output.stderr));
    let output = run(folder.path(), &["retry", "--square", "0,0", "--attempts", "2"]);
    assert!(text(&output.stderr).contains("finished: 3 of 4 done, 1 failed"), "{}", text(&output.stderr));
    let output = run(folder.path(), &["retry", "--reason", "exit status 3"]);
    assert!(text(&output.stderr).contains("finished: 3 of 4 done, 1 failed"), "{}", text(&output.stderr));
    let shown = text(&run(folder.path(), &["show", "--json"]).stdout);
    assert!(shown.contains(r#""lap":4"#) && shown.contains(r#""attempts":2"#), "{shown}");
    let refused = run(folder.path(), &["retry", "--reason", "x", "--not-run"]);
    assert_eq!(code(&refused), 2);
}

#[test]
fn a_batch_that_another_process_runs_drains_without_cutting_anything_short() {
    let folder = folder();
    let log = folder.path().join("log");
    let command =
        ["--", "sh", "-c", "echo $0 >> log; sleep 1; echo end $0 >> log", ":::", "1", "2", "3", "4", "5", "6"];
    let mut child = quilt(folder.path(), &[&["run", "-q", "command", "--jobs", "2"][..], &command[..]].concat())
        .spawn()
        .expect("it runs");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.ends_with('\n')) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(code(&run(folder.path(), &["cancel", "--drain", "--quiet"])), 0);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let log = std::fs::read_to_string(&log).expect("it is there");
    let ends = log.lines().filter(|line| line.starts_with("end")).count();
    assert_eq!(log.lines().count(), 2 * ends, "what has begun has ended: {log}");
    let shown = text(&run(folder.path(), &["show", "--json"]).stdout);
    assert!(shown.contains(&format!(r#""done":{ends},"failed":0,"not_run":{}"#, 6 - ends)), "{shown}");
}

#[test]
fn a_launch_that_is_too_large_is_refused_with_its_size() {
    let folder = folder();
    let long = "x".repeat(120_000);
    let args: Vec<&str> = ["run", "command", "--", "true"].into_iter().chain([long.as_str(); 10]).collect();
    let output = run(folder.path(), &[&args[..], &[":::", "a", "b"]].concat());
    assert_eq!(code(&output), 2);
    assert!(text(&output.stderr).contains("at most 1048576 are allowed"), "{}", text(&output.stderr));
    assert_eq!(text(&run(folder.path(), &["list", "--json"]).stdout), "");
}
