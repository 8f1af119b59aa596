//! The calls of one turn, told apart by what servers say of them: an index, an id, a name, or none of it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::TurnEvent;
use super::chunk::CallPiece;

/// The calls so far.
#[derive(Debug, Default)]
pub(super) struct KnownCalls {
    known: Vec<KnownCall>,
    /// The last call of each index, and of each id.
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
    given: HashSet<String>,
    /// How many were told.
    told: usize,
}

/// A call that has begun.
#[derive(Debug)]
struct KnownCall {
    /// The server's own id.
    id: Option<String>,
    /// The id that it has here.
    given: String,
    /// Its place among the calls that were told; it is told once it has a name.
    told: Option<usize>,
    /// Pieces that came before the name.
    waiting: String,
    /// Its last piece was a complete JSON object.
    whole: bool,
}

impl KnownCalls {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// A piece of a call, as a server sends it.
    pub(super) fn piece(&mut self, call: CallPiece, out: &mut Vec<TurnEvent>) {
        let CallPiece { index, id, name, arguments } = call;
        let at = match self.find(index, id.as_deref(), name.is_some()) {
            Some(at) => at,
            None => self.begin(Some(index), id),
        };
        match name {
            Some(name) => self.tell(at, name, out),
            None if self.known[at].told.is_none() => {
                self.known[at].waiting.push_str(&arguments);
                return;
            }
            None => {}
        }
        self.tell_piece(at, &arguments, out);
    }

    /// Tells of a call, unless that was done.
    fn tell(&mut self, at: usize, name: String, out: &mut Vec<TurnEvent>) {
        let known = &mut self.known[at];
        if known.told.is_none() {
            known.told = Some(self.told);
            out.push(TurnEvent::CallBegan { index: self.told, id: known.given.clone(), name });
            self.told += 1;
        }
    }

    /// Tells a piece of a call's arguments, with what has waited for the name.
    fn tell_piece(&mut self, at: usize, arguments: &str, out: &mut Vec<TurnEvent>) {
        let known = &mut self.known[at];
        let piece = std::mem::take(&mut known.waiting) + arguments;
        if let Some(index) = known.told
            && !piece.is_empty()
        {
            known.whole = is_whole(&piece);
            out.push(TurnEvent::CallArguments { index, piece });
        }
    }

    /// A call that stood in the text.
    pub(super) fn whole(&mut self, name: String, arguments: &str, out: &mut Vec<TurnEvent>) {
        let at = self.begin(None, None);
        self.tell(at, name, out);
        self.tell_piece(at, arguments, out);
        self.known[at].whole = true;
    }

    /// Calls that never got a name are told all the same: the one who asked may know what they are.
    pub(super) fn finish(&mut self, out: &mut Vec<TurnEvent>) {
        for at in 0..self.known.len() {
            self.tell(at, String::new(), out);
            self.tell_piece(at, "", out);
        }
    }

    /// Which call a piece belongs to: that of its index, unless the id is another one; and where a name comes again after complete
    /// arguments, it is a new one, for some servers send whole calls that all have the same index.
    fn find(&self, index: u64, id: Option<&str>, named: bool) -> Option<usize> {
        let at = *self.by_index.get(&index)?;
        let known = &self.known[at];
        let at = match (id, known.id.as_deref()) {
            (Some(id), Some(before)) if id != before => *self.by_id.get(id)?,
            _ => at,
        };
        let known = &self.known[at];
        (!(known.told.is_some() && known.whole && named)).then_some(at)
    }

    fn begin(&mut self, index: Option<u64>, id: Option<String>) -> usize {
        let at = self.known.len();
        let own = id.clone().filter(|id| !self.given.contains(id));
        let mut given = own.unwrap_or_else(|| format!("call_{at}"));
        while self.given.contains(&given) {
            given.push('_');
        }
        self.given.insert(given.clone());
        if let Some(index) = index {
            self.by_index.insert(index, at);
        }
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), at);
        }
        self.known.push(KnownCall { id, given, told: None, waiting: String::new(), whole: false });
        at
    }
}

/// Whether a piece is a JSON object of its own: servers that send whole calls do so in one piece.
fn is_whole(piece: &str) -> bool {
    piece.starts_with('{') && piece.ends_with('}') && serde_json::from_str::<Map<String, Value>>(piece).is_ok()
}
