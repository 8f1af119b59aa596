//! Which key holds media. A closed set of small decisions; nothing here looks at a value that could be a URL.

use std::borrow::Cow;

use super::{MediaForm, MediaKind};
use crate::json;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing of itself; what is in it may be.
    Plain,
    /// Nobody fetches anything from it.
    Opaque,
    /// The `type` of the object that it stands in.
    Type,
    /// A `data_format`: beside it, `data` may be a URL.
    DataFormat,
    /// The top level's `modality`.
    Modality,
    /// Media: a string is a URL, an array holds several, an object has it in a member of its own.
    Media {
        kind: MediaKind,
        /// `data` is Base64, not a data URL.
        bare: bool,
    },
    /// Anthropic's `source`, when it is an object; as a string it is a citation.
    Source,
    /// A string that is fetched if what it needs holds; an array holds several.
    Slot { kind: MediaKind, form: MediaForm, needs: Needs },
}

/// What else must hold for a string to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// The `type` of the object that it stands in is one of media.
    PartType,
    /// The same, and not that of a document, which may be text.
    MediaType,
    /// The `type` of the object is that of a source, or that of the object around it one of media.
    SourceType,
    /// The top level's `modality` is not text.
    Modality,
}

/// What a `type` or a `modality` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeName {
    Part(MediaKind),
    /// That of a source which holds a URL or media.
    Source,
    /// That of a source which holds text.
    TextSource,
    Other,
}

/// Whether there can be a URL below this key, or because of it. Every slot has such a key above it or beside it.
pub(crate) fn may_hold_media(inner: &[u8]) -> bool {
    // The keys of a chat without media, so that these cost next to nothing.
    if matches!(inner, b"role" | b"content" | b"type" | b"text" | b"name" | b"model" | b"messages" | b"stream") {
        return false;
    }
    match role(inner, Role::Plain, true, false) {
        Role::DataFormat | Role::Modality | Role::Media { .. } | Role::Source => true,
        // An `input` needs a `modality`; anything else may stand beside a `type`.
        Role::Slot { needs, .. } => needs != Needs::Modality,
        Role::Plain | Role::Opaque | Role::Type => false,
    }
}

/// Whether a form's field of this name holds media, or says where it is. There is no `type` beside it.
pub(crate) fn is_media_field(name: &[u8]) -> bool {
    match role(name, Role::Plain, true, false) {
        Role::Media { .. } | Role::Source => true,
        Role::Slot { needs, .. } => needs != Needs::Modality,
        Role::Plain | Role::Opaque | Role::Type | Role::DataFormat | Role::Modality => false,
    }
}

/// What the value of the key `inner` (between its quotes, as written) is, in an object with the role `parent`.
pub(super) fn role(inner: &[u8], parent: Role, at_top: bool, in_messages: bool) -> Role {
    // Only the very spelling makes a value opaque: some reader may take another one for another key.
    match inner {
        b"role" | b"content" | b"messages" | b"model" => return Role::Plain,
        b"text"
        | b"tools"
        | b"functions"
        | b"tool_calls"
        | b"function_call"
        | b"tool_choice"
        | b"arguments"
        | b"metadata"
        | b"response_format"
        | b"json_schema"
        | b"guided_json"
        | b"structured_outputs"
        | b"schema"
        | b"annotations"
        | b"citations"
        | b"action" => return Role::Opaque,
        // What the model called a tool with, in Anthropic's messages.
        b"input" if in_messages && !at_top => return Role::Opaque,
        _ => {}
    }
    let Some(key) = folded(inner) else { return Role::Plain };
    match &*key {
        "type" => return Role::Type,
        "data_format" => return Role::DataFormat,
        "modality" if at_top => return Role::Modality,
        "input" if at_top => {
            return Role::Slot { kind: MediaKind::File, form: MediaForm::DataUrl, needs: Needs::Modality };
        }
        "input_audio" => return Role::Media { kind: MediaKind::Audio, bare: true },
        "source" => return Role::Source,
        "url" | "urls" | "uri" | "href" | "path" | "base64" | "data" | "file_id" => return content(&key, parent),
        "file" | "files" | "file_url" | "file_urls" | "file_data" | "input_file" | "input_files" | "document_url"
        | "document_urls" | "pdf" | "pdf_url" | "time_series" | "time_series_url" | "media" | "media_url"
        | "media_urls" | "input_reference" | "reference_url" | "reference_urls" => {
            return Role::Media { kind: MediaKind::File, bare: false };
        }
        "mask" | "mask_url" | "img" | "img_url" => return Role::Media { kind: MediaKind::Image, bare: false },
        _ => {}
    }
    match kind_in(&key) {
        Some(kind) => Role::Media { kind, bare: false },
        None => Role::Plain,
    }
}

/// A key that holds the content of the object around it.
fn content(key: &str, parent: Role) -> Role {
    let (kind, bare, needs) = match parent {
        Role::Media { kind, bare } => (kind, bare, Needs::Nothing),
        Role::Source => (MediaKind::File, true, Needs::SourceType),
        Role::Slot { kind, needs, .. } if needs != Needs::Modality => (kind, false, needs),
        Role::Plain | Role::Slot { .. } | Role::Opaque | Role::Type | Role::DataFormat | Role::Modality => {
            (MediaKind::File, false, Needs::PartType)
        }
    };
    let form = if key == "base64" || (key == "data" && bare) { MediaForm::Base64 } else { MediaForm::DataUrl };
    Role::Slot { kind, form, needs }
}

/// What the value of a `type`, between its quotes, says.
pub(super) fn type_name(inner: &[u8]) -> TypeName {
    if matches!(inner, b"text" | b"content") {
        return TypeName::TextSource;
    }
    let Some(name) = folded(inner) else { return TypeName::Other };
    match &*name {
        "url" | "base64" => TypeName::Source,
        "file" | "input_file" | "file_url" | "document" | "document_url" | "pdf" | "media" => {
            TypeName::Part(MediaKind::File)
        }
        name => kind_in(name).map_or(TypeName::Other, TypeName::Part),
    }
}

fn kind_in(name: &str) -> Option<MediaKind> {
    let kinds = [("image", MediaKind::Image), ("video", MediaKind::Video), ("audio", MediaKind::Audio)];
    // None of the three words is shorter than this.
    let long = name.len() >= 5;
    kinds.into_iter().find(|(word, _)| long && name.contains(word)).map(|(_, kind)| kind)
}

/// The string, decoded and in the case that readers which ignore case fold it to; `None` when it is no key of ours.
fn folded(inner: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(inner).ok()?;
    if inner.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
        return Some(Cow::Borrowed(text));
    }
    let fold = |char: char| match char {
        // What Unicode folds to an ASCII letter.
        'ſ' => 's',
        '\u{212a}' => 'k',
        '-' => '_',
        other => other.to_ascii_lowercase(),
    };
    Some(Cow::Owned(json::decode(text)?.chars().map(fold).collect()))
}
