//! Where a picture comes from: a `data:` URL, an http(s) URL, or a path.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use percent_encoding::percent_decode;

use super::file::too_large;
use crate::tools::ToolError;

/// Base64 as it is met: with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Where a picture comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// What follows `data:`.
    Data(&'a str),
    /// An http(s) URL.
    Web(&'a str),
    /// A path.
    Path(&'a str),
}

impl<'a> Source<'a> {
    /// What `text` is.
    ///
    /// # Errors
    /// It begins with a scheme that pictures do not come by.
    pub(super) fn of(text: &'a str) -> Result<Self, ToolError> {
        let text = text.trim();
        let scheme = text.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme {
            Some((scheme, rest)) if scheme == "data" => Ok(Self::Data(rest)),
            Some((scheme, _)) if scheme == "http" || scheme == "https" => Ok(Self::Web(text)),
            Some((scheme, rest))
                if rest.starts_with("//") && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                Err(ToolError::arguments(format!(
                    "image begins with {scheme:?}: write an http(s) URL, a data: URL or a path"
                )))
            }
            _ if text.is_empty() => {
                Err(ToolError::arguments("image is empty: write an http(s) URL, a data: URL or a path"))
            }
            _ => Ok(Self::Path(text)),
        }
    }

    /// What the source is called in results: never the content itself.
    pub(super) fn name(self) -> String {
        match self {
            Self::Data(_) => "data:".to_owned(),
            Self::Web(url) => {
                owl_egress::TargetUrl::parse(url).map_or_else(|_| "a URL".to_owned(), |url| url.to_string())
            }
            Self::Path(path) => path.to_owned(),
        }
    }
}

/// The bytes of a `data:` URL (RFC 2397), of at most `most`. `rest` is what follows `data:`.
///
/// # Errors
/// It is none, or holds more.
pub(super) fn decode_data(rest: &str, most: u64) -> Result<Bytes, ToolError> {
    let wrong = || ToolError::arguments("image is a data: URL that cannot be read: write data:image/png;base64,…");
    let (head, content) = rest.split_once(',').ok_or_else(wrong)?;
    let is_base64 = head.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    // What is larger encoded than three quarters of it may ever hold is not decoded to find that out.
    let bound = usize::try_from(most).unwrap_or(usize::MAX);
    if content.len() / 4 > bound.div_ceil(3).saturating_mul(3) {
        return Err(too_large(most));
    }
    let decoded: Vec<u8> = percent_decode(content.as_bytes()).collect();
    let bytes = if is_base64 {
        let clean: Vec<u8> = decoded.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        LENIENT.decode(clean).map_err(|_| wrong())?
    } else {
        decoded
    };
    if bytes.len() > bound {
        return Err(too_large(most));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_is() {
        let of = |text| Source::of(text).map_err(|error| error.code);
        assert_eq!(of(" https://a.example/x "), Ok(Source::Web("https://a.example/x")));
        assert_eq!(of("HTTP://a.example"), Ok(Source::Web("HTTP://a.example")));
        assert_eq!(of("data:,x"), Ok(Source::Data(",x")));
        assert_eq!(of("Data:,x"), Ok(Source::Data(",x")));
        assert_eq!(of("a/b.png"), Ok(Source::Path("a/b.png")));
        assert_eq!(of("/a: b.png"), Ok(Source::Path("/a: b.png")));
        assert_eq!(of("12:30.png"), Ok(Source::Path("12:30.png")));
        for wrong in ["file:///etc/passwd", "ftp://a.example/", "gopher://a", "", "  "] {
            assert_eq!(of(wrong), Err("invalid_arguments"), "{wrong}");
        }
    }

    #[test]
    fn data_urls() {
        let decode = |rest: &str, most| decode_data(rest, most).map_err(|error| error.code);
        let right = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        assert_eq!(decode("image/png;base64,aGVsbG8=", 5), right("hello"));
        assert_eq!(decode("image/png;charset=x;BASE64,aGVs%0AbG8", 5), right("hello"));
        assert_eq!(decode(",h%65llo", 5), right("hello"));
        assert_eq!(decode("image/png;base64,aGVsbG8=", 4), Err("image_too_large"));
        let long = format!(";base64,{}", "A".repeat(1000));
        assert_eq!(decode(&long, 4), Err("image_too_large"));
        assert_eq!(decode("image/png;base64", 5), Err("invalid_arguments"));
        assert_eq!(decode(";base64,a*b", 5), Err("invalid_arguments"));
    }
}
