//! Pausing, limiting, retrying and deleting over the API, and its records of attempts and finish lines.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{FOREVER, Server, events, folder, launch, visitor};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// Sends a request, and returns the status and the JSON of the response; `null` if there is none.
async fn ask(client: &Client, method: Method, url: String, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

async fn get(client: &Client, url: String) -> (StatusCode, Value) {
    ask(client, Method::GET, url, None).await
}

async fn post(client: &Client, url: String) -> (StatusCode, Value) {
    ask(client, Method::POST, url, None).await
}

fn problem(name: &str) -> Value {
    format!("urn:quilt:problem:{name}").into()
}

#[tokio::test]
async fn a_batch_is_paused_limited_resumed_and_cancelled_and_the_events_say_so() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 8, 8, json!({"duration_ms": FOREVER})).await;
    let at = |path: &str| server.at(&format!("/api/batches/{id}{path}"));
    for _ in 0..2 {
        let (status, batch) = post(&client, at("/pause")).await;
        assert_eq!((status, &batch["status"]), (StatusCode::OK, &json!("paused")));
    }
    for concurrency in [json!(3), json!(3), json!(null)] {
        let (status, batch) = ask(&client, Method::PATCH, at(""), Some(json!({"concurrency": concurrency}))).await;
        assert_eq!((status, &batch["concurrency"]), (StatusCode::OK, &concurrency));
    }
    for body in [json!({"concurrency": 0}), json!({"concurrency": "many"}), json!({}), json!({"speed": 1})] {
        let (status, document) = ask(&client, Method::PATCH, at(""), Some(body.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {document}");
    }
    let stranger = visitor();
    for path in ["/pause", "/resume", "/cancel", "/retry"] {
        assert_eq!(post(&stranger, at(path)).await.1["type"], problem("not-your-batch"), "{path}");
    }
    let (status, document) = ask(&stranger, Method::PATCH, at(""), Some(json!({"concurrency": 1}))).await;
    assert_eq!((status, &document["type"]), (StatusCode::FORBIDDEN, &problem("not-your-batch")));
    assert_eq!(post(&client, at("/resume")).await.1["status"], "running");
    let (_, cancelled) = post(&client, at("/cancel")).await;
    assert_eq!((&cancelled["status"], &cancelled["cancelled_because"]), (&json!("cancelled"), &json!("asked")));
    let received: Vec<(String, Value)> =
        events(&client, &server, &id, None).await.into_iter().map(|event| (event.name, event.data)).collect();
    let status = |status: &str| ("status".to_owned(), json!({"status": status}));
    let cancelled = ("status".to_owned(), json!({"status": "cancelled", "done": 0, "failed": 0, "not_run": 64}));
    let limit = |limit: Value| ("concurrency".to_owned(), json!({"concurrency": limit}));
    let expected = [status("paused"), limit(json!(3)), limit(json!(null)), status("running"), cancelled];
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_batch_stops_when_more_fails_than_it_tolerates_or_its_time_is_over() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    for (members, cause) in [
        (json!({"work": {"kind": "color", "permanent_rate": 1}, "tolerated_failures": 0.25}), "failures"),
        (json!({"work": {"kind": "color", "duration_ms": FOREVER}, "deadline_ms": 100}), "deadline"),
    ] {
        let mut body = json!({"rows": 4, "columns": 4});
        body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        let (status, batch) = ask(&client, Method::POST, server.at("/api/batches"), Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{batch}");
        let id = batch["id"].as_str().expect("an id");
        let received = events(&client, &server, id, None).await;
        assert_eq!(received.last().expect("an end").data["status"], "cancelled");
        let (_, batch) = get(&client, server.at(&format!("/api/batches/{id}"))).await;
        assert_eq!((&batch["status"], &batch["cancelled_because"]), (&json!("cancelled"), &json!(cause)));
        let (status, none) = get(&client, server.at(&format!("/api/batches/{id}/receipt"))).await;
        assert_eq!((status, &none["type"]), (StatusCode::NOT_FOUND, &problem("no-receipt")));
    }
}

#[tokio::test]
async fn attempts_and_receipts_are_told_and_two_batches_of_one_seed_have_the_same_digest() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let mut digests = Vec::new();
    for _ in 0..2 {
        let body =
            json!({"work": {"kind": "color", "failure_rate": 0.5}, "rows": 5, "columns": 5, "seed": 7, "attempts": 3});
        let (_, batch) = ask(&client, Method::POST, server.at("/api/batches"), Some(body)).await;
        let id = batch["id"].as_str().expect("an id").to_owned();
        let at = |path: &str| server.at(&format!("/api/batches/{id}{path}"));
        let received = events(&client, &server, &id, None).await;
        let mut attempts = 0;
        for event in received.iter().filter(|event| event.name == "square") {
            let (row, column) = (&event.data["row"], &event.data["column"]);
            let (status, square) = get(&client, at(&format!("/squares/{row}/{column}"))).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!((&square["row"], &square["column"]), (row, column));
            let is_done = event.data.get("color").is_some();
            assert_eq!(square["state"], if is_done { "done" } else { "failed" });
            let made = square["attempts"].as_array().expect("a list");
            assert!((1..=3).contains(&made.len()), "{square}");
            attempts += made.len();
            for (place, attempt) in made.iter().enumerate() {
                assert_eq!(attempt["attempt"], place + 1);
                assert!(attempt["worker"].as_str().expect("a name").starts_with("worker-"));
                assert!(attempt["started_at"].as_str().expect("a time").ends_with('Z'));
                let has_failed = place + 1 < made.len() || !is_done;
                assert_eq!(attempt["error"].is_string(), has_failed, "{square}");
            }
        }
        let (status, receipt) = get(&client, at("/receipt")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            (&receipt["batch"], &receipt["attempts"], &receipt["lap"]),
            (&json!(id), &json!(attempts), &json!(1))
        );
        let last = received.iter().rfind(|event| event.name == "square").expect("squares");
        assert_eq!(receipt["last_across"]["row"], last.data["row"]);
        assert_eq!(get(&client, at("/receipt?lap=1")).await.1, receipt);
        assert_eq!(get(&client, at("/receipt?lap=2")).await.1["type"], problem("no-receipt"));
        assert_eq!(get(&client, at("/receipt?lap=x")).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(get(&client, at("/squares/5/0")).await.1["type"], problem("no-such-square"));
        assert_eq!(get(&client, at("/squares/-1/x")).await.1["type"], problem("no-such-square"));
        digests.push(receipt["outcomes_sha256"].clone());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_batch_that_is_over_is_removed_for_everybody() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 4, 4, json!({"duration_ms": FOREVER})).await;
    let at = |path: &str| server.at(&format!("/api/batches/{id}{path}"));
    let delete = async |client: &Client| ask(client, Method::DELETE, at(""), None).await;
    assert_eq!(delete(&client).await.1["type"], problem("batch-not-over"));
    post(&client, at("/cancel")).await;
    assert_eq!(delete(&visitor()).await.1["type"], problem("not-your-batch"));
    assert_eq!(delete(&client).await.0, StatusCode::NO_CONTENT);
    for path in ["", "/events", "/receipt", "/squares/0/0"] {
        assert_eq!(get(&client, at(path)).await.1["type"], problem("no-such-batch"), "{path}");
    }
    assert_eq!(delete(&client).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&client, server.at("/api/batches")).await.1["batches"], json!([]));
    assert_eq!(get(&client, server.at("/api/batches/%FF")).await.1["type"], problem("no-such-batch"));
}

#[tokio::test]
async fn one_failed_square_is_put_back_alone() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let body = json!({"work": {"kind": "color", "failure_rate": 1}, "rows": 8, "columns": 8, "attempts": 1});
    let (_, batch) = ask(&client, Method::POST, server.at("/api/batches"), Some(body)).await;
    let id = batch["id"].as_str().expect("an id").to_owned();
    let last = events(&client, &server, &id, None).await.last().expect("a finish").id;
    let retry = |square| server.at(&format!("/api/batches/{id}/squares/{square}/retry"));
    assert_eq!(ask(&client, Method::POST, retry("8/0"), None).await.0, 404);
    assert_eq!(ask(&client, Method::POST, retry("8/x"), None).await.0, 404);
    assert_eq!(ask(&visitor(), Method::POST, retry("2/3"), None).await.0, 403);
    let (status, batch) = ask(&client, Method::POST, retry("2/3"), None).await;
    assert_eq!((status, &batch["lap"]), (StatusCode::OK, &json!(2)));
    let received = events(&client, &server, &id, Some(last)).await;
    let received: Vec<_> = received.iter().map(|event| (event.name.as_str(), &event.data)).collect();
    let square = json!({"row": 2, "column": 3});
    let failed = json!({"row": 2, "column": 3, "failed": "unlucky: the failure rate struck", "reason": "unlucky: the failure rate struck"});
    let complete = json!({"status": "complete", "done": 0, "failed": 64});
    let lap = json!({"lap": 2, "set": "squares", "square": square});
    assert_eq!(received, [("lap", &lap), ("square", &failed), ("status", &complete)]);
}

