//! The tokens by which models' chat templates tell turns, tools and thoughts apart are broken: a space is put in front of
//! what closes them. `<|im_start|>` becomes `<|im_start |>`, which a person reads as before and no tokenizer takes for a
//! token; an HTML or XML tag that merely looks like one (`<s>`) means the same with the space.

use std::borrow::Cow;

/// The longest name of a token, in characters.
const LONGEST: usize = 64;

/// Between `<` or `</` and `>`.
const NAMED: &[&str] = &[
    "BOS_TOKEN",
    "EOS_TOKEN",
    "IMG_CONTEXT",
    "audio",
    "bos",
    "end_of_audio",
    "end_of_image",
    "end_of_turn",
    "endoftext",
    "eoa",
    "eod",
    "eoh",
    "eom",
    "eop",
    "eos",
    "eot",
    "file_sep",
    "function_calls",
    "image",
    "image_soft_token",
    "img",
    "mask",
    "pad",
    "repo_name",
    "s",
    "sep",
    "sop",
    "start_of_audio",
    "start_of_image",
    "start_of_turn",
    "think",
    "tool_call",
    "tool_response",
    "unk",
    "video",
];
/// How names begin that end in a number or a word.
const NUMBERED: &[&str] = &["SPECIAL_", "extra_id_", "fim_", "minimax:", "reserved_", "seed:", "unused"];
/// Between `[` or `[/` and `]`. Those that stand in every manual (`[ARGS]`) do nothing without these.
const BRACKETED: &[&str] = &[
    "AVAILABLE_TOOLS",
    "BEGIN_AUDIO",
    "IMG",
    "IMG_BREAK",
    "IMG_END",
    "INST",
    "MASK",
    "MODEL_SETTINGS",
    "SYSTEM_PROMPT",
    "THINK",
    "TOOL_CALLS",
    "TOOL_CONTENT",
    "TOOL_RESULTS",
    "gMASK",
    "sMASK",
];
/// Between `[|` and `|]`.
const BARRED: &[&str] = &["assistant", "endofturn", "system", "tool", "user"];
/// Those that follow no rule.
const ODD: &[&str] = &["[e~[", "]~!b[", "]~b]"];

/// The text with its tokens broken.
pub(super) fn broken(text: &str) -> Cow<'_, str> {
    let mut made = String::new();
    let mut copied = 0;
    // Within a token there is no other's beginning, so that to go on behind its first character finds the same.
    for (at, _) in text.char_indices().filter(|(_, c)| matches!(fold(*c), '<' | '[' | ']')) {
        if let Some(closing) = token(&text[at..]) {
            made.push_str(&text[copied..at + closing]);
            made.push(' ');
            copied = at + closing;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    made.push_str(&text[copied..]);
    Cow::Owned(made)
}

/// Where that which closes the token begins, if one stands at the beginning of `text`.
fn token(text: &str) -> Option<usize> {
    let odd = ODD.iter().find(|odd| text.starts_with(**odd));
    if let Some(odd) = odd {
        return Some(odd.len() - 1);
    }
    let opening = fold(text.chars().next()?);
    let closing = match opening {
        '<' => '>',
        '[' => ']',
        _ => return None,
    };
    let mut read = Reading { text, at: 0 };
    read.take(opening);
    let doubled = opening == '<' && read.take(opening);
    let bar = !doubled && read.take('|');
    let name = read.name();
    let close = read.at;
    let second_bar = !doubled && read.take('|');
    if !read.take(closing) || (doubled && !read.take(closing)) {
        return None;
    }
    let name: String = name.chars().map(fold).collect();
    let bare = name.strip_prefix('/').unwrap_or(&name);
    let known = match opening {
        '<' if doubled => bare == "SYS",
        '<' if bar || second_bar => !name.is_empty(),
        '<' => NAMED.binary_search(&bare).is_ok() || NUMBERED.iter().any(|begin| bare.starts_with(begin)),
        _ if bar && second_bar => BARRED.binary_search(&bare).is_ok(),
        _ => !bar && !second_bar && BRACKETED.binary_search(&bare).is_ok(),
    };
    known.then_some(close)
}

/// What follows, character by character.
struct Reading<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reading<'a> {
    fn take(&mut self, wanted: char) -> bool {
        match self.text[self.at..].chars().next() {
            Some(c) if fold(c) == wanted => {
                self.at += c.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.char_indices().take(LONGEST).find(|(_, c)| !is_of_name(fold(*c)));
        // One that is longer than any has no end here, and what closes it is not found.
        let name = &rest[..end.map_or(0, |(at, _)| at)];
        self.at += name.len();
        name
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '▁' | '-' | '.' | ':' | '/' | '\\' | '!')
}

/// Fullwidth and small forms as what they stand for: some tokenizers read them so.
fn fold(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{fe64}' => '<',
        '\u{fe65}' => '>',
        '\u{2223}' | '\u{2502}' => '|',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::{BARRED, BRACKETED, NAMED, broken};

    #[test]
    fn the_lists_are_sorted_so_that_they_can_be_searched() {
        assert!(NAMED.is_sorted() && BRACKETED.is_sorted() && BARRED.is_sorted());
    }

    #[test]
    fn tokens_get_a_space() {
        for (token, expect) in [
            ("<|im_start|>", "<|im_start |>"),
            ("<|eot_id|>", "<|eot_id |>"),
            ("<|start_header_id|>system", "<|start_header_id |>system"),
            ("<start_of_turn>user", "<start_of_turn >user"),
            ("<｜begin▁of▁sentence｜>", "<｜begin▁of▁sentence ｜>"),
            ("＜|im_end|＞", "＜|im_end |＞"),
            ("<|channel|>final<|message|>", "<|channel |>final<|message |>"),
            ("<|turn>user\n<turn|>", "<|turn >user\n<turn |>"),
            ("[INST] <<SYS>>\nx\n<</SYS>>[/INST]", "[INST ] <<SYS >>\nx\n<</SYS >>[/INST ]"),
            ("<s>a</s>", "<s >a</s >"),
            ("</think><tool_call>", "</think ><tool_call >"),
            ("<unused99><extra_id_0><fim_prefix>", "<unused99 ><extra_id_0 ><fim_prefix >"),
            ("[|assistant|]", "[|assistant |]"),
            ("]~b]user[e~[", "]~b ]user[e~ ["),
            ("[TOOL_CALLS][gMASK]", "[TOOL_CALLS ][gMASK ]"),
            ("<<s>", "<<s >"),
        ] {
            assert_eq!(broken(token), expect);
            assert_eq!(broken(expect), expect, "a second time changes nothing");
        }
    }

    #[test]
    fn code_and_prose_stay() {
        for text in [
            "a <| b |> c",
            "let f = g <|> h",
            "x <|| y ||> z",
            "if a < s > b",
            "[|1; 2|] and [|x|]",
            "usage: cp [ARGS] [inst] [think]",
            "Vec<string> <strong>b</strong> <a|b|c>",
            "std::cout << SYS >> x",
            "<|two words|>",
            "[link](<https://a.example/>)",
            "a[i]~b[j]",
        ] {
            assert_eq!(broken(text), text);
        }
    }
}
