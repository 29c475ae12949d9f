//! The table against a matcher that knows no precedence rules and no tree: what a pattern takes is
//! the set of small requests it matches one by one, and of two patterns the one with the smaller
//! set is the more specific. Small requests are enough to tell small patterns apart.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Match, Mux, PatternError};

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "BREW"];

/// What is registered at once: a pattern, or the one or two that make a mount.
#[derive(Debug)]
struct Registered {
    text: String,
    is_mount: bool,
    parts: Vec<Taken>,
}

/// Which requests a pattern takes, and which of them for itself rather than as one below.
#[derive(Debug)]
struct Taken {
    requests: Vec<bool>,
    /// How many these are.
    count: usize,
    exact: Vec<bool>,
}

/// All requests for paths of up to `depth` of some segments, with and without a slash at the end.
#[derive(Debug)]
struct World {
    requests: Vec<(&'static str, String)>,
    numbers: HashMap<(&'static str, String), usize>,
}

impl World {
    fn new(segments: &[&str], depth: usize) -> Self {
        let mut stems = vec![String::new()];
        let mut last = stems.clone();
        for _ in 0..depth {
            last = last
                .iter()
                .flat_map(|s| segments.iter().map(move |seg| format!("{s}/{seg}")))
                .collect();
            stems.extend_from_slice(&last);
        }
        let paths = stems.iter().flat_map(|stem| [stem.clone(), format!("{stem}/")]);
        let paths: Vec<String> = paths.filter(|path| !path.is_empty()).collect();
        let requests: Vec<(&str, String)> =
            METHODS.iter().flat_map(|m| paths.iter().map(|p| (*m, p.clone()))).collect();
        let numbers = requests.iter().cloned().zip(0..).collect();
        Self { requests, numbers }
    }

    fn number(&self, method: &'static str, path: &str) -> Option<usize> {
        self.numbers.get(&(method, path.into())).copied()
    }

    fn pattern(&self, text: &str) -> Registered {
        Registered { text: text.into(), is_mount: false, parts: vec![self.taken(text)] }
    }

    fn mount(&self, prefix: &str) -> Registered {
        let path = prefix.trim_end_matches('/');
        let mut parts = vec![self.taken(&format!("{path}/"))];
        if !path.is_empty() {
            parts.push(self.taken(path));
        }
        Registered { text: prefix.into(), is_mount: true, parts }
    }

    fn taken(&self, pattern: &str) -> Taken {
        let outcome = |(method, path): &(&str, String)| naive_match(pattern, method, path);
        let outcomes: Vec<Option<bool>> = self.requests.iter().map(outcome).collect();
        Taken {
            requests: outcomes.iter().map(Option::is_some).collect(),
            count: outcomes.iter().flatten().count(),
            exact: outcomes.iter().map(|outcome| *outcome == Some(true)).collect(),
        }
    }

    /// What the table is to answer, as [`shown`] has it.
    fn answer(&self, table: &[&Registered], number: usize) -> String {
        let (method, path) = &self.requests[number];
        let best = |number: usize| {
            let parts = table.iter().flat_map(|entry| entry.parts.iter().map(move |p| (*entry, p)));
            let takers = parts.filter(|(_, part)| part.requests[number]);
            takers.min_by_key(|(_, part)| part.count)
        };
        let taker = best(number);
        if let Some((entry, part)) = taker
            && (part.exact[number] || entry.is_mount)
        {
            return entry.text.clone();
        }
        if let Some(folder) = self.number(method, &format!("{path}/"))
            && best(folder).is_some_and(|(_, part)| part.exact[folder])
        {
            return format!("-> {path}/");
        }
        if let Some((entry, _)) = taker {
            return entry.text.clone();
        }
        let takes =
            |method, path: &str| self.number(method, path).is_some_and(|n| best(n).is_some());
        let folder = format!("{path}/");
        let mut others: Vec<&str> = METHODS
            .into_iter()
            .filter(|other| takes(other, path) || takes(other, &folder))
            .collect();
        others.sort_unstable();
        match others.is_empty() {
            true => "404".into(),
            false => format!("405 {}", others.join(", ")),
        }
    }
}

/// Whether a pattern takes a request: for itself, or as one below a slash at its end.
fn naive_match(pattern: &str, method: &str, path: &str) -> Option<bool> {
    let (wanted, pattern) = pattern.split_once(' ').unwrap_or((method, pattern));
    if !(wanted == method || (wanted == "GET" && method == "HEAD")) {
        return None;
    }
    let wanted: Vec<&str> = pattern.split('/').collect();
    let given: Vec<&str> = path.split('/').collect();
    let (last, before) = wanted.split_last()?;
    let fits = |(wanted, given): (&&str, &&str)| {
        wanted == given || (wanted.starts_with('{') && !given.is_empty())
    };
    let fits_before = given.len() >= wanted.len() && before.iter().zip(&given).all(fits);
    let has_same_length = given.len() == wanted.len();
    let end = *given.get(before.len())?;
    let fits_last = match *last {
        "{$}" => has_same_length && end.is_empty(),
        last if last.is_empty() || last.ends_with("...}") => true,
        last => has_same_length && fits((&last, &end)),
    };
    let is_exact =
        has_same_length && (end.is_empty() || !(last.is_empty() || last.ends_with("...}")));
    (fits_before && fits_last).then_some(is_exact)
}

/// Up to `depth` segments in front of an end, for each method.
fn patterns(literals: &[&str], depth: usize, methods: &[&str]) -> Vec<String> {
    let mut stems = vec![String::new()];
    let mut last = stems.clone();
    for level in 0..depth {
        let wildcard = format!("{{x{level}}}");
        let segments: Vec<&str> = literals.iter().copied().chain([&*wildcard]).collect();
        last = last
            .iter()
            .flat_map(|s| segments.iter().map(move |seg| format!("{s}/{seg}")))
            .collect();
        stems.extend_from_slice(&last);
    }
    let paths = stems
        .iter()
        .flat_map(|s| ["", "/", "/{$}", "/{r...}"].map(|end| format!("{s}{end}")))
        .filter(|path| !path.is_empty());
    let paths: Vec<String> = paths.collect();
    methods.iter().flat_map(|m| paths.iter().map(move |path| format!("{m}{path}"))).collect()
}

fn register(mux: &mut Mux<String>, entry: &Registered) -> Result<(), PatternError> {
    match entry.is_mount {
        true => mux.mount(&entry.text, entry.text.clone()),
        false => mux.handle(&entry.text, entry.text.clone()),
    }
}

fn shown<'a>(found: &Match<'a, String>) -> Cow<'a, str> {
    match found {
        Match::Handler { handler, .. } => handler.as_str().into(),
        Match::Redirect(path) => format!("-> {path}").into(),
        Match::MethodNotAllowed(methods) => format!("405 {}", methods.join(", ")).into(),
        Match::None => "404".into(),
    }
}

