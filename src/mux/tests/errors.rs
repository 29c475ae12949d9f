use super::{mux, refused};
use crate::mux::{Clash, Fault, Mux, PatternError};

fn fault(pattern: &str) -> Fault {
    match Mux::default().handle(pattern, ()) {
        Err(PatternError::Malformed { pattern: named, fault }) => {
            assert_eq!(named, pattern);
            fault
        }
        other => panic!("{pattern:?}: {other:?}"),
    }
}

#[test]
fn malformed_patterns_are_refused_for_what_is_wrong() {
    for (pattern, expected) in [
        ("", Fault::Empty),
        (" /a", Fault::Method(String::new())),
        ("A=B /", Fault::Method("A=B".into())),
        ("GÉT /", Fault::Method("GÉT".into())),
        ("get /a", Fault::MethodCase("GET")),
        ("Post example.org/a", Fault::MethodCase("POST")),
        ("GET|POST /a", Fault::SeveralMethods("GET|POST".into())),
        ("get,head /a", Fault::SeveralMethods("get,head".into())),
        ("a", Fault::NoPath),
        ("GET", Fault::NoPath),
        ("GET ", Fault::NoPath),
        ("GET example.org", Fault::NoPath),
        ("{id}", Fault::NoPath),
        ("{a}/b", Fault::HostCharacter('{')),
        ("GET example.org /b", Fault::HostCharacter(' ')),
        ("a}/b", Fault::HostCharacter('}')),
        ("example.org:80/b", Fault::HostPort("example.org".into())),
        ("[::1]:80/b", Fault::HostPort("[::1]".into())),
        ("/a b", Fault::PathCharacter(' ')),
        ("/a\tb", Fault::PathCharacter('\t')),
        ("GET /a b", Fault::PathCharacter(' ')),
        ("GET /a ", Fault::PathCharacter(' ')),
        ("/a\n", Fault::PathCharacter('\n')),
        ("/search?q={q}", Fault::BehindPath('?')),
        ("GET /a#b", Fault::BehindPath('#')),
        ("/<int:n>", Fault::ForeignWildcard("<int:n>".into(), "{n}".into())),
        ("/a/<b>.txt/c", Fault::ForeignWildcard("<b>.txt".into(), "{b}".into())),
        ("/<path:rest>", Fault::ForeignWildcard("<path:rest>".into(), "{rest...}".into())),
        ("/<>", Fault::ForeignWildcard("<>".into(), "{name}".into())),
        ("//", Fault::Unclean("/".into())),
        ("//y/../z", Fault::Unclean("/z".into())),
        ("/a/.", Fault::Unclean("/a".into())),
        ("GET //", Fault::Unclean("/".into())),
        ("POST /a/../b/", Fault::Unclean("/b/".into())),
        ("/{a", Fault::PartialWildcard("{a".into())),
        ("/a}", Fault::PartialWildcard("a}".into())),
        ("/x{a}", Fault::PartialWildcard("x{a}".into())),
        ("/{a}x", Fault::PartialWildcard("{a}x".into())),
        ("/{a}{b}", Fault::PartialWildcard("{a}{b}".into())),
        ("/{a}.{b}", Fault::PartialWildcard("{a}.{b}".into())),
        ("/{$}/", Fault::NotLast("{$}".into())),
        ("/{$}/a", Fault::NotLast("{$}".into())),
        ("/{a...}/", Fault::NotLast("{a...}".into())),
        ("/{a...}/b", Fault::NotLast("{a...}".into())),
        ("/{}", Fault::NoName("{}".into())),
        ("/{...}", Fault::NoName("{...}".into())),
        ("/{1a}", Fault::Name("1a".into())),
        ("/{a-b}", Fault::Name("a-b".into())),
        ("/{a.}", Fault::Name("a.".into())),
        ("/{ä!}", Fault::Name("ä!".into())),
        ("/{$...}", Fault::Name("$".into())),
        ("/{$x}", Fault::Name("$x".into())),
        ("/{a}/{a}", Fault::RepeatedName("a".into())),
        ("/{a}/{b}/{a...}", Fault::RepeatedName("a".into())),
    ] {
        assert_eq!(fault(pattern), expected, "{pattern:?}");
    }
}

