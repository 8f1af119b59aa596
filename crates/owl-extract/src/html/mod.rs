//! HTML: the tree, what of it is the content, and how that is written.
//!
//! Reading order: [`dom`].

pub(crate) mod dom;
