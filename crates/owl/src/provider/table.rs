//! From a model's name to the provider that has it.
//!
//! Every model is known as `provider/model`, and by its bare name where only one provider has it. The table is built anew
//! whenever a provider's list changes and replaced whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::Provider;

/// How many similar names an error offers.
const SIMILAR: usize = 3;

/// How like a name must be to be offered, from 0 to 1 (Jaro-Winkler).
const LIKENESS: f64 = 0.8;

/// The longest name that is compared with others, in bytes.
const LONGEST_NAME: usize = 256;

/// Where a request for a model goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// The provider.
    pub provider: Arc<Provider>,
    /// What the provider calls the model.
    pub upstream_name: Arc<str>,
}

/// All models of all providers, at one moment.
#[derive(Debug, Default)]
pub struct ModelTable {
    routes: HashMap<String, Route>,
    listed: Vec<ListedModel>,
}

/// One line of the list of models.
#[derive(Clone, Debug)]
pub struct ListedModel {
    /// The name that clients use.
    pub name: String,
    /// The model's object as JSON, its `id` being `name`.
    pub object: String,
}

impl ModelTable {
    /// Builds the table from what is known of each provider now.
    pub fn build(providers: &[Arc<Provider>]) -> Self {
        let known: Vec<_> = providers.iter().map(|provider| (provider, provider.known())).collect();
        let mut holders: HashMap<&str, usize> = HashMap::new();
        for model in known.iter().flat_map(|(_, known)| known.models()) {
            *holders.entry(&model.name).or_default() += 1;
        }
        let mut table = Self::default();
        // The full names first: a bare name that looks like one never hides it.
        for (provider, known) in &known {
            for model in known.models() {
                let full = format!("{}/{}", provider.id(), model.name);
                table.add(full, provider, &model.upstream);
            }
        }
        for (provider, known) in &known {
            for model in known.models() {
                let unique = holders.get(&*model.name) == Some(&1);
                if unique && !table.routes.contains_key(&*model.name) {
                    table.add(model.name.to_string(), provider, &model.upstream);
                    table.listed.push(ListedModel { name: model.name.to_string(), object: model.object(&model.name) });
                }
                let full = format!("{}/{}", provider.id(), model.name);
                table.listed.push(ListedModel { object: model.object(&full), name: full });
            }
        }
        table
    }

    fn add(&mut self, name: String, provider: &Arc<Provider>, upstream: &Arc<str>) {
        let route = Route { provider: Arc::clone(provider), upstream_name: Arc::clone(upstream) };
        self.routes.entry(name).or_insert(route);
    }

    /// The route of a listed name.
    pub fn get(&self, name: &str) -> Option<&Route> {
        self.routes.get(name)
    }

    /// The list, provider by provider.
    pub fn listed(&self) -> &[ListedModel] {
        &self.listed
    }

    /// The names most like `name`, the likest first.
    pub fn similar(&self, name: &str) -> Vec<String> {
        // A client may send megabytes, and each is compared with every name.
        if name.len() > LONGEST_NAME {
            return Vec::new();
        }
        let mut found: Vec<(f64, &String)> = self
            .routes
            .keys()
            .map(|known| (strsim::jaro_winkler(known, name), known))
            .filter(|(likeness, _)| *likeness >= LIKENESS)
            .collect();
        found.sort_by(|(left, left_name), (right, right_name)| {
            right.total_cmp(left).then_with(|| left_name.cmp(right_name))
        });
        found.into_iter().take(SIMILAR).map(|(_, name)| name.clone()).collect()
    }
}
