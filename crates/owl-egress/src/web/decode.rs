//! placeholder
use super::error::WebError;
use bytes::BytesMut;
use http::HeaderMap;
pub(super) struct DecodeLimits {
    pub(super) body_bytes: u64,
    pub(super) ratio: u64,
    pub(super) ratio_after: u64,
}
pub(super) struct Decoder;
impl Decoder {
    pub(super) fn new(_h: &HeaderMap, _l: DecodeLimits) -> Result<Self, WebError> {
        Ok(Self)
    }
    pub(super) fn push(&mut self, d: &[u8], out: &mut BytesMut) -> Result<(), WebError> {
        out.extend_from_slice(d);
        Ok(())
    }
    pub(super) fn finish(self, _out: &mut BytesMut) -> Result<(), WebError> {
        Ok(())
    }
}
