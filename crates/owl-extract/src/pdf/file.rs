//! A PDF file: which objects there are, and what they hold.
//!
//! The table of objects is not asked: it may be broken or lie, and every reader needs the other way in any case. The file
//! is searched once for where objects begin, those that are packed into streams are unpacked, and of two with one number
//! the later is right, as with every change that is appended to a file.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use memchr::memmem;

use super::filter;
use super::object::{Dict, Lexer, Object, is_space};
use crate::document::ExtractError;

/// What one stream may unpack to, in bytes.
const STREAM: usize = 24 << 20;
/// What all streams together may unpack to, in bytes; a stream counts as often as it is used.
const ALL_STREAMS: usize = 96 << 20;
/// What using a stream counts at least, so that no loop over small ones is long.
const ONE_USE: usize = 8192;
/// How many bytes are read as objects: they take many times their length, and those of a hostile file overlap.
const OBJECTS: usize = 16 << 20;
/// How many trailers are looked at, from the end.
const MOST_TRAILERS: usize = 16;
/// How many filters a stream may go through.
const MOST_FILTERS: usize = 4;
/// How many references may lead to one another.
const LONGEST_CHAIN: usize = 16;

/// Where an object is.
#[derive(Clone, Copy)]
enum Place {
    /// Behind its `obj`, in the file.
    File(usize),
    /// In the unpacked stream of that number, at that byte.
    Packed(usize, usize),
}

pub(super) struct File<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, Place>,
    packed: Vec<Vec<u8>>,
    read: RefCell<HashMap<u32, Rc<Object>>>,
    left: Cell<usize>,
    objects_left: Cell<usize>,
    pub(super) trailer: Trailer,
}

/// An object, where it stands or among those that were read.
pub(super) enum Held<'o> {
    Here(&'o Object),
    Shared(Rc<Object>),
}

impl Deref for Held<'_> {
    type Target = Object;

    fn deref(&self) -> &Object {
        match self {
            Self::Here(object) => object,
            Self::Shared(object) => object,
        }
    }
}

/// What the file says of itself as a whole.
#[derive(Default)]
pub(super) struct Trailer {
    root: Option<Object>,
    info: Option<Object>,
    is_encrypted: bool,
}

impl Trailer {
    fn take(&mut self, dict: &Dict) {
        self.root = dict.get("Root").cloned().or(self.root.take());
        self.info = dict.get("Info").cloned().or(self.info.take());
        self.is_encrypted |= dict.get("Encrypt").is_some_and(|encrypt| *encrypt != Object::Null);
    }
}

const TOO_LARGE: ExtractError = ExtractError::TooLarge("its streams unpack to more than may be read");

