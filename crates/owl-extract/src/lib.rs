//! What is in a page, a document or a picture: bytes, what they were declared as and where they came from go in; Markdown
//! or text, or a picture of a bounded size, comes out.
//!
//! This crate opens no socket, reads no file and knows no runtime. Everything it is given is hostile: it never panics, and
//! time and memory grow no faster than the input.
//!
//! Reading order: [`document`] (what goes in and what comes out), [`charset`] (bytes to text), [`page`] (a long text, piece by
//! piece), [`picture`] (a picture of bounded size).

pub mod charset;
pub mod document;
pub mod page;
pub mod picture;

mod feed;
mod html;
mod indent;
mod json;
mod kind;
mod pdf;
mod sniff;
mod table;
mod text;
mod xml;

pub use document::{Document, ExtractError, Extractor, Link, Mode, Options, Source, extract};
pub use html::{Selected, select};
