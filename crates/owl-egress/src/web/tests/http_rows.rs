//! Every row of `http.jsonl`: what a hostile server sends, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use owl_testkit::Authority;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::super::WebLimits;
use super::{Behaviour, PUBLIC, World, authority_file, client_in, fetch_from, get, ok, read_head};

#[derive(Deserialize)]
struct Row {
    id: String,
    class: String,
    #[serde(default)]
    server: Value,
    #[serde(default)]
    code: String,
    why: Option<String>,
}

/// Rows about what stands in a body; they belong to the crate that reads bodies.
const OF_BODIES: [&str; 2] = ["image", "document"];

fn rows() -> Vec<Row> {
    let text = include_str!("../../../tests/cases/http.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[tokio::test(start_paused = true)]
async fn hostile_servers_get_the_error_that_the_row_names() {
    let (mut run, mut wrong) = (0, Vec::new());
    for row in rows() {
        let code = match row.class.as_str() {
            "limits" => continue,
            "decompression" => decompression(&row).await,
            "body" => body(&row).await,
            "slow" => slow(&row).await,
            "head" => head(&row).await,
            "malformed" => malformed(&row).await,
            "request-injection" | "request-header" => caller_header(&row).await,
            "alt-svc" => alt_svc(&row).await,
            "peer" => peer().await,
            "tls" if row.server["cert"] == "self-signed" => self_signed().await,
            "tls" => no_resumption().await,
            "h2" => no_coalescing().await,
            "proxy-env" => proxy_variable_is_ignored(&row),
            "image" if row.id == "h105" => data_url().await,
            "document" if row.id == "h112" => too_large_attribute().await,
            class if OF_BODIES.contains(&class) => continue,
            class => panic!("{}: nobody runs rows of class {class}", row.id),
        };
        if code != row.code {
            wrong.push(format!("{}: {code} instead of {} ({:?})", row.id, row.code, row.why));
        }
        run += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(run, 38, "rows that were run");
}

/// `ok` or the error's code. The error says nothing that the server said.
async fn outcome(world: World) -> String {
    match fetch_from(world, get(PUBLIC)).await {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("SSH") && !text.contains("93.184"), "{text}");
            error.code().to_owned()
        }
    }
}

async fn decompression(row: &Row) -> String {
    let server = &row.server;
    let encoding = server["encoding"].as_str().expect("an encoding");
    let inflated = server["inflated_bytes"].as_u64().unwrap_or(0);
    let body = match encoding {
        _ if server["body"] == "truncated" => {
            let whole = encoders::gzip(&[b'a'; 4096]);
            whole[..whole.len() / 2].to_vec()
        }
        _ if server["window_log"] == 31 => encoders::zstd_header_with_window(31),
        "zstd" => encoders::zstd_of_zeros(inflated),
        "deflate" => encoders::zlib_of_zeros(inflated),
        _ => vec![0; 64],
    };
    outcome(World::answering(ok(&format!("Content-Encoding: {encoding}\r\n"), &body))).await
}

async fn body(row: &Row) -> String {
    let server = &row.server;
    let chunked = |rest: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    let answer = if let Some(length) = server["content_length"].as_u64() {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    } else if let Some(bytes) = server["chunk_ext_bytes"].as_u64() {
        chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(bytes as usize))).into_bytes()
    } else if let Some(count) = server["trailers"].as_u64() {
        let trailers: String = (0..count).map(|number| format!("T{number}: x\r\n")).collect();
        chunked(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n")).into_bytes()
    } else {
        ok("", &vec![b'a'; server["body_bytes"].as_u64().expect("a size") as usize])
    };
    outcome(World::answering(answer)).await
}

