//! How a selector is read.

use super::{Combinator, Operator, Selector, Selectors, Test};

/// The longest list of selectors, in bytes.
const LONGEST: usize = 1024;

/// How deep `:not(:is(…))` may go.
const DEEPEST: usize = 8;

pub(super) fn parse(text: &str) -> Result<Selectors, String> {
    if text.len() > LONGEST {
        return Err(format!("it has {} bytes, {LONGEST} are allowed", text.len()));
    }
    let mut parser = Parser { rest: text, depth: 0 };
    let list = parser.list(false)?;
    if parser.rest.is_empty() { Ok(list) } else { Err(parser.unexpected()) }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(_) => format!("not understood from `{}` on", self.rest.chars().take(20).collect::<String>()),
            None => "it ends too early".to_owned(),
        }
    }

    fn spaces(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
        self.rest.len() < before
    }

    fn take(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Selectors with commas between them; `relative`: each may begin with a combinator, as in `:has`.
    fn list(&mut self, relative: bool) -> Result<Selectors, String> {
        let mut list = Vec::new();
        loop {
            self.spaces();
            list.push(self.selector(relative)?);
            self.spaces();
            if !self.take(",") {
                return Ok(Selectors(list));
            }
        }
    }

    fn selector(&mut self, relative: bool) -> Result<Selector, String> {
        if relative && self.rest.starts_with(['>', '+', '~']) {
            return Err("`:has` takes no combinator at its beginning here".to_owned());
        }
        let mut steps = vec![(Combinator::Descendant, self.compound()?)];
        loop {
            let spaced = self.spaces();
            let combinator = if self.take(">") {
                Combinator::Child
            } else if self.take("+") {
                Combinator::Next
            } else if self.take("~") {
                Combinator::Later
            } else if spaced && !self.rest.is_empty() && !self.rest.starts_with([',', ')']) {
                Combinator::Descendant
            } else {
                return Ok(Selector(steps));
            };
            self.spaces();
            steps.push((combinator, self.compound()?));
        }
    }

    /// What one element is asked.
    fn compound(&mut self) -> Result<Vec<Test>, String> {
        let mut tests = Vec::new();
        if self.take("*") {
            tests.push(Test::Any);
        } else if self.rest.starts_with(is_name) {
            tests.push(Test::Tag(self.name()?));
        }
        loop {
            if self.take("#") {
                tests.push(attribute("id", Operator::Equals, self.name()?));
            } else if self.take(".") {
                tests.push(attribute("class", Operator::Word, self.name()?));
            } else if self.take("[") {
                tests.push(self.attribute()?);
            } else if self.take("::") {
                return Err("pseudo-elements are no part of a page".to_owned());
            } else if self.take(":") {
                tests.push(self.pseudo_class()?);
            } else if tests.is_empty() {
                return Err(self.unexpected());
            } else {
                return Ok(tests);
            }
        }
    }

    /// A name, with `\` before signs that names do not have.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let mut characters = self.rest.chars();
        while let Some(c) = characters.clone().next() {
            if is_name(c) {
                name.push(c);
                characters.next();
            } else if c == '\\' {
                characters.next();
                name.extend(characters.next());
            } else {
                break;
            }
        }
        self.rest = characters.as_str();
        if name.is_empty() { Err(self.unexpected()) } else { Ok(name) }
    }

    /// After `[`.
    fn attribute(&mut self) -> Result<Test, String> {
        self.spaces();
        let name = self.name()?.to_ascii_lowercase();
        self.spaces();
        if self.take("]") {
            return Ok(attribute(&name, Operator::Exists, String::new()));
        }
        let known = [
            ("~=", Operator::Word),
            ("|=", Operator::Language),
            ("^=", Operator::Begins),
            ("$=", Operator::Ends),
            ("*=", Operator::Contains),
            ("=", Operator::Equals),
        ];
        let operator = known.into_iter().find_map(|(sign, operator)| self.take(sign).then_some(operator));
        let operator = operator.ok_or_else(|| self.unexpected())?;
        self.spaces();
        let value = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.name()?,
        };
        self.spaces();
        let ignore_case = self.take("i") || self.take("I");
        self.spaces();
        if self.take("]") { Ok(Test::Attribute { name, operator, value, ignore_case }) } else { Err(self.unexpected()) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut value = String::new();
        let mut characters = self.rest.chars();
        characters.next();
        loop {
            match characters.next() {
                None => return Err("a quotation mark is missing".to_owned()),
                Some('\\') => value.extend(characters.next()),
                Some(c) if c == quote => break,
                Some(c) => value.push(c),
            }
        }
        self.rest = characters.as_str();
        Ok(value)
    }

    /// After `:`.
    fn pseudo_class(&mut self) -> Result<Test, String> {
        let name = self.name()?.to_ascii_lowercase();
        let at = |of_type, from_end| Test::Position { step: 0, offset: 1, of_type, from_end };
        match name.as_str() {
            "root" => Ok(Test::Root),
            "empty" => Ok(Test::Empty),
            "first-child" => Ok(at(false, false)),
            "last-child" => Ok(at(false, true)),
            "first-of-type" => Ok(at(true, false)),
            "last-of-type" => Ok(at(true, true)),
            "only-child" => Ok(Test::Only { of_type: false }),
            "only-of-type" => Ok(Test::Only { of_type: true }),
            "nth-child" => self.sequence(false, false),
            "nth-last-child" => self.sequence(false, true),
            "nth-of-type" => self.sequence(true, false),
            "nth-last-of-type" => self.sequence(true, true),
            "is" | "where" => self.nested(false).map(Test::Is),
            "not" => self.nested(false).map(Test::Not),
            "has" => self.nested(true).map(Test::Has),
            _ => Err(format!("`:{name}` is not known here")),
        }
    }

    fn nested(&mut self, relative: bool) -> Result<Selectors, String> {
        if !self.take("(") {
            return Err(self.unexpected());
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} selectors in one another"));
        }
        let list = self.list(relative)?;
        self.depth -= 1;
        if self.take(")") { Ok(list) } else { Err(self.unexpected()) }
    }

    /// `(2n+1)`, `(odd)`, `(3)`.
    fn sequence(&mut self, of_type: bool, from_end: bool) -> Result<Test, String> {
        let inner = self.rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (inner, rest) = inner.ok_or_else(|| self.unexpected())?;
        let formula: String = inner.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        let (step, offset) = match formula.as_str() {
            "odd" => (Some(2), Some(1)),
            "even" => (Some(2), Some(0)),
            _ => match formula.split_once('n') {
                Some((step, offset)) => (
                    match step {
                        "" | "+" => Some(1),
                        "-" => Some(-1),
                        _ => number(step),
                    },
                    if offset.is_empty() { Some(0) } else { number(offset) },
                ),
                None => (Some(0), number(&formula)),
            },
        };
        let (Some(step), Some(offset)) = (step, offset) else {
            return Err(format!("`{inner}` is no sequence such as `2n+1`"));
        };
        self.rest = rest;
        Ok(Test::Position { step, offset, of_type, from_end })
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse::<i32>().ok().map(i64::from)
}

fn attribute(name: &str, operator: Operator, value: String) -> Test {
    Test::Attribute { name: name.to_owned(), operator, value, ignore_case: false }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii()
}
