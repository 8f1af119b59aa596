//! Conversations that are kept: a file each, readable by its owner alone, in the folder `chats` of the state folder.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Environment;

/// How many are kept; the oldest go.
const MOST: usize = 100;

/// The largest file that is read, in bytes: pictures stand in it.
const LARGEST: u64 = 256 << 20;

/// How much of the first question a list shows, in characters.
const SHOWN: usize = 60;

/// A conversation as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) model: String,
    pub(super) messages: Vec<Value>,
}

/// Where one conversation is kept.
#[derive(Clone, Debug)]
pub(super) struct Session {
    folder: PathBuf,
    id: String,
}

/// One of a list.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) modified: SystemTime,
    pub(super) model: String,
    pub(super) question: String,
}

/// The folder; `None` where no state folder is known.
pub(super) fn folder() -> Option<PathBuf> {
    Environment::Process.state_folder().map(|(folder, _)| folder.join("chats"))
}

impl Session {
    /// A new one; nothing is written yet. Its id begins with the time, so that names sort by it.
    pub(super) fn new(folder: PathBuf) -> Self {
        let id = uuid::Uuid::now_v7().simple().to_string();
        Self { folder, id: format!("{}{}", &id[..12], &id[24..]) }
    }

    /// The one of this id, or the last.
    ///
    /// # Errors
    /// A sentence: there is none, or it cannot be read.
    pub(super) fn load(folder: PathBuf, id: Option<&str>) -> Result<(Self, Kept), String> {
        let id = match id {
            Some(id) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => id.to_owned(),
            Some(id) => return Err(format!("{id:?} is not the id of a conversation; `owl chat --list` shows them")),
            None => match files(&folder).pop() {
                Some((_, id)) => id,
                None => return Err("no conversation is kept yet".to_owned()),
            },
        };
        let session = Self { folder, id };
        let path = session.path();
        let kept = read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("no conversation {:?} is kept; `owl chat --list` shows them", session.id)
            }
            _ => format!("the conversation in {} cannot be read: {error}", path.display()),
        })?;
        Ok((session, kept))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.id))
    }

    /// Writes the conversation as it is now; what was there stays until the new file is complete.
    pub(super) fn save(&self, kept: &Kept) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let unfinished = self.folder.join(format!("{}.new", self.id));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        std::fs::rename(&unfinished, self.path())?;
        let mut all = files(&self.folder);
        all.truncate(all.len().saturating_sub(MOST));
        for (_, id) in all {
            std::fs::remove_file(self.folder.join(format!("{id}.json")))?;
        }
        Ok(())
    }
}

/// The conversations that are kept, the last first. One that cannot be read is shown as that.
pub(super) fn list(folder: &Path) -> Vec<Listed> {
    let listed = files(folder).into_iter().rev().map(|(modified, id)| {
        let (model, question) = match read(&folder.join(format!("{id}.json"))) {
            Ok(kept) => (kept.model.clone(), question(&kept)),
            Err(error) => (String::new(), format!("(cannot be read: {error})")),
        };
        Listed { id, modified, model, question }
    });
    listed.collect()
}

fn question(kept: &Kept) -> String {
    let first = kept.messages.iter().find(|message| message["role"] == "user");
    let content = first.map_or(&Value::Null, |message| &message["content"]);
    let text = content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

fn read(path: &Path) -> io::Result<Kept> {
    if std::fs::metadata(path)?.len() > LARGEST {
        return Err(io::Error::other("it is too large"));
    }
    serde_json::from_slice(&std::fs::read(path)?).map_err(|error| io::Error::other(format!("it is damaged: {error}")))
}

/// The files, the oldest first.
fn files(folder: &Path) -> Vec<(SystemTime, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let file = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let id = entry.file_name().to_str()?.strip_suffix(".json")?.to_owned();
        Some((entry.metadata().ok()?.modified().ok()?, id))
    };
    let mut files: Vec<_> = entries.filter_map(file).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn conversations_are_kept_for_their_owner() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("chats");
        assert_eq!(Session::load(folder.clone(), None).err().as_deref(), Some("no conversation is kept yet"));
        let session = Session::new(folder.clone());
        let kept = Kept {
            model: "m".to_owned(),
            messages: vec![json!({ "role": "user", "content": "why  is\nit? ".repeat(9) })],
        };
        session.save(&kept).expect("written");
        assert_eq!(std::fs::metadata(session.path()).expect("a file").mode() & 0o777, 0o600);
        let (again, read) = Session::load(folder.clone(), None).expect("the last");
        assert_eq!((again.id.as_str(), read.messages), (session.id.as_str(), kept.messages.clone()));
        let listed = list(&folder);
        assert!(
            listed.len() == 1 && listed[0].question.starts_with("why is it? why") && listed[0].question.ends_with('…')
        );
        for wrong in ["../x", "", "none"] {
            assert!(Session::load(folder.clone(), Some(wrong)).is_err(), "{wrong}");
        }
        std::fs::write(session.path(), "{").expect("written");
        assert!(Session::load(folder.clone(), None).err().is_some_and(|told| told.contains("it is damaged")));
        for _ in 0..MOST + 2 {
            Session::new(folder.clone()).save(&kept).expect("written");
        }
        assert_eq!(list(&folder).len(), MOST);
    }
}
