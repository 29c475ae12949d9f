//! Which of two patterns is more specific.

use super::clean::encode_segment;
use super::error::{Clash, PatternError};
use super::pattern::{Pattern, Segment};

/// How what one pattern takes relates to what another takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Both take the same.
    Same,
    /// The first takes a part of what the second takes: it is more specific.
    Narrower,
    /// The first takes all that the second takes, and more.
    Wider,
    /// Each takes something that the other does not take, and they share something.
    Overlapping,
    /// They share nothing.
    Disjoint,
}

impl Relation {
    /// The relation of two patterns that relate so in one regard and `other` in another.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disjoint, _) | (_, Self::Disjoint) => Self::Disjoint,
            (Self::Same, relation) | (relation, Self::Same) => relation,
            (one, another) if one == another => one,
            _ => Self::Overlapping,
        }
    }

    /// The relation of two patterns' methods. `None` takes all, GET takes HEAD too.
    pub(super) fn of_methods(one: Option<&str>, another: Option<&str>) -> Self {
        match (one, another) {
            _ if one == another => Self::Same,
            (None, _) | (Some("GET"), Some("HEAD")) => Self::Wider,
            (_, None) | (Some("HEAD"), Some("GET")) => Self::Narrower,
            _ => Self::Disjoint,
        }
    }
}

/// The error for a pattern that is neither more nor less specific than a registered one, whose
/// paths relate to the other's as `paths` says. Each is given with its text.
pub(super) fn refusal(
    (text, new): (&str, &Pattern),
    (other, registered): (&str, &Pattern),
    paths: Relation,
) -> PatternError {
    let clash = match paths {
        Relation::Same => {
            return PatternError::Taken { pattern: text.into(), other: other.into() };
        }
        Relation::Wider => Clash::FewerMethods,
        Relation::Narrower => Clash::MoreMethods,
        _ => Clash::Paths(common_path(&new.segments, &registered.segments)),
    };
    PatternError::Conflict { pattern: text.into(), other: other.into(), clash }
}

/// A path that two overlapping patterns take.
fn common_path(one: &[Segment], another: &[Segment]) -> String {
    let mut path = String::new();
    for at in 0..one.len().max(another.len()) {
        // Of two segments the narrower says more; where one pattern has ended the other goes on.
        let segment = match (one.get(at), another.get(at)) {
            (Some(one), Some(another)) if breadth(one) <= breadth(another) => one,
            (_, Some(segment)) | (Some(segment), None) => segment,
            (None, None) => break,
        };
        path.push('/');
        match segment {
            Segment::Literal(literal) => path.push_str(&encode_segment(literal)),
            Segment::One(name) => path.push_str(&encode_segment(name.as_bytes())),
            Segment::Slash | Segment::Rest(_) => {}
        }
    }
    path
}

fn breadth(segment: &Segment) -> u8 {
    match segment {
        Segment::Literal(_) | Segment::Slash => 0,
        Segment::One(_) => 1,
        Segment::Rest(_) => 2,
    }
}
