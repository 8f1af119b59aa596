//! Which models a provider has, and whether it answers.
//!
//! The list is read from the upstream in the background and whenever a request needs one that was never read. A provider
//! that stops answering keeps the list that was read last.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use owl_egress::{Caller, UpstreamRequest};
use owl_wire::models::{ModelObject, read_models};

use super::Provider;
use super::failure::UpstreamFailure;
use super::forward::judge_answer;
use crate::config::{DeclaredModel, ModelsConfig};

/// How long a list of models may take. It is no inference: a server that needs longer counts as unreachable.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest list that is read, in bytes.
const LIST_LIMIT: usize = 16 * 1024 * 1024;

/// What is known of a provider's models.
#[derive(Debug)]
pub struct KnownModels {
    models: Vec<KnownModel>,
    reachability: Reachability,
    was_listed: bool,
}

/// One model of a provider.
#[derive(Clone, Debug)]
pub struct KnownModel {
    /// What clients call it, without the provider's name.
    pub name: Arc<str>,
    /// What the provider calls it.
    pub upstream: Arc<str>,
    object: Option<Arc<ModelObject>>,
}

/// Whether a provider answers.
#[derive(Clone, Debug)]
pub enum Reachability {
    /// It was not asked yet.
    Unknown,
    /// It answered, at this moment.
    Answers(Instant),
    /// It did not, for this reason.
    Fails(Arc<str>),
}

impl KnownModel {
    /// The model's object as JSON, its `id` being `name`; everything else as the provider sent it.
    pub fn object(&self, name: &str) -> String {
        match &self.object {
            Some(object) => object.with_id(name).get().to_owned(),
            None => serde_json::json!({ "id": name, "object": "model", "created": 0, "owned_by": "owl" }).to_string(),
        }
    }
}

impl KnownModels {
    /// What is known before the provider was asked: what the configuration declares.
    pub(super) fn unread(config: &ModelsConfig) -> Self {
        Self {
            models: with_declared(&config.declared, Vec::new()),
            reachability: Reachability::Unknown,
            was_listed: false,
        }
    }

    /// The models, the declared ones first.
    pub fn models(&self) -> &[KnownModel] {
        &self.models
    }

    /// Whether the provider answers.
    pub fn reachability(&self) -> &Reachability {
        &self.reachability
    }

    /// Whether the provider was asked at least once.
    pub fn was_read(&self) -> bool {
        !matches!(self.reachability, Reachability::Unknown)
    }

    /// Whether the provider's list was read at least once; it may have gone since.
    pub fn was_listed(&self) -> bool {
        self.was_listed
    }

    fn has_same_models(&self, other: &Self) -> bool {
        let objects = |known: &Self| known.models.iter().map(|model| model.object(&model.name)).collect::<Vec<_>>();
        self.models.len() == other.models.len() && objects(self) == objects(other)
    }
}

/// The declared models, and those of the upstream's list that are not declared. A declared one takes the object that
/// the upstream's list has for it.
fn with_declared(declared: &[DeclaredModel], listed: Vec<ModelObject>) -> Vec<KnownModel> {
    let listed: Vec<Arc<ModelObject>> = listed.into_iter().map(Arc::new).collect();
    let mut models: Vec<KnownModel> = declared
        .iter()
        .map(|model| KnownModel {
            name: model.name.as_str().into(),
            upstream: model.upstream.as_str().into(),
            object: listed.iter().find(|object| object.id() == model.upstream).cloned(),
        })
        .collect();
    for object in listed {
        if !models.iter().any(|model| *model.name == *object.id()) {
            let name: Arc<str> = object.id().into();
            models.push(KnownModel { upstream: Arc::clone(&name), name, object: Some(object) });
        }
    }
    models
}

/// Why a list of models could not be read.
#[derive(Debug)]
pub enum ListError {
    /// The provider failed.
    Upstream(UpstreamFailure),
    /// It took longer than ten seconds.
    Slow,
    /// Its answer is not a list of models.
    Format(String),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(failure) => failure.fmt(f),
            Self::Slow => write!(f, "its list of models did not come within {} s", LIST_TIMEOUT.as_secs()),
            Self::Format(reason) => write!(f, "its answer to GET /models is not a list of models: {reason}"),
        }
    }
}

impl std::error::Error for ListError {}

impl Provider {
    /// Asks the provider for its models now.
    ///
    /// # Errors
    /// [`ListError`]: it does not answer, refuses the credential, or answers something else.
    pub async fn list_models(&self) -> Result<Vec<ModelObject>, ListError> {
        match tokio::time::timeout(LIST_TIMEOUT, self.fetch_models()).await {
            Ok(result) => result,
            Err(_) => Err(ListError::Slow),
        }
    }

    async fn fetch_models(&self) -> Result<Vec<ModelObject>, ListError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let path = "models".to_owned();
        let (body, caller) = (bytes::Bytes::new(), Caller::default());
        let request = UpstreamRequest { method: Method::GET, path, headers, body, caller };
        let sent = self.client().send(request).await;
        let response = sent.map_err(|error| ListError::Upstream(UpstreamFailure::Egress(error)))?;
        let judged = judge_answer(response).await;
        let response = judged.map_err(|failure| ListError::Upstream(self.redacted(failure)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIST_LIMIT).collect().await;
        let body = body.map_err(|error| ListError::Format(error.to_string()))?.to_bytes();
        if status != StatusCode::OK {
            return Err(ListError::Format(format!("status {}", status.as_u16())));
        }
        read_models(&body).map_err(|error| ListError::Format(error.to_string()))
    }

    /// Reads the list anew, unless another call is just doing so, and says whether the models changed.
    pub(crate) async fn refresh_models(&self) -> bool {
        let before = self.known();
        let _one_at_a_time = self.reading.lock().await;
        if !Arc::ptr_eq(&before, &self.known()) {
            return true;
        }
        let (models, reachability) = match self.list_models().await {
            Ok(listed) => {
                let wanted = if self.models.all { listed } else { only_declared(&self.models.declared, listed) };
                (with_declared(&self.models.declared, wanted), Reachability::Answers(Instant::now()))
            }
            // A server without GET /models is fine when the configuration names its models.
            Err(ListError::Format(_) | ListError::Upstream(UpstreamFailure::Answer { status: 404 | 405, .. }))
                if !self.models.all =>
            {
                (before.models.clone(), Reachability::Answers(Instant::now()))
            }
            Err(error) => {
                self.report(&before.reachability, &error);
                (before.models.clone(), Reachability::Fails(error.to_string().into()))
            }
        };
        let was_listed = before.was_listed || matches!(reachability, Reachability::Answers(_));
        let after = KnownModels { models, reachability, was_listed };
        let changed = !after.has_same_models(&before);
        self.known.store(Arc::new(after));
        changed
    }

    /// One line when a provider begins to fail, not one for every time it is asked.
    fn report(&self, before: &Reachability, error: &ListError) {
        let reason = error.to_string();
        if !matches!(before, Reachability::Fails(known) if **known == *reason) {
            tracing::warn!(provider = %self.id(), base_url = %self.client().base_url(), "provider is not ready: {reason}");
        }
    }
}

fn only_declared(declared: &[DeclaredModel], listed: Vec<ModelObject>) -> Vec<ModelObject> {
    // An alias shows under its own name alone.
    listed.into_iter().filter(|object| declared.iter().any(|model| model.name == object.id())).collect()
}
