//! The markers that script an answer.

/// What a marker asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Script {
    /// No marker: one sentence.
    #[default]
    Say,
    /// `[[long]]`: streamed, counts for ever, a number a millisecond; whole, never answers (it is still counting).
    Long,
    /// `[[flood]]`: streamed, counts for ever as fast as the connection takes it.
    Flood,
    /// `[[count N]]`: counts to N as fast as the connection takes it, then ends properly.
    Count(u64),
    /// `[[slow]]`: never answers; holds until the connection closes.
    Slow,
    /// `[[stall]]`: streamed, the answer's head and two words, then nothing more until the connection closes.
    Stall,
    /// `[[cut]]`: streamed, two words, then the connection breaks in the middle of the answer.
    Cut,
    /// `[[tool]]`: calls the first of the request's tools. So does the word "weather" if there are tools.
    Tool,
    /// `[[think]]`: a `reasoning_content` before the answer.
    Think,
    /// `[[utf8]]`: characters of two, three and four bytes, streamed in pieces of three bytes.
    Utf8,
    /// `[[sse-odd]]`: streamed with comments, CRLF, unknown events and fields, and doubled spaces.
    SseOdd,
    /// `[[error NNN]]`: this status, with an OpenAI-like JSON error.
    Error(u16),
    /// `[[html NNN]]`: this status, with an HTML page like nginx's.
    Html(u16),
    /// `[[redirect URL]]`: 307 to this URL.
    Redirect(String),
}

impl Script {
    /// Finds the first marker in a text. What is not a marker is ignored.
    #[must_use]
    pub fn find(text: &str) -> Self {
        text.split("[[").skip(1).filter_map(|rest| Self::parse(rest.split_once("]]")?.0)).next().unwrap_or_default()
    }

    fn parse(marker: &str) -> Option<Self> {
        let (word, argument) = marker.split_once(' ').unwrap_or((marker, ""));
        Some(match word {
            "long" => Self::Long,
            "flood" => Self::Flood,
            "count" => Self::Count(argument.parse().ok()?),
            "slow" => Self::Slow,
            "stall" => Self::Stall,
            "cut" => Self::Cut,
            "tool" => Self::Tool,
            "think" => Self::Think,
            "utf8" => Self::Utf8,
            "sse-odd" => Self::SseOdd,
            "error" => Self::Error(argument.parse().ok()?),
            "html" => Self::Html(argument.parse().ok()?),
            "redirect" => Self::Redirect(argument.to_owned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn markers_are_found_anywhere() {
        let check = |text, expect| assert_eq!(Script::find(text), expect, "{text}");
        check("hello", Script::Say);
        check("please [[long]] now", Script::Long);
        check("[[nothing]] [[error 503]]", Script::Error(503));
        check("[[error many]]", Script::Say);
        check("[[redirect http://127.0.0.1:1/x]]", Script::Redirect("http://127.0.0.1:1/x".to_owned()));
        check("[[count 1000]]", Script::Count(1000));
        check("[[long", Script::Say);
    }
}
