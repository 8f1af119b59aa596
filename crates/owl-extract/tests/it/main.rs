//! What comes of documents and pictures, of hostile ones too.

mod documents;
mod hostile;
mod invariants;
mod pdfs;
mod pictures;
mod seeds;
