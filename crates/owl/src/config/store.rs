//! Where Owl keeps what it remembers: one file, pruned by age and size.

use std::path::PathBuf;
use std::time::Duration;

use super::build::Builder;
use super::problem::KeyPath;
use super::raw_store::{RawStore, RawStoreTable};

/// The database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The file; `None`: nothing is kept.
    pub path: Option<PathBuf>,
    /// How old a record may become.
    pub max_age: Duration,
    /// How long a response is kept after it was last gone on from.
    pub responses_max_age: Duration,
    /// How large the file may become, in bytes.
    pub max_size: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: None,
            max_age: Duration::from_secs(90 * 24 * 3600),
            responses_max_age: Duration::from_secs(30 * 24 * 3600),
            max_size: 1 << 30,
        }
    }
}

/// The word in place of a path for which nothing is kept.
const NONE: &str = "none";

/// The file's name in the state folder.
const FILE: &str = "owl.db";

impl Builder<'_, '_> {
    /// `store`. `raw` is completed with the file that follows from the environment.
    pub(crate) fn store(&mut self, raw: &mut Option<RawStore>) -> Option<StoreConfig> {
        let path = KeyPath::of("store");
        if raw.is_none() && self.is_broken(&path) {
            return None;
        }
        match raw.get_or_insert_with(|| RawStore::Table(RawStoreTable::default())) {
            RawStore::Path(file) => {
                let file = self.store_file(file, &path)?;
                Some(StoreConfig { path: file, ..StoreConfig::default() })
            }
            RawStore::Table(raw) => {
                let file = match &raw.path {
                    Some(file) => self.store_file(file, &path.key("path")),
                    None => Some(self.default_store_file(&mut raw.path, path.key("path"))),
                };
                let max_age = self.age(&raw.max_age, &path.key("maxAge"));
                let responses_max_age = self.age(&raw.responses_max_age, &path.key("responsesMaxAge"));
                let max_size =
                    self.size(&raw.max_size, &path.key("maxSize"), 1 << 20..=1 << 40, "from 1MiB to 1024GiB");
                Some(StoreConfig {
                    path: file?,
                    max_age: max_age?,
                    responses_max_age: responses_max_age?,
                    max_size: max_size?,
                })
            }
        }
    }

    fn store_file(&mut self, file: &str, path: &KeyPath) -> Option<Option<PathBuf>> {
        if file == NONE {
            return Some(None);
        }
        if file.is_empty() || file.contains('\0') {
            self.report(path, "this is no path", "write the path of a file, or \"none\"");
            return None;
        }
        let file = self.in_folder(file);
        if !self.is_sealed() && file.is_dir() {
            let help = format!("write the path of a file, for example {:?}", file.join(FILE).display().to_string());
            self.report(path, format!("{} is a folder", file.display()), help);
            return None;
        }
        Some(Some(file))
    }

    /// The file in the state folder, where the environment tells of one.
    fn default_store_file(&mut self, raw: &mut Option<String>, path: KeyPath) -> Option<PathBuf> {
        let (file, why) = match self.state_folder() {
            Some((folder, variable)) => (Some(folder.join(FILE)), format!("default, from {variable}")),
            None => (None, "because no folder for it is known".to_owned()),
        };
        *raw = Some(file.as_ref().map_or(NONE.to_owned(), |file| file.display().to_string()));
        self.note(path, &why);
        file
    }
}
