//! The front page: the list of batches, its search and pages, deleting several, and forms that are filled in again.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{FOREVER, Server, events, folder, launch, stranger, visitor};
use reqwest::Client;
use reqwest::multipart::Form;
use serde_json::{Value, json};

async fn page(client: &Client, server: &Server, path: &str) -> String {
    let response = client.get(server.at(path)).header("accept", "text/html").send().await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.text().await.expect("text")
}

async fn titled(client: &Client, server: &Server, title: &str, work: Value) -> String {
    let request = json!({"work": work, "rows": 1, "columns": 1, "title": title, "attempts": 1});
    let response = client.post(server.at("/api/batches")).json(&request).send().await.expect("an answer");
    let id = response.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned();
    events(client, server, &id, None).await;
    id
}

/// The ids of the batches that a page lists, in order.
fn listed(html: &str) -> Vec<String> {
    let ids = html.split(r#"class="batch-link""#).skip(1);
    // The address precedes or follows the class, so the picture is taken instead.
    ids.filter_map(|item| Some(item.split_once("/batches/")?.1.get(..32)?.to_owned())).collect()
}

/// The address of the next page, if there is one.
fn next(html: &str) -> Option<String> {
    let link = html.split("<a ").find(|link| link.contains(r#"rel="next""#))?;
    let address = link.split_once(r#"href=""#)?.1.split_once('"')?.0;
    Some(address.replace("&amp;", "&").split('#').next()?.to_owned())
}

/// Posts a form without JavaScript; returns the front page, to which it leads.
async fn form_post(client: &Client, server: &Server, path: &str, body: String) -> String {
    let request = client.post(server.at(path)).header("accept", "text/html");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.url().path(), "/");
    response.text().await.expect("text")
}

#[tokio::test]
async fn all_batches_are_listed_in_pages_and_found_by_title_state_and_kind() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let first = page(&client, &server, "/").await;
    assert!(first.contains("No batches yet") && first.contains("small-quilt"), "{first}");
    let mut ids = Vec::new();
    for number in 0..30 {
        let work = json!({"kind": "color", "failure_rate": if number == 7 { 1 } else { 0 }});
        ids.insert(0, titled(&client, &server, &format!("run {number}"), work).await);
    }
    let endless = launch(&client, &server, 1, 1, json!({"kind": "color", "duration_ms": FOREVER})).await;

    let first = page(&client, &server, "/").await;
    assert!(!first.contains("small-quilt"), "the introduction is for new visitors");
    let mut found = listed(&first);
    assert_eq!(found.remove(0), endless, "what runs comes first");
    let second = page(&client, &server, &next(&first).expect("there are more")).await;
    assert_eq!((found.len(), next(&second)), (24, None));
    found.extend(listed(&second));
    assert_eq!(found, ids);

    for (query, expected) in [
        ("/?q=RUN+12", vec![ids[17].clone()]),
        ("/?state=failed", vec![ids[22].clone()]),
        ("/?state=running", vec![endless.clone()]),
        ("/?state=stopped", vec![]),
        ("/?kind=fetch", vec![]),
        ("/?q=run+7&state=failed&kind=color", vec![ids[22].clone()]),
    ] {
        assert_eq!(listed(&page(&client, &server, query).await), expected, "{query}");
    }
    assert!(page(&client, &server, "/?q=nothing").await.contains("No batch matches"));
    for odd in ["/?state=odd&kind=odd&after=odd", "/?after=99999999999999999999", "/?example=99", "/?work=odd"] {
        assert!(page(&client, &server, odd).await.contains("Your batches"), "{odd}");
    }
    assert!(listed(&page(&stranger(), &server, "/").await).is_empty());
}

#[tokio::test]
async fn several_batches_are_deleted_after_a_question_and_the_others_are_named() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let done = titled(&client, &server, "<b>done</b>", json!({"kind": "color"})).await;
    let other = titled(&client, &server, "other", json!({"kind": "color"})).await;
    let endless = launch(&client, &server, 1, 1, json!({"kind": "color", "duration_ms": FOREVER})).await;

    let question = page(&client, &server, &format!("/delete?batch={done}&batch={endless}&batch=x")).await;
    assert!(question.contains("Delete 1 batch?") && question.contains("still running"), "{question}");
    assert!(question.contains("&lt;b&gt;done") && !question.contains("<b>done"), "titles are texts");
    assert_eq!(listed(&page(&client, &server, "/").await).len(), 3, "nothing was deleted by asking");
    assert!(page(&client, &server, "/delete").await.contains("Nothing to delete"));
    assert!(page(&stranger(), &server, &format!("/delete?batch={done}")).await.contains("Nothing to delete"));

    let refused = form_post(&visitor(), &server, "/actions/delete", format!("ids={done}")).await;
    assert!(refused.contains("No batch was deleted.") && refused.contains("only the session that launched it"));
    assert!(!refused.contains("&lt;b&gt;done"), "not even its name");
    let result = form_post(&client, &server, "/actions/delete", format!("ids={done}+{endless}")).await;
    assert!(result.contains("1 batch deleted.") && result.contains("Cancel it first"), "{result}");
    let again = form_post(&client, &server, "/actions/delete", format!("ids={done}")).await;
    assert!(again.contains("Nothing was deleted"), "{again}");
    for claim in ["/", "/?deleted=50", &format!("/?deleted=1&kept={endless}.running")] {
        let html = page(&client, &server, claim).await;
        assert!(!html.contains(r#"class="deletion""#), "{claim}: nothing was deleted since");
    }
    assert_eq!(listed(&page(&client, &server, "/").await), [endless, other]);
}

#[tokio::test]
async fn a_form_is_filled_in_with_a_batch_and_keeps_what_it_has_no_field_for() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let request = json!({
        "work": {"kind": "color", "duration_ms": [1, 2], "permanent_rate": 0.25},
        "rows": 2, "columns": 3, "title": "before", "tolerated_failures": 0.07, "priority": "low", "timeout_ms": 1_500,
    });
    let response = client.post(server.at("/api/batches")).json(&request).send().await.expect("an answer");
    let id = response.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned();
    let form = page(&client, &server, &format!("/?from={id}")).await;
    for value in [r#"value="before""#, r#"value="0.002""#, r#"value="1.5""#, r#"value="7""#, r#"name="from""#] {
        assert!(form.contains(value), "{value}: {form}");
    }

    let fields = [("kind", "color"), ("from", &*id), ("rows", "1"), ("columns", "1"), ("title", "after")];
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, (*value).to_owned()));
    let response = client.post(server.at("/actions/launch")).header("accept", "text/html").multipart(form);
    let response = response.send().await.expect("an answer");
    let again = response.url().path().to_owned();
    let again: Value =
        client.get(server.at(&format!("/api{again}"))).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(again["work"], json!({"kind": "color", "permanent_rate": 0.25}), "{again}");
    assert_eq!((&again["title"], &again["priority"]), (&json!("after"), &json!("low")));
    assert_eq!((&again["rows"], &again["tolerated_failures"]), (&json!(1), &Value::Null));

    let missing = client.get(server.at("/?from=00000000000000000000000000000000")).send().await.expect("an answer");
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn the_input_of_a_batch_is_used_again_unless_another_one_is_given() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let launched = async |form: Form| {
        let response = client.post(server.at("/actions/launch")).header("accept", "text/html").multipart(form);
        let response = response.send().await.expect("an answer");
        let path = response.url().path().to_owned();
        let batch = client.get(server.at(&format!("/api{path}"))).send().await.expect("an answer");
        batch.json::<Value>().await.expect("JSON")
    };
    // Too long to be filled in as text.
    let urls: String = (0..4_000).map(|number| format!("http://127.0.0.1:9/page-{number}\n")).collect();
    let first = launched(Form::new().text("kind", "fetch").text("parameters.urls", urls)).await;
    assert_eq!(first["tasks"], 4_000, "{first}");
    let id = first["id"].as_str().expect("an id").to_owned();
    let form = page(&client, &server, &format!("/?from={id}")).await;
    assert!(form.contains("is used again") && form.contains(r#"name="reuse_input""#), "{form}");
    let again = || Form::new().text("kind", "fetch").text("from", id.clone()).text("reuse_input", "true");
    let second = launched(again().text("parameters.redirects", "3")).await;
    assert_eq!((&second["tasks"], &second["work"]["redirects"]), (&json!(4_000), &json!(3)), "{second}");
    assert_eq!(second["work"]["input_sha256"], first["work"]["input_sha256"]);
    let third = launched(again().text("parameters.urls", "http://127.0.0.1:9/other")).await;
    assert_eq!(third["tasks"], 1, "{third}");
    // A short list is filled in.
    let short = third["id"].as_str().expect("an id");
    let form = page(&client, &server, &format!("/?from={short}")).await;
    assert!(form.contains("http://127.0.0.1:9/other</textarea>") && !form.contains("reuse_input"), "{form}");
}

/// Posts a launch form without JavaScript; returns the status and the page that answers.
async fn post_launch(client: &Client, server: &Server, fields: &[(&str, &str)], referer: &str) -> (u16, String) {
    let form =
        fields.iter().fold(Form::new(), |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()));
    let request = client.post(server.at("/actions/launch")).header("accept", "text/html").multipart(form);
    let response = request.header("referer", server.at(referer)).send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("text"))
}

