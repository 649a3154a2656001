//! The responses of the public API to valid and invalid requests.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{FOREVER, Server, SseEvent, TEST_TIMEOUT, events, folder, launch, stranger, visitor};
use reqwest::multipart::Form;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

async fn post(client: &Client, server: &Server, body: &str) -> Response {
    let request = client.post(server.at("/api/batches")).header("content-type", "application/json");
    request.body(body.to_owned()).send().await.expect("an answer")
}

/// Returns the status, the name and the detail of a problem.
async fn problem(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let document: Value = response.json().await.expect("JSON");
    assert_eq!(document["status"], status);
    let text = |key: &str| document[key].as_str().expect(key).to_owned();
    (status, text("type").trim_start_matches("urn:quilt:problem:").to_owned(), text("detail"))
}

#[tokio::test]
async fn a_launch_is_accepted_at_once_and_its_events_tell_every_square_and_the_finish() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let response = post(&client, &server, r#"{"work":{"kind":"color"},"rows":8,"columns":8}"#).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().expect("ASCII").to_owned();
    let launched: Value = response.json().await.expect("JSON");
    let id = launched["id"].as_str().expect("an id");
    assert_eq!(location, format!("/api/batches/{id}"));
    assert_eq!((&launched["tasks"], &launched["status"], &launched["lap"]), (&json!(64), &json!("running"), &json!(1)));

    let all = events(&client, &server, id, None).await;
    let (finish, squares) = all.split_last().expect("events");
    assert_eq!(
        (finish.name.as_str(), &finish.data),
        ("status", &json!({"status": "complete", "done": 64, "failed": 0}))
    );
    assert_eq!(squares.len(), 64);
    let mut places: Vec<u64> = squares.iter().map(place).collect();
    assert!(!places.is_sorted(), "the order is a random one");
    places.sort_unstable();
    assert_eq!(places, (0..64).collect::<Vec<u64>>());
    for SseEvent { name, data, .. } in squares {
        assert_eq!(name, "square");
        let color = data["color"].as_str().expect("a color");
        assert!(
            color.len() == 7 && color.starts_with('#') && !color.contains(|c: char| c.is_ascii_lowercase()),
            "{color}"
        );
    }

    // Reconnecting after any event returns exactly the rest, and nothing after the last one.
    for (place, event) in all.iter().enumerate().step_by(16) {
        assert_eq!(events(&client, &server, id, Some(event.id)).await, all[place + 1..]);
    }
    let request = client.get(server.at(&format!("/api/batches/{id}/events")));
    let after = request.header("last-event-id", finish.id.to_string()).send().await.expect("an answer");
    assert_eq!(after.status(), StatusCode::NO_CONTENT);

    let finished: Value = client.get(server.at(&location)).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&finished["status"], &finished["done"]), (&json!("finished"), &json!(64)));
    let last = &squares.last().expect("64").data;
    assert_eq!(finished["last_across"], json!({"row": last["row"], "column": last["column"]}));
    assert!(finished["finished_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{finished}");
}

fn place(event: &SseEvent) -> u64 {
    event.data["row"].as_u64().expect("a row") * 8 + event.data["column"].as_u64().expect("a column")
}

#[tokio::test]
async fn failed_squares_are_told_with_their_reason_and_a_retry_adds_a_lap() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let body = r#"{"work":{"kind":"color","failure_rate":0.5},"rows":8,"columns":8,"attempts":1}"#;
    let launched: Value = post(&client, &server, body).await.json().await.expect("JSON");
    let id = launched["id"].as_str().expect("an id");
    let first = events(&client, &server, id, None).await;
    let failed = first.iter().filter(|event| event.data["failed"].is_string()).count();
    assert!(failed > 0);
    let finish = first.last().expect("events");
    assert_eq!(finish.data, json!({"status": "complete", "done": 64 - failed, "failed": failed}));

    let retried = client.post(server.at(&format!("/api/batches/{id}/retry"))).send().await.expect("an answer");
    let retried: Value = retried.json().await.expect("JSON");
    assert_eq!(retried["lap"], 2);
    let second = events(&client, &server, id, Some(finish.id)).await;
    assert_eq!((second[0].name.as_str(), &second[0].data), ("lap", &json!({"lap": 2, "set": "failed"})));
    assert_eq!(second.iter().filter(|event| event.name == "square").count(), failed);
    assert_eq!(second.last().expect("events").data["status"], "complete");
    // From the start, the events of the first lap are unchanged.
    let both = events(&client, &server, id, None).await;
    assert_eq!(both, [first, second].concat());
}

