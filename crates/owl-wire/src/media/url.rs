//! What counts as a URL: decided as the most lenient reader would, because a server's own parser decides in the end.

use std::str::Chars;

/// How much of a string is looked at to find out what it is, in characters.
const HEAD: usize = 256;

/// A string that somebody would fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaUrl {
    /// `http` or `https`, in whatever spelling: the text, decoded and trimmed.
    Web(String),
    /// Another scheme that servers follow, or what some of them may take for a URL: how it begins.
    Foreign(String),
}

/// Schemes that are followed even without `//`.
const FOLLOWED: &[&str] = &[
    "file", "ftp", "ftps", "sftp", "s3", "s3a", "s3n", "gs", "gcs", "az", "adl", "abfs", "abfss", "wasb", "wasbs",
    "hdfs", "webhdfs", "hf", "oci", "oss", "cos", "tos", "obs", "smb", "unix", "blob", "jar", "url", "rtsp", "rtsps",
    "rtmp", "rtmps", "rtp", "mms", "srt", "tcp", "udp", "tls", "concat", "subfile", "pipe", "fd", "cache", "crypto",
    "async", "gopher", "dict", "ldap", "tftp", "ssh", "scp",
];

/// Reads a string, given between its quotes as written. `None`: nothing that anybody fetches, such as a `data:` URL,
/// Base64, a file's id or name.
pub(crate) fn read(inner: &str) -> Option<MediaUrl> {
    let head = head(inner);
    let lower = head.to_ascii_lowercase().replace('\\', "/");
    let scheme = lower.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
    match scheme {
        Some("http" | "https") => return Some(MediaUrl::Web(whole(inner))),
        Some("data") => return None,
        Some(scheme) if FOLLOWED.contains(&scheme) => return Some(foreign(scheme)),
        _ => {}
    }
    if let Some((before, _)) = lower.split_once("://") {
        return Some(foreign(before));
    }
    // llama.cpp downloads whatever begins with these four letters; no media begins so in Base64.
    if lower.starts_with("http") {
        return (!is_base64(&lower)).then(|| foreign("http"));
    }
    // What a page would complete with its own scheme, and a file of another machine. MP3 begins so, too, in Base64.
    let network_path = lower.starts_with("//") && (head.starts_with('\\') || !is_base64(&lower));
    network_path.then(|| foreign("//"))
}

/// The beginning, with what URL parsers throw away gone: outer white space and controls, tabs and line ends everywhere.
/// It ends at the first space, for no scheme has one.
fn head(inner: &str) -> String {
    let kept =
        Unescape { rest: inner.chars() }.skip_while(|c| is_outer(*c)).filter(|c| !matches!(c, '\t' | '\n' | '\r'));
    kept.take_while(|c| !c.is_whitespace()).take(HEAD).collect()
}

fn whole(inner: &str) -> String {
    let text: String = Unescape { rest: inner.chars() }.collect();
    text.trim_matches(is_outer).to_owned()
}

/// What URL parsers and Python's `strip` take off both ends.
fn is_outer(char: char) -> bool {
    char <= ' ' || char.is_whitespace() || matches!(char, '\u{7f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn is_base64(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
}

/// Only what can stand in a message.
fn foreign(scheme: &str) -> MediaUrl {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':' | '/');
    MediaUrl::Foreign(scheme.chars().filter(plain).take(24).collect())
}

/// The characters of a JSON string between its quotes. An escape that is no character becomes U+FFFD, as Go's reader
/// has it, so that no URL hides behind one.
struct Unescape<'a> {
    rest: Chars<'a>,
}

impl Unescape<'_> {
    fn hex(rest: &mut Chars<'_>) -> Option<u32> {
        let digits = rest.as_str().get(..4)?;
        let unit = u32::from_str_radix(digits, 16).ok()?;
        *rest = rest.as_str()[4..].chars();
        Some(unit)
    }

    fn unicode(&mut self) -> Option<char> {
        let unit = Self::hex(&mut self.rest)?;
        if (0xd800..0xdc00).contains(&unit)
            && let Some(after) = self.rest.as_str().strip_prefix("\\u")
        {
            let mut ahead = after.chars();
            if let Some(low) = Self::hex(&mut ahead).filter(|low| (0xdc00..0xe000).contains(low)) {
                self.rest = ahead;
                return char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            }
        }
        char::from_u32(unit)
    }
}

impl Iterator for Unescape<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let char = self.rest.next()?;
        if char != '\\' {
            return Some(char);
        }
        Some(match self.rest.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode().unwrap_or('\u{fffd}'),
            other => other,
        })
    }
}
