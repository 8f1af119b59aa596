//! CSV and TSV as a Markdown table.

use csv::{ReaderBuilder, StringRecord};

use crate::document::Mode;

/// What cells are separated by, more likely ones first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Writes a table, in Markdown, or with tabs as plain text. `None` when there are no columns in it: it is a text then.
pub(crate) fn read(text: &str, is_tsv: bool, mode: Mode) -> Option<String> {
    let delimiter = if is_tsv { b'\t' } else { delimiter_of(text)? };
    let mut columns = 0;
    each_row(text, delimiter, |row| {
        columns = columns.max(row.len());
        true
    });
    if columns < 2 {
        return None;
    }
    let mut out = String::new();
    each_row(text, delimiter, |row| {
        match mode {
            Mode::Markdown if out.is_empty() => {
                // Only the head is filled up to the width of the table, or one wide row would widen them all.
                markdown_row(&mut out, row, columns);
                out.push('|');
                out.extend(std::iter::repeat_n(" --- |", columns));
                out.push('\n');
            }
            Mode::Markdown => markdown_row(&mut out, row, row.len()),
            Mode::Text | Mode::Raw => plain_row(&mut out, row),
        }
        true
    });
    Some(out)
}

/// Shows the rows that are not empty one after the other, as long as `take` wants more. None is kept: a record of this
/// reader keeps the room of the widest before it.
fn each_row(text: &str, delimiter: u8, mut take: impl FnMut(&StringRecord) -> bool) {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut row = StringRecord::new();
    // The text is text, and any number of cells is taken: there is no error left to come.
    while matches!(reader.read_record(&mut row), Ok(true)) {
        if row.iter().any(|cell| !cell.trim().is_empty()) && !take(&row) {
            return;
        }
    }
}

/// Whichever divides the first rows into the most columns, as many in each.
fn delimiter_of(text: &str) -> Option<u8> {
    const LOOKED_AT: usize = 16 * 1024;
    const ROWS: usize = 20;
    let end = (0..=text.len().min(LOOKED_AT)).rev().find(|at| text.is_char_boundary(*at))?;
    let is_whole = end == text.len();
    let score = |delimiter: u8| {
        let mut widths = Vec::new();
        each_row(&text[..end], delimiter, |row| {
            widths.push(row.len());
            widths.len() < ROWS
        });
        if !is_whole && widths.len() > 1 && widths.len() < ROWS {
            widths.pop();
        }
        let first = widths.first().copied().unwrap_or(0);
        let alike = widths.iter().filter(|width| **width == first).count();
        (first > 1).then_some((alike * 10 / widths.len().max(1), first))
    };
    let best = DELIMITERS.into_iter().rev().filter_map(|delimiter| Some((score(delimiter)?, delimiter)));
    best.max_by_key(|(score, _)| *score).map(|(_, delimiter)| delimiter)
}

fn markdown_row(out: &mut String, row: &StringRecord, width: usize) {
    out.push('|');
    for cell in row {
        out.push(' ');
        for (number, line) in cell.trim().lines().enumerate() {
            if number > 0 {
                out.push_str("<br>");
            }
            for c in line.chars() {
                if c == '|' {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        out.push_str(" |");
    }
    out.extend(std::iter::repeat_n("  |", width.saturating_sub(row.len())));
    out.push('\n');
}

fn plain_row(out: &mut String, row: &StringRecord) {
    for (number, cell) in row.iter().enumerate() {
        if number > 0 {
            out.push('\t');
        }
        for (word_number, word) in cell.split_whitespace().enumerate() {
            if word_number > 0 {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{delimiter_of, read};
    use crate::document::Mode;

    #[test]
    fn the_delimiter_is_found() {
        let check = |text: &str, expected: Option<u8>| assert_eq!(delimiter_of(text), expected, "{text:?}");
        check("a,b\n1,2\n", Some(b','));
        check("a;b;c\n1,5;2,5;3,5\n", Some(b';'));
        check("a\tb\n1,2\t3\n", Some(b'\t'));
        check("a|b\n1|2", Some(b'|'));
        check("\"a;b;c\",d\n\"1;2;3\",4\n", Some(b','));
        check("one line\nanother\n", None);
        check("", None);
    }

    #[test]
    fn cells_stay_cells() {
        let text =
            "name,note,price\r\n\"Owl, great\",\"says \"\"hoo\"\"\nat night\",1\n\na|b,,\nlong,er,row,here\nshort";
        insta::assert_snapshot!(read(text, false, Mode::Markdown).expect("a table"), @r#"
        | name | note | price |  |
        | --- | --- | --- | --- |
        | Owl, great | says "hoo"<br>at night | 1 |
        | a\|b |  |  |
        | long | er | row | here |
        | short |
        "#);
        insta::assert_snapshot!(read("a;b c\n1;\"2\n3\"\n", false, Mode::Text).expect("a table"), @"
        a	b c
        1	2 3
        ");
        assert_eq!(read("a\nb\n", false, Mode::Markdown), None);
        assert_eq!(read("a,b\nc,d\n", true, Mode::Markdown), None);
    }

    #[test]
    fn one_wide_row_does_not_widen_the_others() {
        let text = format!("a,b\n{}\n{}", ",".repeat(100_000) + "x", "1,2\n".repeat(100_000));
        assert!(read(&text, false, Mode::Markdown).expect("a table").len() < text.len() * 12);
    }
}
