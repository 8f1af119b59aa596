//! The text of a PDF, page by page. Pictures are not looked at, forms are not filled in, nothing is run, and what is packed
//! is unpacked up to a limit, for each stream and for all of them.
//!
//! Own code, because what there is unpacks without a limit, or brings decoders and cryptography along for files that hold
//! no text.
//!
//! Reading order: this file (pages), `file` (which objects there are), `object`, `filter`, `content` (operators), `font`
//! (`encoding`, `cmap`), `layout` (lines and paragraphs).

mod cmap;
mod content;
mod encoding;
mod file;
mod filter;
mod font;
mod layout;
mod object;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::rc::Rc;

use crate::document::{Document, ExtractError, Extractor, Mode};
use crate::text::one_line;
use content::Interpreter;
use file::{File, Held};
use layout::Block;
use object::{Dict, Object};

/// What the text of all pages may come to, in bytes.
const MOST_TEXT: usize = 16 << 20;
/// A block whose font is so much larger than most is a heading.
const HEADING: f64 = 1.15;
/// And no longer than that, in bytes.
const LONGEST_HEADING: usize = 200;

/// Reads a PDF.
pub(crate) fn read(bytes: &[u8], mode: Mode) -> Result<Document, ExtractError> {
    let file = File::open(bytes)?;
    let pages = pages(&file);
    if pages.is_empty() {
        return Err(ExtractError::Damaged("no page is found in this PDF: it is broken or cut off"));
    }
    let mut interpreter = Interpreter::new(&file);
    let mut read = Vec::with_capacity(pages.len());
    for page in &pages {
        let content = content(&file, page)?;
        interpreter.page(&content, page.resources.dict().unwrap_or(&Dict::default()))?;
        read.push(interpreter.layout.take_blocks());
        if interpreter.layout.bytes > MOST_TEXT {
            return Err(ExtractError::TooLarge("its pages hold more text than may be read"));
        }
    }
    if interpreter.layout.bytes == 0 {
        return Err(ExtractError::Damaged("its pages hold no text, only pictures or drawings, as from a scanner"));
    }
    let title = title(&file);
    Ok(Document::new(title, written(&read, mode), Extractor::Pdf, "application/pdf".to_owned()))
}

/// A page, with what it inherits.
struct Page {
    contents: Option<Object>,
    resources: Rc<Object>,
}

/// The pages in their order.
fn pages(file: &File<'_>) -> Vec<Page> {
    const MOST: usize = 20_000;
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let catalogue = file.catalogue();
    let root = catalogue.dict().and_then(|dict| dict.get("Pages")).cloned();
    let mut open: Vec<(Object, Rc<Object>)> = root.map(|root| (root, Rc::new(Object::Null))).into_iter().collect();
    while let Some((node, inherited)) = open.pop() {
        if let Object::Reference(number) = node
            && !seen.insert(number)
        {
            continue;
        }
        let object = file.resolve(&node);
        let Some(dict) = object.dict() else { continue };
        let resources = match file.get(dict, "Resources") {
            Held::Shared(own) if own.dict().is_some() => own,
            Held::Here(own) if own.dict().is_some() => Rc::new(own.clone()),
            _ => inherited,
        };
        let kids = file.get(dict, "Kids");
        match kids.array() {
            Some(kids) if !dict.has_type("Page") => {
                let references = kids.iter().rev().filter(|kid| matches!(kid, Object::Reference(_)));
                open.extend(references.map(|kid| (kid.clone(), Rc::clone(&resources))));
            }
            _ => found.push(Page { contents: dict.get("Contents").cloned(), resources }),
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// The content of a page: one stream, or several that are one when put together.
fn content(file: &File<'_>, page: &Page) -> Result<Vec<u8>, ExtractError> {
    let Some(contents) = &page.contents else { return Ok(Vec::new()) };
    let resolved = file.resolve(contents);
    let Some(parts) = resolved.array() else { return Ok(file.stream(contents)?.unwrap_or_default()) };
    let mut all = Vec::new();
    for part in parts {
        all.extend(file.stream(part)?.unwrap_or_default());
        all.push(b'\n');
    }
    Ok(all)
}

fn title(file: &File<'_>) -> Option<String> {
    let info = file.info();
    let title = info.dict().map(|info| file.get(info, "Title"))?;
    let bytes = title.text()?;
    let text = match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).filter_map(Result::ok).collect()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // PDFDocEncoding, which is Latin-1 where titles are concerned.
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    one_line(&text)
}

fn written(pages: &[Vec<Block>], mode: Mode) -> String {
    let body = body_size(pages);
    let mut out = String::new();
    for (number, blocks) in pages.iter().enumerate().filter(|(_, blocks)| !blocks.is_empty()) {
        let mark = if mode == Mode::Markdown { "## " } else { "" };
        if pages.len() > 1 {
            // Writing into a string cannot fail.
            let _ = writeln!(out, "{mark}Page {}\n", number + 1);
        }
        for block in blocks {
            let is_heading = block.size > body * HEADING && block.text.len() <= LONGEST_HEADING;
            if is_heading && mode == Mode::Markdown {
                out.push_str("### ");
                out.push_str(&block.text.replace('\n', " "));
            } else {
                out.push_str(&block.text);
            }
            out.push_str("\n\n");
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The size that most of the text is set in.
fn body_size(pages: &[Vec<Block>]) -> f64 {
    let mut sizes: Vec<(f64, usize)> = pages.iter().flatten().map(|block| (block.size, block.text.len())).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = sizes.iter().map(|(_, length)| length).sum::<usize>() / 2;
    let mut before = 0;
    let middle = sizes.iter().find(|(_, length)| {
        before += length;
        before > half
    });
    middle.map_or(f64::INFINITY, |(size, _)| *size)
}
