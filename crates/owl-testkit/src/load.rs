//! Load for measurements: many streamed chats at once, their events counted. It refuses to judge what it measures:
//! `bench/run` does that.
//!
//! Events are counted, not chunks of the transfer coding: what stands between may put several events into one chunk or
//! cut one in two.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Client;

/// What to ask for.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Whom to ask.
    pub address: SocketAddr,
    /// How many streams at once, each on a connection of its own.
    pub streams: usize,
    /// The model's name.
    pub model: String,
    /// The last user message, which scripts the answer: `[[count 1000]]`.
    pub text: String,
    /// Hang up after this time; without it, read to the answer's end.
    pub time: Option<Duration>,
}

/// What came, over all streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Server-sent events.
    pub events: u64,
    /// Chunks of the transfer coding.
    pub chunks: u64,
    /// Bytes of the bodies.
    pub bytes: u64,
}

/// Reads all streams to their end, or until the time is over.
///
/// # Errors
/// If an answer is not 200, or breaks off.
pub async fn read(options: &LoadOptions) -> io::Result<Counted> {
    let end = options.time.map(|time| Instant::now() + time);
    let mut streams = JoinSet::new();
    for _ in 0..options.streams {
        let options = options.clone();
        streams.spawn(async move { read_one(open(&options).await?, end).await });
    }
    let mut all = Counted::default();
    for one in streams.join_all().await {
        let one = one?;
        all.events += one.events;
        all.chunks += one.chunks;
        all.bytes += one.bytes;
    }
    Ok(all)
}

/// Opens all streams and reads the first chunk of each. They stay open until the clients are dropped.
///
/// # Errors
/// If an answer is not 200, or breaks off.
pub async fn hold(options: &LoadOptions) -> io::Result<Vec<Client>> {
    let mut streams = JoinSet::new();
    for _ in 0..options.streams {
        let options = options.clone();
        streams.spawn(async move {
            let mut client = open(&options).await?;
            client.chunk().await?;
            Ok(client)
        });
    }
    streams.join_all().await.into_iter().collect()
}

async fn open(options: &LoadOptions) -> io::Result<Client> {
    let message = json!({"role": "user", "content": options.text});
    let body = json!({"model": options.model, "stream": true, "messages": [message]}).to_string();
    let mut client = Client::connect(options.address).await?;
    let kind = "Content-Type: application/json";
    client.request("POST", "/v1/chat/completions", &[kind], body.as_bytes()).await?;
    let status = client.head().await?.status;
    if status == 200 { Ok(client) } else { Err(io::Error::other(format!("the answer's status is {status}"))) }
}

async fn read_one(mut client: Client, end: Option<Instant>) -> io::Result<Counted> {
    let mut counted = Counted::default();
    let mut last = 0;
    loop {
        let chunk = match end {
            None => client.chunk().await,
            Some(end) => match tokio::time::timeout_at(end, client.chunk()).await {
                Ok(chunk) => chunk,
                Err(_over) => return Ok(counted),
            },
        };
        let Some(chunk) = chunk? else { return Ok(counted) };
        counted.chunks += 1;
        counted.bytes += chunk.len() as u64;
        for &byte in &chunk {
            counted.events += u64::from(byte == b'\n' && last == b'\n');
            last = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LoadOptions, hold, read};
    use crate::inference::InferenceServer;
    use std::time::Duration;

    fn options(server: &InferenceServer, text: &str) -> LoadOptions {
        let (address, model, text) = (server.address(), "tiny-chat".to_owned(), text.to_owned());
        LoadOptions { address, streams: 3, model, text, time: None }
    }

    #[tokio::test]
    async fn events_of_all_streams_are_counted() {
        let server = InferenceServer::start(crate::InferenceOptions::default());
        let counted = read(&options(&server, "[[count 100]]")).await.unwrap();
        // The role, the words, the reason of the end, [DONE].
        assert_eq!((counted.events, counted.chunks), (3 * (1 + 100 + 1 + 1), 3 * 103));
        let refused = read(&options(&server, "[[error 503]]")).await.unwrap_err();
        assert_eq!(refused.to_string(), "the answer's status is 503");
    }

    #[tokio::test]
    async fn endless_streams_are_read_for_a_time() {
        let server = InferenceServer::start(crate::InferenceOptions::default());
        let time = Some(Duration::from_millis(50));
        let counted = read(&LoadOptions { time, ..options(&server, "[[flood]]") }).await.unwrap();
        assert!(counted.events > 0);
    }

    #[tokio::test]
    async fn streams_are_held_until_they_are_dropped() {
        let server = InferenceServer::start(crate::InferenceOptions::default());
        let held = hold(&options(&server, "[[stall]]")).await.unwrap();
        assert_eq!(held.len(), 3);
        drop(held);
        for _ in 0..3 {
            let connection = server.next_request().await.connection;
            server.closed(connection).await;
        }
    }
}
