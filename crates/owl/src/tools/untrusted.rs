//! Text from outside, made harmless and marked as such before a model sees it.
