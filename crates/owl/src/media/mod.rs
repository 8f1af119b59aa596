//! The URLs that a client puts into a request: fetched by Owl, under the gateway's policy, and replaced by what came.
//!
//! An inference server fetches whatever `image_url` it is handed, from wherever it stands. Behind Owl it is handed none:
//! [`Media::settle`] finds them ([`owl_wire::media`]), fetches them with [`WebClient`], looks at what came (`sniff.rs`) and
//! puts it in place as a `data:` URL. The rest of the body stays byte for byte. One that cannot be had fails the request
//! (`failure.rs`); none is left in the body in silence.

mod failure;
mod fetch;
mod sniff;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use owl_egress::audit::{Access, AccessId};
use owl_egress::tls::TlsOptionsError;
use owl_egress::{AuditEvent, AuditSink, Caller, Network, PolicyRules, WebClient, WebLimits, WebOptions};
use owl_wire::media::{self, FoundMedia};
use owl_wire::{FormUrl, JsonError, MediaForm, MediaKind, MediaSlot, MediaUrl};

use crate::config::{MediaConfig, MediaMode};
use crate::context::RequestContext;

pub use failure::{MediaFailure, MediaProblem};
use fetch::Fetched;

/// What asks, in the audit.
const COMPONENT: &str = "gateway";
/// How much is encoded before other requests get their turn; a multiple of three, so that the pieces fit together.
const ENCODED_AT_ONCE: usize = 3 << 17;

/// What becomes of URLs in requests.
#[derive(Clone, Debug)]
pub struct Media {
    config: MediaConfig,
    client: WebClient,
    audit: Arc<dyn AuditSink>,
}

/// What was put into a request, for the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inlined {
    /// How many URLs were replaced.
    pub count: usize,
    /// How many bytes took their place, decoded.
    pub bytes: u64,
}

impl Media {
    /// Builds the client that fetches; connects to nothing.
    ///
    /// # Errors
    /// The system's authorities cannot be used.
    pub fn new(config: MediaConfig, rules: PolicyRules, network: &Network) -> Result<Self, TlsOptionsError> {
        let limits = WebLimits {
            total: config.timeout,
            body_bytes: config.max_bytes,
            // A body that is compressed is smaller on the wire, and framing costs a little.
            wire_bytes: config.max_bytes.saturating_add(config.max_bytes / 8).saturating_add(1 << 16),
            ..WebLimits::default()
        };
        let options = WebOptions { rules, limits, network: network.clone(), ..WebOptions::new(COMPONENT) };
        Ok(Self { config, client: WebClient::new(options)?, audit: Arc::clone(&network.audit) })
    }

    /// Whether bodies are looked at.
    pub fn is_on(&self) -> bool {
        self.config.mode != MediaMode::Forward
    }

    /// The body as the inference server may have it.
    ///
    /// # Cancel safety
    /// Dropping the future ends all fetches at once.
    ///
    /// # Errors
    /// [`SettleError`]: it is not JSON, or a URL is refused or cannot be had.
    pub async fn settle(&self, ctx: &RequestContext, body: Bytes) -> Result<(Bytes, Inlined), SettleError> {
        if !self.is_on() {
            return Ok((body, Inlined::default()));
        }
        let found = media::scan(&body).map_err(SettleError::NotJson)?;
        if found.slots.is_empty() && !found.more {
            return Ok((body, Inlined::default()));
        }
        let caller = ctx.caller();
        self.admit(&found).inspect_err(|failure| self.tell(&caller, failure)).map_err(SettleError::Media)?;
        let fetching = self.inline(&caller, &body, &found.slots);
        let timeout = self.config.timeout;
        match tokio::time::timeout(timeout, fetching).await {
            Ok(done) => done.map_err(SettleError::Media),
            Err(_) => Err(SettleError::Media(match found.slots.as_slice() {
                [only] => MediaFailure::of(only, MediaProblem::Timeout(timeout)),
                _ => MediaFailure::whole(MediaProblem::Timeout(timeout)),
            })),
        }
    }

    /// A URL in a form's field: it is never passed on, unless everything is.
    ///
    /// # Errors
    /// It is refused.
    pub fn admit_form(&self, ctx: &RequestContext, found: &FormUrl) -> Result<(), MediaFailure> {
        if !self.is_on() {
            return Ok(());
        }
        let problem = match &found.url {
            MediaUrl::Foreign(scheme) => MediaProblem::Scheme(scheme.clone()),
            MediaUrl::Web(_) => MediaProblem::FormField,
        };
        let failure = MediaFailure::at(&found.field, &found.url, problem);
        self.tell(&ctx.caller(), &failure);
        Err(failure)
    }

