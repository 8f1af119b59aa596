//! Fetches the URLs of one request: each once, a few at a time, the first failure ending all.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::header;
use owl_egress::{Caller, WebClient, WebRequest};
use owl_wire::{MediaSlot, MediaUrl};

use super::failure::{MediaFailure, MediaProblem};
use crate::config::MediaConfig;

/// How many of one request are fetched at the same time.
const AT_ONCE: usize = 4;
/// The status of an answer that has what was asked for.
const OK: u16 = 200;

/// What came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) content: Bytes,
    /// The type that the server gave it.
    pub(super) declared: Option<String>,
}

/// Fetches every URL among `slots`.
pub(super) async fn all<'a>(
    client: &WebClient,
    caller: &Caller,
    slots: &'a [MediaSlot],
    config: &MediaConfig,
) -> Result<HashMap<&'a str, Fetched>, MediaFailure> {
    let mut wanted: Vec<(&str, &MediaSlot)> = Vec::new();
    for slot in slots {
        if let MediaUrl::Web(url) = &slot.url
            && !wanted.iter().any(|(known, _)| known == url)
        {
            wanted.push((url, slot));
        }
    }
    let mut fetches = Vec::with_capacity(wanted.len());
    for (url, slot) in wanted {
        fetches.push(one(client, caller, url, slot));
    }
    let mut arriving = stream::iter(fetches).buffer_unordered(AT_ONCE);
    let mut fetched = HashMap::new();
    let mut bytes = 0;
    while let Some((url, slot, came)) = arriving.try_next().await? {
        bytes += came.content.len() as u64;
        // What is too much once is too much in its places.
        if bytes > config.max_total_bytes {
            return Err(MediaFailure::of(slot, MediaProblem::TotalTooLarge(config.max_total_bytes)));
        }
        fetched.insert(url, came);
    }
    Ok(fetched)
}

async fn one<'a>(
    client: &WebClient,
    caller: &Caller,
    url: &'a str,
    slot: &'a MediaSlot,
) -> Result<(&'a str, &'a MediaSlot, Fetched), MediaFailure> {
    let failed = |problem| MediaFailure::of(slot, problem);
    let answer = client.fetch(WebRequest::get(url, caller.clone())).await;
    let answer = answer.map_err(|error| failed(MediaProblem::Web(error)))?;
    let status = answer.status.as_u16();
    if status != OK {
        return Err(failed(MediaProblem::Status(status)));
    }
    if answer.body.is_empty() {
        return Err(failed(MediaProblem::Empty));
    }
    let declared = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok((url, slot, Fetched { content: answer.body, declared }))
}