impl<'a> File<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let mut file = Self {
            bytes,
            places: HashMap::new(),
            packed: Vec::new(),
            read: RefCell::default(),
            left: Cell::new(ALL_STREAMS),
            objects_left: Cell::new(OBJECTS),
            trailer: Trailer::default(),
        };
        file.find_objects()?;
        let trailers = memmem::rfind_iter(bytes, b"trailer").take(MOST_TRAILERS);
        for at in trailers.collect::<Vec<_>>().into_iter().rev() {
            if let Some(Object::Dict(dict)) = Lexer::new(&bytes[..end_of_trailer(bytes, at)], at + 7).object() {
                file.trailer.take(&dict);
            }
        }
        if file.trailer.is_encrypted {
            return Err(ExtractError::Damaged("it is encrypted, and opens only in a program that knows its key"));
        }
        Ok(file)
    }

    fn find_objects(&mut self) -> Result<(), ExtractError> {
        let mut end_of_object = Next::new(b"endobj");
        let mut stream = Next::new(b"stream");
        let mut end_of_stream = Next::new(b"endstream");
        let mut at = 0;
        while let Some(found) = memmem::find(&self.bytes[at..], b"obj") {
            let word = at + found;
            at = word + 3;
            let Some(number) = number_before(self.bytes, word) else { continue };
            let body = at;
            self.places.insert(number, Place::File(body));
            let end = end_of_object.after(self.bytes, at);
            let data = stream.after(self.bytes, at);
            if data >= end {
                continue;
            }
            let head = &self.bytes[body..data];
            if memmem::find(head, b"ObjStm").is_some() {
                self.unpack(body)?;
            } else if memmem::find(head, b"XRef").is_some()
                && let Some(Object::Dict(dict)) = Lexer::new(head, 0).object()
            {
                self.trailer.take(&dict);
            }
            at = end_of_stream.after(self.bytes, data).min(self.bytes.len());
        }
        Ok(())
    }

    /// Takes the objects out of an object stream (ISO 32000-1, 7.5.7).
    fn unpack(&mut self, body: usize) -> Result<(), ExtractError> {
        let Some(Object::Dict(dict)) = Lexer::new(self.bytes, body).object() else { return Ok(()) };
        let Some(data) = self.stream_at(body)? else { return Ok(()) };
        let first = dict.get("First").and_then(Object::index).unwrap_or(0);
        let mut head = Lexer::new(&data[..first.min(data.len())], 0);
        let stream = self.packed.len();
        while let (Some(Object::Number(number)), Some(Object::Number(offset))) = (head.object(), head.object()) {
            if let (Some(number), Some(offset)) = (Object::Number(number).index(), Object::Number(offset).index()) {
                let Ok(number) = u32::try_from(number) else { continue };
                self.places.insert(number, Place::Packed(stream, first + offset));
            }
        }
        self.packed.push(data);
        Ok(())
    }

    /// The object of that number. One that is not there is null.
    fn object(&self, number: u32) -> Rc<Object> {
        if let Some(object) = self.read.borrow().get(&number) {
            return Rc::clone(object);
        }
        let read = match self.places.get(&number) {
            Some(Place::File(at)) => self.lexed(self.bytes, *at),
            Some(Place::Packed(stream, at)) => self.lexed(&self.packed[*stream], *at),
            None => None,
        };
        let object = Rc::new(read.unwrap_or(Object::Null));
        self.read.borrow_mut().insert(number, Rc::clone(&object));
        object
    }

    fn lexed(&self, bytes: &[u8], at: usize) -> Option<Object> {
        let left = self.objects_left.get();
        let end = bytes.len().min(at.saturating_add(left));
        let mut lexer = Lexer::new(&bytes[..end], at.min(end));
        let object = lexer.object();
        self.objects_left.set(left - (lexer.at.min(end) - at.min(end)));
        if self.objects_left.get() == 0 {
            // The next stream says so.
            self.left.set(0);
        }
        object
    }

    /// What an object is, behind all references.
    pub(super) fn resolve<'o>(&self, object: &'o Object) -> Held<'o> {
        let Object::Reference(number) = object else { return Held::Here(object) };
        let mut found = self.object(*number);
        for _ in 0..LONGEST_CHAIN {
            let Object::Reference(next) = *found else { return Held::Shared(found) };
            found = self.object(next);
        }
        Held::Here(&Object::Null)
    }

    pub(super) fn get<'o>(&self, dict: &'o Dict, key: &str) -> Held<'o> {
        dict.get(key).map_or(Held::Here(&Object::Null), |value| self.resolve(value))
    }

    /// Counts work that is not a stream's against what may be read.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), ExtractError> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(TOO_LARGE)?);
        Ok(())
    }

    /// The catalogue: as the trailer says, else whatever calls itself one.
    pub(super) fn catalogue(&self) -> Held<'_> {
        if let Some(root) = &self.trailer.root {
            let root = self.resolve(root);
            if root.dict().is_some_and(|dict| dict.get("Pages").is_some()) {
                return root;
            }
        }
        let mut numbers: Vec<u32> = self.places.keys().copied().collect();
        numbers.sort_unstable();
        let mut objects = numbers.into_iter().map(|number| self.object(number));
        objects
            .find(|object| object.dict().is_some_and(|dict| dict.has_type("Catalog")))
            .map_or(Held::Here(&Object::Null), Held::Shared)
    }

    pub(super) fn info(&self) -> Held<'_> {
        self.trailer.info.as_ref().map_or(Held::Here(&Object::Null), |info| self.resolve(info))
    }

    /// What the stream of a reference holds, unpacked. `None` when it is no stream of text.
    pub(super) fn stream(&self, object: &Object) -> Result<Option<Vec<u8>>, ExtractError> {
        let mut object = object.clone();
        for _ in 0..LONGEST_CHAIN {
            let Object::Reference(number) = object else { return Ok(None) };
            match self.places.get(&number) {
                Some(Place::File(at)) => match *self.object(number) {
                    Object::Reference(next) => object = Object::Reference(next),
                    _ => return self.stream_at(*at),
                },
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn stream_at(&self, body: usize) -> Result<Option<Vec<u8>>, ExtractError> {
        let mut lexer = Lexer::new(self.bytes, body);
        let Some(Object::Dict(dict)) = lexer.object() else { return Ok(None) };
        lexer.skip_space();
        let head = lexer.at - body;
        let rest = &self.bytes[lexer.at..];
        let Some(rest) = rest.strip_prefix(b"stream") else { return Ok(None) };
        let rest = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n")).or(rest.strip_prefix(b"\r")).unwrap_or(rest);
        let raw = self.raw(&dict, rest);
        let list = |long: &str, short: &str| -> Vec<Object> {
            let value = if dict.get(long).is_some() { self.get(&dict, long) } else { self.get(&dict, short) };
            match &*value {
                Object::Array(items) => {
                    items.iter().take(MOST_FILTERS).map(|item| self.resolve(item).clone()).collect()
                }
                Object::Null => Vec::new(),
                one => vec![one.clone()],
            }
        };
        let (filters, params) = (list("Filter", "F"), list("DecodeParms", "DP"));
        let most = STREAM.min(self.left.get());
        let data = filter::decode(raw, &filters, &params, most).map_err(|_| TOO_LARGE)?;
        let used = data.as_ref().map_or(0, Vec::len).max(raw.len()).max(ONE_USE);
        self.charge(used + head)?;
        Ok(data)
    }

    /// As long as the stream says, if it ends there; else up to its end mark.
    fn raw<'b>(&self, dict: &Dict, rest: &'b [u8]) -> &'b [u8] {
        if let Some(length) = self.get(dict, "Length").index()
            && let Some(tail) = rest.get(length..)
            && tail[..tail.len().min(32)].trim_ascii_start().starts_with(b"endstream")
        {
            return &rest[..length];
        }
        &rest[..memmem::find(rest, b"endstream").unwrap_or(rest.len())]
    }
}

