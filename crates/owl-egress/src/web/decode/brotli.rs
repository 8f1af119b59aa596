//! br (RFC 7932), without the large windows that the RFC does not know.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Broken, Step};

/// One br stream.
pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_complete: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let (bytes, words, codes) = <(StandardAlloc, StandardAlloc, StandardAlloc)>::default();
        Self { state: BrotliState::new_strict(bytes, words, codes), is_complete: false }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn step(&mut self, input: &[u8], window: &mut [u8]) -> Result<Step, Broken> {
        if self.is_complete {
            return Ok(Step::Moved { consumed: 0, produced: 0 });
        }
        let (mut left, mut consumed) = (input.len(), 0);
        let (mut room, mut produced, mut total) = (window.len(), 0, 0);
        let state = &mut self.state;
        match BrotliDecompressStream(
            &mut left,
            &mut consumed,
            input,
            &mut room,
            &mut produced,
            window,
            &mut total,
            state,
        ) {
            BrotliResult::ResultFailure => return Err(Broken),
            BrotliResult::ResultSuccess => self.is_complete = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Step::Moved { consumed, produced })
    }
}
