//! The URLs in a request that a server would fetch as media, and the body with something else in their place.
//!
//! [`scan`] walks over a JSON body without recursion and without a tree, and reports each string that vLLM, SGLang,
//! llama.cpp, TensorRT-LLM, TGI, LocalAI, LiteLLM and what speaks like them would fetch. It goes by the names of keys
//! (`keys.rs`), wherever they stand, rather than by a list of endpoints: a shape that nobody thought of is found as long
//! as its key says image, audio or video. What counts as a URL is decided in `url.rs`. Text is never looked at: a URL in
//! a message's text is text, and so is what tools are described by or called with.
//!
//! All occurrences of a key count, in any spelling that some reader takes for it (`"image\u005furl"`, `IMAGE_URL`).

pub(crate) mod keys;
pub(crate) mod url;

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;

use crate::json::{Fault, JsonError, MAX_DEPTH, Scanner};
use keys::{Needs, Role, TypeName};
pub use url::MediaUrl;

/// How many URLs are noted; of further ones it is only said that there are some.
pub const MOST_SLOTS: usize = 4096;

/// The longest path that is told, in bytes.
const LONGEST_PATH: usize = 200;

/// What a server takes the URL's content for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film, or its frames.
    Video,
    /// Sound.
    Audio,
    /// A document, or anything.
    File,
}

/// How the content itself is written where the URL stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaForm {
    /// As `data:TYPE;base64,…`.
    DataUrl,
    /// As Base64 alone: the type stands in another key.
    Base64,
}

/// A URL that a server would fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSlot {
    /// The string's token, quotes included.
    pub span: Range<usize>,
    /// Where it stands: `messages[2].content[1].image_url.url`.
    pub path: String,
    /// What is expected there.
    pub kind: MediaKind,
    /// What may be put in its place.
    pub form: MediaForm,
    /// The URL.
    pub url: MediaUrl,
}

/// The URLs of one body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundMedia {
    /// In the order in which they stand, at most [`MOST_SLOTS`].
    pub slots: Vec<MediaSlot>,
    /// There are more.
    pub more: bool,
}

/// Finds what a server would fetch. For an object, [`crate::RequestFacts::media`] says whether that can be anything.
/// Any bytes may be given: what is not JSON ends in an error.
///
/// # Errors
/// It is not JSON, or nested deeper than [`MAX_DEPTH`].
pub fn scan(body: &[u8]) -> Result<FoundMedia, JsonError> {
    let mut walk = Walk {
        body,
        scanner: Scanner::new(body),
        frames: Vec::new(),
        noted: Vec::new(),
        more: More::default(),
        in_messages: false,
        modality: None,
    };
    walk.run().map_err(|fault| fault.explain(body))?;
    Ok(walk.finish())
}

/// The body with each span replaced by the JSON value beside it. Everything else stays, byte for byte. A span that is not
/// inside the body, or begins inside another, is left as it is.
pub fn splice_all(body: &Bytes, mut replacements: Vec<(Range<usize>, Bytes)>) -> Bytes {
    if replacements.is_empty() {
        return body.clone();
    }
    replacements.sort_by_key(|(span, _)| span.start);
    let added: usize = replacements.iter().map(|(_, value)| value.len()).sum();
    let removed: usize = replacements.iter().map(|(span, _)| span.len()).sum();
    let mut spliced = Vec::with_capacity((body.len() + added).saturating_sub(removed));
    let mut copied = 0;
    for (span, value) in replacements {
        let Some(before) = body.get(copied..span.start).filter(|_| span.start <= span.end && span.end <= body.len())
        else {
            continue;
        };
        spliced.extend_from_slice(before);
        spliced.extend_from_slice(&value);
        copied = span.end;
    }
    spliced.extend_from_slice(&body[copied..]);
    spliced.into()
}

