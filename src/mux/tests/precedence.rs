use super::{check, mux};
use crate::mux::{Mux, PatternError};

/// What becomes of a pattern beside another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Taken,
    Conflict,
}

fn outcome(registered: &'static str, new: &'static str) -> Outcome {
    match mux(&[registered]).handle(new, new) {
        Ok(()) => Outcome::Accepted,
        Err(PatternError::Taken { .. }) => Outcome::Taken,
        Err(PatternError::Conflict { .. }) => Outcome::Conflict,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn pairs_are_accepted_or_refused_in_either_order() {
    use Outcome::{Accepted, Conflict, Taken};
    for (one, another, expected) in [
        // One segment against another.
        ("/a", "/a", Taken),
        ("/a", "/b", Accepted),
        ("/a", "/{x}", Accepted),
        ("/{x}", "/{y}", Taken),
        ("/a", "/{x...}", Accepted),
        ("/{x}", "/{y...}", Accepted),
        ("/{x...}", "/", Taken),
        ("/{x...}", "/{y...}", Taken),
        // Slashes at the end.
        ("/a", "/a/", Accepted),
        ("/a/", "/a/{$}", Accepted),
        ("/{$}", "/", Accepted),
        ("/{$}", "/{x}", Accepted),
        ("/a/{$}", "/a/{x}", Accepted),
        ("/a/{$}", "/{x}/{$}", Accepted),
        ("/a/{$}", "/{x}/", Accepted),
        ("/a/{$}", "/a/{x...}", Accepted),
        ("/a/", "/{x}/", Accepted),
        ("/a/", "/{x...}", Accepted),
        ("/a/b/", "/a/", Accepted),
        // Longer paths.
        ("/a/{x}", "/{y}/b", Conflict),
        ("/a/{x}/c", "/{y}/b/c", Conflict),
        ("/a/{x}/c", "/{y}/b/d", Accepted),
        ("/a/b/{x}", "/{y}/b/c", Conflict),
        ("/a/{x}", "/{y}/{z}", Accepted),
        ("/{x}/b", "/{y}/{z}", Accepted),
        ("/{x}/b/{z...}", "/{y}/b/c", Accepted),
        ("/a/{x}/", "/{y}/b", Accepted),
        ("/a/{x...}", "/{y}/b", Conflict),
        ("/a/{x...}", "/{y}/b/", Conflict),
        ("/a/", "/{y}/b/c/d", Conflict),
        ("/a/{z}/", "/{z}/a/", Conflict),
        ("/a/{z}/{m...}", "/{z}/a/", Conflict),
        ("/a/{x}/{y}", "/a/b", Accepted),
        ("/b/{bucket}/o/{object...}", "/b/{bucket}/{verb}/default", Conflict),
        // Methods.
        ("GET /a", "GET /a", Taken),
        ("GET /a", "POST /a", Accepted),
        ("GET /a", "/a", Accepted),
        ("HEAD /a", "GET /a", Accepted),
        ("HEAD /a", "POST /a", Accepted),
        ("HEAD /a", "/a", Accepted),
        ("GET /a", "/", Accepted),
        ("GET /", "/a", Conflict),
        ("GET /a/b", "GET /a/", Accepted),
        ("GET /a/b", "POST /a/", Accepted),
        ("GET /{x}", "/a", Conflict),
        ("HEAD /{x}", "GET /a", Conflict),
        ("HEAD /a", "GET /{x}", Accepted),
        ("GET /a/{x}", "/{y}/b", Conflict),
        ("GET /a/{x}", "POST /{y}/b", Accepted),
        // Hosts: one without a host never stands in the way of one with.
        ("h.org/a", "h.org/a", Taken),
        ("h.org/a", "H.ORG/a", Taken),
        ("h.org/a", "/a", Accepted),
        ("h.org/", "/a", Accepted),
        ("h.org/{x}", "/a", Accepted),
        ("h.org/a/{x}", "/{y}/b", Accepted),
        ("h.org/a", "i.org/a", Accepted),
        ("h.org/a/{x}", "h.org/{y}/b", Conflict),
        // Encoded literals are compared decoded.
        ("/a%62", "/ab", Taken),
        ("/a%2Fb", "/a/b", Accepted),
        ("/%7Bx%7D", "/{x}", Accepted),
    ] {
        assert_eq!(outcome(one, another), expected, "{one} then {another}");
        assert_eq!(outcome(another, one), expected, "{another} then {one}");
    }
}

#[test]
fn the_most_specific_pattern_wins() {
    let mux = mux(&[
        "/",
        "/{$}",
        "/images/",
        "/images/thumbnails/",
        "/images/{name}",
        "/images/logo.png",
        "GET /images/logo.png",
        "/posts/{id}",
        "POST /posts/{id}",
        "POST /posts/latest",
        "/b/{bucket}/o/{object...}",
        "/b/{bucket}/o/index",
    ]);
    check(
        &mux,
        &[
            ("GET /", "/{$}"),
            ("GET /x", "/"),
            ("GET /images/", "/images/"),
            ("GET /images/thumbnails/", "/images/thumbnails/"),
            ("GET /images/thumbnails/1/2", "/images/thumbnails/"),
            ("GET /images/cat", "/images/{name} name=cat"),
            ("GET /images/cat/1", "/images/"),
            ("GET /images/logo.png", "GET /images/logo.png"),
            ("POST /images/logo.png", "/images/logo.png"),
            ("GET /posts/latest", "/posts/{id} id=latest"),
            ("POST /posts/latest", "POST /posts/latest"),
            ("POST /posts/1", "POST /posts/{id} id=1"),
            ("PUT /posts/1", "/posts/{id} id=1"),
            ("GET /b/x/o/index", "/b/{bucket}/o/index bucket=x"),
            ("GET /b/x/o/y/index", "/b/{bucket}/o/{object...} bucket=x object=y/index"),
            ("GET /b/x/p/index", "/"),
        ],
    );
}

#[test]
fn what_a_search_tried_in_vain_is_undone() {
    let mux = mux(&["/a/b/c/d", "/a/{x}/c/e", "/{y}/{z}/c/{w}", "/{r...}"]);
    check(
        &mux,
        &[
            ("GET /a/b/c/d", "/a/b/c/d"),
            ("GET /a/b/c/e", "/a/{x}/c/e x=b"),
            ("GET /a/b/c/f", "/{y}/{z}/c/{w} y=a z=b w=f"),
            ("GET /a/b/d", "/{r...} r=a/b/d"),
        ],
    );
}

#[test]
fn a_thousand_patterns_are_registered_in_a_moment() {
    let texts: Vec<String> = (0..1000).map(|i| format!("GET /r{i}/{{id}}/p{}/", i % 7)).collect();
    let mut mux = Mux::default();
    for text in &texts {
        mux.handle(text, ()).expect(text);
    }
    mux.handle("/", ()).expect("the wider one");
    mux.handle("GET /{x}/{y}/p0/{z}/w", ()).expect_err("a conflict with many");
    assert_eq!(mux.patterns().count(), 1001);
}
