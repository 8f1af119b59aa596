//! Authentication and the list of models: two questions that one request answers.

use std::time::Duration;

use http::StatusCode;
use owl_egress::target::{Scheme, TargetUrl};
use owl_egress::{Authentication, UpstreamClient, UpstreamOptions};
use owl_wire::models::{ModelObject, read_models};

use super::call::{Answer, Caller};
use super::report::{Examination, Finding, Step};
use crate::config::{DeclaredModel, ModelsConfig, ProviderConfig};

/// How many names a line shows.
const SHOWN: usize = 6;

/// How long a guess at another path may take.
const GLANCE: Duration = Duration::from_secs(5);

/// Endpoints that people leave at the end of a base URL they copied.
const ENDPOINTS: [&str; 5] = ["/chat/completions", "/completions", "/embeddings", "/responses", "/models"];

/// The model to try each ability with.
pub(super) struct Subjects {
    pub(super) chat: String,
    pub(super) embeddings: String,
}

/// Shows the credential and asks for the models; `None` when there is none to go on with.
pub(super) async fn list(
    exam: &mut Examination,
    caller: &Caller<'_>,
    provider: &ProviderConfig,
    wanted: Option<&str>,
) -> Option<Subjects> {
    let options = &provider.upstream;
    let answer = exam
        .take(Step::Authentication, async {
            match caller.get("models").await {
                Ok(answer) => (authentication(caller, options, &answer), Some(answer)),
                // A refused client certificate shows itself only here (TLS 1.3).
                Err(trouble) => (caller.trouble(trouble), None),
            }
        })
        .await??;
    let named = wanted.is_some() || !provider.models.declared.is_empty();
    let listed = exam
        .take(Step::Models, async {
            let listed = read_models(&answer.body).ok().filter(|_| answer.status.is_success());
            match listed {
                Some(listed) => (listing(caller, &provider.models, wanted, &listed), listed),
                None => (no_list(caller, options, &answer, named).await, Vec::new()),
            }
        })
        .await?;
    let names: Vec<String> = listed.iter().map(|model| model.id().to_owned()).collect();
    subjects(wanted, &options.name, &provider.models.declared, &names)
}

/// Whether the answer to the first request that carries the credential is a refusal.
fn authentication(caller: &Caller<'_>, options: &UpstreamOptions, answer: &Answer) -> Finding {
    let kind = kind(&options.authentication);
    let told = caller.tell(answer);
    let status = answer.status;
    if status.is_redirection() {
        return redirected(caller, options, answer);
    }
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Finding::failed(format!("{told}; Owl sent {kind}")).advise(unauthorized(options, answer));
    }
    if status == StatusCode::FORBIDDEN {
        let advice = match options.authentication {
            Authentication::None => {
                "the server, or a proxy in front of it, refuses this client: write auth and apiKey?"
            }
            Authentication::Bearer(_)
            | Authentication::Basic(_)
            | Authentication::Header { .. }
            | Authentication::OAuth2(_) => {
                "the credential may be known but not allowed here, or a proxy refuses this machine's address"
            }
        };
        return Finding::failed(format!("{told}; Owl sent {kind}")).advise(advice);
    }
    let page = String::from_utf8_lossy(&answer.body);
    if status == StatusCode::BAD_REQUEST && page.contains("SSL certificate") {
        // nginx's words for a client certificate that is missing or that it does not accept.
        return Finding::failed(told)
            .advise("the server asks for a client certificate: tls.clientCert and tls.clientKey");
    }
    if status == StatusCode::BAD_REQUEST && page.contains("HTTPS port") {
        return Finding::failed(told).advise("the server speaks TLS on this port: write https:// in baseUrl");
    }
    if status.is_success() {
        Finding::ok(format!("{kind}: accepted"))
    } else {
        Finding::ok(format!("{kind}: not refused"))
    }
}

fn kind(authentication: &Authentication) -> String {
    match authentication {
        Authentication::None => "no credential".to_owned(),
        Authentication::Bearer(_) => "a bearer key".to_owned(),
        Authentication::Basic(_) => "Basic, user and password".to_owned(),
        Authentication::Header { name, .. } => format!("the header {name}"),
        Authentication::OAuth2(_) => "an OAuth 2.0 token".to_owned(),
    }
}

/// What to look at after a 401, from what the server asks for and what Owl sends.
fn unauthorized(options: &UpstreamOptions, answer: &Answer) -> String {
    let asks = answer.challenge().map(str::to_ascii_lowercase);
    let asks = asks.as_deref();
    match (&options.authentication, asks) {
        (Authentication::None, Some("basic")) => "write auth: \"basic\" and apiKey: \"user:password\"".to_owned(),
        (Authentication::None, _) => {
            "the server wants a credential: write apiKey, and auth where it is not a bearer key".to_owned()
        }
        (Authentication::Bearer(_), Some("basic")) => {
            "it asks for Basic: write auth: \"basic\", with apiKey: \"user:password\"".to_owned()
        }
        (Authentication::Basic(_), Some("bearer")) => "it asks for a bearer key: write auth: \"bearer\"".to_owned(),
        (Authentication::Basic(_), _) => "look at the user name and the password".to_owned(),
        (Authentication::Bearer(_), _) => {
            "look at apiKey; some servers take it in a header of their own (auth.type: \"header\")".to_owned()
        }
        (Authentication::Header { name, .. }, _) => format!("look at auth.value; is {name} the header that it wants?"),
        (Authentication::OAuth2(_), _) => {
            "the token was issued, but the server does not accept it: look at auth.scopes".to_owned()
        }
    }
}