/// Looks for the next place of a word, without looking at any byte twice.
struct Next {
    word: &'static [u8],
    found: Option<usize>,
}

impl Next {
    fn new(word: &'static [u8]) -> Self {
        Self { word, found: None }
    }

    fn after(&mut self, bytes: &[u8], at: usize) -> usize {
        match self.found {
            Some(found) if found >= at => found,
            _ => {
                let rest = bytes.get(at..).unwrap_or_default();
                let found = memmem::find(rest, self.word).map_or(usize::MAX, |found| at + found);
                self.found = Some(found);
                found
            }
        }
    }
}

/// The object number in `N G obj`.
fn number_before(bytes: &[u8], word: usize) -> Option<u32> {
    let head = &bytes[word.saturating_sub(24)..word];
    let head = trimmed_end(head);
    let generation = head.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let before = &head[..head.len() - generation];
    let head = trimmed_end(before);
    let digits = head.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    if generation == 0 || digits == 0 || head.len() == before.len() {
        return None;
    }
    std::str::from_utf8(&head[head.len() - digits..]).ok()?.parse().ok()
}

fn trimmed_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| !is_space(*b)).map_or(0, |at| at + 1);
    &bytes[..end]
}

/// A trailer is short, and many may follow each other.
fn end_of_trailer(bytes: &[u8], at: usize) -> usize {
    const LONGEST: usize = 4096;
    (at + LONGEST).min(bytes.len())
}
