//! Little that stands for a gigabyte. `decode` looks after the memory: it asserts that no output outgrows the limit.

use std::io::Write as _;

use flate2::{Compress, Compression, FlushCompress};
use owl_egress::web::decode::DecodeLimits;

use crate::MIB;
use crate::invariants::decode;

/// So many MiB of zeros as deflate blocks that depend on nothing before them.
fn blocks(count: usize) -> Vec<u8> {
    let mut one = Vec::with_capacity(64 * 1024);
    Compress::new(Compression::fast(), false)
        .compress_vec(&vec![0; usize::try_from(MIB).unwrap()], &mut one, FlushCompress::Full)
        .unwrap();
    one.repeat(count)
}

fn deflate_bomb() -> Vec<u8> {
    [&[0x78, 0x01][..], &blocks(1024)].concat()
}

fn gzip_bomb() -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &blocks(1024)].concat()
}

/// No two blocks alike, so that only the number of members makes the size.
fn gzip_bomb_of_members() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![0; usize::try_from(MIB).unwrap()]).unwrap();
    encoder.finish().unwrap().repeat(1024)
}

/// A flush ends each MiB at a whole byte, and from the second one on they are alike.
fn br_bomb() -> Vec<u8> {
    let zeros = vec![0; usize::try_from(MIB).unwrap()];
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 2, 24);
    let mut flushed = || {
        encoder.write_all(&zeros).unwrap();
        encoder.flush().unwrap();
        encoder.get_ref().len()
    };
    let ends = [flushed(), flushed(), flushed()];
    let encoded = encoder.get_ref();
    assert_eq!(encoded[ends[0]..ends[1]], encoded[ends[1]..ends[2]]);
    [&encoded[..ends[0]], &encoded[ends[0]..ends[1]].repeat(1023)].concat()
}

/// `window` is the header's byte; blocks of one byte, repeated 128 KiB.
fn zstd_bomb(window: u8) -> Vec<u8> {
    let block = u32::try_from((128 * 1024) << 3 | 1 << 1).unwrap().to_le_bytes();
    let blocks = [&block[..3], b"\0"].concat().repeat(8192);
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, window][..], &blocks].concat()
}

#[test]
fn a_gigabyte_is_not_unpacked() {
    let bombs = [
        ("deflate", deflate_bomb()),
        ("deflate", blocks(1024)),
        ("gzip", gzip_bomb()),
        ("gzip", gzip_bomb_of_members()),
        ("br", br_bomb()),
        ("zstd", zstd_bomb(7 << 3)),
        ("zstd", zstd_bomb(13 << 3)),
    ];
    let no_ratio = DecodeLimits { ratio: u64::MAX, ..DecodeLimits::new(10 * MIB) };
    for (coding, bomb) in bombs {
        for limits in [DecodeLimits::new(10 * MIB), no_ratio, DecodeLimits::new(u64::MAX)] {
            for size in [bomb.len(), 1500] {
                if limits.body_bytes < u64::MAX || size == 1500 {
                    let error = decode(coding, limits, bomb.chunks(size)).unwrap_err();
                    assert_eq!(error.code(), "body_too_large", "{coding}, {limits:?}");
                }
            }
        }
    }
}

#[test]
fn the_ratio_counts_from_the_first_mebibyte_on() {
    let limits = DecodeLimits::new(10 * MIB);
    let whole_mib = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &blocks(1)].concat();
    // Unfinished, but not refused for its ratio, which is ten times what is allowed later.
    assert!(whole_mib.len() * 200 < usize::try_from(MIB).unwrap());
    assert_eq!(decode("gzip", limits, [&whole_mib[..]]).unwrap_err().code(), "bad_encoding");
    let one_more = [&whole_mib[..], &blocks(1)].concat();
    assert_eq!(decode("gzip", limits, [&one_more[..]]).unwrap_err().code(), "body_too_large");
}

#[test]
fn a_frame_that_says_that_it_is_too_large_is_believed() {
    let says = |size: u64| [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &size.to_le_bytes()].concat();
    let code = |size| decode("zstd", DecodeLimits::new(10 * MIB), [&says(size)[..]]).unwrap_err().code();
    assert_eq!(code(1024 * MIB), "body_too_large");
    assert_eq!(code(u64::MAX), "body_too_large");
    // Within the limit, but it asks for a window of its own size.
    assert_eq!(code(9 * MIB), "bad_encoding");
}