async fn slow(row: &Row) -> String {
    if row.server["accept"] == "never" {
        return outcome(World::new(|_| Behaviour::Silent)).await;
    }
    let stalls = row.server["body"] == "stall after 100 bytes";
    let world = World::serving(move |_, mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.expect("written");
        if stalls {
            stream.write_all(&[b'a'; 100]).await.expect("written");
            std::future::pending::<()>().await;
        }
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    outcome(world).await
}

async fn head(row: &Row) -> String {
    let server = &row.server;
    let end = "Content-Length: 0\r\n\r\n";
    let answer = if let Some(fields) = server["header_fields"].as_u64() {
        let fields: String = (1..fields).map(|number| format!("H{number}: x\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{fields}{end}")
    } else if let Some(bytes) = server["header_bytes"].as_u64() {
        let lines = "Some-Header: of sixty-four bytes, which is a line of the usual size\r\n";
        format!("HTTP/1.1 200 OK\r\n{}{end}", lines.repeat(bytes as usize / lines.len()))
    } else {
        let reason = "x".repeat(server["status_line_bytes"].as_u64().expect("a size") as usize);
        format!("HTTP/1.1 200 {reason}\r\n{end}")
    };
    outcome(World::answering(answer)).await
}

async fn malformed(row: &Row) -> String {
    outcome(World::answering(row.server["raw"].as_str().expect("bytes"))).await
}

async fn caller_header(row: &Row) -> String {
    let headers = row.server["caller_header"].as_object().expect("a header");
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_str().expect("a value").to_owned()));
    let world = Arc::new(World::answering(ok("", b"")));
    let mut request = get(PUBLIC);
    request.headers = headers.collect();
    let error = client_in(&world, |_| {}).fetch(request).await.expect_err("refused");
    assert!(world.dialled().is_empty(), "{}: nothing is connected to", row.id);
    error.code().to_owned()
}

async fn alt_svc(row: &Row) -> String {
    let header = row.server["header"].as_str().expect("a header");
    let world = Arc::new(World::answering(ok(&format!("Alt-Svc: {header}\r\n"), b"")));
    let client = client_in(&world, |_| {});
    for _ in 0..2 {
        client.fetch(get(PUBLIC)).await.expect("an answer");
    }
    assert!(world.dialled().iter().all(|address| address.to_string() == "93.184.215.14:80"));
    "ok".to_owned()
}

async fn peer() -> String {
    outcome(World::new(|_| Behaviour::WrongPeer)).await
}

async fn self_signed() -> String {
    let stranger = Authority::new("stranger").server(&["93.184.215.14"]);
    let world = World::answering(ok("", b"")).with_tls(&stranger);
    let error = fetch_from(world, get("https://93.184.215.14/")).await.expect_err("not trusted");
    assert!(!error.to_string().contains("stranger"), "{error}");
    error.code().to_owned()
}

/// Each session begins anew, so no ticket can be shown to anybody.
async fn no_resumption() -> String {
    let authority = Authority::new("private");
    let ca = authority_file(&authority);
    let world = World::answering(ok("", b"")).with_tls(&authority.server(&["93.184.215.14"]));
    let world = Arc::new(world);
    let client = client_in(&world, |options| options.tls.ca = Some(ca.to_path_buf()));
    let tls = client.shared.tls().expect("the authority's file");
    for _ in 0..2 {
        client.fetch(get("https://93.184.215.14/")).await.expect("an answer");
    }
    assert_eq!(world.dialled().len(), 2, "and no connection is kept");
    // rustls shows what it would do: with `Disabled` it neither keeps nor offers tickets.
    let resumption = format!("{:?}", tls.config.resumption);
    assert!(resumption.contains("NoClientSessionStorage"), "{resumption}");
    "tls_no_resumption".to_owned()
}

