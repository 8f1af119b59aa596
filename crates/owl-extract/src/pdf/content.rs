//! The content of a page: its operators, as far as they place text (ISO 32000-1, 9.4).

use std::collections::HashMap;
use std::rc::Rc;

use super::file::File;
use super::font::Font;
use super::layout::Layout;
use super::object::{Dict, Lexer, Object};
use crate::document::ExtractError;

/// How many states may be saved, and how deep forms may stand in each other.
const MOST_SAVED: usize = 256;
const DEEPEST_FORM: usize = 12;
/// How many operands an operator may have.
const MOST_OPERANDS: usize = 64;

/// Six numbers that move and scale (ISO 32000-1, 8.3.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix(pub(super) [f64; 6]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// First this, then the other.
    fn then(self, other: Self) -> Self {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.0, other.0);
        Self([a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l])
    }

    fn moved(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    fn of(operands: &[Object]) -> Option<Self> {
        let numbers: Vec<f64> = operands.iter().filter_map(Object::number).collect();
        numbers.try_into().ok().map(Self)
    }
}

#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

/// Reads the content of pages into their layout.
pub(super) struct Interpreter<'a, 'b> {
    file: &'b File<'a>,
    /// By number of the object: pages share their fonts.
    fonts: HashMap<u32, Rc<Font>>,
    /// By name, in the content that is being run.
    named: HashMap<Vec<u8>, Option<Rc<Font>>>,
    pub(super) layout: Layout,
    state: State,
    saved: Vec<State>,
    text: Matrix,
    line: Matrix,
}

impl<'a, 'b> Interpreter<'a, 'b> {
    pub(super) fn new(file: &'b File<'a>) -> Self {
        let state = State {
            ctm: Matrix::IDENTITY,
            font: None,
            size: 1.0,
            char_space: 0.0,
            word_space: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
        };
        let (text, line) = (Matrix::IDENTITY, Matrix::IDENTITY);
        let (fonts, named) = (HashMap::new(), HashMap::new());
        Self { file, fonts, named, layout: Layout::default(), state, saved: Vec::new(), text, line }
    }

    pub(super) fn page(&mut self, content: &[u8], resources: &Dict) -> Result<(), ExtractError> {
        let fresh = Self::new(self.file);
        self.state = fresh.state;
        self.saved.clear();
        self.run(content, resources, 0)
    }

    fn run(&mut self, content: &[u8], resources: &Dict, depth: usize) -> Result<(), ExtractError> {
        let mut lexer = Lexer::new(content, 0);
        let mut operands: Vec<Object> = Vec::new();
        self.named.clear();
        while let Some(object) = lexer.object() {
            let Object::Word(operator) = object else {
                if operands.len() < MOST_OPERANDS {
                    operands.push(object);
                }
                continue;
            };
            match &operator[..] {
                b"BI" => skip_picture(&mut lexer),
                b"Do" => self.form(&operands, resources, depth)?,
                b"Tf" => self.font(&operands, resources)?,
                operator => self.place(operator, &operands),
            }
            operands.clear();
        }
        Ok(())
    }

    fn place(&mut self, operator: &[u8], operands: &[Object]) {
        let number = |at: usize| operands.get(at).and_then(Object::number).filter(|n| n.is_finite()).unwrap_or(0.0);
        match operator {
            b"q" if self.saved.len() < MOST_SAVED => self.saved.push(self.state.clone()),
            b"Q" => self.state = self.saved.pop().unwrap_or_else(|| self.state.clone()),
            b"cm" => {
                if let Some(matrix) = Matrix::of(operands) {
                    self.state.ctm = matrix.then(self.state.ctm);
                }
            }
            b"BT" => self.begin_line(Matrix::IDENTITY),
            b"Tc" => self.state.char_space = number(0),
            b"Tw" => self.state.word_space = number(0),
            b"Tz" => self.state.stretch = number(0) / 100.0,
            b"TL" => self.state.leading = number(0),
            b"Ts" => self.state.rise = number(0),
            b"Td" => self.next_line(number(0), number(1)),
            b"TD" => {
                self.state.leading = -number(1);
                self.next_line(number(0), number(1));
            }
            b"Tm" => {
                if let Some(matrix) = Matrix::of(operands) {
                    self.begin_line(matrix);
                }
            }
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tj" => self.show(operands.first()),
            b"TJ" => self.show_all(operands.first()),
            b"'" => {
                self.next_line(0.0, -self.state.leading);
                self.show(operands.first());
            }
            b"\"" => {
                self.state.word_space = number(0);
                self.state.char_space = number(1);
                self.next_line(0.0, -self.state.leading);
                self.show(operands.get(2));
            }
            _ => {}
        }
    }

