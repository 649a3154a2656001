//! Pages of results: filtered, searched, sorted, and every square on one of them.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;

use common::{FOREVER, Server, events, folder, launch, visitor};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// A batch whose results are requested.
struct Results<'a> {
    client: &'a Client,
    server: &'a Server,
    id: String,
}

impl Results<'_> {
    async fn get(&self, query: &[(&str, &str)]) -> reqwest::Response {
        let url = self.server.at(&format!("/api/batches/{}/results", self.id));
        self.client.get(url).query(query).send().await.expect("an answer")
    }

    async fn page(&self, query: &[(&str, &str)]) -> Value {
        let response = self.get(&[query, &[("format", "json")]].concat()).await;
        assert_eq!(response.status(), StatusCode::OK, "{query:?}");
        response.json().await.expect("JSON")
    }

    /// Reads page after page; returns all rows.
    async fn all(&self, query: &[(&str, &str)]) -> Vec<Value> {
        let (mut rows, mut after, mut searched) = (Vec::new(), None::<String>, 0);
        loop {
            let mut query = query.to_vec();
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page = self.page(&query).await;
            rows.extend(page["rows"].as_array().expect("rows").iter().cloned());
            let so_far = page["searched"].as_u64().expect("a number");
            assert!(so_far >= searched, "{page}");
            searched = so_far;
            match page["next"].as_str() {
                Some(next) => after = Some(next.into()),
                None => return rows,
            }
        }
    }

    async fn problem(&self, query: &[(&str, &str)]) -> (StatusCode, String) {
        let response = self.get(query).await;
        let status = response.status();
        let problem: Value = response.json().await.expect("JSON");
        (status, problem["detail"].as_str().expect("a sentence").into())
    }
}

fn squares(rows: &[Value]) -> Vec<u64> {
    let number = |row: &Value, name: &str| row[name].as_u64().expect("a number");
    rows.iter().map(|row| number(row, "row") * 1_000 + number(row, "column")).collect()
}

fn is_ascending(rows: &[Value], name: &str) -> bool {
    rows.iter().map(|row| row[name].as_u64().expect("a number")).is_sorted()
}

#[tokio::test]
async fn every_square_is_on_one_page_whatever_is_selected() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let work = json!({"duration_ms": [0, 3], "failure_rate": 0.3});
    let id = launch(&client, &server, 48, 50, work).await;
    events(&client, &server, &id, None).await;
    let results = Results { client: &client, server: &server, id };
    let all = results.all(&[("limit", "1000")]).await;
    assert_eq!(all.len(), 2_400);
    assert!(squares(&all).is_sorted());
    let page = results.page(&[]).await;
    assert_eq!((page["rows"].as_array().map(Vec::len), &page["next"]), (Some(100), &json!("100.square.asc")));
    assert_eq!(page["matching"], 2_400);

    let failed: Vec<u64> = squares(&all.iter().filter(|row| row["state"] == "failed").cloned().collect::<Vec<_>>());
    assert!(failed.len() > 10, "{}", failed.len());
    let reason = all.iter().find_map(|row| row["reason"].as_str()).expect("some failed").to_owned();
    for query in [
        vec![("state", "failed"), ("limit", "7")],
        vec![("reason", &*reason), ("limit", "7")],
        vec![("state", "failed"), ("text", &*reason), ("limit", "7")],
        vec![("text", &*reason), ("limit", "7")],
    ] {
        assert_eq!(squares(&results.all(&query).await), failed, "{query:?}");
    }
    assert_eq!(results.page(&[("state", "failed")]).await["matching"], failed.len());
    assert_eq!(results.page(&[("reason", &reason), ("state", "done")]).await["matching"], 0);
    assert_eq!(squares(&results.all(&[("text", "47, 49")]).await), [47_049]);
    assert!(results.all(&[("text", "no such text")]).await.is_empty());

    // In any order, and with a filter.
    for (sort, member) in [("duration", "took_ms"), ("attempts", "attempts")] {
        let sorted = results.all(&[("sort", sort), ("attempts", "true"), ("limit", "1000")]).await;
        assert!(is_ascending(&sorted, member), "{sort}");
        assert!(sorted.iter().all(|row| row["worker"].is_string()));
        assert_eq!(squares(&sorted).into_iter().collect::<BTreeSet<u64>>().len(), 2_400, "{sort}");
        let mut reversed = results
            .all(&[("sort", sort), ("order", "desc"), ("attempts", "true"), ("state", "failed"), ("limit", "9")])
            .await;
        reversed.reverse();
        assert!(is_ascending(&reversed, member), "{sort}");
        assert_eq!(squares(&reversed).into_iter().collect::<BTreeSet<u64>>(), failed.iter().copied().collect());
    }
    let by_state = results.all(&[("sort", "state"), ("limit", "1000")]).await;
    assert_eq!(squares(&by_state[2_400 - failed.len()..]), failed);
    let mut backwards = results.all(&[("order", "desc"), ("limit", "1000")]).await;
    backwards.reverse();
    assert_eq!(backwards, all);
    assert!(all.iter().all(|row| row.get("took_ms").is_none()), "only if it is asked for");

    // Other formats have the cursor and the count in headers.
    let response = results.get(&[("state", "failed"), ("limit", "5")]).await;
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(headers["quilt-matching"], failed.len().to_string().as_str());
    let next = headers["quilt-next"].to_str().expect("a text").to_owned();
    assert_eq!(response.text().await.expect("text").lines().count(), 5);
    let response = results.get(&[("state", "failed"), ("after", &next), ("format", "csv"), ("attempts", "true")]).await;
    let csv = response.text().await.expect("text");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("row,column,item,state,color,failed,reason,attempts,took_ms,worker"));
    let fifth = format!("{},{},", failed[5] / 1_000, failed[5] % 1_000);
    assert!(lines.next().is_some_and(|line| line.starts_with(&fifth)), "{csv}");
    // A file has all of them.
    let file = results.get(&[("state", "failed")]).await;
    assert!(file.headers().get("quilt-next").is_none());
    assert_eq!(file.text().await.expect("text").lines().count(), failed.len());
}