#[tokio::test]
async fn a_reader_who_is_too_far_behind_is_told_how_things_stand() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let body = json!({"work": {"kind": "color", "failure_rate": 1}, "rows": 64, "columns": 64, "attempts": 1});
    let (_, batch) = ask(&client, Method::POST, server.at("/api/batches"), Some(body)).await;
    let id = batch["id"].as_str().expect("an id").to_owned();
    let first = events(&client, &server, &id, None).await;
    assert_eq!(first.iter().filter(|event| event.name == "square").count(), 4_096);
    let last = first.last().expect("a finish").id;
    post(&client, server.at(&format!("/api/batches/{id}/retry"))).await;
    // A client that has seen the first lap receives the second one.
    let second = events(&client, &server, &id, Some(last)).await;
    assert_eq!((second[0].name.as_str(), &second[0].data), ("lap", &json!({"lap": 2, "set": "failed"})));
    assert_eq!(second.len(), 1 + 4_096 + 1);
    // A client that has seen nothing receives the current state of the squares without ids, and the final status.
    let text = client.get(server.at(&format!("/api/batches/{id}/events"))).send().await.expect("an answer");
    let text = text.text().await.expect("it ends");
    assert_eq!(text.matches("event: square").count(), 4_096);
    assert_eq!(text.matches("event: lap").count(), 1);
    assert_eq!(text.matches("id: ").count(), 1);
    assert!(text.contains(r#"{"status":"complete","done":0,"failed":4096}"#));
}
