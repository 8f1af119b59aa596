//! From a secret as it was typed to where it comes from, and the one place where a secret is read at start.

use std::path::{Path, PathBuf};

use owl_egress::credential::InvalidCredential;
use owl_egress::{Secret, SecretSource};

use super::build::Builder;
use super::problem::KeyPath;
use super::raw_value::RawSecret;

impl Builder<'_, '_> {
    /// Where the secret comes from; a literal is checked, a file must be readable.
    pub(crate) fn secret(&mut self, raw: &RawSecret, path: &KeyPath) -> Option<SecretSource> {
        match raw {
            RawSecret::Literal(literal) => {
                self.literal(&literal.0, path).then(|| SecretSource::Literal(literal.0.clone()))
            }
            RawSecret::File(raw) => self.readable_file(&raw.file, &path.key("file")).map(SecretSource::File),
            RawSecret::Command(raw) => {
                let words: Vec<String> = raw.command.iter().map(|(_, word)| word.clone()).collect();
                let path = path.key("command");
                match words.first() {
                    Some(program) if !program.is_empty() => Some(SecretSource::Command(words)),
                    _ => {
                        self.report(
                            &path.index(0),
                            "no program is named",
                            "write it first: [\"program\", \"argument\"]",
                        );
                        None
                    }
                }
            }
        }
    }

    /// The secret itself, for those that Owl compares and never sends.
    pub(crate) fn secret_now(&mut self, raw: &RawSecret, path: &KeyPath) -> Option<Secret> {
        let source = self.secret(raw, path)?;
        if self.is_sealed() {
            return match source {
                SecretSource::Literal(secret) => Some(secret),
                SecretSource::File(_) | SecretSource::Command(_) => None,
            };
        }
        match read_now(&source) {
            Ok(secret) => self.literal(&secret, path).then_some(secret),
            Err(reason) => {
                self.report(path, reason, "");
                None
            }
        }
    }

    /// Whether Basic authentication can carry this user name (RFC 7617).
    pub(crate) fn fits_basic(&mut self, username: &str, path: &KeyPath) -> bool {
        let wrong = if username.contains(':') {
            InvalidCredential::ColonInUsername
        } else if username.chars().any(char::is_control) {
            InvalidCredential::ControlCharacter
        } else {
            return true;
        };
        self.report(path, wrong.to_string(), "write the user name alone");
        false
    }

    pub(crate) fn literal(&mut self, secret: &Secret, path: &KeyPath) -> bool {
        if secret.expose().is_empty() {
            self.report(path, "this secret is empty", "remove the key, or give it a value");
        } else if secret.expose().chars().any(char::is_control) {
            self.report(
                path,
                "this secret holds a line break or another control character",
                "remove it; no header can carry it",
            );
        } else {
            return true;
        }
        false
    }

    /// The file's path, seen from the configuration's folder.
    pub(crate) fn readable_file(&mut self, file: &str, path: &KeyPath) -> Option<PathBuf> {
        if file.is_empty() {
            self.report(path, "this path is empty", "write the path of a file");
            return None;
        }
        let file = self.in_folder(file);
        if self.is_sealed() {
            return Some(file);
        }
        match open(&file) {
            Ok(()) => Some(file),
            Err(error) => {
                let help = "relative paths start at the configuration's folder; the file must be readable for the user that runs Owl";
                self.report(path, format!("{} cannot be read: {error}", file.display()), help);
                None
            }
        }
    }

    /// Whether these files may be read already now: not where no file is touched, and not a pipe, whose content would be
    /// gone afterwards.
    pub(crate) fn may_read<'f>(&self, mut files: impl Iterator<Item = &'f PathBuf>) -> bool {
        !self.is_sealed() && files.all(|file| file.is_file())
    }
}

/// Whether a file can be read. A pipe is not opened: that would take its content away.
fn open(file: &Path) -> std::io::Result<()> {
    let metadata = std::fs::metadata(file)?;
    if metadata.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() {
        std::fs::File::open(file)?;
    }
    Ok(())
}

/// Reads a secret on a thread of its own, so that it works inside and outside of an asynchronous runtime.
fn read_now(source: &SecretSource) -> Result<Secret, String> {
    if let SecretSource::Literal(secret) = source {
        return Ok(secret.clone());
    }
    let read = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(source.read()).map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| scope.spawn(read).join().unwrap_or_else(|_| Err("the secret cannot be read".to_owned())))
}