#[tokio::test]
async fn bad_bodies_get_the_right_status_and_a_sentence_and_the_server_goes_on() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--max-input", "1048576"]);
    let client = visitor();
    let with = |members: &str| format!(r#"{{"work":{{"kind":"color"}},{members}}}"#);
    for (body, status, kind, sentence) in [
        (with(r#""rows":0,"columns":8"#), 422, "out-of-range", "rows must be a whole number from 1 to 4096, not 0"),
        (
            with(r#""rows":5000,"columns":8"#),
            422,
            "out-of-range",
            "rows must be a whole number from 1 to 4096, not 5000",
        ),
        (
            with(r#""rows":8,"columns":-1"#),
            422,
            "out-of-range",
            "columns must be a whole number from 1 to 4096, not -1",
        ),
        (with(r#""rows":1e9,"columns":8"#), 422, "out-of-range", "rows must be a whole number"),
        (with(r#""rows":8.5,"columns":8"#), 422, "out-of-range", "rows must be a whole number"),
        (with(r#""rows":4096,"columns":4096"#), 422, "too-many-squares", "16777216 squares; at most 1048576"),
        (with(r#""rows":8,"columns":8,"attempts":0"#), 422, "out-of-range", "attempts must be"),
        (with(r#""rows":8,"columns":8,"timeout_ms":3600001"#), 422, "out-of-range", "timeout_ms must be"),
        (with(r#""rows":8,"columns":8,"seed":9007199254740992"#), 422, "out-of-range", "seed must be"),
        (with(r#""rows":"x","columns":8"#), 422, "invalid-body", "invalid type: string"),
        (with(r#""rows":8"#), 422, "missing", "columns is missing"),
        (with(r#""rows":8,"columns":8,"color":1"#), 422, "invalid-body", "unknown field `color`"),
        (with(r#""rows":NaN,"columns":8"#), 400, "malformed-json", "not JSON"),
        (r#"{"work":{"kind":"color"},"rows":8,"#.into(), 400, "malformed-json", "EOF"),
        (String::new(), 400, "malformed-json", "EOF"),
        ("[]".into(), 422, "invalid-body", "invalid"),
        (
            r#"{"work":{"kind":"magic"},"rows":8,"columns":8}"#.into(),
            422,
            "invalid-work",
            "there is no work of kind 'magic'; there is: color, fetch",
        ),
        (
            r#"{"work":{"kind":"color","speed":1},"rows":8,"columns":8}"#.into(),
            422,
            "invalid-work",
            "unknown field `speed`",
        ),
        (
            r#"{"work":{"kind":"color","failure_rate":2},"rows":8,"columns":8}"#.into(),
            422,
            "invalid-work",
            "failure_rate must be a number from 0 to 1, not 2",
        ),
        (format!("\"{}\"", "x".repeat(2 << 20)), 413, "body-too-large", "1 MiB at most"),
    ] {
        let (found, name, detail) = problem(post(&client, &server, &body).await).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!((found, name.as_str()), (status, kind), "{shown}: {detail}");
        assert!(detail.contains(sentence), "{shown}: {detail}");
    }
    let untyped = client.post(server.at("/api/batches")).body("rows=8").send().await.expect("an answer");
    assert_eq!(problem(untyped).await.0, 415);
    launch(&client, &server, 2, 2, json!({})).await;
    let (status, log) = server.stop();
    assert!(status.success());
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_refusal_reaches_whoever_sends_everything_before_reading() {
    let folder = folder();
    // More than the socket buffers hold, so that sending succeeds only if the server reads it.
    let body = vec![b'x'; 16 << 20];
    for (limit, path, kind, refused) in [
        ("1048576", "/api/batches", "application/json", "HTTP/1.1 413 "),
        ("1048576", "/actions/launch", "multipart/form-data; boundary=x", "HTTP/1.1 413 "),
        ("33554432", "/api/batches", "text/plain", "HTTP/1.1 415 "),
        ("33554432", "/api/nowhere", "application/json", "HTTP/1.1 404 "),
    ] {
        let server = Server::start_with(folder.path(), &["--max-body", limit, "--max-input", limit]);
        let mut connection = TcpStream::connect(server.url.trim_start_matches("http://")).expect("it listens");
        connection.set_read_timeout(Some(TEST_TIMEOUT)).expect("a positive time");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: quilt\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).expect(path);
        connection.write_all(&body).expect(path);
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect(path);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(refused), "{path} {kind}: {answer}");
    }
}

#[tokio::test]
async fn forms_that_are_no_forms_are_refused_and_never_a_fault_of_the_server() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--max-input", "1048576"]);
    let client = visitor();
    for (path, form, status) in [
        ("/actions/launch", "kind=color&preset=0", 400),
        ("/actions/control", "id=x&command[name]=cancel", 400),
        ("/actions/control", "id=00000000000000000000000000000000&command[name]=cancel", 404),
        ("/actions/control", "id=00000000000000000000000000000000&command[name]=explode", 400),
        ("/actions/control", "id=00000000000000000000000000000000&command[name]=retry-square&command[row]=x", 400),
        ("/actions/control", "", 400),
        ("/actions/delete", "", 400),
        ("/actions/list", "", 400),
    ] {
        let request = client.post(server.at(path)).header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{path} {form}");
        assert!(!response.text().await.expect("text").is_empty(), "{path} {form} says why");
    }
    // With the field that is wrong, if it is one.
    for (fields, status, field) in [
        (&[][..], 400, None),
        (&[("kind", "magic")], 422, None),
        (&[("kind", "color"), ("rows", "8")], 422, Some("columns")),
        (&[("kind", "color"), ("preset", "0"), ("attempts", "many")], 422, Some("attempts")),
        (&[("kind", "color"), ("preset", "5000")], 422, Some("preset")),
        (&[("kind", "color"), ("preset", "custom"), ("rows", "5000"), ("columns", "8")], 422, Some("rows")),
        (&[("kind", "color"), ("preset", "custom"), ("rows", "NaN"), ("columns", "8")], 422, Some("rows")),
        (&[("kind", "color"), ("preset", "0"), ("title", "a\nb")], 422, Some("title")),
        (
            &[("kind", "color"), ("preset", "0"), ("parameters.failure_rate", "200")],
            422,
            Some("parameters.failure_rate"),
        ),
        (&[("kind", "fetch"), ("parameters.urls", "nonsense")], 422, Some("parameters.urls")),
        (&[("kind", "fetch"), ("parameters.urls", " ")], 422, Some("parameters.urls")),
        (&[("kind", "image"), ("rows", "8"), ("columns", "8")], 422, Some("file")),
        (&[("kind", "color"), ("preset", "0"), ("from", "00000000000000000000000000000000")], 404, None),
    ] {
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, *value));
        let response = client.post(server.at("/actions/launch")).multipart(form).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{fields:?}");
        let refused: Value = response.json().await.expect("JSON");
        if status == 404 {
            continue;
        }
        let reason = match field {
            Some(field) => {
                assert_eq!(refused["Invalid"][0].as_str(), Some(field), "{fields:?} {refused}");
                &refused["Invalid"][1]
            }
            None => &refused["Refused"],
        };
        assert!(!reason.as_str().unwrap_or_default().is_empty(), "{fields:?} says why: {refused}");
    }
    let broken = client.post(server.at("/actions/launch")).header("content-type", "multipart/form-data; boundary=x");
    assert_eq!(broken.body("--x\r\nno field").send().await.expect("an answer").status(), 400);
    for kind in ["multipart/form-data", "application/json", "nonsense"] {
        let request = client.post(server.at("/actions/launch")).header("content-type", kind).body("--x\r\n");
        let (status, name, _) = problem(request.send().await.expect("an answer")).await;
        assert_eq!((status, &*name), (400, "malformed-form"), "{kind}");
    }
    // A body without `Content-Length` is limited as well.
    let chunks = (0..32).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1 << 16]));
    let request = client.post(server.at("/api/batches")).header("content-type", "application/json");
    let stream = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    assert_eq!(problem(request.body(stream).send().await.expect("an answer")).await.1, "body-too-large");
}

#[tokio::test]
async fn unknown_batches_addresses_and_methods_are_problems_too() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let unknown = "0".repeat(32);
    for path in [
        format!("/api/batches/{unknown}"),
        "/api/batches/x".into(),
        format!("/api/batches/{unknown}/events"),
        "/api/nowhere".into(),
    ] {
        let response = client.get(server.at(&path)).send().await.expect("an answer");
        assert_eq!(problem(response).await.0, 404, "{path}");
    }
    for action in ["cancel", "retry"] {
        let response =
            client.post(server.at(&format!("/api/batches/{unknown}/{action}"))).send().await.expect("an answer");
        assert_eq!(problem(response).await.1, "no-such-batch");
    }
    let response = client.put(server.at("/api/batches")).send().await.expect("an answer");
    assert_eq!(problem(response).await.0, 405);
    for query in ["limit=0", "limit=101", "limit=x", "page=2"] {
        let response = client.get(server.at(&format!("/api/batches?{query}"))).send().await.expect("an answer");
        assert_eq!(problem(response).await.0, 400, "{query}");
    }
    let id = launch(&client, &server, 1, 1, json!({})).await;
    let request = client.get(server.at(&format!("/api/batches/{id}/events"))).header("last-event-id", "x");
    assert_eq!(problem(request.send().await.expect("an answer")).await.1, "invalid-last-event-id");
}

#[tokio::test]
async fn a_batch_is_its_visitors_own_to_control_and_everybodys_to_look_at() {
    let folder = folder();
    let server = Server::start(folder.path());
    let (owner, stranger) = (visitor(), visitor());
    let id = launch(&owner, &server, 8, 8, json!({"duration_ms": FOREVER})).await;
    let response = stranger.get(server.at(&format!("/api/batches/{id}"))).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    for action in ["cancel", "retry"] {
        let response =
            stranger.post(server.at(&format!("/api/batches/{id}/{action}"))).send().await.expect("an answer");
        assert_eq!(
            problem(response).await,
            (403, "not-your-batch".into(), "only the session that launched a batch may control it".into())
        );
    }
    let list = |client: Client| {
        let url = server.at("/api/batches");
        async move { client.get(url).send().await.expect("an answer").json::<Value>().await.expect("JSON") }
    };
    assert_eq!(list(stranger).await, json!({"batches": [], "next": null}));
    assert_eq!(list(owner.clone()).await["batches"][0]["id"], json!(id));

    let url = server.at(&format!("/api/batches/{id}/cancel"));
    for _ in 0..2 {
        let cancelled: Value = owner.post(&url).send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(cancelled["status"], "cancelled");
        assert!(cancelled["cancelled_at"].is_string() && cancelled["finished_at"].is_null());
    }
    let end = events(&owner, &server, &id, None).await;
    assert_eq!(end.last().expect("an end").data["status"], "cancelled");
}

#[tokio::test]
async fn a_session_that_was_tampered_with_is_a_new_one() {
    let folder = folder();
    let server = Server::start(folder.path());
    let plain = stranger();
    let response = post(&plain, &server, r#"{"work":{"kind":"color"},"rows":1,"columns":1}"#).await;
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII").to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let listed = |cookie: String| {
        let request = plain.get(server.at("/api/batches")).header("cookie", cookie);
        async move {
            request.send().await.expect("an answer").json::<Value>().await.expect("JSON")["batches"]
                .as_array()
                .expect("a list")
                .len()
        }
    };
    assert_eq!(listed(pair.clone()).await, 1);
    let last = pair.chars().last().expect("not empty");
    let tampered = format!("{}{}", &pair[..pair.len() - 1], if last == '0' { '1' } else { '0' });
    assert_eq!(listed(tampered).await, 0);
}

#[tokio::test]
async fn changes_that_other_sites_ask_for_are_refused() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 1, 1, json!({})).await;
    for path in [
        "/api/batches".into(),
        format!("/api/batches/{id}/cancel"),
        "/actions/launch".into(),
        "/actions/control".into(),
        "/actions/delete".into(),
    ] {
        for origin in ["https://evil.example", "null"] {
            let response = client.post(server.at(&path)).header("origin", origin).send().await.expect("an answer");
            assert_eq!(problem(response).await.1, "foreign-origin", "{path} from {origin}");
        }
    }
    let body = r#"{"work":{"kind":"color"},"rows":1,"columns":1}"#;
    let own = client
        .post(server.at("/api/batches"))
        .header("origin", &server.url)
        .header("content-type", "application/json")
        .body(body);
    assert_eq!(own.send().await.expect("an answer").status(), StatusCode::CREATED);
}

#[tokio::test]
async fn an_idempotency_key_launches_once_also_after_a_crash() {
    let folder = folder();
    let server = Server::start(folder.path());
    let cookie =
        stranger().get(server.at("/api/batches")).send().await.expect("an answer").headers()["set-cookie"].clone();
    let pair = cookie.to_str().expect("ASCII").split(';').next().expect("a pair").to_owned();
    let send = |server: &Server, key: &str, rows: u32| {
        let body = json!({"work": {"kind": "color"}, "rows": rows, "columns": 2});
        let request = stranger()
            .post(server.at("/api/batches"))
            .header("cookie", &pair)
            .header("idempotency-key", key)
            .json(&body);
        async move { request.send().await.expect("an answer") }
    };
    let id = |response: Response| async move { response.json::<Value>().await.expect("JSON")["id"].clone() };
    let first = id(send(&server, "k1", 2).await).await;
    assert_eq!(id(send(&server, "k1", 2).await).await, first);
    assert_ne!(id(send(&server, "k2", 2).await).await, first);
    assert_eq!(problem(send(&server, "k1", 3).await).await.1, "idempotency-key-reused");
    assert_eq!(problem(send(&server, &"k".repeat(256), 2).await).await.1, "invalid-idempotency-key");
    server.kill();
    let again = Server::start(folder.path());
    assert_eq!(id(send(&again, "k1", 2).await).await, first);
}

#[tokio::test]
async fn a_visitor_has_a_limit_of_running_batches() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--max-running", "2"]);
    let client = visitor();
    for _ in 0..2 {
        launch(&client, &server, 1, 1, json!({"duration_ms": FOREVER})).await;
    }
    let third = post(&client, &server, r#"{"work":{"kind":"color"},"rows":1,"columns":1}"#).await;
    let (status, kind, detail) = problem(third).await;
    assert_eq!((status, kind.as_str()), (429, "too-many-running-batches"));
    assert!(detail.starts_with("2 of your batches are running"), "{detail}");
}

#[tokio::test]
async fn a_list_comes_in_parts() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, launch(&client, &server, 1, 1, json!({})).await);
    }
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let url = server.at(&format!("/api/batches?limit=2{after}"));
        let part: Value = client.get(url).send().await.expect("an answer").json().await.expect("JSON");
        listed.extend(
            part["batches"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|batch| batch["id"].as_str().expect("an id").to_owned()),
        );
        match part["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(listed, ids);
}
