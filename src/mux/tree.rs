//! The patterns of one host as a tree of segments: it finds the most specific pattern for a path,
//! and the patterns that share paths with a new one.
//!
//! Patterns are told apart by their paths first and by their methods at the leaves. Because no two
//! patterns conflict, the first leaf found is the right one if a literal is tried before a
//! wildcard and that before a rest.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use rustc_hash::FxHashMap;

use super::pattern::{Pattern, Segment};
use super::precedence::Relation;

/// Where a pattern ends: its method and its number in the table. Narrow methods stand before
/// wide ones.
type Leaf = Vec<(Option<Box<str>>, usize)>;
/// A node's place in the tree.
type NodeId = usize;

const ROOT: NodeId = 0;

#[derive(Debug, Clone, Default)]
struct Node {
    /// By their decoded bytes.
    literals: FxHashMap<Box<[u8]>, NodeId>,
    /// Below `{name}`.
    one: Option<NodeId>,
    /// Patterns that end here.
    end: Leaf,
    /// Patterns that end here with `{$}`.
    slash: Leaf,
    /// Patterns that take all below.
    rest: Leaf,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// A pattern that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    /// Its number in the table.
    pub(super) entry: usize,
    /// It takes the path for itself, not as one of those below it.
    pub(super) is_exact: bool,
}

/// A path as sent, or what remains of it, beginning with `/`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    remaining: &'a [u8],
    /// A slash follows which was not sent.
    slash_added: bool,
}

/// What a path goes on with.
enum Step<'a> {
    End,
    Slash,
    Segment(&'a [u8], Path<'a>),
}

impl<'a> Path<'a> {
    /// The path itself.
    pub(super) fn sent(path: &'a [u8]) -> Self {
        Self { remaining: path, slash_added: false }
    }

    /// The path, which ends in no slash, and a slash.
    pub(super) fn with_slash(path: &'a [u8]) -> Self {
        Self { remaining: path, slash_added: true }
    }

    fn step(self) -> Step<'a> {
        match self.remaining {
            [] if self.slash_added => Step::Slash,
            [] => Step::End,
            [_] => Step::Slash,
            [_, path @ ..] => {
                let end = memchr::memchr(b'/', path).unwrap_or(path.len());
                let (segment, remaining) = path.split_at(end);
                Step::Segment(segment, Self { remaining, ..self })
            }
        }
    }
}

/// A segment of a path as patterns have it.
fn decode(segment: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'%', segment) {
        Some(_) => percent_decode(segment).into(),
        None => segment.into(),
    }
}

fn takes(method: Option<&str>, asked: &[u8]) -> bool {
    method.is_none_or(|method| method.as_bytes() == asked || (method == "GET" && asked == b"HEAD"))
}

