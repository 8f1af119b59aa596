//! A picture from a path: only below the folders that the operator named, whatever the path says and wherever links lead.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::tools::{ToolError, ToolFault};

/// Reads the file at `path`, of at most `most` bytes. Blocks.
///
/// A root is a folder, below which everything may be read, or one file. A relative path is looked for below each root in
/// turn. Links are followed as long as they stay below the root: `cap_std` opens one component after the other, so that
/// nothing that is exchanged meanwhile leads out.
///
/// # Errors
/// The path lies below no root, there is no such file, or it is none that can be read.
pub(super) fn read(roots: &[PathBuf], path: &str, most: u64) -> Result<Bytes, ToolError> {
    if roots.is_empty() {
        return Err(refused("files are not read here: the operator named no folder")
            .hint("tools.image.roots names the folders that pictures may be read from"));
    }
    let path = Path::new(path);
    let mut missing = None;
    for root in roots {
        match read_below(root, path, most) {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => {}
            Err(Miss::NotThere) => missing = Some(not_found()),
            Err(Miss::Failed(error)) => return Err(error),
        }
    }
    Err(missing.unwrap_or_else(|| {
        refused("this path lies outside of the folders that pictures may be read from")
            .hint("tools.image.roots names these folders")
    }))
}

/// Why a root that may hold the file does not give it.
enum Miss {
    NotThere,
    Failed(ToolError),
}

/// The file, or nothing where it does not lie below this root.
fn read_below(root: &Path, path: &Path, most: u64) -> Result<Option<Bytes>, Miss> {
    let is_file = root.is_file();
    let folder = if is_file { root.parent().unwrap_or(Path::new("/")) } else { root };
    let Some(relative) = relative_to(folder, path) else { return Ok(None) };
    if is_file && Some(relative.as_os_str()) != root.file_name() {
        return Ok(None);
    }
    let Ok(folder) = Dir::open_ambient_dir(folder, ambient_authority()) else { return Err(Miss::NotThere) };
    match folder.metadata(&relative) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => {
            return Err(Miss::Failed(ToolError::new(ToolFault::Arguments, "image_unreadable", "this path is no file")));
        }
        // A link that leads out is as good as nothing: what lies there is not told.
        Err(_) => return Err(Miss::NotThere),
    }
    let mut bytes = Vec::new();
    let read = folder.open(&relative).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let message = format!("the file cannot be read: {}", error.kind());
        return Err(Miss::Failed(ToolError::new(ToolFault::Destination, "image_unreadable", message)));
    }
    if bytes.len() as u64 > most {
        return Err(Miss::Failed(too_large(most)));
    }
    Ok(Some(bytes.into()))
}

/// `path` below `folder`, without any `..` that is left to be followed.
fn relative_to(folder: &Path, path: &Path) -> Option<PathBuf> {
    let relative = if path.is_absolute() { path.strip_prefix(folder).ok()? } else { path };
    let stays = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    stays.then(|| relative.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

fn refused(message: &str) -> ToolError {
    ToolError::new(ToolFault::Refused, "path_refused", message)
}

fn not_found() -> ToolError {
    ToolError::new(
        ToolFault::Arguments,
        "image_not_found",
        "there is no such file in the folders that pictures may be read from",
    )
}

/// What is larger than `tools.image.maxBytes`.
pub(super) fn too_large(most: u64) -> ToolError {
    let message = format!("the picture is larger than {most} bytes (tools.image.maxBytes)");
    ToolError::new(ToolFault::Arguments, "image_too_large", message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_lies_below_a_root_is_read() {
        let world = tempfile::tempdir().expect("a folder");
        let at = |name: &str| world.path().join(name);
        fs::create_dir_all(at("in/deep")).expect("made");
        fs::write(at("in/deep/a"), "inside").expect("written");
        fs::write(at("secret"), "outside").expect("written");
        fs::write(at("one"), "alone").expect("written");
        symlink(at("secret"), at("in/link")).expect("linked");
        symlink("../secret", at("in/relative-link")).expect("linked");
        symlink(at(""), at("in/up")).expect("linked");
        symlink("deep/a", at("in/good-link")).expect("linked");
        let roots = [at("in"), at("one")];
        let code = |path: &str| match read(&roots, path, 10) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => error.code.to_owned(),
        };
        let absolute = |name: &str| at(name).display().to_string();
        assert_eq!(code(&absolute("in/deep/a")), "inside");
        assert_eq!(code("deep/a"), "inside");
        assert_eq!(code("./deep/./a"), "inside");
        assert_eq!(code(&absolute("in/good-link")), "inside", "a link that stays below the root");
        assert_eq!(code(&absolute("one")), "alone", "a file by itself");
        assert_eq!(code("one"), "alone");

        assert_eq!(code(&absolute("secret")), "path_refused");
        assert_eq!(code(&absolute("in/../secret")), "path_refused");
        assert_eq!(code("../secret"), "path_refused");
        assert_eq!(code("/etc/passwd"), "path_refused");
        assert_eq!(code(&absolute("in/link")), "image_not_found", "a link that leads out");
        assert_eq!(code("relative-link"), "image_not_found");
        assert_eq!(code("up/secret"), "image_not_found");
        assert_eq!(code("deep/b"), "image_not_found");
        assert_eq!(code("deep"), "image_unreadable", "a folder");
        assert_eq!(code(""), "image_not_found");
        assert_eq!(code("deep/a\0"), "image_not_found");
        fs::write(at("in/large"), [0; 11]).expect("written");
        assert_eq!(code("large"), "image_too_large");
        assert_eq!(read(&[], "deep/a", 10).expect_err("no roots").code, "path_refused");
    }
}