/// What is to become of two in one table.
fn expected(one: &Registered, another: &Registered) -> &'static str {
    let pairs = one.parts.iter().flat_map(|part| another.parts.iter().map(move |p| (part, p)));
    let mut outcomes = pairs.map(|(one, another)| expected_of_parts(one, another));
    outcomes.find(|outcome| *outcome != "accepted").unwrap_or("accepted")
}

fn expected_of_parts(one: &Taken, another: &Taken) -> &'static str {
    let pairs = || one.requests.iter().zip(&another.requests);
    let shares = pairs().any(|(&one, &another)| one && another);
    let has_own = pairs().any(|(&one, &another)| one && !another);
    let other_has_own = pairs().any(|(&one, &another)| !one && another);
    match (shares, has_own, other_has_own) {
        (true, false, false) => "taken",
        (true, true, true) => "conflict",
        _ => "accepted",
    }
}

fn outcome(one: &Registered, another: &Registered) -> &'static str {
    let mut mux = Mux::default();
    register(&mut mux, one).expect("an empty table");
    match register(&mut mux, another) {
        Ok(()) => "accepted",
        Err(PatternError::Taken { .. }) => "taken",
        Err(PatternError::Conflict { .. }) => "conflict",
        Err(error) => panic!("{error}"),
    }
}