#[tokio::test]
async fn a_refused_form_is_displayed_with_what_was_typed_and_the_reason_at_its_field() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let typed = [
        ("kind", "color"),
        ("preset", "custom"),
        ("rows", "5000"),
        ("columns", "8"),
        ("title", "<b>mine"),
        ("parameters.failure_rate", "25"),
    ];
    // The page that answers has the address of the action, so a second try comes from there.
    for referer in ["/?work=fetch", "/actions/launch"] {
        let (status, page) = post_launch(&client, &server, &typed, referer).await;
        assert_eq!(status, 422, "{referer}");
        let element = |name: &str| {
            let input = page.split("<input").find(|input| input.contains(&format!(r#"name="{name}""#)));
            input.expect("it is there").split('>').next().expect("a tag").to_owned()
        };
        assert!(element("rows").contains(r#"value="5000""#) && element("rows").contains("aria-invalid"), "{page}");
        assert!(page.contains("Enter a whole number from 1 to 4096, not \"5000\"."), "{page}");
        assert!(element("title").contains("b>mine") || element("title").contains("b&gt;mine"), "{}", element("title"));
        assert!(element("parameters.failure_rate").contains(r#"value="25""#));
        assert!(page.contains(r#"value="custom" checked"#), "{page}");
        assert!(!page.contains("small-quilt"), "the form comes first");
    }
    let urls = "https://example.org/\nnot a url";
    let (status, page) = post_launch(&client, &server, &[("kind", "fetch"), ("parameters.urls", urls)], "/").await;
    assert_eq!(status, 422);
    assert!(page.contains(urls) && page.contains(r#"name="kind" value="fetch""#), "{page}");

    // A field that the form does not have: with the size of a batch there are no presets.
    let id = titled(&client, &server, "before", json!({"kind": "color"})).await;
    let fields = [("kind", "color"), ("from", &*id), ("preset", "99"), ("title", "after")];
    let (status, page) = post_launch(&client, &server, &fields, "/").await;
    assert_eq!(status, 422);
    assert!(page.contains(r#"value="after""#) && page.contains("Filled in from"), "{page}");
    assert!(page.contains(r#"class="refusal">Choose one of these."#), "{page}");
}

#[tokio::test]
async fn a_title_may_have_500_characters_everywhere() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let most = "ü".repeat(500);
    titled(&client, &server, &most, json!({"kind": "color"})).await;
    let request = json!({"work": {"kind": "color"}, "rows": 1, "columns": 1, "title": "ü".repeat(501)});
    let response = client.post(server.at("/api/batches")).json(&request).send().await.expect("an answer");
    assert_eq!(response.status(), 422);
    let problem: Value = response.json().await.expect("JSON");
    assert_eq!(problem["detail"], "title must have at most 500 characters, not 501");
    let fields = [("kind", "color"), ("rows", "1"), ("columns", "1"), ("title", &*most)];
    let (status, page) = post_launch(&client, &server, &fields, "/").await;
    assert!(status == 200 && page.contains("data-lap"), "{status}: {page}");
}
