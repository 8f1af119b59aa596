//! From placed glyphs to lines and paragraphs. A page is read in the order of its content, which writers of PDF keep to;
//! what is found here is where words, lines and paragraphs end.

use super::content::Matrix;

/// How far behind the glyph before a word begins, in parts of the font's size.
const WORD_GAP: f64 = 0.17;
/// From here on it is a column of a table.
const COLUMN_GAP: f64 = 1.5;
/// How far apart the baselines of one paragraph are at most.
const LINE_GAP: f64 = 1.85;

#[derive(Debug, Default)]
pub(super) struct Layout {
    lines: Vec<Line>,
    /// Where the last glyph ended.
    pen: Option<Pen>,
    /// How many bytes of text there are, on all pages.
    pub(super) bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Pen {
    x: f64,
    y: f64,
    /// The direction of the text, of length 1.
    along: (f64, f64),
    size: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    /// Where it begins and ends in its direction, and how far down it is.
    left: f64,
    right: f64,
    down: f64,
    pub(super) size: f64,
}

/// Lines that belong together.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) text: String,
    /// The size of its font.
    pub(super) size: f64,
}

impl Layout {
    /// Places a glyph: its box is one wide and one high under the matrix.
    pub(super) fn glyph(&mut self, text: &str, matrix: Matrix, width: f64) {
        let [a, b, c, d, x, y] = matrix.0;
        let (length, size) = (a.hypot(b), c.hypot(d));
        if !(x.is_finite() && y.is_finite() && length.is_normal() && size.is_normal()) {
            return;
        }
        let along = (a / length, b / length);
        let end = Pen { x: x + a * width, y: y + b * width, along, size };
        let (from, to) = (x * along.0 + y * along.1, end.x * along.0 + end.y * along.1);
        let down = x * along.1 - y * along.0;
        if text.chars().all(|c| c.is_whitespace() || c.is_control()) {
            // A blank moves the pen as the file says: the gap it leaves is judged, or its being there.
            if let (Some(line), Some(pen)) = (self.lines.last_mut(), self.pen)
                && pen.follows(x, y, along)
                && !text.is_empty()
                && !line.text.ends_with(' ')
            {
                line.text.push(' ');
                self.pen = Some(end);
            }
            return;
        }
        let joins = self.pen.filter(|pen| pen.follows(x, y, along));
        match (joins, self.lines.last_mut()) {
            (Some(pen), Some(line)) => {
                let gap = pen.gap(x, y) / size.min(pen.size).max(1e-6);
                if gap > COLUMN_GAP {
                    line.text.truncate(line.text.trim_end().len());
                    line.text.push_str("  ");
                } else if gap > WORD_GAP && !line.text.ends_with(' ') {
                    line.text.push(' ');
                }
                line.text.push_str(text);
                line.right = line.right.max(to);
            }
            _ => self.lines.push(Line { text: text.to_owned(), left: from, right: to, down, size }),
        }
        self.bytes += text.len();
        self.pen = Some(end);
    }

    /// The blocks of the page, which is over.
    pub(super) fn take_blocks(&mut self) -> Vec<Block> {
        self.pen = None;
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|line| !line.text.trim().is_empty());
        let mut blocks = Vec::new();
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let ends = rest.windows(2).position(|pair| is_break(&pair[0], &pair[1]));
            let (block, tail) = rest.split_at(ends.map_or(rest.len(), |at| at + 1));
            blocks.push(Block { text: joined(block), size: block[0].size });
            rest = tail;
        }
        blocks
    }
}

impl Pen {
    /// Whether a glyph there goes on with the line: on its height, in its direction, not far before where it ended.
    fn follows(&self, x: f64, y: f64, along: (f64, f64)) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        let across = dy * self.along.0 - dx * self.along.1;
        let turned = self.along.0 * along.0 + self.along.1 * along.1 < 0.99;
        !turned && across.abs() < 0.5 * self.size && self.gap(x, y) > -self.size
    }

    /// How far ahead of the end a place is.
    fn gap(&self, x: f64, y: f64) -> f64 {
        (x - self.x) * self.along.0 + (y - self.y) * self.along.1
    }
}

/// Whether a new block begins with the second of two lines.
fn is_break(above: &Line, below: &Line) -> bool {
    let size = above.size.max(1e-6);
    let gap = (below.down - above.down) / size;
    let other_font = (below.size - above.size).abs() > 0.15 * size;
    let indented = (below.left - above.left) / size;
    let sentence_ended = above.text.trim_end().ends_with(['.', '!', '?', ':', '。']);
    !(-0.2..=LINE_GAP).contains(&gap)
        || other_font
        || is_item(&below.text)
        || ((0.8..6.0).contains(&indented) && sentence_ended)
}

/// Whether a line begins an item of a list.
fn is_item(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with(['•', '◦', '▪', '‣', '●', '–']) {
        return true;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    (1..=3).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") "))
}

/// The lines of a block as running text: full ones are joined, words that were divided are put together; short ones, of
/// verses, tables and source code, stay lines.
fn joined(lines: &[Line]) -> String {
    let left = lines.iter().map(|line| line.left).fold(f64::INFINITY, f64::min);
    let right = lines.iter().map(|line| line.right).fold(f64::NEG_INFINITY, f64::max);
    let full = right - 0.2 * (right - left);
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let text = line.text.trim();
        if number > 0 {
            let begins_small = text.starts_with(char::is_lowercase);
            let divided = out.ends_with('-') && out[..out.len() - 1].ends_with(char::is_alphabetic);
            if lines[number - 1].right < full || has_leader(&lines[number - 1].text) {
                out.push('\n');
            } else if divided && begins_small {
                out.pop();
            } else if !is_unspaced(&out, text) {
                out.push(' ');
            }
        }
        out.push_str(text);
    }
    out
}

/// Whether dots lead to a page number, as in a table of contents.
fn has_leader(text: &str) -> bool {
    ["....", ". . . .", "::::", "····"].iter().any(|leader| text.contains(leader))
}

/// Whether both sides are of a script that puts no blanks between words.
fn is_unspaced(before: &str, after: &str) -> bool {
    let is = |c: char| matches!(c, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}');
    before.ends_with(is) && after.starts_with(is)
}
