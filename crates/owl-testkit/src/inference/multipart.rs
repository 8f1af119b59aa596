//! Just enough of multipart/form-data (RFC 7578) to see what was uploaded.

/// One part of a form.
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) body: &'a [u8],
}

impl Part<'_> {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

/// The parts of a form; empty if this is none.
pub(super) fn parse<'a>(content_type: &str, body: &'a [u8]) -> Vec<Part<'a>> {
    let Some(boundary) = parameter(content_type, "boundary") else { return Vec::new() };
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut rest = body;
    while let Some(start) = find(rest, delimiter.as_bytes()) {
        rest = &rest[start + delimiter.len()..];
        let Some(end) = find(rest, delimiter.as_bytes()) else { break };
        parts.extend(parse_part(&rest[..end]));
    }
    parts
}

fn parse_part(bytes: &[u8]) -> Option<Part<'_>> {
    let blank = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..blank]);
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let body = bytes[blank + 4..].strip_suffix(b"\r\n")?;
    Some(Part { name: parameter(line, "name")?, file_name: parameter(line, "filename"), body })
}

fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').find_map(|piece| {
        let (key, value) = piece.split_once('=')?;
        (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
