//! A YAML text as a tree in which every node knows its place.
//!
//! It knows no key of a scenario; what a node must be is decided in `decode`. Variables are filled in
//! here, so that everything behind sees plain values.

mod yaml;

use std::ops::Range;

use yaml::{Scalar, Spanned, Tree, bytes};

use super::problems::{MAX_KEPT, Problem};
use super::variables::{VariableError, Variables};

/// A YAML document.
#[derive(Debug)]
pub struct Document<'t> {
    source: &'t str,
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
    pub fn read(source: &'t str, variables: &Variables) -> (Option<Self>, Vec<Problem>) {
        let tree = match yaml::read(source) {
            Ok(tree) => tree,
            Err(problem) => return (None, vec![*problem]),
        };
        let mut reader =
            Reader { document: Document { source, nodes: Vec::new() }, variables, problems: Vec::new() };
        reader.add(None, Step::Root, None, tree);
        (Some(reader.document), reader.problems)
    }

    /// What `node` holds.
    pub fn content(&self, node: NodeId) -> &Content {
        &self.node(node).content
    }

    /// The text the document was read from.
    pub fn source(&self) -> &'t str {
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
        let written = self.source.get(whole.clone()).unwrap_or("");
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
struct Reader<'t, 'v> {
    document: Document<'t>,
    variables: &'v Variables,
    problems: Vec<Problem>,
}

impl Reader<'_, '_> {
    fn add(
        &mut self,
        parent: Option<NodeId>,
        step: Step,
        key_span: Option<Range<usize>>,
        tree: Spanned<Tree>,
    ) -> NodeId {
        let id = NodeId(u32::try_from(self.document.nodes.len()).expect("nodes are bounded by MAX_NODES"));
        let span = bytes(self.document.source, tree.defined);
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
            let span = bytes(self.document.source, key.defined);
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
        let (line, _) = super::problems::line_and_column(self.document.source, first);
        let message = format!("duplicate key `{key}`; it stands in line {line} already");
        let path = self.document.path(parent);
        self.problems.push(Problem::new(self.document.source, span, path, message, None));
    }

    fn unusable(&mut self, node: NodeId, span: Range<usize>, error: VariableError) {
        if self.problems.len() < MAX_KEPT {
            let path = self.document.path(node);
            let problem = Problem::new(self.document.source, span, path, error.message, Some(error.hint));
            self.problems.push(problem);
        }
    }

    fn scalar(&mut self, node: NodeId, scalar: Scalar, span: &Range<usize>) -> Content {
        let written = self.document.source.get(span.clone()).unwrap_or("");
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
