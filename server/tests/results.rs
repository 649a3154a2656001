//! All kinds of work over the API, with their results.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use common::{Server, events, folder, visitor};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response};
use serde_json::{Value, json};

async fn post(client: &Client, server: &Server, body: &Value) -> Response {
    client.post(server.at("/api/batches")).json(body).send().await.expect("an answer")
}

/// Checks a launch, and waits for the finish line of the batch.
async fn finish(client: &Client, server: &Server, launched: Response) -> Value {
    let status = launched.status();
    let batch: Value = launched.json().await.expect("JSON");
    assert_eq!(status, 201, "{batch}");
    let id = batch["id"].as_str().expect("an id").to_owned();
    let received = events(client, server, &id, None).await;
    assert_eq!(received.last().expect("events").data["status"], "complete");
    get_json(client, server, &format!("/api/batches/{id}")).await
}

async fn get_json(client: &Client, server: &Server, path: &str) -> Value {
    client.get(server.at(path)).send().await.expect("an answer").json().await.expect("JSON")
}

async fn results(client: &Client, server: &Server, batch: &Value, query: &str, accept: &str) -> Response {
    let path = format!("/api/batches/{}/results{query}", batch["id"].as_str().expect("an id"));
    client.get(server.at(&path)).header("accept", accept).send().await.expect("an answer")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

/// Starts a site. Every tenth page is missing, and every ninth one fails at the first request.
async fn site() -> String {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(HashMap::<u32, u32>::new()));
    let page = move |axum::extract::Path(number): axum::extract::Path<u32>| {
        let asked = std::sync::Arc::clone(&asked);
        async move {
            let times = {
                let mut asked = asked.lock().expect("not poisoned");
                let times = asked.entry(number).or_default();
                *times += 1;
                *times
            };
            match number {
                number if number % 10 == 0 => StatusCode::NOT_FOUND.into_response(),
                number if number % 9 == 0 && times == 1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                number => Html(format!("<title>=Page, \"{number}\"</title><a href=/>home</a>")).into_response(),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/{number}", get(page))).await });
    format!("http://{address}")
}

#[tokio::test]
async fn pages_are_fetched_and_their_results_are_tables() {
    let site = site().await;
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--fetch-allow", "127.0.0.1/32"]);
    let client = visitor();
    let urls: Vec<String> = (0..47).map(|number| format!("{site}/{number}")).collect();
    let work = json!({"kind": "fetch", "urls": urls, "per_host": 16});
    let batch = finish(&client, &server, post(&client, &server, &json!({"work": work})).await).await;
    // 47 is a prime number: the last row is shorter.
    assert_eq!((&batch["rows"], &batch["columns"], &batch["tasks"]), (&json!(7), &json!(7), &json!(47)));
    assert_eq!((&batch["done"], &batch["failed"]), (&json!(42), &json!(5)));
    assert!(batch["work"].get("urls").is_none(), "the list is not carried along: {batch}");

    let response = results(&client, &server, &batch, "", "application/x-ndjson").await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let rows = lines(&response.text().await.expect("text"));
    assert_eq!(rows.len(), 47);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!((&row["row"], &row["column"]), (&json!(number / 7), &json!(number % 7)));
        assert_eq!(row["item"], urls[number]);
        let status = if number % 10 == 0 { 404 } else { 200 };
        assert_eq!(row["detail"]["status"], status, "{row}");
    }
    assert_eq!((&rows[10]["state"], &rows[10]["failed"]), (&json!("failed"), &json!("404 Not Found")));
    assert_eq!(rows[11]["detail"]["title"], "=Page, \"11\"");

    let csv = results(&client, &server, &batch, "?state=failed", "text/csv").await.text().await.expect("text");
    assert_eq!(csv.lines().count(), 6, "{csv}");
    assert!(csv.starts_with("row,column,item,state,color,failed,reason,status,ms,"), "{csv}");
    let csv = results(&client, &server, &batch, "?format=csv&limit=12", "*/*").await.text().await.expect("text");
    // Formulas are escaped for spreadsheets.
    assert!(csv.contains(r#""'=Page, ""11""""#), "{csv}");
    let square =
        get_json(&client, &server, &format!("/api/batches/{}/squares/1/2", batch["id"].as_str().expect("an id"))).await;
    // Square 9, whose page failed once.
    assert_eq!((square["attempts"].as_array().map(Vec::len), &square["detail"]["status"]), (Some(2), &json!(200)));
    let outside = client.get(server.at(&format!("/api/batches/{}/squares/6/5", batch["id"].as_str().expect("an id"))));
    assert_eq!(outside.send().await.expect("an answer").status(), 404);
    for (query, accept, status) in [
        ("", "text/html", 406),
        ("?format=xml", "*/*", 400),
        ("?state=lost", "*/*", 400),
        ("?format=png&limit=1", "*/*", 400),
    ] {
        assert_eq!(results(&client, &server, &batch, query, accept).await.status(), status, "{query} {accept}");
    }
}

#[tokio::test]
async fn without_the_operators_word_nothing_within_the_network_is_fetched() {
    let site = site().await;
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let work = json!({"kind": "fetch", "urls": [format!("{site}/1"), "http://169.254.169.254/latest/meta-data/"]});
    let batch = finish(&client, &server, post(&client, &server, &json!({"work": work})).await).await;
    assert_eq!(batch["failed"], 2);
    let rows = lines(&results(&client, &server, &batch, "", "*/*").await.text().await.expect("text"));
    assert!(rows.iter().all(|row| row["detail"]["error"] == "refused"), "{rows:?}");
}

/// A test image.
fn image(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let pixels: Vec<u8> =
        (0..width * height).flat_map(|pixel| [(pixel % width) as u8, (pixel / width) as u8, 77]).collect();
    encoder.write_header().expect("memory").write_image_data(&pixels).expect("memory");
    bytes
}

fn decoded(png: Vec<u8>) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits")];
    reader.next_frame(&mut pixels).expect("it is whole");
    (reader.info().width, reader.info().height, pixels)
}

#[tokio::test]
async fn an_image_is_sent_as_a_form_and_comes_back_as_one() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let launch = json!({"work": {"kind": "image", "filter": "nearest"}, "rows": 3, "columns": 7}).to_string();
    let form = || {
        let file = Part::bytes(image(100, 50)).file_name("photo.png");
        Form::new().text("launch", launch.clone()).part("file", file)
    };
    let launched = client.post(server.at("/api/batches")).multipart(form()).send().await.expect("an answer");
    let batch = finish(&client, &server, launched).await;
    let response = results(&client, &server, &batch, "", "image/png").await;
    assert_eq!(response.headers()["content-type"], "image/png");
    let (width, height, pixels) = decoded(response.bytes().await.expect("a body").to_vec());
    assert_eq!((width, height), (100, 50));
    for (place, pixel) in pixels.chunks(4).enumerate() {
        assert_eq!(pixel, [(place % 100) as u8, (place / 100) as u8, 77, 255], "pixel {place}");
    }
    let id = batch["id"].as_str().expect("an id");
    let square = get_json(&client, &server, &format!("/api/batches/{id}/squares/2/6")).await;
    let picture = square["picture"].as_str().expect("it has drawn one");
    let tile = client.get(server.at(picture)).send().await.expect("an answer").bytes().await.expect("a body");
    assert_eq!(decoded(tile.to_vec()).0, 15);

    // The image is stored with the batch, and part of the idempotency check.
    let again = |file: Vec<u8>| {
        let form = Form::new().text("launch", launch.clone()).part("file", Part::bytes(file).file_name("photo.png"));
        client.post(server.at("/api/batches")).header("idempotency-key", "one").multipart(form).send()
    };
    let first: Value = again(image(100, 50)).await.expect("an answer").json().await.expect("JSON");
    let second: Value = again(image(100, 50)).await.expect("an answer").json().await.expect("JSON");
    assert_eq!(first["id"], second["id"]);
    assert_eq!(again(image(100, 51)).await.expect("an answer").status(), 422);
    for (form, status) in [
        (Form::new().text("launch", launch.clone()), 422),
        (Form::new().part("file", Part::bytes(image(9, 9))), 400),
        (form().text("other", "x"), 400),
        (Form::new().text("launch", launch.clone()).part("file", Part::bytes(b"GIF89a".to_vec())), 422),
    ] {
        let refused = client.post(server.at("/api/batches")).multipart(form).send().await.expect("an answer");
        assert_eq!(refused.status(), status);
    }
}

#[tokio::test]
async fn a_fractal_is_a_picture_with_a_pixel_for_each_square() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let body = json!({"work": {"kind": "render", "samples": 1}, "rows": 24, "columns": 32});
    let batch = finish(&client, &server, post(&client, &server, &body).await).await;
    assert_eq!(batch["work"]["palette"], "dusk");
    let (width, height, pixels) =
        decoded(results(&client, &server, &batch, "", "image/png").await.bytes().await.expect("a body").to_vec());
    assert_eq!((width, height), (32, 24));
    let rows = lines(&results(&client, &server, &batch, "", "*/*").await.text().await.expect("text"));
    for (row, pixel) in rows.iter().zip(pixels.chunks(4)) {
        assert_eq!(row["color"], format!("#{:02X}{:02X}{:02X}", pixel[0], pixel[1], pixel[2]));
    }
}

fn with_commands(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("quilt.toml");
    let text = "[commands.greet]\nprogram = \"sh\"\nargs = [\"-c\", \"echo \\\"$GREETING, $1\\\"; test \\\"$1\\\" != Bob\", \"sh\", \"{}\"]\n\
                about = \"says hello\"\nenv = { GREETING = \"Hello\" }\n";
    std::fs::write(&file, text).expect("writable");
    file
}

#[tokio::test]
async fn commands_that_the_operator_has_named_are_run_and_no_others() {
    let folder = folder();
    let file = with_commands(folder.path());
    let data = folder.path().join("data");
    let server = Server::start_with(&data, &["--config", file.to_str().expect("plain")]);
    let client = visitor();
    let work = json!({"kind": "command", "name": "greet", "items": ["Ann", "Bob", "$(id); Cid"]});
    let body = json!({"work": work, "attempts": 1});
    let batch = finish(&client, &server, post(&client, &server, &body).await).await;
    let rows = lines(&results(&client, &server, &batch, "", "*/*").await.text().await.expect("text"));
    let received: Vec<_> = rows.iter().map(|row| (row["state"].as_str(), row["detail"]["stdout"].as_str())).collect();
    let expected = [
        (Some("done"), Some("Hello, Ann\n")),
        (Some("failed"), Some("Hello, Bob\n")),
        (Some("done"), Some("Hello, $(id); Cid\n")),
    ];
    assert_eq!(received, expected);
    for work in [json!({"kind": "command", "name": "rm", "items": ["x"]}), json!({"kind": "command", "program": "id"})]
    {
        let refused = post(&client, &server, &json!({"work": work, "rows": 1, "columns": 1})).await;
        assert_eq!(refused.status(), 422);
    }
    // The results survive a restart, and a lap runs only failed tasks.
    drop(server);
    let server = Server::start_with(&data, &["--config", file.to_str().expect("plain")]);
    let id = batch["id"].as_str().expect("an id");
    let retried = client.post(server.at(&format!("/api/batches/{id}/retry"))).send().await.expect("an answer");
    assert_eq!(retried.status(), 200);
    events(&client, &server, id, None).await;
    let rows = lines(&results(&client, &server, &batch, "", "*/*").await.text().await.expect("text"));
    assert_eq!((rows.len(), &rows[0]["detail"]["stdout"]), (3, &json!("Hello, Ann\n")));
}

#[test]
fn settings_of_work_that_are_wrong_stop_the_start() {
    let folder = folder();
    let file = folder.path().join("quilt.toml");
    for (text, options, reason) in [
        ("[commands.x]\nargs = []\n", &[][..], "program"),
        ("[commands.x]\nprogram = \"a\"\nshell = true\n", &[], "shell"),
        (
            "[commands.x]\nprogram = \"a\"\ndir = \"/no/such/folder\"\n",
            &[],
            "commands.x: there is no folder /no/such/folder",
        ),
        ("", &["--fetch-allow", "localhost"], "fetch_allow must name networks"),
    ] {
        std::fs::write(&file, text).expect("writable");
        let mut command = common::command();
        command.args(["serve", "--addr", "127.0.0.1:0", "--config"]).arg(&file).args(options);
        let output = command.arg("--data").arg(folder.path()).output().expect("it ends");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(reason), "{text}: {error}");
    }
}