/// An open array or object.
struct Frame {
    object: bool,
    /// What its elements are; for an object, what its members are judged by.
    role: Role,
    /// The key of the member that is being read, between its quotes.
    key: Range<usize>,
    /// The number of the element that is being read.
    index: usize,
    /// How many slots had been noted when it was opened.
    noted: usize,
    /// What the object's `type` says.
    part: Option<MediaKind>,
    /// Whether the object's `type` is that of a source: `url` or `base64`. `text` is not.
    source: Option<bool>,
}

/// A slot that may still turn out to be none.
struct Noted {
    slot: MediaSlot,
    needs: Needs,
}

/// Of what there is more than was noted.
#[derive(Default)]
struct More {
    certain: bool,
    by_modality: bool,
}

/// The beginning of a key, as it may stand in a message. The rest is not even looked at: thousands of slots may stand
/// below a key that is megabytes long.
pub(crate) fn shown(key: &[u8]) -> String {
    // No character has more than four bytes, so none that is taken is cut.
    let head = &key[..key.len().min(4 * LONGEST_PATH)];
    let harmless = |c: char| if is_unfit(c) { char::REPLACEMENT_CHARACTER } else { c };
    String::from_utf8_lossy(head).chars().take(LONGEST_PATH).map(harmless).collect()
}

