//! A YAML text as a tree in which every node knows its place.
//!
//! It knows no key of a scenario; what a node must be is decided in `decode`. Variables are filled in
//! here, so that everything behind sees plain values.

mod yaml;

use std::ops::Range;

use yaml::{Location, Scalar, Spanned, Tree, bytes};

use super::problems::{MAX_KEPT, Problem};
use super::source::Source;
use super::variables::{VariableError, Variables};

/// A YAML document.
#[derive(Debug)]
pub struct Document<'t> {
    source: &'t Source,
    nodes: Vec<Node>,
}

/// A node of a [`Document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(u32);

/// Where a problem is: at a node's value, or at its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// At the value.
    Value(NodeId),
    /// At the key (or the value, where there is no key).
    Key(NodeId),
}

impl Spot {
    /// The node, whichever part of it is meant.
    pub fn node(self) -> NodeId {
        match self {
            Spot::Value(node) | Spot::Key(node) => node,
        }
    }
}

/// What a node holds.
#[derive(Debug)]
pub enum Content {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// Text.
    Text(String),
    /// Text with variables filled in: it may be read as whatever is expected at its place, since a
    /// variable has no way to say whether it is a number.
    Filled(String),
    /// Text with a variable that cannot be filled in, which has been noted.
    Unusable,
    /// Items in order.
    List(Vec<NodeId>),
    /// Entries in the order of the file, no key twice.
    Map(Vec<(String, NodeId)>),
}

impl Content {
    /// What it is, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::Text(_) | Content::Filled(_) | Content::Unusable => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

#[derive(Debug)]
struct Node {
    parent: Option<NodeId>,
    step: Step,
    /// Bytes of the value; for lists and maps only where they begin.
    span: Range<usize>,
    key_span: Option<Range<usize>>,
    content: Content,
}

#[derive(Debug)]
enum Step {
    Root,
    Key(String),
    Index(usize),
}

impl<'t> Document<'t> {
    /// The outermost node.
    pub const ROOT: NodeId = NodeId(0);

    /// Reads `source` and fills in `variables`. Duplicate keys and unusable variables are problems
    /// that leave a document behind; wrong YAML leaves none.
    pub fn read(source: &'t Source, variables: &Variables) -> (Option<Self>, Vec<Problem>) {
        let mut document = Document { source, nodes: Vec::new() };
        let tree = match yaml::read(source.file()) {
            Ok(tree) => tree,
            Err(error) => {
                let place = error.offset..error.offset;
                return (None, vec![document.problem(place, String::new(), error.message, error.hint)]);
            }
        };
        let mut reader = Reader { document: &mut document, base: 0, variables, problems: Vec::new() };
        reader.add(None, Step::Root, None, tree);
        let problems = reader.problems;
        (Some(document), problems)
    }

    /// A problem at some bytes of the source.
    pub fn problem(
        &self,
        span: Range<usize>,
        path: String,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        let (part, begin, text) = self.source.part(span.start);
        let span = span.start - begin..span.end.saturating_sub(begin);
        Problem::new(text, span, path, message, hint).in_part(part)
    }

    /// What `node` holds.
    pub fn content(&self, node: NodeId) -> &Content {
        &self.node(node).content
    }

    /// The text the document was read from.
    pub fn source(&self) -> &'t Source {
        self.source
    }

    /// The bytes of `spot` in the source.
    pub fn span(&self, spot: Spot) -> Range<usize> {
        let node = self.node(spot.node());
        match (spot, &node.key_span) {
            (Spot::Key(_), Some(span)) => span.clone(),
            _ => node.span.clone(),
        }
    }

    /// The bytes of `part` of the text in `node`, or of the whole node where escapes, folding or
    /// variables keep the text from standing in the source as it is.
    pub fn span_within(&self, node: NodeId, part: Range<usize>) -> Range<usize> {
        let whole = self.span(Spot::Value(node));
        let written = self.source.text().get(whole.clone()).unwrap_or("");
        let Content::Text(text) = self.content(node) else { return whole };
        let quote = usize::from(written.starts_with(['"', '\'']));
        match written.get(quote..) {
            Some(inner) if inner.starts_with(text.as_str()) => {
                let begin = whole.start + quote;
                begin + part.start..begin + part.end
            }
            _ => whole,
        }
    }