    fn begin_line(&mut self, matrix: Matrix) {
        self.line = matrix;
        self.text = matrix;
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.begin_line(Matrix::moved(x, y).then(self.line));
    }

    fn show_all(&mut self, items: Option<&Object>) {
        for item in items.and_then(Object::array).unwrap_or_default() {
            match item {
                Object::Number(back) => {
                    let shift = -back / 1000.0 * self.state.size * self.state.stretch;
                    self.text = Matrix::moved(shift, 0.0).then(self.text);
                }
                text => self.show(Some(text)),
            }
        }
    }

    fn show(&mut self, string: Option<&Object>) {
        let (Some(string), Some(font)) = (string.and_then(Object::text), self.state.font.clone()) else { return };
        let State { ctm, size, char_space, word_space, stretch, rise, .. } = self.state;
        for glyph in font.glyphs(string) {
            let placed = Matrix([size * stretch, 0.0, 0.0, size, 0.0, rise]).then(self.text).then(ctm);
            self.layout.glyph(&glyph.text, placed, glyph.width);
            let spacing = char_space + if glyph.is_space { word_space } else { 0.0 };
            self.text = Matrix::moved((glyph.width * size + spacing) * stretch, 0.0).then(self.text);
        }
    }

    fn font(&mut self, operands: &[Object], resources: &Dict) -> Result<(), ExtractError> {
        let [Object::Name(name), Object::Number(size)] = operands else { return Ok(()) };
        self.state.size = *size;
        if !self.named.contains_key(name) {
            let font = self.find_font(name, resources)?;
            self.named.insert(name.clone(), font);
        }
        self.state.font = self.named.get(name).cloned().flatten();
        Ok(())
    }

    fn find_font(&mut self, name: &[u8], resources: &Dict) -> Result<Option<Rc<Font>>, ExtractError> {
        let fonts = self.file.get(resources, "Font");
        let Some(found) = fonts.dict().zip(std::str::from_utf8(name).ok()).and_then(|(fonts, name)| fonts.get(name))
        else {
            return Ok(None);
        };
        let key = if let Object::Reference(number) = found { Some(*number) } else { None };
        if let Some(font) = key.and_then(|key| self.fonts.get(&key)) {
            return Ok(Some(Rc::clone(font)));
        }
        let object = self.file.resolve(found);
        let Some(dict) = object.dict() else { return Ok(None) };
        let font = Rc::new(Font::read(self.file, dict)?);
        self.fonts.extend(key.map(|key| (key, Rc::clone(&font))));
        Ok(Some(font))
    }

    /// Runs a form: content that is placed as a whole. Pictures have no text.
    fn form(&mut self, operands: &[Object], resources: &Dict, depth: usize) -> Result<(), ExtractError> {
        let Some(name) = operands.first().and_then(Object::name).and_then(|name| std::str::from_utf8(name).ok()) else {
            return Ok(());
        };
        let forms = self.file.get(resources, "XObject");
        let Some(reference) = forms.dict().and_then(|forms| forms.get(name)) else { return Ok(()) };
        let object = self.file.resolve(reference);
        let Some(dict) = object.dict().filter(|dict| dict.get("Subtype").and_then(Object::name) == Some(b"Form"))
        else {
            return Ok(());
        };
        if depth >= DEEPEST_FORM {
            return Ok(());
        }
        let Some(content) = self.file.stream(reference)? else { return Ok(()) };
        let outside = (self.state.clone(), std::mem::take(&mut self.saved), std::mem::take(&mut self.named));
        if let Some(matrix) = self.file.get(dict, "Matrix").array().and_then(Matrix::of) {
            self.state.ctm = matrix.then(self.state.ctm);
        }
        let own = self.file.get(dict, "Resources");
        self.run(&content, own.dict().unwrap_or(resources), depth + 1)?;
        (self.state, self.saved, self.named) = outside;
        Ok(())
    }
}

/// Goes behind a picture in the content: `BI … ID bytes EI`.
fn skip_picture(lexer: &mut Lexer<'_>) {
    let rest = &lexer.bytes[lexer.at..];
    let ends = memchr::memmem::find_iter(rest, b"EI");
    let is_space = |at: Option<usize>| at.and_then(|at| rest.get(at)).is_none_or(|b| super::object::is_space(*b));
    let end = { ends }.find(|at| is_space(at.checked_sub(1)) && is_space(Some(at + 2)));
    lexer.at += end.map_or(rest.len(), |end| end + 2);
}