/// A certificate that is for two hosts does not make one connection serve both.
async fn no_coalescing() -> String {
    let authority = Authority::new("private");
    let ca = authority_file(&authority);
    let identity = authority.server(&["93.184.215.14", "1.1.1.1"]);
    let world = Arc::new(World::answering(ok("", b"")).with_tls(&identity));
    let client = client_in(&world, |options| options.tls.ca = Some(ca.to_path_buf()));
    for host in ["93.184.215.14", "1.1.1.1"] {
        client.fetch(get(&format!("https://{host}/"))).await.expect("an answer");
    }
    let dialled: Vec<String> = world.dialled().iter().map(ToString::to_string).collect();
    assert_eq!(dialled, ["93.184.215.14:443", "1.1.1.1:443"]);
    "ok".to_owned()
}

async fn data_url() -> String {
    let world = Arc::new(World::answering(ok("", b"")));
    let error = client_in(&world, |_| {}).fetch(get("data:image/png;base64,AAAA")).await.expect_err("never fetched");
    assert!(matches!(&error, crate::WebError::Invalid(invalid) if invalid.stage() == crate::policy::Stage::Scheme));
    "scheme".to_owned()
}

async fn too_large_attribute() -> String {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let world = World::serving(move |_, mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p title='").await;
            while stream.write_all(&[b'a'; 16 * 1024]).await.is_ok() {
                counted.fetch_add(16 * 1024, Ordering::Relaxed);
            }
        }
    });
    let code = outcome(world).await;
    let limit = WebLimits::default().wire_bytes as usize;
    assert!(sent.load(Ordering::Relaxed) < limit + 1024 * 1024, "it stops taking more soon after the limit");
    code
}

/// The variable is set for a process of its own: it can be set for none that runs other tests.
fn proxy_variable_is_ignored(row: &Row) -> String {
    let variables = row.server["env"].as_object().expect("variables");
    let test = "web::tests::http_rows::a_fetch_connects_to_the_server_itself";
    let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", test]);
    for (name, value) in variables {
        child.env(name, value.as_str().expect("a value"));
    }
    let output = child.output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    "ok".to_owned()
}

/// Over a real socket. With a proxy from the environment the connection would go to port 9, and fail.
#[tokio::test]
async fn a_fetch_connects_to_the_server_itself() {
    let answer = String::from_utf8(ok("", b"hello")).expect("text");
    let server =
        owl_testkit::FaultServer::start([vec![owl_testkit::Step::ReadRequest, owl_testkit::Step::send(&answer)]]);
    let mut options = super::WebOptions::new("test");
    options.rules.allow_private_network = true;
    let client = super::WebClient::new(options).expect("usable options");
    let response = client.fetch(get(&format!("{}/x", server.origin()))).await.expect("an answer");
    assert_eq!(&response.body[..], b"hello");
}

/// What the rows' servers encode with.
mod encoders {
    use std::io::Write as _;

    pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).expect("into memory");
        encoder.finish().expect("into memory")
    }

    /// One compressed megabyte, over and over: what a block refers back to are zeros in any case.
    pub(super) fn zlib_of_zeros(size: u64) -> Vec<u8> {
        const PIECE: usize = 1024 * 1024;
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; PIECE]).expect("into memory");
        encoder.flush().expect("into memory");
        let piece = encoder.get_ref().repeat(size as usize / PIECE);
        let (header, last_block) = (&[0x78, 0xda][..], &[0x03, 0x00][..]);
        [header, &piece, last_block].concat()
    }

    /// One frame of blocks that repeat one byte (RFC 8878, section 3.1.1.2.2), which takes four bytes for each 128 KiB.
    pub(super) fn zstd_of_zeros(size: u64) -> Vec<u8> {
        const BLOCK: u64 = 128 * 1024;
        // No content size, no checksum; a window of 1 MiB (exponent 10, mantissa 0).
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 10 << 3];
        let mut left = size;
        while left > 0 {
            let length = left.min(BLOCK);
            left -= length;
            let header = (length as u32) << 3 | 1 << 1 | u32::from(left == 0);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }

    pub(super) fn zstd_header_with_window(log: u8) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3];
        frame.extend_from_slice(&[0x01, 0, 0]);
        frame
    }
}