    /// The variables that were filled in into the text of `node`, if any were.
    pub fn filled_from(&self, node: NodeId) -> Option<Vec<String>> {
        let Content::Filled(_) = self.content(node) else { return None };
        let written = self.source.text().get(self.span(Spot::Value(node)))?;
        Some(super::variables::variables_in(written)).filter(|names| !names.is_empty())
    }

    /// The keys that lead to `node`, outermost first; list items count as `[0]`.
    pub fn steps(&self, node: NodeId) -> Vec<String> {
        let mut steps = Vec::new();
        let mut next = Some(node);
        while let Some(id) = next {
            let node = self.node(id);
            match &node.step {
                Step::Root => {}
                Step::Key(key) => steps.push(key.clone()),
                Step::Index(index) => steps.push(format!("[{index}]")),
            }
            next = node.parent;
        }
        steps.reverse();
        steps
    }

    /// The keys that lead to `node`, as people write them: `groups.sensors.behavior.delay`.
    pub fn path(&self, node: NodeId) -> String {
        let mut path = String::new();
        for step in self.steps(node) {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(&step);
        }
        path
    }

    /// The key under which `node` stands in its map; a list item has none.
    pub fn key(&self, node: NodeId) -> Option<&str> {
        match &self.node(node).step {
            Step::Key(key) => Some(key),
            Step::Root | Step::Index(_) => None,
        }
    }

    fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.0 as usize]
    }

    fn next_id(&self) -> NodeId {
        NodeId(u32::try_from(self.nodes.len()).expect("nodes are bounded by MAX_NODES"))
    }
}

