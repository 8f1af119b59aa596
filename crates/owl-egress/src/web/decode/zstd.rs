//! zstd (RFC 8878) with the window that RFC 9659 allows on the web.
//!
//! Frames are cut into headers and blocks here, so that the decoder proper only ever sees a whole one, and a header is
//! judged before anything is allocated for it.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Broken, Step};

/// RFC 9659, section 3.
const WINDOW_LIMIT: u64 = 8 * 1024 * 1024;
/// RFC 8878, section 3.1.1.2.4.
const BLOCK_LIMIT: usize = 128 * 1024;
const MAGIC: u32 = 0xfd2f_b528;
const SKIPPABLE: std::ops::RangeInclusive<u32> = 0x184d_2a50..=0x184d_2a5f;

/// Frames one after another.
pub(super) struct Zstd {
    part: Part,
    /// The header or block so far.
    pending: Vec<u8>,
    frames: FrameDecoder,
    /// Between two frames, and there was one.
    is_complete: bool,
}

enum Part {
    Header,
    Blocks(Frame),
    Skipped(u32),
}

/// What the header said, and what came since.
#[derive(Clone, Copy)]
struct Frame {
    content_size: Option<u64>,
    has_checksum: bool,
    produced: u64,
}

enum Head {
    /// So many bytes make it whole.
    Needs(usize),
    Skippable(u32),
    Frame {
        frame: Frame,
        window: u64,
    },
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut frames = FrameDecoder::new();
        frames.set_max_window_size(WINDOW_LIMIT);
        Self { part: Part::Header, pending: Vec::new(), frames, is_complete: false }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn step(&mut self, input: &[u8], window: &mut [u8], limit: u64) -> Result<Step, Broken> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            let needed = match &mut self.part {
                Part::Skipped(0) => {
                    (self.part, self.is_complete) = (Part::Header, true);
                    continue;
                }
                Part::Skipped(_) if rest.is_empty() => return Ok(Step::Moved { consumed, produced: 0 }),
                Part::Skipped(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= u32::try_from(count).map_err(|_| Broken)?;
                    consumed += count;
                    continue;
                }
                Part::Header => match read_head(&self.pending)? {
                    Head::Needs(count) => count,
                    Head::Skippable(length) => {
                        self.pending.clear();
                        self.part = Part::Skipped(length);
                        continue;
                    }
                    Head::Frame { frame, window } => {
                        if window > WINDOW_LIMIT {
                            // A single segment's window is its content: that is too large, rather than wrong.
                            let is_too_large = frame.content_size == Some(window) && window > limit;
                            return if is_too_large { Ok(Step::TooLarge) } else { Err(Broken) };
                        }
                        self.begin(frame)?;
                        continue;
                    }
                },
                Part::Blocks(_) => {
                    let produced = self.drain(window)?;
                    if produced > 0 {
                        return Ok(Step::Moved { consumed, produced });
                    }
                    let Part::Blocks(frame) = &self.part else { continue };
                    let needed = block_length(&self.pending, frame.has_checksum)?;
                    if needed == self.pending.len() {
                        self.block()?;
                        continue;
                    }
                    needed
                }
            };
            let count = rest.len().min(needed - self.pending.len());
            if count == 0 {
                return Ok(Step::Moved { consumed, produced: 0 });
            }
            self.pending.extend_from_slice(&rest[..count]);
            self.is_complete = false;
            consumed += count;
        }
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Broken> {
        self.frames.reset(self.pending.as_slice()).map_err(|_| Broken)?;
        self.pending.clear();
        self.part = Part::Blocks(frame);
        Ok(())
    }

    fn block(&mut self) -> Result<(), Broken> {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        self.frames.decode_blocks(self.pending.as_slice(), one).map_err(|_| Broken)?;
        self.pending.clear();
        Ok(())
    }

    /// Takes out what no later match can point into; at a frame's end, everything, and compares the checksum.
    fn drain(&mut self, window: &mut [u8]) -> Result<usize, Broken> {
        let Part::Blocks(frame) = &mut self.part else { return Ok(0) };
        let produced = self.frames.read(window).map_err(|_| Broken)?;
        frame.produced += produced as u64;
        if frame.content_size.is_some_and(|size| frame.produced > size) {
            return Err(Broken);
        }
        if self.frames.blocks_decoded() > 0 && self.frames.is_finished() && self.frames.can_collect() == 0 {
            let is_whole = frame.content_size.is_none_or(|size| frame.produced == size);
            let said = self.frames.get_checksum_from_data();
            if !is_whole || (said.is_some() && said != self.frames.get_calculated_checksum()) {
                return Err(Broken);
            }
            (self.part, self.is_complete) = (Part::Header, true);
        }
        Ok(produced)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// RFC 8878, sections 3.1.1.1 and 3.1.2.
fn read_head(bytes: &[u8]) -> Result<Head, Broken> {
    let Some(magic) = bytes.first_chunk().map(|four| u32::from_le_bytes(*four)) else { return Ok(Head::Needs(4)) };
    if SKIPPABLE.contains(&magic) {
        let length = bytes[4..].first_chunk().map(|four| u32::from_le_bytes(*four));
        return Ok(length.map_or(Head::Needs(8), Head::Skippable));
    }
    if magic != MAGIC {
        return Err(Broken);
    }
    let Some(&descriptor) = bytes.get(4) else { return Ok(Head::Needs(5)) };
    let is_single = descriptor & 0x20 != 0;
    if descriptor & 0x08 != 0 {
        return Err(Broken);
    }
    let window_length = usize::from(!is_single);
    let dictionary_length = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_length = [usize::from(is_single), 2, 4, 8][usize::from(descriptor >> 6)];
    let length = 5 + window_length + dictionary_length + size_length;
    if bytes.len() < length {
        return Ok(Head::Needs(length));
    }
    let (dictionary, size) = bytes[5 + window_length..length].split_at(dictionary_length);
    if number(dictionary) != 0 {
        return Err(Broken);
    }
    let content_size = match size_length {
        0 => None,
        2 => Some(number(size) + 256),
        _ => Some(number(size)),
    };
    let window = match content_size {
        Some(size) if is_single => size,
        _ => {
            let (exponent, mantissa) = (u64::from(bytes[5] >> 3), u64::from(bytes[5] & 7));
            let base = 1 << (10 + exponent);
            base + base / 8 * mantissa
        }
    };
    let frame = Frame { content_size, has_checksum: descriptor & 4 != 0, produced: 0 };
    Ok(Head::Frame { frame, window })
}

/// How long the block is, with its header, and with the frame's checksum behind the last one.
fn block_length(bytes: &[u8], has_checksum: bool) -> Result<usize, Broken> {
    const RLE: usize = 1;
    let Some(&[low, middle, high]) = bytes.first_chunk() else { return Ok(3) };
    let header = u32::from_le_bytes([low, middle, high, 0]);
    let size = usize::try_from(header >> 3).map_err(|_| Broken)?;
    if size > BLOCK_LIMIT {
        return Err(Broken);
    }
    let is_rle = usize::try_from(header >> 1 & 3).is_ok_and(|kind| kind == RLE);
    let checksum = if has_checksum && header & 1 != 0 { 4 } else { 0 };
    Ok(3 + if is_rle { 1 } else { size } + checksum)
}