/// Compares all answers of a table, registered in this order, with the naive ones.
fn compare(world: &World, table: &[&Registered], answers: &[String]) {
    let mut mux = Mux::default();
    for entry in table {
        register(&mut mux, entry).expect("patterns that go together in any order");
    }
    for ((method, path), answer) in world.requests.iter().zip(answers) {
        let found = mux.find(method.as_bytes(), b"", path.as_bytes());
        assert_eq!(shown(&found), **answer, "{method} {path} with {:?}", names(table));
    }
}

fn names<'a>(table: &[&'a Registered]) -> Vec<&'a str> {
    table.iter().map(|entry| &*entry.text).collect()
}

#[test]
fn pairs_go_together_unless_the_requests_they_take_overlap() {
    let world = World::new(&["a", "b", "c"], 4);
    let mut all: Vec<Registered> = patterns(&["a", "b"], 2, &["", "GET ", "HEAD ", "POST "])
        .iter()
        .chain(&patterns(&["a"], 3, &[""]))
        .map(|pattern| world.pattern(pattern))
        .collect();
    all.extend(["/", "/a", "/a/b", "/b/a"].map(|prefix| world.mount(prefix)));
    for one in &all {
        for another in &all {
            let (one_name, other_name) = (&one.text, &another.text);
            assert_eq!(outcome(one, another), expected(one, another), "{one_name} {other_name}");
        }
    }
}

/// Patterns with a method to go with those without.
const METHODICAL: [&str; 8] = [
    "GET /a",
    "HEAD /a",
    "GET /{x}",
    "GET /{x}/a",
    "POST /{x}/a",
    "GET /a/{$}",
    "POST /a/",
    "POST /",
];

#[test]
fn triples_answer_as_the_naive_matcher_whatever_their_order() {
    let world = World::new(&["a", "b"], 3);
    let mut all: Vec<Registered> = patterns(&["a"], 2, &[""])
        .iter()
        .chain(&METHODICAL.map(String::from))
        .filter(|pattern| !pattern.contains("..."))
        .map(|pattern| world.pattern(pattern))
        .collect();
    all.extend(["/", "/a"].map(|prefix| world.mount(prefix)));
    let goes = |one: &Registered, another: &Registered| expected(one, another) == "accepted";
    let mut compared = 0;
    for (i, x) in all.iter().enumerate() {
        for (j, y) in all.iter().enumerate().skip(i + 1).filter(|(_, y)| goes(x, y)) {
            for z in all.iter().skip(j + 1).filter(|z| goes(x, z) && goes(y, z)) {
                let numbers = 0..world.requests.len();
                let answers: Vec<String> = numbers.map(|n| world.answer(&[x, y, z], n)).collect();
                for order in [[x, y, z], [z, y, x], [y, z, x]] {
                    compare(&world, &order, &answers);
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} triples go together");
}

#[test]
fn full_tables_answer_as_the_naive_matcher() {
    let world = World::new(&["a", "b", "c"], 4);
    let mut all: Vec<Registered> = patterns(&["a", "b"], 3, &["", "GET ", "HEAD ", "POST "])
        .iter()
        .map(|pattern| world.pattern(pattern))
        .collect();
    all.extend(["/", "/a", "/a/b", "/b/a"].map(|prefix| world.mount(prefix)));
    // Fixed steps through all patterns, so that a failure can be met again.
    for step in [7, 11, 101, 211, 307, 401] {
        let mut table: Vec<&Registered> = Vec::new();
        for n in 0..all.len() {
            let next = &all[(n + 1) * step % all.len()];
            if table.iter().all(|entry| expected(entry, next) == "accepted") {
                table.push(next);
            }
        }
        assert!(table.len() > 10, "{} patterns go together", table.len());
        let answers: Vec<String> =
            (0..world.requests.len()).map(|number| world.answer(&table, number)).collect();
        compare(&world, &table, &answers);
        table.reverse();
        compare(&world, &table, &answers);
    }
}
