//! gzip (RFC 1952) and deflate: zlib's framing (RFC 1950), or none (RFC 1951), as some servers understand the word.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Broken, Step};

/// A member's header with its name, comment and extra fields.
const HEADER_LIMIT: usize = 16 * 1024;
const TRAILER: usize = 8;

/// One stream of blocks.
struct Inflate(Decompress);

struct Inflated {
    consumed: usize,
    produced: usize,
    is_end: bool,
}

impl Inflate {
    fn step(&mut self, input: &[u8], window: &mut [u8]) -> Result<Inflated, Broken> {
        let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, window, FlushDecompress::None).map_err(|_| Broken)?;
        let moved = |after: u64, before: u64| usize::try_from(after - before).map_err(|_| Broken);
        Ok(Inflated {
            consumed: moved(self.0.total_in(), before_in)?,
            produced: moved(self.0.total_out(), before_out)?,
            is_end: status == Status::StreamEnd,
        })
    }
}

/// gzip: members one after another, each verified by its checksum and its length.
pub(super) struct Gzip {
    part: Part,
    /// The header or trailer so far.
    pending: Vec<u8>,
    inflate: Inflate,
    crc: Crc,
    is_complete: bool,
}

#[derive(Clone, Copy)]
enum Part {
    Header,
    Blocks,
    Trailer,
}

impl Gzip {
    pub(super) fn new() -> Self {
        let inflate = Inflate(Decompress::new(false));
        Self { part: Part::Header, pending: Vec::new(), inflate, crc: Crc::new(), is_complete: false }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn step(&mut self, input: &[u8], window: &mut [u8]) -> Result<Step, Broken> {
        match self.part {
            Part::Header => Ok(Step::Moved { consumed: self.header(input)?, produced: 0 }),
            Part::Blocks => {
                let Inflated { consumed, produced, is_end } = self.inflate.step(input, window)?;
                self.crc.update(&window[..produced]);
                if is_end {
                    self.part = Part::Trailer;
                    // The end may come without a byte in or out; the trailer's first byte must not wait for that.
                    if consumed == 0 && produced == 0 {
                        return Ok(Step::Moved { consumed: self.trailer(input)?, produced: 0 });
                    }
                }
                Ok(Step::Moved { consumed, produced })
            }
            Part::Trailer => Ok(Step::Moved { consumed: self.trailer(input)?, produced: 0 }),
        }
    }

    fn header(&mut self, input: &[u8]) -> Result<usize, Broken> {
        let before = self.pending.len();
        if !input.is_empty() {
            self.is_complete = false;
        }
        self.pending.extend_from_slice(&input[..input.len().min(HEADER_LIMIT - before)]);
        let Some(length) = header_length(&self.pending)? else {
            let is_too_long = self.pending.len() == HEADER_LIMIT;
            return if is_too_long { Err(Broken) } else { Ok(self.pending.len() - before) };
        };
        self.pending.clear();
        self.part = Part::Blocks;
        Ok(length - before)
    }

    fn trailer(&mut self, input: &[u8]) -> Result<usize, Broken> {
        let count = input.len().min(TRAILER - self.pending.len());
        self.pending.extend_from_slice(&input[..count]);
        if let Ok(trailer) = <[u8; TRAILER]>::try_from(self.pending.as_slice()) {
            let said = u64::from_le_bytes(trailer);
            let found = u64::from(self.crc.sum()) | (u64::from(self.crc.amount()) << 32);
            if said != found {
                return Err(Broken);
            }
            self.pending.clear();
            self.crc.reset();
            self.inflate.0.reset(false);
            (self.part, self.is_complete) = (Part::Header, true);
        }
        Ok(count)
    }
}

/// How long the member's header is; `None` while it is not all there.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    const FIXED: usize = 10;
    const HAS_CHECK: u8 = 2;
    const HAS_EXTRA: u8 = 4;
    const HAS_NAME: u8 = 8;
    const HAS_COMMENT: u8 = 16;
    let known = [0x1f, 0x8b, 8];
    if bytes.iter().zip(known).any(|(found, expected)| *found != expected) {
        return Err(Broken);
    }
    if bytes.len() < FIXED {
        return Ok(None);
    }
    let flags = bytes[3];
    if flags & 0xe0 != 0 {
        return Err(Broken);
    }
    let mut at = FIXED;
    if flags & HAS_EXTRA != 0 {
        let Some(&[low, high]) = bytes.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let Some(end) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else {
                return Ok(None);
            };
            at += end + 1;
        }
    }
    if flags & HAS_CHECK != 0 {
        let Some(&[low, high]) = bytes.get(at..at + 2) else { return Ok(None) };
        let mut crc = Crc::new();
        crc.update(&bytes[..at]);
        if crc.sum().to_le_bytes()[..2] != [low, high] {
            return Err(Broken);
        }
        at += 2;
    }
    Ok((bytes.len() >= at).then_some(at))
}

/// deflate: its first two bytes say whether zlib's framing is there.
pub(super) struct Deflate {
    state: DeflateState,
}

enum DeflateState {
    Unknown(Vec<u8>),
    Blocks(Inflate),
    Ended,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self { state: DeflateState::Unknown(Vec::new()) }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, DeflateState::Ended)
    }

    pub(super) fn step(&mut self, input: &[u8], window: &mut [u8]) -> Result<Step, Broken> {
        match &mut self.state {
            DeflateState::Ended => Ok(Step::Moved { consumed: 0, produced: 0 }),
            DeflateState::Blocks(inflate) => {
                let Inflated { consumed, produced, is_end } = inflate.step(input, window)?;
                if is_end {
                    self.state = DeflateState::Ended;
                }
                Ok(Step::Moved { consumed, produced })
            }
            DeflateState::Unknown(first) => {
                let consumed = input.len().min(2 - first.len());
                first.extend_from_slice(&input[..consumed]);
                let &[method, flags] = first.as_slice() else { return Ok(Step::Moved { consumed, produced: 0 }) };
                let mut inflate = Inflate(Decompress::new(is_zlib(method, flags)));
                // Two bytes make a few decoded ones at most, so the window holds them.
                let begun = inflate.step(&[method, flags], window)?;
                if begun.consumed < 2 {
                    return Err(Broken);
                }
                self.state = if begun.is_end { DeflateState::Ended } else { DeflateState::Blocks(inflate) };
                Ok(Step::Moved { consumed, produced: begun.produced })
            }
        }
    }
}

/// RFC 1950, section 2.2. As a block's head these bits would be one that no encoder writes.
fn is_zlib(method: u8, flags: u8) -> bool {
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}