#[tokio::test]
async fn what_a_page_cannot_be_is_refused_with_a_sentence() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 8, 8, json!({"permanent_rate": 0.5})).await;
    events(&client, &server, &id, None).await;
    let over = Results { client: &client, server: &server, id };
    for (query, words) in [
        (vec![("after", "x")], "after must be a cursor"),
        (vec![("after", "1.x")], "after must be a cursor"),
        (vec![("after", "1.square.asc"), ("sort", "duration")], "a cursor of sort=square and order=asc"),
        (vec![("after", "1.square.asc"), ("order", "desc")], "this request has sort=square and order=desc"),
        (vec![("sort", "color")], "sort"),
        (vec![("order", "up")], "order"),
        (vec![("sort", "state"), ("limit", "1001")], "limit must be at most 1000 for a page, not 1001"),
        (vec![("format", "png"), ("text", "a")], "a picture is of all squares"),
        (vec![("format", "png"), ("attempts", "true")], "a picture is of all squares"),
        (vec![("page", "2")], "page"),
    ] {
        let (status, detail) = over.problem(&query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query:?}: {detail}");
        assert!(detail.contains(words), "{query:?}: {detail}");
    }
    let long = "a".repeat(1_025);
    assert_eq!(over.problem(&[("text", &long)]).await.0, StatusCode::BAD_REQUEST);
    let beyond = over.page(&[("after", "64")]).await;
    assert_eq!((&beyond["rows"], &beyond["next"]), (&json!([]), &json!(null)));
    let cursor = over.page(&[("sort", "duration"), ("limit", "5")]).await["next"].as_str().expect("more").to_owned();
    for query in [vec![], vec![("sort", "attempts")], vec![("sort", "duration"), ("order", "desc")]] {
        let (status, detail) = over.problem(&[&query[..], &[("after", &*cursor)]].concat()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query:?}");
        assert!(detail.contains(&format!("'{cursor}', a cursor of sort=duration and order=asc")), "{detail}");
    }
    // A number of squares may be skipped in any order.
    let skipped = over.page(&[("sort", "duration"), ("after", "5"), ("limit", "5")]).await;
    assert_eq!(skipped, over.page(&[("sort", "duration"), ("after", &cursor), ("limit", "5")]).await);

    // Another lap has another order.
    let retried = client.post(server.at(&format!("/api/batches/{}/retry", over.id))).send().await.expect("an answer");
    assert_eq!(retried.status(), StatusCode::OK);
    events(&client, &server, &over.id, None).await;
    let (status, detail) = over.problem(&[("sort", "duration"), ("after", &cursor)]).await;
    assert_eq!(status, StatusCode::CONFLICT, "{detail}");
    assert_eq!(over.all(&[("sort", "duration"), ("limit", "5")]).await.len(), 64);

    let id = launch(&client, &server, 2, 2, json!({"duration_ms": FOREVER})).await;
    let running = Results { client: &client, server: &server, id };
    for sort in ["state", "duration", "attempts"] {
        let (status, detail) = running.problem(&[("sort", sort)]).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(detail.contains("still running") && detail.contains(sort), "{detail}");
    }
    let page = running.page(&[("sort", "square"), ("attempts", "true")]).await;
    assert_eq!((page["rows"].as_array().map(Vec::len), &page["matching"]), (Some(4), &json!(4)));
    assert_eq!(running.page(&[("state", "done")]).await["matching"], 0);
}

#[tokio::test]
async fn a_failure_beyond_the_first_squares_is_found() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 256, 256, json!({"permanent_rate": 0.0005})).await;
    events(&client, &server, &id, None).await;
    let results = Results { client: &client, server: &server, id };
    let failed = results.all(&[("state", "failed")]).await;
    let last = failed.last().expect("some of 65,536 failed");
    let reason = last["reason"].as_str().expect("a reason");
    assert_eq!(results.all(&[("text", &reason.to_uppercase())]).await, failed);
    let square = format!("{}, {}", last["row"], last["column"]);
    let found = results.all(&[("text", &square)]).await;
    assert!(found.contains(last), "{square}: {found:?}");
}
