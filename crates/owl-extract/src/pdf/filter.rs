//! What streams are packed with (ISO 32000-1, 7.4), unpacked up to a limit. Filters of pictures are not here: no text is
//! in a picture.

use std::io::Read;

use super::object::{Dict, Object};

/// The stream unpacks to more than it may.
#[derive(Debug)]
pub(super) struct TooLong;

/// Undoes the filters of a stream. `None` when one of them is not known.
pub(super) fn decode(
    raw: &[u8],
    filters: &[Object],
    params: &[Object],
    most: usize,
) -> Result<Option<Vec<u8>>, TooLong> {
    let mut data = raw.to_vec();
    for (number, filter) in filters.iter().enumerate() {
        data = match filter.name().unwrap_or_default() {
            b"FlateDecode" | b"Fl" => inflate(&data, most)?,
            b"LZWDecode" | b"LZW" => unlzw(&data, params.get(number), most)?,
            b"ASCII85Decode" | b"A85" => ascii85(&data),
            b"ASCIIHexDecode" | b"AHx" => ascii_hex(&data),
            b"RunLengthDecode" | b"RL" => run_length(&data, most)?,
            _ => return Ok(None),
        };
        if let Some(params) = params.get(number).and_then(Object::dict) {
            data = unpredict(data, params);
        }
    }
    if data.len() > most { Err(TooLong) } else { Ok(Some(data)) }
}

/// What a broken stream holds before it breaks is kept.
fn inflate(data: &[u8], most: usize) -> Result<Vec<u8>, TooLong> {
    let bounded = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        // The error is the end of what can be read.
        let _ = reader.take(most as u64 + 1).read_to_end(&mut out);
        if out.len() > most { Err(TooLong) } else { Ok(out) }
    };
    let out = bounded(&mut flate2::read::ZlibDecoder::new(data))?;
    if out.is_empty() { bounded(&mut flate2::read::DeflateDecoder::new(data)) } else { Ok(out) }
}

fn unlzw(data: &[u8], params: Option<&Object>, most: usize) -> Result<Vec<u8>, TooLong> {
    use weezl::BitOrder::Msb;
    use weezl::{LzwStatus, decode::Decoder};
    let early = params.and_then(Object::dict).and_then(|params| params.get("EarlyChange")?.number()) != Some(0.0);
    let mut decoder = if early { Decoder::with_tiff_size_switch(Msb, 8) } else { Decoder::new(Msb, 8) };
    let (mut out, mut rest, mut buffer) = (Vec::new(), data, vec![0; 16 * 1024]);
    loop {
        let step = decoder.decode_bytes(rest, &mut buffer);
        out.extend_from_slice(&buffer[..step.consumed_out]);
        rest = &rest[step.consumed_in..];
        if out.len() > most {
            return Err(TooLong);
        }
        if !matches!(step.status, Ok(LzwStatus::Ok)) || (step.consumed_in, step.consumed_out) == (0, 0) {
            return Ok(out);
        }
    }
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits = data.iter().take_while(|b| **b != b'>').filter_map(|b| char::from(*b).to_digit(16));
    let digits: Vec<u8> = digits.filter_map(|digit| u8::try_from(digit).ok()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect()
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let data = data.strip_prefix(b"<~").unwrap_or(data);
    let mut out = Vec::with_capacity(data.len());
    let mut group = Vec::with_capacity(5);
    for byte in data {
        match byte {
            b'~' => break,
            b'z' if group.is_empty() => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => group.push(byte - b'!'),
            _ => {}
        }
        if group.len() == 5 {
            out.extend_from_slice(&base85(&group));
            group.clear();
        }
    }
    if group.len() > 1 {
        let kept = group.len() - 1;
        group.resize(5, 84);
        out.extend_from_slice(&base85(&group)[..kept]);
    }
    out
}

fn base85(group: &[u8]) -> [u8; 4] {
    group.iter().fold(0_u32, |value, digit| value.wrapping_mul(85).wrapping_add(u32::from(*digit))).to_be_bytes()
}

fn run_length(data: &[u8], most: usize) -> Result<Vec<u8>, TooLong> {
    let mut out = Vec::new();
    let mut rest = data;
    while let [length, tail @ ..] = rest {
        let length = usize::from(*length);
        match length {
            0..=127 => {
                let taken = tail.len().min(length + 1);
                out.extend_from_slice(&tail[..taken]);
                rest = &tail[taken..];
            }
            128 => break,
            _ => {
                let Some((byte, tail)) = tail.split_first() else { break };
                out.extend(std::iter::repeat_n(*byte, 257 - length));
                rest = tail;
            }
        }
        if out.len() > most {
            return Err(TooLong);
        }
    }
    Ok(out)
}

/// Undoes the predictors of PNG (ISO 32000-1, 7.4.4.4).
fn unpredict(data: Vec<u8>, params: &Dict) -> Vec<u8> {
    let number = |key: &str, otherwise: usize| params.get(key).and_then(Object::index).unwrap_or(otherwise);
    if number("Predictor", 1) < 10 {
        return data;
    }
    let pixel_bits = number("Colors", 1).clamp(1, 32) * number("BitsPerComponent", 8).clamp(1, 16);
    let width = (number("Columns", 1).clamp(1, 1 << 20) * pixel_bits).div_ceil(8);
    let pixel = pixel_bits.div_ceil(8);
    let mut out: Vec<u8> = Vec::with_capacity(data.len());
    for row in data.chunks(width + 1) {
        let (kind, begin) = (row[0], out.len());
        for (column, byte) in row[1..].iter().enumerate() {
            let left = if column >= pixel { out[begin + column - pixel] } else { 0 };
            let up = if begin >= width { out[begin + column - width] } else { 0 };
            let corner = if column >= pixel && begin >= width { out[begin + column - width - pixel] } else { 0 };
            let predicted = match kind {
                1 => left,
                2 => up,
                3 => left.midpoint(up),
                4 => paeth(left, up, corner),
                _ => 0,
            };
            out.push(byte.wrapping_add(predicted));
        }
    }
    out
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |value: u8| (estimate - i16::from(value)).abs();
    let nearest = |a: u8, b: u8| if distance(a) <= distance(b) { a } else { b };
    nearest(nearest(left, up), corner)
}
