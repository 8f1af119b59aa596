//! What must hold for any bytes. The fuzz targets call the same functions.

use owl_extract::picture::{PictureLimits, identify, prepare};
use owl_extract::{Document, Extractor, Mode, Options, Source, extract};

const URL: &str = "https://example.com/folder/document";

const TYPES: [Option<&str>; 12] = [
    None,
    Some("text/html"),
    Some("application/pdf"),
    Some("application/json"),
    Some("application/xml"),
    Some("application/rss+xml; charset=windows-1252"),
    Some("text/csv"),
    Some("text/tab-separated-values"),
    Some("text/markdown; charset=utf-8"),
    Some("text/plain; charset=shift_jis"),
    Some("application/octet-stream"),
    Some("image/png"),
];

const MODES: [Mode; 3] = [Mode::Markdown, Mode::Text, Mode::Raw];

const SELECTORS: [Option<&str>; 4] = [None, Some("p"), Some("main > *, table td"), Some("a[href]:not(.x)")];

/// A document: its first byte chooses what it is declared as and how it is read.
pub(crate) fn document(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let choice = usize::from(*choice);
    let content_type = TYPES[choice % TYPES.len()];
    let mode = MODES[choice / TYPES.len() % MODES.len()];
    read(bytes, content_type, &Options { mode, links: true, selector: None });
}

/// A page: its first byte chooses how it is read.
pub(crate) fn html(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let choice = usize::from(*choice);
    let mode = MODES[choice % MODES.len()];
    let selector = SELECTORS[choice / MODES.len() % SELECTORS.len()];
    read(bytes, Some("text/html"), &Options { mode, links: true, selector });
}

fn read(bytes: &[u8], content_type: Option<&str>, options: &Options<'_>) {
    match extract(Source { bytes, content_type, url: URL }, options) {
        Ok(document) => holds(bytes, &document),
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}

fn holds(bytes: &[u8], document: &Document) {
    let Document { title, text, extractor, media_type, links } = document;
    // What a PDF packs is bounded by what it may unpack.
    let most = if *extractor == Extractor::Pdf { 64 << 20 } else { bytes.len() * 64 + 64 * 1024 };
    assert!(text.len() <= most, "{} of {} bytes", text.len(), bytes.len());
    assert!(media_type.contains('/'), "{media_type}");
    assert!(title.as_ref().is_none_or(|title| !title.contains('\n') && !title.trim().is_empty()), "{title:?}");
    let mut seen = std::collections::HashSet::new();
    assert!(links.iter().all(|link| link.url.contains(':') && seen.insert(&link.url)), "{links:?}");
}

/// A picture: small limits, so that each is soon done.
pub(crate) fn picture(data: &[u8]) {
    let limits = PictureLimits {
        source_pixels: 1 << 20,
        source_side: 4096,
        allocation: 16 << 20,
        side: 64,
        pixels: 64 * 48,
        bytes: 8 * 1024,
    };
    let info = identify(data);
    match prepare(data, &limits) {
        Ok(picture) => {
            assert_eq!(info, Some(picture.source));
            assert!(picture.bytes.len() <= limits.bytes && picture.width.max(picture.height) <= limits.side);
            let written = identify(&picture.bytes).expect("what was written is a picture");
            assert_eq!((written.width, written.height), (picture.width, picture.height));
            assert_eq!(written.format.media_type(), picture.media_type);
            image::load_from_memory(&picture.bytes).expect("what was written can be read");
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.code().starts_with("image_")),
    }
}