/// What flags change.
impl Document<'_> {
    /// The entry of a map under `key`.
    pub fn child(&self, parent: NodeId, key: &str) -> Option<NodeId> {
        let Content::Map(entries) = self.content(parent) else { return None };
        entries.iter().find(|(own, _)| own == key).map(|(_, node)| *node)
    }

    /// The text of a scalar.
    pub fn scalar(&self, node: NodeId) -> Option<&str> {
        match self.content(node) {
            Content::Text(text) | Content::Filled(text) | Content::Number(text) => Some(text),
            _ => None,
        }
    }

    /// The nodes at a place: keys by `.`, `*` for any one key or list item. In the order of the file.
    pub fn at(&self, place: &str) -> Vec<NodeId> {
        place.split('.').fold(vec![Self::ROOT], |nodes, step| {
            let below = nodes.into_iter().flat_map(|node| match self.content(node) {
                Content::Map(entries) => {
                    let matching = entries.iter().filter(|(key, _)| step == "*" || key == step);
                    matching.map(|(_, node)| *node).collect()
                }
                Content::List(items) if step == "*" => items.clone(),
                _ => Vec::new(),
            });
            below.collect()
        })
    }

    /// Gives a scalar another text of its kind.
    pub fn rewrite(&mut self, node: NodeId, text: String) {
        let content = &mut self.nodes[node.0 as usize].content;
        match content {
            Content::Text(own) | Content::Filled(own) | Content::Number(own) => *own = text,
            _ => {}
        }
    }

    /// Makes a node an empty map or list.
    pub fn empty(&mut self, node: NodeId, is_list: bool) {
        let content = if is_list { Content::List(Vec::new()) } else { Content::Map(Vec::new()) };
        self.nodes[node.0 as usize].content = content;
    }

    /// Adds an empty map or list under `key`, or at the end of a list.
    pub fn add_empty(
        &mut self,
        parent: NodeId,
        key: Option<&str>,
        place: Range<usize>,
        is_list: bool,
    ) -> NodeId {
        let id = self.next_id();
        let key_span = key.map(|_| place.clone());
        let step = self.step(parent, key, None);
        self.nodes.push(Node { parent: Some(parent), step, span: place, key_span, content: Content::Null });
        self.empty(id, is_list);
        self.attach(parent, key, None, id);
        id
    }

    /// Reads some bytes of the source as YAML and puts that under `key` (and its bytes) of a map or at
    /// `index` of a list, in place of what stood there. Returns what is wrong with it.
    pub fn graft(
        &mut self,
        parent: NodeId,
        key: Option<(&str, Range<usize>)>,
        index: Option<usize>,
        value: Range<usize>,
        variables: &Variables,
    ) -> Vec<Problem> {
        let mut tree = match yaml::read(&self.source.text()[value.clone()]) {
            Ok(tree) => tree,
            Err(error) => {
                let offset = value.start + error.offset;
                return vec![self.problem(offset..offset, String::new(), error.message, error.hint)];
            }
        };
        let written = self.source.text()[value.clone()].trim();
        // The shell has taken the quotes: like a variable, such a value may be read as what is expected.
        let is_open = matches!(tree.value, Tree::Scalar(Scalar::Number(_) | Scalar::Bool(_)));
        if is_open {
            tree.value = Tree::Scalar(Scalar::Text(written.to_owned()));
        }
        let step = self.step(parent, key.as_ref().map(|(key, _)| *key), index);
        let key_span = key.as_ref().map(|(_, span)| span.clone());
        let mut reader = Reader { document: self, base: value.start, variables, problems: Vec::new() };
        let id = reader.add(Some(parent), step, key_span, tree);
        let problems = reader.problems;
        let content = &mut self.nodes[id.0 as usize].content;
        if let (true, Content::Text(text)) = (is_open, &mut *content) {
            *content = Content::Filled(std::mem::take(text));
        }
        self.attach(parent, key.map(|(key, _)| key), index, id);
        problems
    }

    /// The same with a value that is plain text, whatever YAML would make of it; a number may be read as one.
    pub fn graft_text(
        &mut self,
        parent: NodeId,
        key: Option<(&str, Range<usize>)>,
        index: Option<usize>,
        value: Range<usize>,
    ) {
        let text = self.source.text()[value.clone()].to_owned();
        let is_number = text.parse::<f64>().is_ok();
        let content = if is_number { Content::Filled(text) } else { Content::Text(text) };
        let step = self.step(parent, key.as_ref().map(|(key, _)| *key), index);
        let key_span = key.as_ref().map(|(_, span)| span.clone());
        let id = self.next_id();
        self.nodes.push(Node { parent: Some(parent), step, span: value, key_span, content });
        self.attach(parent, key.map(|(key, _)| key), index, id);
    }

    fn step(&self, parent: NodeId, key: Option<&str>, index: Option<usize>) -> Step {
        match (key, self.content(parent)) {
            (Some(key), _) => Step::Key(key.to_owned()),
            (None, Content::List(items)) => Step::Index(index.unwrap_or(items.len())),
            (None, _) => Step::Index(index.unwrap_or(0)),
        }
    }

    fn attach(&mut self, parent: NodeId, key: Option<&str>, index: Option<usize>, id: NodeId) {
        match (&mut self.nodes[parent.0 as usize].content, key) {
            (Content::Map(entries), Some(key)) => match entries.iter_mut().find(|(own, _)| own == key) {
                Some((_, node)) => *node = id,
                None => entries.push((key.to_owned(), id)),
            },
            (Content::List(items), None) => match index.and_then(|index| items.get_mut(index)) {
                Some(node) => *node = id,
                None => items.push(id),
            },
            _ => {}
        }
    }
}

impl Spot {
    /// The spot as a number, for its way through a deserializer.
    pub(super) fn to_bits(self) -> u64 {
        match self {
            Spot::Value(node) => u64::from(node.0) << 1,
            Spot::Key(node) => u64::from(node.0) << 1 | 1,
        }
    }

