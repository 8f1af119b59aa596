//! Which policy judges, and where what would open something is to be written.

use std::str::FromStr;

use owl_egress::resolve::Resolver;
use owl_egress::{Denied, EgressPolicy, PolicyRules, TargetUrl};

use crate::config::Config;

/// What a URL is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A tool that goes wherever a model says.
    Tool(WebTool),
    /// The search engine.
    Search,
    /// URLs that API clients hand in.
    Gateway,
    /// An inference server.
    Provider(String),
}

/// A tool that goes wherever a model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WebTool {
    Fetch,
    Image,
}

impl WebTool {
    /// Its key in the configuration.
    fn key(self) -> &'static str {
        match self {
            Self::Fetch => "tools.web.fetch",
            Self::Image => "tools.image",
        }
    }

    fn rules(self, config: &Config) -> Option<&PolicyRules> {
        match self {
            Self::Fetch => config.tools.fetch.as_ref().map(|tool| &tool.rules),
            Self::Image => config.tools.image.as_ref().map(|tool| &tool.rules),
        }
    }
}

impl FromStr for Purpose {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fetch" => Ok(Self::Tool(WebTool::Fetch)),
            "image" => Ok(Self::Tool(WebTool::Image)),
            "search" => Ok(Self::Search),
            "gateway" => Ok(Self::Gateway),
            _ => match text.strip_prefix("provider:") {
                Some(name) if !name.is_empty() => Ok(Self::Provider(name.to_owned())),
                Some(_) | None => Err("write fetch, image, search, gateway or provider:NAME"),
            },
        }
    }
}

/// The policy that judges.
#[derive(Debug)]
pub(super) struct Basis {
    place: Place,
    policy: EgressPolicy,
    source: String,
    resolver: Resolver,
}

#[derive(Debug)]
enum Place {
    Default,
    Given,
    Tool(WebTool),
    Search { base_url: TargetUrl },
    Gateway,
    Provider { name: String, base_url: TargetUrl },
}

impl Basis {
    /// What judges where nothing is configured.
    pub(super) fn default_policy() -> Self {
        Self::new(Place::Default, PolicyRules::default(), String::new())
    }

    /// The policy of `--policy`.
    pub(super) fn given(rules: PolicyRules) -> Self {
        Self::new(Place::Given, rules, String::new())
    }

    /// The configuration's policy for `purpose`.
    ///
    /// # Errors
    /// There is no such provider, or the tool is switched off.
    pub(super) fn configured(purpose: &Purpose, config: &Config) -> Result<Self, String> {
        let source = config.source.as_ref().map_or("the environment".to_owned(), |path| path.display().to_string());
        let basis = match purpose {
            Purpose::Tool(tool) => match tool.rules(config) {
                Some(rules) => Ok(Self::new(Place::Tool(*tool), rules.clone(), source)),
                None => return Err(format!("{} is switched off in {source}", tool.key())),
            },
            Purpose::Search => {
                let Some(search) = &config.tools.search else {
                    return Err(format!("there is no search engine in {source}: `tools.web.search.engine` names one"));
                };
                let place = Place::Search { base_url: search.upstream.base_url.clone() };
                Ok(Self::new(place, search.upstream.rules.clone(), source))
            }
            Purpose::Gateway => Ok(Self::new(Place::Gateway, config.gateway.rules.clone(), source)),
            Purpose::Provider(name) => {
                let Some(provider) = config.providers.iter().find(|provider| provider.upstream.name == *name) else {
                    if config.providers.is_empty() {
                        return Err(format!("no provider is named {name:?}: there is none in {source}"));
                    }
                    let known: Vec<_> = config.providers.iter().map(|one| one.upstream.name.as_str()).collect();
                    return Err(format!("no provider is named {name:?}; there are: {}", known.join(", ")));
                };
                let place = Place::Provider { name: name.clone(), base_url: provider.upstream.base_url.clone() };
                Ok(Self::new(place, provider.upstream.rules.clone(), source))
            }
        };
        basis.map(|basis| Self { resolver: Resolver::new(config.egress.resolver.clone()), ..basis })
    }

    fn new(place: Place, rules: PolicyRules, source: String) -> Self {
        let policy = match place {
            Place::Provider { .. } | Place::Search { .. } => EgressPolicy::for_origin(rules),
            Place::Default | Place::Given | Place::Tool(_) | Place::Gateway => EgressPolicy::new(rules),
        };
        Self { place, policy, source, resolver: Resolver::default() }
    }

    /// The same with other rules.
    pub(super) fn with(&self, rules: PolicyRules) -> EgressPolicy {
        if self.is_operators() { EgressPolicy::for_origin(rules) } else { EgressPolicy::new(rules) }
    }

    /// Who is asked for addresses.
    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Judges port and name as whoever writes such URLs is judged.
    pub(super) fn judge_target(&self, policy: &EgressPolicy, target: &TargetUrl) -> Result<(), Denied> {
        if self.is_operators() { policy.judge_operator_target(target) } else { policy.judge_target(target) }
    }

    /// Whether the operator writes the URLs.
    pub(super) fn is_operators(&self) -> bool {
        matches!(self.place, Place::Provider { .. } | Place::Search { .. })
    }

    /// The provider's or the search engine's own URL.
    pub(super) fn base_url(&self) -> Option<&TargetUrl> {
        match &self.place {
            Place::Provider { base_url, .. } | Place::Search { base_url } => Some(base_url),
            Place::Default | Place::Given | Place::Tool(_) | Place::Gateway => None,
        }
    }

    /// Which policy it is, in a clause.
    pub(super) fn told(&self) -> String {
        let source = &self.source;
        match &self.place {
            Place::Default => "the default policy: public addresses only".to_owned(),
            Place::Given => "the policy given with --policy".to_owned(),
            Place::Tool(tool) => format!("the policy of `{}` in {source}", tool.key()),
            Place::Search { .. } => format!("the policy of `tools.web.search` in {source}, for its engine"),
            Place::Gateway => format!("the policy of `gateway` in {source}, for URLs that API clients hand in"),
            Place::Provider { name, .. } => format!("the policy of provider {name} in {source}"),
        }
    }

    /// Where these keys have to stand, and how they look there.
    pub(super) fn place_of(&self, keys: &str) -> String {
        match &self.place {
            Place::Default => format!("{keys}, in the provider, in `gateway` or in the tool"),
            Place::Given => format!("{keys}, in that policy"),
            Place::Tool(WebTool::Fetch) => format!("tools: {{ web: {{ fetch: {{ {keys} }} }} }}"),
            Place::Tool(WebTool::Image) => format!("tools: {{ image: {{ {keys} }} }}"),
            Place::Search { .. } => format!("tools: {{ web: {{ search: {{ {keys} }} }} }}"),
            Place::Gateway => format!("gateway: {{ {keys} }}"),
            Place::Provider { name, .. } => format!("models: {{ providers: {{ {name:?}: {{ {keys} }} }} }}"),
        }
    }
}
