//! Which NATS servers will do, and what is said of the others.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use engine::jetstream::{ConnectError, JetStream, Options};
use tempfile::TempDir;

use crate::nats::Nats;

fn options(servers: String) -> Options {
    Options { servers, replicas: 1, name: "test".into(), ..Options::default() }
}

async fn refused(options: Options) -> ConnectError {
    match Box::pin(JetStream::connect(&options)).await {
        Ok(_) => panic!("{} would do", options.servers),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_or_with_too_little_storage_is_refused() {
    let without = Nats::start_without_jetstream();
    let error = refused(options(without.url())).await;
    assert!(matches!(error, ConnectError::NoJetStream), "{error}");
    let small = "accounts { small { jetstream { max_file: 1MB, max_mem: 1MB }, users: [{ user: u, password: p }] } }";
    let small = Nats::start_configured(small);
    let error = refused(options(format!("nats://u:p@127.0.0.1:{}", small.port))).await;
    assert!(matches!(error, ConnectError::TooLittleStorage { .. }), "{error}");
}

/// A server that says that it has this version, and no more.
fn fake_server(version: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it listens").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let info = format!(
                r#"INFO {{"server_id":"x","server_name":"x","version":"{version}","go":"","host":"127.0.0.1","port":{port},"headers":true,"max_payload":1048576,"proto":1}}"#
            );
            write!(stream, "{info}\r\n").expect("it listens");
            let lines = BufReader::new(stream.try_clone().expect("a handle")).lines();
            for line in lines.map_while(Result::ok) {
                if line.starts_with("PING") {
                    write!(stream, "PONG\r\n").expect("it listens");
                }
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_refused() {
    let error = refused(options(format!("nats://127.0.0.1:{}", fake_server("2.9.25")))).await;
    assert_eq!(error.to_string(), "the NATS server has version 2.9.25; at least 2.11 is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tokens_are_let_in() {
    let user = Nats::start_with(&["--user", "me", "--pass", "s@cret/"]);
    let address = format!("nats://me:s%40cret%2F@127.0.0.1:{}", user.port);
    Box::pin(JetStream::connect(&options(address))).await.expect("the password is right");
    let token = Nats::start_with(&["--auth", "secret"]);
    let address = format!("nats://secret@127.0.0.1:{}", token.port);
    Box::pin(JetStream::connect(&options(address))).await.expect("the token is right");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_read_are_named() {
    let error =
        refused(Options { credentials: Some("nowhere.creds".into()), ..options("nats://127.0.0.1:1".into()) }).await;
    assert!(matches!(error, ConnectError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.creds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_trusted_through_its_authority_and_trusts_a_certificate() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("writable");
        path
    };
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let ca = file("ca.pem", certificate.pem());
    let [server, client] = ["server", "client"].map(|name| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("parameters");
        let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
        (file(&format!("{name}.pem"), certificate.pem()), file(&format!("{name}.key"), key.serialize_pem()))
    });
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let nats = Nats::start_with(&[
        "--tlsverify",
        "--tlscacert",
        &text(&ca),
        "--tlscert",
        &text(&server.0),
        "--tlskey",
        &text(&server.1),
    ]);
    let options =
        Options { ca: Some(ca), certificate: Some(client), ..options(format!("tls://localhost:{}", nats.port)) };
    Box::pin(JetStream::connect(&options)).await.expect("each trusts the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_beside_nodes_of_0_1_0_and_deletes_what_they_have_left() {
    use async_nats::jetstream::consumer::pull;
    let nats = Nats::start();
    let context = async_nats::jetstream::new(async_nats::connect(nats.url()).await.expect("it listens"));
    let stream = async_nats::jetstream::stream::Config { name: "quilt-leases".into(), ..Default::default() };
    let stream = context.create_stream(stream).await.expect("it is made");
    let workers = pull::Config { durable_name: Some("workers".into()), ..Default::default() };
    let workers = stream.create_consumer(workers).await.expect("it is made");
    let waiting = workers.batch().max_messages(1).expires(std::time::Duration::from_secs(60)).messages().await;
    let waiting = waiting.expect("it waits");
    let error = refused(options(nats.url())).await;
    assert!(matches!(error, ConnectError::OldNodes), "{error}");
    drop(waiting);
    stream.delete_consumer("workers").await.expect("it is deleted");
    Box::pin(JetStream::connect(&options(nats.url()))).await.map(drop).expect("it starts");
    context.get_stream("quilt-leases").await.expect_err("it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_decide_of_streams_stays_and_a_full_stream_loses_nothing() {
    use async_nats::jetstream::stream::DiscardPolicy;
    let nats = Nats::start();
    Box::pin(JetStream::connect(&options(nats.url()))).await.map(drop).expect("it starts");
    let context = async_nats::jetstream::new(async_nats::connect(nats.url()).await.expect("it listens"));
    for name in ["quilt-journal", "KV_quilt-batches"] {
        let mut config = context.get_stream(name).await.expect("it is there").cached_info().config.clone();
        config.max_bytes = 100 << 20;
        config.description = Some("of the operator".into());
        context.update_stream(config).await.expect("it is changed");
    }
    Box::pin(JetStream::connect(&options(nats.url()))).await.map(drop).expect("it starts again");
    for name in ["quilt-journal", "KV_quilt-batches"] {
        let config = context.get_stream(name).await.expect("it is there").cached_info().config.clone();
        assert_eq!(config.max_bytes, 100 << 20, "{name}");
        assert_eq!(config.description.as_deref(), Some("of the operator"), "{name}");
        assert_eq!(config.discard, DiscardPolicy::New, "{name}");
    }
}
