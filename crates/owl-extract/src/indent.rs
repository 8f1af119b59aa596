//! New lines and the blanks at their beginning, which must not outgrow what is indented: what nests a million levels deep
//! would need a million blanks a line.

/// How much may be spent on them.
pub(crate) struct Indent {
    left: usize,
}

impl Indent {
    pub(crate) fn for_text(text: &str) -> Self {
        const SHORT: usize = 64 * 1024;
        Self { left: text.len().saturating_mul(4).max(SHORT) }
    }

    /// Begins a line at a depth; does nothing when all is spent.
    pub(crate) fn new_line(&mut self, out: &mut String, depth: usize) {
        let width = 1 + depth.saturating_mul(2);
        if let Some(left) = self.left.checked_sub(width) {
            self.left = left;
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    }
}
