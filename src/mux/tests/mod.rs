//! What the table promises, by topic.

mod clean;
mod enumeration;
mod errors;
mod find;
mod merge;
mod mount;
mod precedence;
mod speed;

use super::{Match, Mux, PatternError};

/// A table whose handlers are their own patterns.
fn mux(patterns: &[&'static str]) -> Mux<&'static str> {
    let mut mux = Mux::default();
    for pattern in patterns {
        mux.handle(pattern, *pattern).expect(pattern);
    }
    mux
}

/// Why `new` is refused beside `registered`.
fn refused(registered: &[&'static str], new: &str) -> PatternError {
    mux(registered).handle(new, "new").expect_err(new)
}

/// An answer as one line, to compare: `/a/{x} x=1`, `-> /b`, `405 GET, HEAD`, `404`.
fn line(found: &Match<'_, &'static str>) -> String {
    match found {
        Match::Handler { handler, values, .. } => {
            let mut line = String::from(**handler);
            for (name, value) in values.iter() {
                line += &format!(" {name}={}", String::from_utf8_lossy(value));
            }
            line
        }
        Match::Redirect(path) => format!("-> {path}"),
        Match::MethodNotAllowed(methods) => format!("405 {}", methods.join(", ")),
        Match::None => "404".into(),
    }
}

/// The answer for `METHOD HOST/PATH`, as [`line`] has it.
fn ask(mux: &Mux<&'static str>, request: &str) -> String {
    let (method, rest) = request.split_once(' ').expect("METHOD HOST/PATH");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    line(&mux.find(method.as_bytes(), host.as_bytes(), path.as_bytes()))
}

/// Asks each question and compares the answers.
fn check(mux: &Mux<&'static str>, cases: &[(&str, &str)]) {
    for (request, answer) in cases {
        assert_eq!(ask(mux, request), *answer, "{request}");
    }
}
