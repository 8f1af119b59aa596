//! From `tools` as it was typed to what each tool is built from; the search engine is in `search.rs`.

use std::path::PathBuf;

use http::HeaderValue;
use owl_egress::{PolicyRules, TlsOptions};

use super::build::Builder;
use super::problem::KeyPath;
use super::raw_tools::{RawCache, RawFetch, RawImage, RawTools, RawWebTls};
use super::raw_value::{List, RawSize};
use super::shape::nearest;
use super::{CacheConfig, FetchConfig, ImageConfig, ProviderConfig, ToolsConfig};

impl Builder<'_, '_> {
    /// `tools`; `None` where a problem was reported. `raw` is completed with what follows from it.
    pub(crate) fn tools(
        &mut self,
        raw: &mut RawTools,
        everywhere: &PolicyRules,
        providers: &[Option<ProviderConfig>],
    ) -> Option<ToolsConfig> {
        let path = KeyPath::of("tools");
        let fetch = self.fetch(&mut raw.web.fetch, &path.key("web").key("fetch"), everywhere);
        let search = self.search(&mut raw.web.search, &path.key("web").key("search"), everywhere);
        let image = self.image(&raw.image, &path.key("image"), everywhere, providers);
        let budget = self.budget(&raw.budget, &path.key("budget"));
        Some(ToolsConfig {
            fetch: fetch.map(|fetch| raw.web.fetch.enabled.then_some(fetch))?,
            search: search.map(|search| search.filter(|_| raw.web.search.enabled))?,
            image: image.map(|image| raw.image.enabled.then_some(image))?,
            budget: budget?,
        })
    }

    fn fetch(&mut self, raw: &mut RawFetch, path: &KeyPath, everywhere: &PolicyRules) -> Option<FetchConfig> {
        let rules = self.policy(&raw.policy, path, everywhere);
        let tls = self.web_tls(&raw.tls, &path.key("tls"));
        self.check_max_chars(raw, path);
        let max_bytes = self.answer_size(&raw.max_bytes, &path.key("maxBytes"));
        let timeout = self.positive(&raw.timeout, &path.key("timeout"));
        let user_agent = raw.user_agent.as_ref().map(|text| self.user_agent(text, &path.key("userAgent")));
        let cache = self.cache(&raw.cache, &path.key("cache"));
        let rate = self.rate(&raw.rate_limit, &path.key("rateLimit"));
        Some(FetchConfig {
            rules,
            asks: raw.policy.allow_private_network.asks(),
            tls: tls?,
            max_chars: raw.max_chars,
            max_chars_cap: raw.max_chars_cap,
            max_bytes: max_bytes?,
            max_redirects: raw.max_redirects,
            timeout: timeout?,
            user_agent: super::build::unwrap_inner(user_agent)?,
            respect_robots: raw.respect_robots,
            cache: cache?,
            rate: rate?,
        })
    }

    /// A cap below what a call gives without asking: where nobody wrote that number, the cap holds for it too.
    fn check_max_chars(&mut self, raw: &mut RawFetch, path: &KeyPath) {
        if raw.max_chars <= raw.max_chars_cap {
            return;
        }
        let key = path.key("maxChars");
        if self.is_written(&key) {
            let help = format!("write at most {}, or raise `maxCharsCap`", raw.max_chars_cap);
            self.report(&key, "this is more than `maxCharsCap` lets a call have", help);
        } else {
            raw.max_chars = raw.max_chars_cap;
            self.note(key, "because of maxCharsCap");
        }
    }

    fn user_agent(&mut self, text: &str, path: &KeyPath) -> Option<HeaderValue> {
        let value = HeaderValue::from_str(text).ok().filter(|_| !text.trim().is_empty());
        if value.is_none() {
            let help = "write a name and a version, for example \"corp-owl/1.0\", or remove the key";
            self.report(path, "no header can carry this", help);
        }
        value
    }