/// What a terminal would obey, and what would make a line read otherwise than it is written.
fn is_unfit(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

struct Walk<'a> {
    body: &'a [u8],
    scanner: Scanner<'a>,
    frames: Vec<Frame>,
    noted: Vec<Noted>,
    more: More,
    /// What is being read is below the top level's `messages`.
    in_messages: bool,
    /// What the top level's `modality` says that `input` is.
    modality: Option<MediaKind>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        let mut role = Role::Plain;
        loop {
            let opened = match self.scanner.skip_space() {
                _ if role == Role::Opaque => self.scanner.value().map(|()| None)?,
                Some(b'{') => self.open(true, b'}', role)?,
                Some(b'[') => self.open(false, b']', role)?,
                Some(b'"') => {
                    let start = self.scanner.at;
                    self.scanner.string()?;
                    self.text(start..self.scanner.at, role);
                    None
                }
                _ => self.scanner.value().map(|()| None)?,
            };
            role = match opened {
                Some(first) => first,
                None => match self.after_value()? {
                    Some(next) => next,
                    None => return self.scanner.end(),
                },
            };
        }
    }

    /// Goes into an array or object, and says what its first value is; `None`: it is empty.
    fn open(&mut self, object: bool, close: u8, role: Role) -> Result<Option<Role>, Fault> {
        self.scanner.at += 1;
        if self.scanner.skip_space() == Some(close) {
            self.scanner.at += 1;
            return Ok(None);
        }
        if self.frames.len() == MAX_DEPTH {
            return Err(Fault::too_deep(self.scanner.at));
        }
        let noted = self.noted.len();
        self.frames.push(Frame { object, role, key: 0..0, index: 0, noted, part: None, source: None });
        if object { self.member().map(Some) } else { Ok(Some(role)) }
    }

    /// Goes on behind a value: to the next one, whose role is returned, or to the end.
    fn after_value(&mut self) -> Result<Option<Role>, Fault> {
        while let Some(frame) = self.frames.last_mut() {
            let next = self.scanner.skip_space();
            match (next, frame.object) {
                (Some(b','), true) => {
                    self.scanner.at += 1;
                    return self.member().map(Some);
                }
                (Some(b','), false) => {
                    self.scanner.at += 1;
                    frame.index += 1;
                    return Ok(Some(frame.role));
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.scanner.at += 1;
                    self.close();
                }
                (_, true) => return self.scanner.fault("',' or '}'"),
                (_, false) => return self.scanner.fault("',' or ']'"),
            }
        }
        Ok(None)
    }

    /// Reads a key, and says what its value is.
    fn member(&mut self) -> Result<Role, Fault> {
        let token = self.scanner.key()?;
        let key = token.start + 1..token.end - 1;
        let at_top = self.frames.len() == 1;
        let Some(frame) = self.frames.last_mut() else { return Ok(Role::Plain) };
        let inner = &self.body[key.clone()];
        frame.key = key;
        if at_top {
            self.in_messages = inner == b"messages";
        }
        Ok(keys::role(inner, frame.role, at_top, self.in_messages))
    }

    /// What the object's `type` says decides about the slots in it.
    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        if !frame.object || self.noted.len() == frame.noted {
            return;
        }
        let mut kept = frame.noted;
        for index in frame.noted..self.noted.len() {
            let noted = &mut self.noted[index];
            let keep = match noted.needs {
                Needs::Nothing | Needs::Modality => true,
                Needs::PartType => frame.part.is_some(),
                Needs::MediaType => frame.part.is_some_and(|kind| kind != MediaKind::File),
                Needs::SourceType => true,
            };
            if !keep {
                continue;
            }
            noted.needs = match (noted.needs, frame.source) {
                // What it stands in decides: some readers do not look at a source's own type.
                (Needs::SourceType, None) => Needs::PartType,
                (Needs::SourceType, Some(false)) => Needs::MediaType,
                (Needs::Modality, _) => Needs::Modality,
                (Needs::Nothing | Needs::PartType | Needs::MediaType | Needs::SourceType, _) => Needs::Nothing,
            };
            if let (MediaKind::File, Some(kind)) = (noted.slot.kind, frame.part) {
                noted.slot.kind = kind;
            }
            self.noted.swap(kept, index);
            kept += 1;
        }
        self.noted.truncate(kept);
    }

    /// A string.
    fn text(&mut self, span: Range<usize>, role: Role) {
        let inner = &self.body[span.start + 1..span.end - 1];
        let (kind, form, needs) = match role {
            Role::Plain | Role::Source | Role::Opaque => return,
            Role::Type => {
                if let Some(frame) = self.frames.last_mut() {
                    match keys::type_name(inner) {
                        TypeName::Part(kind) => frame.part = Some(kind),
                        TypeName::Source => frame.source = Some(true),
                        TypeName::TextSource => {
                            frame.source.get_or_insert(false);
                        }
                        TypeName::Other => {}
                    }
                }
                return;
            }
            Role::DataFormat => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.part.get_or_insert(MediaKind::File);
                }
                return;
            }
            Role::Modality => {
                if let TypeName::Part(kind) = keys::type_name(inner) {
                    self.modality = Some(kind);
                }
                return;
            }
            Role::Media { kind, .. } => (kind, MediaForm::DataUrl, Needs::Nothing),
            Role::Slot { kind, form, needs } => (kind, form, needs),
        };
        let Some(url) = std::str::from_utf8(inner).ok().and_then(url::read) else { return };
        if self.noted.len() == MOST_SLOTS {
            match needs {
                Needs::Modality => self.more.by_modality = true,
                Needs::Nothing | Needs::PartType | Needs::MediaType | Needs::SourceType => self.more.certain = true,
            }
            return;
        }
        let path = self.path();
        self.noted.push(Noted { slot: MediaSlot { span, path, kind, form, url }, needs });
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            if path.len() > LONGEST_PATH {
                path.push('…');
                break;
            }
            if !frame.object {
                path.push_str(&format!("[{}]", frame.index));
                continue;
            }
            let key = shown(&self.body[frame.key.clone()]);
            if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
                path.push_str(&format!("[\"{key}\"]"));
                continue;
            }
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&key);
        }
        path
    }

    fn finish(self) -> FoundMedia {
        let modality = self.modality;
        let settle = |noted: Noted| {
            let Noted { mut slot, needs } = noted;
            match needs {
                Needs::Nothing => Some(slot),
                Needs::Modality => modality.map(|kind| {
                    slot.kind = kind;
                    slot
                }),
                Needs::PartType | Needs::MediaType | Needs::SourceType => None,
            }
        };
        let more = self.more.certain || (self.more.by_modality && modality.is_some());
        FoundMedia { slots: self.noted.into_iter().filter_map(settle).collect(), more }
    }
}