    /// What is refused before anything is fetched.
    fn admit(&self, found: &FoundMedia) -> Result<(), MediaFailure> {
        for slot in &found.slots {
            let problem = match (&slot.url, self.config.mode) {
                (MediaUrl::Foreign(scheme), _) => MediaProblem::Scheme(scheme.clone()),
                (MediaUrl::Web(_), MediaMode::Refuse) => MediaProblem::NoUrls,
                (MediaUrl::Web(_), MediaMode::Inline | MediaMode::Forward) => continue,
            };
            return Err(MediaFailure::of(slot, problem));
        }
        if found.more || found.slots.len() > self.config.max_count {
            return Err(MediaFailure::whole(MediaProblem::TooMany(self.config.max_count)));
        }
        Ok(())
    }

    async fn inline(
        &self,
        caller: &Caller,
        body: &Bytes,
        slots: &[MediaSlot],
    ) -> Result<(Bytes, Inlined), MediaFailure> {
        let fetched = fetch::all(&self.client, caller, slots, &self.config).await?;
        let mut inlined = Inlined::default();
        let mut encoded: HashMap<(&str, MediaForm, Cow<'static, str>), Bytes> = HashMap::new();
        let mut replacements = Vec::with_capacity(slots.len());
        for slot in slots {
            let MediaUrl::Web(url) = &slot.url else { continue };
            let Some(Fetched { content, declared }) = fetched.get(url.as_str()) else { continue };
            let media_type = sniff::check(slot.kind, content, declared.as_deref())
                .map_err(|problem| MediaFailure::of(slot, problem))?;
            inlined.count += 1;
            inlined.bytes += content.len() as u64;
            if inlined.bytes > self.config.max_total_bytes {
                let problem = MediaProblem::TotalTooLarge(self.config.max_total_bytes);
                return Err(MediaFailure::of(slot, problem));
            }
            let key = (url.as_str(), slot.form, media_type);
            let token = match encoded.get(&key) {
                Some(token) => token.clone(),
                None => {
                    let token = encode(content, slot.form, &key.2).await;
                    encoded.insert(key, token.clone());
                    token
                }
            };
            replacements.push((slot.span.clone(), token));
        }
        Ok((media::splice_all(body, replacements), inlined))
    }

    /// What the web client never hears of is told here.
    fn tell(&self, caller: &Caller, failure: &MediaFailure) {
        let rule = match &failure.problem {
            MediaProblem::Scheme(_) => "foreign-scheme",
            MediaProblem::NoUrls => "media-refused",
            MediaProblem::FormField => "form-field",
            MediaProblem::TooMany(_)
            | MediaProblem::Web(_)
            | MediaProblem::Status(_)
            | MediaProblem::Empty
            | MediaProblem::Svg
            | MediaProblem::WrongType { .. }
            | MediaProblem::TotalTooLarge(_)
            | MediaProblem::Timeout(_) => return,
        };
        self.audit.record(AuditEvent::Refused(Box::new(Access {
            id: AccessId::next(),
            at: SystemTime::now(),
            caller: caller.clone(),
            component: COMPONENT.into(),
            policy: "gateway.media".into(),
            url: failure.url.clone().unwrap_or_default(),
            host: String::new(),
            port: 0,
            addresses: Vec::new(),
            tier: None,
            range: None,
            rule,
            reason: failure.to_string(),
        })));
    }
}

/// Why a body cannot be passed on.
#[derive(Debug)]
pub enum SettleError {
    /// It is not JSON.
    NotJson(JsonError),
    /// A URL is refused, or cannot be had.
    Media(MediaFailure),
}

/// The content as a JSON string. Base64 and media types hold nothing that JSON would escape.
async fn encode(content: &[u8], form: MediaForm, media_type: &str) -> Bytes {
    let mut token = String::with_capacity(content.len().div_ceil(3) * 4 + media_type.len() + 16);
    token.push('"');
    if form == MediaForm::DataUrl {
        token.push_str("data:");
        token.push_str(media_type);
        token.push_str(";base64,");
    }
    for piece in content.chunks(ENCODED_AT_ONCE) {
        STANDARD.encode_string(piece, &mut token);
        tokio::task::yield_now().await;
    }
    token.push('"');
    token.into()
}

/// What a kind is called in a message.
fn kind_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "an image",
        MediaKind::Video => "a video",
        MediaKind::Audio => "audio",
        MediaKind::File => "a file",
    }
}
