use super::{Mux, PatternError, check, line, mux};
use crate::mux::{Fault, Match, mounted_at};

fn mounted(prefixes: &[&'static str], patterns: &[&'static str]) -> Mux<&'static str> {
    let mut mux = mux(patterns);
    for prefix in prefixes {
        mux.mount(prefix, *prefix).expect(prefix);
    }
    mux
}

#[test]
fn a_mount_takes_its_prefix_and_all_below_with_any_method() {
    for prefix in ["/api", "/api/"] {
        let mux = mounted(&[prefix], &["/"]);
        for path in ["/api", "/api/", "/api/a", "/api/a/b/", "/%61pi/x"] {
            for method in ["GET", "POST", "BREW", "CONNECT"] {
                check(&mux, &[(&format!("{method} {path}"), prefix)]);
            }
        }
        check(&mux, &[("GET /apix", "/"), ("GET /", "/"), ("GET /x/api", "/")]);
    }
}

#[test]
fn paths_below_a_mount_are_as_sent() {
    let mux = mounted(&["/api"], &["/", "/api/routes/", "GET /api/one/{x}/y"]);
    check(
        &mux,
        &[
            ("GET /api//", "/api"),
            ("GET /api/a//b", "/api"),
            ("GET /api/./b", "/api"),
            ("GET /api/../b", "/api"),
            ("GET /api/..", "/api"),
            // What a route of its own takes is that route's matter.
            ("GET /api/routes//x", "-> /api/routes/x"),
            ("GET /api/one/x/y", "GET /api/one/{x}/y x=x"),
            ("POST /api/one/x/y", "/api"),
            ("POST /api/one//y", "/api"),
            // No folder is looked for behind a mount's back.
            ("GET /api/routes", "/api"),
            // Outside the mount paths are cleaned, whatever they then lead to.
            ("GET //api/x", "-> /api/x"),
            ("GET /x/../api", "-> /api"),
        ],
    );
}

#[test]
fn a_mount_of_the_root_takes_what_nothing_else_takes() {
    for prefix in ["", "/"] {
        let mut mux = mounted(&[prefix, "/api"], &["GET /about", "/static/"]);
        check(
            &mux,
            &[
                ("GET /", prefix),
                ("GET //x/..", prefix),
                ("GET /about", "GET /about"),
                ("POST /about", prefix),
                ("GET /static/x", "/static/"),
                ("GET /api/x", "/api"),
            ],
        );
        assert_eq!(line(&mux.find(b"OPTIONS", b"h.org", b"*")), prefix);
        mux.mount("h.org/", "h.org/").expect("a host's root");
        assert_eq!(line(&mux.find(b"OPTIONS", b"H.org:80", b"*")), "h.org/");
        assert_eq!(line(&mux.find(b"OPTIONS", b"i.org", b"*")), prefix);
        check(&mux, &[("GET h.org/about", "h.org/")]);
    }
}

#[test]
fn mounts_have_the_precedence_of_their_prefix() {
    let mux = mounted(&["/a", "/a/b", "h.org/a", "/c%20d"], &["GET /a", "/a/{$}"]);
    check(
        &mux,
        &[
            ("GET /a", "GET /a"),
            ("HEAD /a", "GET /a"),
            ("POST /a", "/a"),
            ("POST /a/", "/a/{$}"),
            ("GET /a/c", "/a"),
            ("GET /a/b", "/a/b"),
            ("GET /a/b/", "/a/b"),
            ("GET h.org/a/b", "h.org/a"),
            ("GET /c%20d/x", "/c%20d"),
        ],
    );
}

#[test]
fn a_mount_conflicts_as_its_two_patterns_would() {
    for (pattern, is_taken) in [
        ("/api", Some(true)),
        ("/api/", Some(true)),
        ("/api/{x...}", Some(true)),
        ("GET /api/", None),
        ("/", None),
        ("/{x}", None),
        ("/{x}/latest", Some(false)),
        ("GET /{x}/", Some(false)),
        ("GET /{x}", Some(false)),
        ("h.org/{x}/latest", None),
    ] {
        let is_taken_so = |outcome: Result<(), PatternError>| match outcome {
            Ok(()) => None,
            Err(PatternError::Taken { .. }) => Some(true),
            Err(PatternError::Conflict { .. }) => Some(false),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(is_taken_so(mounted(&["/api"], &[]).handle(pattern, "")), is_taken, "{pattern}");
        assert_eq!(is_taken_so(mux(&[pattern]).mount("/api", "")), is_taken, "{pattern}");
    }
    let mut twice = mounted(&["/", "/api"], &[]);
    for prefix in ["", "/", "/api", "/api/"] {
        let refused = twice.mount(prefix, "");
        assert!(matches!(refused, Err(PatternError::Taken { .. })), "{prefix}");
    }
    let error = mounted(&["/api"], &[]).handle("/{x}/latest", "").expect_err("a conflict");
    assert!(error.to_string().contains("like \"/api/latest\""), "{error}");
}

#[test]
fn prefixes_are_literal_and_without_a_method() {
    for (prefix, expected) in [
        ("GET /api", Fault::PrefixMethod),
        ("/{x}", Fault::PrefixWildcard),
        ("/api/{x...}", Fault::PrefixWildcard),
        ("/api/{$}", Fault::PrefixWildcard),
        ("{host}/api", Fault::PrefixWildcard),
        ("api", Fault::NoPath),
        ("h.org", Fault::NoPath),
        ("h.org:80/api", Fault::HostPort("h.org".into())),
        ("/a b", Fault::PathCharacter(' ')),
        ("//", Fault::Unclean("/".into())),
        ("/api//", Fault::Unclean("/api/".into())),
        ("/a/../b", Fault::Unclean("/b".into())),
    ] {
        let refused = Mux::default().mount(prefix, ());
        let malformed = PatternError::Malformed { pattern: prefix.into(), fault: expected };
        assert_eq!(refused, Err(malformed), "{prefix}");
    }
    let error = Mux::default().mount("/{x}", ()).expect_err("braces").to_string();
    assert_eq!(
        error,
        "pattern \"/{x}\" has braces, but a prefix is taken literally; write [HOST]/PATH, like \
         \"/api\""
    );
}

#[test]
fn what_belongs_to_the_mount_is_told_apart_from_what_the_app_sees() {
    for (prefix, path, own, rest) in [
        ("/api", "/api", "/api", ""),
        ("/api", "/api/", "/api", "/"),
        ("/api/", "/%61pi//x", "/%61pi", "//x"),
        ("h.org/a/b", "/a/b/c", "/a/b", "/c"),
        ("/", "/x/y", "", "/x/y"),
        ("", "//", "", "//"),
        ("h.org/", "/x", "", "/x"),
        ("/", "*", "*", ""),
    ] {
        let mut mux = Mux::default();
        mux.mount(prefix, ()).expect(prefix);
        let found = mux.find(b"GET", b"h.org", path.as_bytes());
        assert!(matches!(found, Match::Handler { pattern, .. } if pattern == prefix), "{path}");
        assert_eq!(path.split_at(mounted_at(prefix, path.as_bytes())), (own, rest), "{prefix}");
    }
}