fn choose(leaf: &Leaf, method: &[u8]) -> Option<usize> {
    leaf.iter().find(|(taken, _)| takes(taken.as_deref(), method)).map(|&(_, entry)| entry)
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// Adds a pattern that [`Tree::conflict`] has passed.
    pub(super) fn insert(&mut self, pattern: &Pattern, entry: usize) {
        let mut at = ROOT;
        let mut segments = pattern.segments.iter();
        let leaf = loop {
            match segments.next() {
                Some(Segment::Literal(literal)) => at = self.literal_below(at, literal),
                Some(Segment::One(_)) => at = self.one_below(at),
                Some(Segment::Slash) => break &mut self.nodes[at].slash,
                Some(Segment::Rest(_)) => break &mut self.nodes[at].rest,
                None => break &mut self.nodes[at].end,
            }
        };
        let breadth = |method: Option<&str>| match method {
            None => 2,
            Some("GET") => 1,
            Some(_) => 0,
        };
        let method = pattern.method.clone();
        let mine = breadth(method.as_deref());
        let place = leaf.partition_point(|(method, _)| breadth(method.as_deref()) <= mine);
        leaf.insert(place, (method, entry));
    }

    fn literal_below(&mut self, at: NodeId, literal: &[u8]) -> NodeId {
        if let Some(&node) = self.nodes[at].literals.get(literal) {
            return node;
        }
        let node = self.push();
        self.nodes[at].literals.insert(literal.into(), node);
        node
    }

    fn one_below(&mut self, at: NodeId) -> NodeId {
        if let Some(node) = self.nodes[at].one {
            return node;
        }
        let node = self.push();
        self.nodes[at].one = Some(node);
        node
    }

    fn push(&mut self) -> NodeId {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Removes the patterns with this number and higher ones.
    pub(super) fn forget_from(&mut self, first: usize) {
        for node in &mut self.nodes {
            for leaf in [&mut node.end, &mut node.slash, &mut node.rest] {
                leaf.retain(|&(_, entry)| entry < first);
            }
        }
    }

    /// The most specific pattern for this method and path.
    pub(super) fn find(&self, method: &[u8], path: Path<'_>) -> Option<Hit> {
        self.find_below(ROOT, method, path)
    }

    fn find_below(&self, at: NodeId, method: &[u8], path: Path<'_>) -> Option<Hit> {
        let node = &self.nodes[at];
        let hit = |leaf, is_exact| choose(leaf, method).map(|entry| Hit { entry, is_exact });
        match path.step() {
            Step::End => hit(&node.end, true),
            Step::Slash => hit(&node.slash, true).or_else(|| hit(&node.rest, true)),
            Step::Segment(segment, path) => self
                .children(node, segment)
                .find_map(|child| self.find_below(child, method, path))
                .or_else(|| hit(&node.rest, false)),
        }
    }

    /// Where a segment of a path leads, the most specific way first.
    fn children<'a>(
        &self,
        node: &'a Node,
        segment: &[u8],
    ) -> impl Iterator<Item = NodeId> + use<'a> {
        let literal = match node.literals.is_empty() {
            true => None,
            false => node.literals.get(&*decode(segment)).copied(),
        };
        literal.into_iter().chain(node.one)
    }

    /// The pattern that takes all paths and methods, if there is one.
    pub(super) fn catch_all(&self) -> Option<usize> {
        let rest = &self.nodes[ROOT].rest;
        rest.iter().find(|(method, _)| method.is_none()).map(|&(_, entry)| entry)
    }

    /// Adds the methods of all patterns that take this path to `methods`.
    pub(super) fn methods(&self, path: Path<'_>, methods: &mut Vec<String>) {
        self.methods_below(ROOT, path, methods);
    }

    fn methods_below(&self, at: NodeId, path: Path<'_>, methods: &mut Vec<String>) {
        let node = &self.nodes[at];
        let mut add = |leaf: &Leaf| {
            methods
                .extend(leaf.iter().filter_map(|(method, _)| method.as_deref().map(String::from)));
        };
        match path.step() {
            Step::End => add(&node.end),
            Step::Slash => {
                add(&node.slash);
                add(&node.rest);
            }
            Step::Segment(segment, path) => {
                add(&node.rest);
                for child in self.children(node, segment) {
                    self.methods_below(child, path, methods);
                }
            }
        }
    }

    /// The first registered pattern that shares requests with the new one and is neither more nor
    /// less specific: its number and how the new one's paths relate to its.
    pub(super) fn conflict(&self, pattern: &Pattern) -> Option<(usize, Relation)> {
        let mut search = Search { tree: self, method: pattern.method.as_deref(), found: None };
        search.walk(ROOT, &pattern.segments, Relation::Same);
        search.found
    }
}

/// A search for what conflicts with a new pattern. It enters only nodes whose paths can be shared.
struct Search<'a> {
    tree: &'a Tree,
    /// The new pattern's.
    method: Option<&'a str>,
    found: Option<(usize, Relation)>,
}

impl Search<'_> {
    /// `paths`: how the new pattern relates to those below `at` in the segments so far.
    fn walk(&mut self, at: NodeId, segments: &[Segment], paths: Relation) {
        let node = &self.tree.nodes[at];
        let Some((segment, after)) = segments.split_first() else {
            return self.meet(&node.end, paths);
        };
        let (narrower, wider) = (paths.and(Relation::Narrower), paths.and(Relation::Wider));
        match segment {
            Segment::Literal(literal) => {
                if let Some(&child) = node.literals.get(literal) {
                    self.walk(child, after, paths);
                }
                if let Some(child) = node.one {
                    self.walk(child, after, narrower);
                }
                self.meet(&node.rest, narrower);
            }
            Segment::One(_) => {
                for &child in node.literals.values() {
                    self.walk(child, after, wider);
                }
                if let Some(child) = node.one {
                    self.walk(child, after, paths);
                }
                self.meet(&node.rest, narrower);
            }
            Segment::Slash => {
                self.meet(&node.slash, paths);
                self.meet(&node.rest, narrower);
            }
            Segment::Rest(_) => {
                self.meet(&node.rest, paths);
                self.meet(&node.slash, wider);
                self.meet_below(node, wider);
            }
        }
    }

    /// Meets all patterns of the nodes below this one.
    fn meet_below(&mut self, node: &Node, paths: Relation) {
        if paths == Relation::Wider && self.method.is_none() {
            // Wider than all of them, whatever their methods.
            return;
        }
        for &child in node.literals.values().chain(&node.one) {
            let child = &self.tree.nodes[child];
            for leaf in [&child.end, &child.slash, &child.rest] {
                self.meet(leaf, paths);
            }
            self.meet_below(child, paths);
        }
    }

    fn meet(&mut self, leaf: &Leaf, paths: Relation) {
        for (method, entry) in leaf {
            let relation = paths.and(Relation::of_methods(self.method, method.as_deref()));
            let is_first = self.found.is_none_or(|(found, _)| *entry < found);
            if is_first && matches!(relation, Relation::Same | Relation::Overlapping) {
                self.found = Some((*entry, paths));
            }
        }
    }
}