    fn image(
        &mut self,
        raw: &RawImage,
        path: &KeyPath,
        everywhere: &PolicyRules,
        providers: &[Option<ProviderConfig>],
    ) -> Option<ImageConfig> {
        let rules = self.policy(&raw.policy, path, everywhere);
        let tls = self.web_tls(&raw.tls, &path.key("tls"));
        let roots = self.roots(&raw.roots, &path.key("roots"));
        if let Some(model) = &raw.model {
            self.check_vision_model(model, &path.key("model"), providers);
        }
        let max_bytes = self.answer_size(&raw.max_bytes, &path.key("maxBytes"));
        let timeout = self.positive(&raw.timeout, &path.key("timeout"));
        let rate = self.rate(&raw.rate_limit, &path.key("rateLimit"));
        Some(ImageConfig {
            rules,
            asks: raw.policy.allow_private_network.asks(),
            tls: tls?,
            roots,
            model: raw.model.clone(),
            max_images: raw.max_images,
            max_bytes: max_bytes?,
            max_side: raw.max_side,
            timeout: timeout?,
            rate: rate?,
        })
    }

    fn roots(&mut self, raw: &List<String>, path: &KeyPath) -> Vec<PathBuf> {
        let mut roots = Vec::new();
        for (index, text) in raw.iter() {
            let path = path.index(index);
            if text.is_empty() || text.contains('\0') {
                self.report(&path, "this is no path", "write the path of a folder");
                continue;
            }
            let folder = self.in_folder(text);
            if self.is_sealed() {
                roots.push(folder);
                continue;
            }
            match folder.canonicalize() {
                Ok(real) if real.is_dir() => {
                    if real.parent().is_none() {
                        let help = "name the folders that hold pictures";
                        self.warn(&path, "this opens every picture on this machine that Owl can read", help);
                    }
                    roots.push(real);
                }
                Ok(real) => {
                    let help = "write the path of the folder that it is in";
                    self.report(&path, format!("{} is no folder", real.display()), help);
                }
                Err(error) => {
                    let help = "relative paths start at the configuration's folder; the folder must be there";
                    self.report(&path, format!("{} cannot be opened: {error}", folder.display()), help);
                }
            }
        }
        roots
    }

    /// Finds a model that no provider can have. Where one takes any name, only a slip of the pen in front of the slash is seen.
    fn check_vision_model(&mut self, model: &str, path: &KeyPath, providers: &[Option<ProviderConfig>]) {
        if model.is_empty() || model.chars().any(char::is_control) {
            self.report(path, "this is not a model's name", "write it as `owl models` lists it");
            return;
        }
        // A broken provider was reported, and without one there is nothing to compare with.
        let Some(providers) = providers.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else { return };
        if providers.is_empty() {
            return;
        }
        let declares = |provider: &&ProviderConfig, name: &str| {
            provider.models.all || provider.models.declared.iter().any(|declared| declared.name == name)
        };
        let named = model.split_once('/').and_then(|(id, name)| {
            providers.iter().find(|provider| provider.upstream.name == id).map(|provider| (provider, name))
        });
        let known = match named {
            Some((provider, name)) => declares(provider, name) || providers.iter().any(|one| declares(one, model)),
            None => providers.iter().any(|provider| declares(provider, model)),
        };
        if !known {
            let help = "write a model that a provider declares under `models`; `owl models` lists them";
            self.report(path, "no provider has this model", help);
            return;
        }
        let ids: Vec<&str> = providers.iter().map(|provider| provider.upstream.name.as_str()).collect();
        if let (None, Some((prefix, name))) = (named, model.split_once('/'))
            && let Some(meant) = nearest(prefix, &ids)
        {
            let help = format!("did you mean \"{meant}/{name}\"? `owl models` lists the names");
            self.warn(path, "no provider has the id in front of the slash", help);
        }
    }

    /// Certificate authorities beside the system's: what a model chooses is on many servers.
    fn web_tls(&mut self, raw: &RawWebTls, path: &KeyPath) -> Option<TlsOptions> {
        let Some(ca) = &raw.ca else { return Some(TlsOptions::default()) };
        let ca = self.readable_file(ca, &path.key("ca"))?;
        let options = TlsOptions { ca: Some(ca), keep_system: true, ..TlsOptions::default() };
        self.check_tls(&options, path);
        Some(options)
    }

    fn answer_size(&mut self, raw: &RawSize, path: &KeyPath) -> Option<u64> {
        self.size(raw, path, 1 << 10..=1 << 30, "from 1KiB to 1GiB")
    }

    /// What is kept in memory.
    pub(crate) fn cache(&mut self, raw: &RawCache, path: &KeyPath) -> Option<CacheConfig> {
        let max_size = self.size(&raw.max_size, &path.key("maxSize"), 0..=16 << 30, "up to 16GiB");
        let max_age = self.positive(&raw.max_age, &path.key("maxAge"));
        Some(CacheConfig { max_size: max_size?, max_age: max_age? })
    }
}