    /// The spot of that number.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        let node = NodeId(u32::try_from(bits >> 1).ok()?);
        Some(if bits & 1 == 0 { Spot::Value(node) } else { Spot::Key(node) })
    }
}

/// Turns the library's tree into nodes.
struct Reader<'d, 't, 'v> {
    document: &'d mut Document<'t>,
    /// Where the text that was read begins in the source.
    base: usize,
    variables: &'v Variables,
    problems: Vec<Problem>,
}

impl Reader<'_, '_, '_> {
    fn span(&self, location: Location) -> Range<usize> {
        let span = bytes(&self.document.source.text()[self.base..], location);
        self.base + span.start..self.base + span.end
    }

    fn add(
        &mut self,
        parent: Option<NodeId>,
        step: Step,
        key_span: Option<Range<usize>>,
        tree: Spanned<Tree>,
    ) -> NodeId {
        let id = self.document.next_id();
        let span = self.span(tree.defined);
        let node = Node { parent, step, span: span.clone(), key_span, content: Content::Null };
        self.document.nodes.push(node);
        let content = match tree.value {
            Tree::Scalar(scalar) => self.scalar(id, scalar, &span),
            Tree::List(items) => Content::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| self.add(Some(id), Step::Index(index), None, item))
                    .collect(),
            ),
            Tree::Map(entries) => Content::Map(self.entries(id, entries)),
        };
        self.document.nodes[id.0 as usize].content = content;
        id
    }

    fn entries(
        &mut self,
        parent: NodeId,
        entries: Vec<(Spanned<String>, Spanned<Tree>)>,
    ) -> Vec<(String, NodeId)> {
        let mut known = indexmap::IndexMap::new();
        for (key, value) in entries {
            let span = self.span(key.defined);
            if let Some(first) = known.get(&key.value) {
                self.duplicate(parent, &key.value, span, *first);
                continue;
            }
            let node = self.add(Some(parent), Step::Key(key.value.clone()), Some(span), value);
            known.insert(key.value, node);
        }
        known.into_iter().collect()
    }

    fn duplicate(&mut self, parent: NodeId, key: &str, span: Range<usize>, first: NodeId) {
        if self.problems.len() >= MAX_KEPT {
            return;
        }
        let first = self.document.span(Spot::Key(first)).start;
        let (line, _) = super::problems::line_and_column(self.document.source.text(), first);
        let message = format!("duplicate key `{key}`; it stands in line {line} already");
        let path = self.document.path(parent);
        self.problems.push(self.document.problem(span, path, message, None));
    }

    fn unusable(&mut self, node: NodeId, span: Range<usize>, error: VariableError) {
        if self.problems.len() < MAX_KEPT {
            let path = self.document.path(node);
            let problem = self.document.problem(span, path, error.message, Some(error.hint));
            self.problems.push(problem);
        }
    }

    fn scalar(&mut self, node: NodeId, scalar: Scalar, span: &Range<usize>) -> Content {
        let written = self.document.source.text().get(span.clone()).unwrap_or("");
        match scalar {
            Scalar::Null => Content::Null,
            Scalar::Bool(value) => Content::Bool(value),
            // As written: `4.20` must not turn into 4.2 before somebody says "quote it".
            Scalar::Number(_) if !written.is_empty() => Content::Number(written.to_owned()),
            Scalar::Number(value) => Content::Number(value),
            Scalar::Text(text) => {
                let quoted = written.starts_with(['"', '\'']) || written.ends_with('\n');
                match self.variables.fill_in(&text) {
                    Ok(None) => Content::Text(text),
                    Ok(Some(filled)) => Content::Filled(filled),
                    Err(error) => {
                        let span = if quoted { span.clone() } else { begin_at(span, &error.part) };
                        self.unusable(node, span, error);
                        Content::Unusable
                    }
                }
            }
        }
    }
}

/// The part of an unquoted text, which stands in the source as it is.
fn begin_at(span: &Range<usize>, part: &Range<usize>) -> Range<usize> {
    let end = (span.start + part.end).min(span.end);
    (span.start + part.start).min(end)..end
}