#[test]
fn unusual_patterns_are_taken() {
    let mut mux = Mux::default();
    for pattern in [
        "/",
        "/a",
        "/{$}",
        "GET /b",
        "GET\t/c",
        "GET \t  /d",
        "x!y /e",
        "example.org/",
        "GET example.org/a",
        "[::1]/a",
        "/p/{größe}/{_1}/{rest...}",
        "CONNECT //x/./..",
        "brew /pot",
        "/a%3Fb%23c",
        "/a<b",
        "/%3Cint:n%3E",
        "/%7Bx%7D",
        "/grüße",
    ] {
        mux.handle(pattern, ()).expect(pattern);
    }
}

#[test]
fn an_error_names_the_pattern_and_says_how_to_mend_it() {
    for (pattern, message) in [
        ("/a b", "pattern \"/a b\" has ' ' in its path; write %20"),
        ("/a\u{a0}b", "pattern \"/a\\u{a0}b\" has '\\u{a0}' in its path; write %C2%A0"),
        (
            "/{a}.txt",
            "pattern \"/{a}.txt\" has braces in a part of the segment \"{a}.txt\"; a wildcard \
             takes a whole segment, as in \"/posts/{id}\"",
        ),
        (
            "get /a",
            "pattern \"get /a\" has a method in small letters, which no client sends; write GET",
        ),
        (
            "/a?b",
            "pattern \"/a?b\" has '?' in its path, which no path holds; leave out what follows it \
             (the query is in the request), or write %3F",
        ),
        (
            "/<int:n>",
            "pattern \"/<int:n>\" has \"<int:n>\" in its path, which is another framework's way; \
             write \"{n}\", and convert the value in the handler",
        ),
        (
            "/{n:path}",
            "pattern \"/{n:path}\" has a wildcard named \"n:path\"; a name is made of letters, \
             digits and underscores and does not begin with a digit: write \"{n...}\"",
        ),
        (
            "nowhere",
            "pattern \"nowhere\" has no path; a path begins with a slash, as in \"/about\" or \
             \"example.org/about\"",
        ),
    ] {
        let error = Mux::default().handle(pattern, ()).expect_err(pattern);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_conflict_names_both_patterns_and_an_example() {
    let error = refused(&["/{resource}/latest"], "/posts/{id}");
    assert_eq!(
        error.to_string(),
        "pattern \"/posts/{id}\" conflicts with \"/{resource}/latest\": both match some paths, \
         like \"/posts/latest\", and neither is more specific; change one so that it matches only \
         a part of what the other matches"
    );
    let error = refused(&["/about"], "GET /");
    assert_eq!(
        error.to_string(),
        "pattern \"GET /\" conflicts with \"/about\": it takes fewer methods, but more paths, so \
         neither is more specific; give both the same method"
    );
    let error = refused(&["/posts/{id}"], "/posts/{name}");
    assert_eq!(
        error.to_string(),
        "pattern \"/posts/{name}\" takes the same requests as \"/posts/{id}\", which has a handler \
         already; remove one of them"
    );
}

#[test]
fn the_example_of_a_conflict_is_a_path_that_both_take() {
    for (one, another, example) in [
        ("/a/{x}", "/{y}/b", "/a/b"),
        ("/{x}/b/", "/a/{y}/{z}", "/a/b/z"),
        ("/a/{x...}", "/{y}/b", "/a/b"),
        ("/a/{x...}", "/{y}/b/{$}", "/a/b/"),
        ("/a%2Fb/{x}", "/{y}/c%20d", "/a%2Fb/c%20d"),
    ] {
        for (registered, new) in [(one, another), (another, one)] {
            match refused(&[registered], new) {
                PatternError::Conflict { clash, .. } => {
                    assert_eq!(clash, Clash::Paths(example.into()), "{registered} {new}");
                }
                error => panic!("{error}"),
            }
        }
    }
}

#[test]
fn of_several_conflicts_the_first_registered_is_named() {
    let registered = ["/a/b", "/k/{x}/c", "/j/{x}/c", "/i/{x}/c", "/h/{x}/{y...}", "/l/{x}/c"];
    match refused(&registered, "/{a}/b/c") {
        PatternError::Conflict { other, .. } => assert_eq!(other, "/k/{x}/c"),
        error => panic!("{error}"),
    }
}

#[test]
fn a_refused_pattern_leaves_no_trace() {
    let mut mux = mux(&["/a/{x}"]);
    mux.handle("/{y}/b", "").expect_err("conflict");
    assert_eq!(mux.patterns().collect::<Vec<_>>(), [("/a/{x}", &"/a/{x}")]);
    assert_eq!(super::ask(&mux, "GET /c/b"), "404");
}