/// Redirects are not followed: the credential would go where the operator did not send it.
fn redirected(caller: &Caller<'_>, options: &UpstreamOptions, answer: &Answer) -> Finding {
    let status = answer.status.as_u16();
    let location = answer.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return Finding::failed(format!("the server answered {status}, a redirect without a readable Location"));
    };
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    let target = TargetUrl::parse_operator(bare).ok().map(|(target, _)| target);
    // Without user and query, which may hold secrets.
    let shown = target.as_ref().map_or_else(|| caller.quote(bare), ToString::to_string);
    let finding =
        Finding::failed(format!("the server answered {status}, a redirect to {shown}; Owl does not follow it"));
    let base = &options.base_url;
    match target {
        Some(target) if target.host() == base.host() && target.scheme() != base.scheme() => {
            let scheme = target.scheme();
            finding.advise(format!("write {scheme}:// in baseUrl{}", port_advice(&target)))
        }
        Some(target) if target.host() != base.host() => finding.advise(
            "is this a page to log in? then the API needs another address, or another way to authenticate; \
                            else write the new host in baseUrl",
        ),
        Some(_) | None => finding.advise("write the path where the API really is in baseUrl"),
    }
}

fn port_advice(target: &TargetUrl) -> String {
    let usual = match target.scheme() {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    if target.port() == usual { String::new() } else { format!(", with port {}", target.port()) }
}

/// The server lists its models.
fn listing(caller: &Caller<'_>, config: &ModelsConfig, wanted: Option<&str>, listed: &[ModelObject]) -> Finding {
    let has = |name: &str| listed.iter().any(|model| model.id() == name);
    let missing: Vec<&str> =
        config.declared.iter().map(|model| model.upstream.as_str()).filter(|name| !has(name)).collect();
    let names: Vec<String> = listed.iter().take(SHOWN).map(|model| caller.quote(model.id())).collect();
    let more = if listed.len() > SHOWN { format!(", and {} more", listed.len() - SHOWN) } else { String::new() };
    let detail = match listed.len() {
        0 => "the list is empty".to_owned(),
        1 => format!("1: {}", names.join(", ")),
        count => format!("{count}: {}{more}", names.join(", ")),
    };
    if listed.is_empty() {
        let advice = "load a model in the server; -m MODEL tries one that is not listed";
        let named = wanted.is_some() || !config.declared.is_empty();
        return if named { Finding::warn(detail) } else { Finding::failed(detail).advise(advice) };
    }
    if missing.is_empty() {
        return Finding::ok(detail);
    }
    let missing = missing.join(", ");
    Finding::warn(detail).advise(format!("the configuration declares models that the server does not list: {missing}"))
}

/// The answer is no list of models.
async fn no_list(caller: &Caller<'_>, options: &UpstreamOptions, answer: &Answer, named: bool) -> Finding {
    let told = if answer.status.is_success() {
        let kind = answer.media_type().unwrap_or("no content type");
        format!("the server's answer to GET {}/models ({kind}) is not a list of models", caller.client.path_prefix())
    } else {
        caller.tell(answer)
    };
    let is_path = answer.status.is_success() || matches!(answer.status.as_u16(), 404 | 405);
    if !is_path {
        let advice = match answer.status.as_u16() {
            502..=504 => "the proxy in front of the server gets no answer from it: does it run, or still load a model?",
            500.. => "look at the server's log",
            429 => "the server limits how often it may be asked: try again later",
            _ => "look at baseUrl, and at the server's log",
        };
        return Finding::failed(told).advise(advice);
    }
    let elsewhere = find_api(caller, options).await;
    match elsewhere {
        Some(base) => Finding::failed(told).advise(format!("the API is at another path: write baseUrl: \"{base}\"")),
        None if named => {
            Finding::warn(told).advise("this server has no list of models; the models named by hand are tried")
        }
        None if answer.is_html() || answer.status.is_success() => Finding::failed(told)
            .advise(format!("is the path in baseUrl right? Owl asked for {}/models", caller.client.path_prefix())),
        None => Finding::failed(told).advise(format!(
            "Owl asked for {}/models; when the path is right and the server has no such list, name a model: -m MODEL, \
             and models: [\"MODEL\"] in the configuration",
            caller.client.path_prefix()
        )),
    }
}

/// Looks for the API below the same origin, where a slip of the path would have put it.
async fn find_api(caller: &Caller<'_>, options: &UpstreamOptions) -> Option<String> {
    for path in likely_paths(caller.client.path_prefix()) {
        let url = format!("{}{path}", options.base_url.origin());
        let Ok(base_url) = TargetUrl::parse(&url) else { continue };
        let Ok(client) = UpstreamClient::new(UpstreamOptions { base_url, ..options.clone() }) else { continue };
        let there = Caller { client: &client, patience: caller.patience.min(GLANCE), ..*caller };
        let found = there.get("models").await;
        if found.is_ok_and(|answer| answer.status.is_success() && read_models(&answer.body).is_ok()) {
            return Some(url);
        }
    }
    None
}

/// Where the API may be when it is not below `prefix`: a copied endpoint cut off, `/v1` once instead of twice, added, or
/// at the root.
fn likely_paths(prefix: &str) -> Vec<String> {
    let whole = ENDPOINTS.iter().find_map(|endpoint| prefix.strip_suffix(endpoint)).unwrap_or(prefix);
    let mut paths = Vec::new();
    let mut add = |path: String| {
        if path != prefix && !paths.contains(&path) {
            paths.push(path);
        }
    };
    add(whole.to_owned());
    if let Some(once) = whole.strip_suffix("/v1").filter(|rest| rest.ends_with("/v1")) {
        add(once.to_owned());
    }
    add(format!("{whole}/v1"));
    add("/v1".to_owned());
    add("/api/v1".to_owned());
    paths
}

/// Which models to try: the one that was asked for, else a declared one, else one of the list that looks like it.
fn subjects(wanted: Option<&str>, id: &str, declared: &[DeclaredModel], listed: &[String]) -> Option<Subjects> {
    if let Some(wanted) = wanted {
        let bare = wanted.strip_prefix(id).and_then(|rest| rest.strip_prefix('/'));
        let names = [Some(wanted), bare];
        let known = |name: &str| {
            let declared = declared.iter().find(|model| model.name == name).map(|model| model.upstream.clone());
            declared.or_else(|| listed.iter().find(|listed| *listed == name).cloned())
        };
        let model = names.into_iter().flatten().find_map(known).unwrap_or_else(|| wanted.to_owned());
        return Some(Subjects { chat: model.clone(), embeddings: model });
    }
    let names: Vec<&String> = declared.iter().map(|model| &model.upstream).chain(listed).collect();
    let chat = names.iter().find(|name| !is_special(name)).or(names.first())?;
    let embeddings = names.iter().find(|name| makes_embeddings(name)).unwrap_or(chat);
    Some(Subjects { chat: (*chat).clone(), embeddings: (*embeddings).clone() })
}

fn makes_embeddings(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["embed", "bge-", "gte-", "minilm", "e5-"].iter().any(|part| name.contains(part))
}

/// Whether a name tells of a model that does not chat.
fn is_special(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    makes_embeddings(name)
        || ["rerank", "whisper", "tts", "dall-e", "moderation", "diffusion"].iter().any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests {
    use super::{likely_paths, subjects};
    use crate::config::DeclaredModel;

    #[test]
    fn slips_of_the_path() {
        let check = |prefix: &str, expect: &[&str]| assert_eq!(likely_paths(prefix), expect, "{prefix}");
        check("/v1", &["/v1/v1", "/api/v1"]);
        check("/v1/chat/completions", &["/v1", "/v1/v1", "/api/v1"]);
        check("/v1/v1", &["/v1", "/v1/v1/v1", "/api/v1"]);
        check("/llm/v1", &["/llm/v1/v1", "/v1", "/api/v1"]);
        check("/v2/llm", &["/v2/llm/v1", "/v1", "/api/v1"]);
    }

    #[test]
    fn models_to_try() {
        let check = |wanted: Option<&str>, declared: &[(&str, &str)], listed: &[&str], expect: Option<(&str, &str)>| {
            let declared: Vec<DeclaredModel> = declared
                .iter()
                .map(|(name, upstream)| DeclaredModel { name: (*name).to_owned(), upstream: (*upstream).to_owned() })
                .collect();
            let listed: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
            let found = subjects(wanted, "owl", &declared, &listed);
            let found = found.as_ref().map(|found| (found.chat.as_str(), found.embeddings.as_str()));
            assert_eq!(found, expect, "{wanted:?} {declared:?} {listed:?}");
        };
        check(None, &[], &[], None);
        check(None, &[], &["bge-m3", "qwen"], Some(("qwen", "bge-m3")));
        check(None, &[], &["bge-m3"], Some(("bge-m3", "bge-m3")));
        check(None, &[("fast", "qwen")], &["llama"], Some(("qwen", "qwen")));
        check(Some("fast"), &[("fast", "qwen")], &["llama"], Some(("qwen", "qwen")));
        check(Some("owl/fast"), &[("fast", "qwen")], &["llama"], Some(("qwen", "qwen")));
        check(Some("owl/llama"), &[], &["llama"], Some(("llama", "llama")));
        check(Some("owl/llama"), &[], &["owl/llama", "llama"], Some(("owl/llama", "owl/llama")));
        check(Some("new"), &[], &["llama"], Some(("new", "new")));
    }
}
