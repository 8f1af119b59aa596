//! The bounded decoder: round trips, bombs, broken streams, and what must hold for any bytes.

#![expect(clippy::unwrap_used, reason = "a helper of a test that panics is a test that fails")]

mod bombs;
mod broken;
mod encode;
mod invariants;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, header};
use owl_egress::web::decode::{DecodeLimits, Decoder};
use proptest::prelude::{Just, Strategy as _, any, prop, prop_oneof, proptest};

use crate::encode::{ENCODERS, encode, text};
use crate::invariants::{any_bytes, cut, decode};

const MIB: u64 = 1024 * 1024;

fn headers(values: &[&'static str]) -> HeaderMap {
    values.iter().map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value))).collect()
}

#[test]
fn one_known_encoding_or_none() {
    let check = |values: &[&'static str], expect: Option<bool>| {
        let decoder = Decoder::new(&headers(values), DecodeLimits::new(MIB));
        assert_eq!(decoder.as_ref().ok().map(Decoder::is_identity), expect, "{values:?}");
        if let Err(error) = decoder {
            assert_eq!(error.code(), "encoding_unsupported", "{values:?}");
        }
    };
    for plain in [&[][..], &[""], &["identity"], &["Identity, identity"], &["identity", ""]] {
        check(plain, Some(true));
    }
    for known in ["gzip", "x-gzip", "GZip", "deflate", "br", "zstd", " br ", "identity, gzip", "zstd,"] {
        check(&[known], Some(false));
    }
    for bad in ["gzip, gzip", "gzip,br", "compress", "none", "x-zstd", "dcb", "aws-chunked", "gzip;q=1", "gzip gzip"] {
        check(&[bad], None);
    }
    check(&["gzip", "gzip"], None);
    check(&["identity", "br", "gzip"], None);
}

#[test]
fn an_empty_body_is_one_whatever_the_header_says() {
    for coding in invariants::CODINGS {
        assert_eq!(decode(coding, DecodeLimits::new(MIB), []).unwrap(), b"", "{coding}");
    }
}

#[test]
fn a_plain_body_is_bounded_too() {
    let limits = DecodeLimits::new(10);
    assert_eq!(decode("identity", limits, [&b"01234"[..], b"56789"]).unwrap(), b"0123456789");
    let error = decode("identity", limits, [&b"01234"[..], b"567890"]).unwrap_err();
    assert_eq!(error.code(), "body_too_large");
}

#[test]
fn the_limit_is_exact() {
    let body = text(100_000);
    for (name, coding, encoder) in ENCODERS {
        let encoded = encoder(&body);
        let decoded = decode(coding, DecodeLimits::new(100_000), [&encoded[..]]).unwrap();
        assert!(decoded == body, "{name}");
        let error = decode(coding, DecodeLimits::new(99_999), [&encoded[..]]).unwrap_err();
        assert_eq!(error.code(), "body_too_large", "{name}");
    }
}

#[test]
fn a_body_larger_than_every_window_comes_back() {
    // Longer than zstd's window, with matches that reach far back.
    let body = text(1_500_000).repeat(6);
    for (name, coding, encoder) in ENCODERS {
        let encoded = encoder(&body);
        let decoded = decode(coding, DecodeLimits::new(20 * MIB), encoded.chunks(16_000)).unwrap();
        assert!(decoded == body, "{name}");
    }
}

#[test]
fn members_and_frames_follow_one_another() {
    let (one, two) = (text(5000), text(700));
    let whole = [&one[..], &two].concat();
    let check = |coding, parts: &[&[u8]]| {
        let body = parts.concat();
        for seed in 0..20 {
            assert!(decode(coding, DecodeLimits::new(MIB), cut(&body, seed)).unwrap() == whole, "{coding}");
        }
    };
    check("gzip", &[&encode("gzip", &one), &encode("gzip", b""), &encode("gzip", &two)]);
    let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
    let nothing_skipped = [0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    let frames = [encode("zstd", &one), encode("zstd", b""), encode("zstd", &two)];
    check("zstd", &[&skipped, &frames[0], &nothing_skipped, &frames[1], &frames[2], &skipped]);
}

fn seeds_with_names() -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/decode");
    let entries = std::fs::read_dir(folder).expect("the target has seeds");
    entries.map(|entry| {
        let path = entry.expect("readable").path();
        let data = std::fs::read(&path).expect("readable");
        (path, data)
    })
}

/// The seeds, and what this test's encoders make of a text.
fn seeds() -> Vec<Vec<u8>> {
    let encoded = ENCODERS.map(|(_, coding, encoder)| {
        let coding = invariants::CODINGS.iter().position(|known| *known == coding).unwrap();
        [&[u8::try_from(coding).unwrap(), 0], &encoder(&text(2500))[..]].concat()
    });
    seeds_with_names().map(|(_, data)| data).chain(encoded).collect()
}

#[test]
fn the_fuzz_seeds_hold_and_decode() {
    let mut count = 0;
    for (path, mut data) in seeds_with_names() {
        for seed in 0..50 {
            data[1] = seed;
            any_bytes(&data);
        }
        let is_sound = path.extension().is_some_and(|extension| extension == "ok");
        let coding = invariants::CODINGS[usize::from(data[0])];
        assert_eq!(decode(coding, DecodeLimits::new(MIB), [&data[2..]]).is_ok(), is_sound, "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "no seeds");
}

proptest! {
    #[test]
    fn what_was_encoded_comes_back_however_it_is_cut(
        which in 0..ENCODERS.len(),
        seed: u64,
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3000),
            prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n')], 0..3000),
            (0usize..40_000).prop_map(text),
        ],
    ) {
        let (name, coding, encoder) = ENCODERS[which];
        let encoded = encoder(&body);
        let decoded = decode(coding, DecodeLimits::new(MIB), cut(&encoded, seed)).unwrap();
        assert!(decoded == body, "{name}");
    }

    #[test]
    fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
        any_bytes(&data);
    }

    /// Broken streams that look like streams for long: a few bytes of a seed are others.
    #[test]
    fn no_changed_bytes_panic(
        which: prop::sample::Index,
        seed: u8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(seeds);
        let mut data = which.get(&SEEDS).clone();
        data[1] = seed;
        for (at, xor) in changes {
            let at = 2 + at.index(data.len() - 2);
            data[at] ^= xor;
        }
        any_bytes(&data);
    }
}
