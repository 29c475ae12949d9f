use super::{ask, check, mux};
use crate::mux::Match;

#[test]
fn wildcards_give_their_values_decoded() {
    let mux = mux(&[
        "/posts/{id}",
        "/users/{user}/posts/{post}",
        "/files/{path...}",
        "/end/{$}",
        "/p/{größe}/x/{rest...}",
    ]);
    check(
        &mux,
        &[
            ("GET /posts/17", "/posts/{id} id=17"),
            ("GET /posts/a%20b", "/posts/{id} id=a b"),
            ("GET /posts/a+b", "/posts/{id} id=a+b"),
            ("GET /posts/a%2Fb", "/posts/{id} id=a/b"),
            ("GET /posts/%2F", "/posts/{id} id=/"),
            ("GET /posts/%2e%2E", "/posts/{id} id=.."),
            ("GET /posts/100%", "/posts/{id} id=100%"),
            ("GET /posts/%zz", "/posts/{id} id=%zz"),
            ("GET /posts/gr%C3%BC%C3%9Fe", "/posts/{id} id=grüße"),
            ("GET /posts/", "404"),
            ("GET /posts", "404"),
            ("GET /posts/1/", "404"),
            ("GET /posts/1/2", "404"),
            ("GET /users/a/posts/b", "/users/{user}/posts/{post} user=a post=b"),
            ("GET /users/a%2Fposts/b", "404"),
            ("GET /files/", "/files/{path...} path="),
            ("GET /files/a", "/files/{path...} path=a"),
            ("GET /files/a/b%2Fc/", "/files/{path...} path=a/b/c/"),
            ("GET /end/", "/end/{$}"),
            ("GET /end/x", "404"),
            ("GET /p/a%20b/x/c/d", "/p/{größe}/x/{rest...} größe=a b rest=c/d"),
        ],
    );
    let Match::Handler { pattern, values, .. } = mux.find(b"GET", b"", b"/users/%FF/posts/b")
    else {
        panic!("a value need not be UTF-8");
    };
    assert_eq!(pattern, "/users/{user}/posts/{post}");
    assert_eq!((values.len(), values.is_empty()), (2, false));
    assert_eq!(values.get("user"), Some(&b"\xff"[..]));
    assert_eq!(values.get("post"), Some(&b"b"[..]));
    assert_eq!(values.get("x"), None);
}

#[test]
fn paths_are_split_before_they_are_decoded() {
    let mux = mux(&["/a/b", "/a%2Fb", "/a%2Fb/", "/c%20d", "/e/{$}", "/e/{x}", "/%25"]);
    check(
        &mux,
        &[
            ("GET /a/b", "/a/b"),
            ("GET /a%2Fb", "/a%2Fb"),
            ("GET /a%2fb", "/a%2Fb"),
            ("GET /%61/%62", "/a/b"),
            ("GET /a%2Fb/c", "/a%2Fb/"),
            ("GET /a%2Fb%2Fc", "404"),
            ("GET /c%20d", "/c%20d"),
            ("GET /c d", "/c%20d"),
            ("GET /c%2520d", "404"),
            ("GET /e/", "/e/{$}"),
            ("GET /e/%2F", "/e/{x} x=/"),
            ("GET /e%2F", "404"),
            ("GET /%25", "/%25"),
            ("GET /%", "/%25"),
        ],
    );
}

#[test]
fn hosts_are_compared_without_case_and_port_and_win() {
    let mux = mux(&[
        "/",
        "/only/here",
        "example.org/",
        "Example.NET/exact",
        "GET api.example.org/x",
        "[::1]/six",
    ]);
    check(
        &mux,
        &[
            ("GET example.org/", "example.org/"),
            ("GET example.org/only/here", "example.org/"),
            ("GET EXAMPLE.org:8080/x", "example.org/"),
            ("GET www.example.org/x", "/"),
            ("GET example.net/exact", "Example.NET/exact"),
            ("GET example.net/only/here", "/only/here"),
            ("GET api.example.org:1/x", "GET api.example.org/x"),
            ("POST api.example.org/x", "/"),
            ("GET [::1]:8000/six", "[::1]/six"),
            ("GET [::1]/six", "[::1]/six"),
            ("GET /only/here", "/only/here"),
        ],
    );
}

#[test]
fn get_takes_head_unless_head_has_its_own() {
    let mux = mux(&["GET /a", "HEAD /b", "GET /b", "GET /c", "/c", "POST /d"]);
    check(
        &mux,
        &[
            ("HEAD /a", "GET /a"),
            ("HEAD /b", "HEAD /b"),
            ("GET /b", "GET /b"),
            ("HEAD /c", "GET /c"),
            ("POST /c", "/c"),
            ("HEAD /d", "405 POST"),
            ("get /a", "405 GET, HEAD"),
        ],
    );
}

#[test]
fn other_methods_of_a_path_are_named() {
    let mux = mux(&[
        "GET /a",
        "PUT /a",
        "GET /{x}",
        "DELETE /{x}",
        "POST /tree/",
        "PATCH h.org/a",
        "BREW /deep/{rest...}",
    ]);
    check(
        &mux,
        &[
            ("POST /a", "405 DELETE, GET, HEAD, PUT"),
            ("POST h.org/a", "405 DELETE, GET, HEAD, PATCH, PUT"),
            ("PATCH /a", "405 DELETE, GET, HEAD, PUT"),
            ("POST /b", "405 DELETE, GET, HEAD"),
            ("DELETE /a", "DELETE /{x} x=a"),
            ("GET /tree/x", "405 POST"),
            ("PUT /tree", "405 DELETE, GET, HEAD, POST"),
            ("GET /deep/a/b", "405 BREW"),
            ("GET /none/at/all", "404"),
            // What is not clean is told the same, without a detour.
            ("POST //b", "405 DELETE, GET, HEAD"),
        ],
    );
}

#[test]
fn a_folder_without_its_slash_is_redirected_to() {
    let tree = mux(&["/", "/tree/", "/end/{$}", "/rest/{x...}", "POST /form/", "/a%20b/{x}/"]);
    check(
        &tree,
        &[
            ("GET /tree", "-> /tree/"),
            ("BREW /tree", "-> /tree/"),
            ("CONNECT /tree", "-> /tree/"),
            ("GET /end", "-> /end/"),
            ("GET /rest", "-> /rest/"),
            ("POST /form", "-> /form/"),
            ("GET /form", "/"),
            ("GET /tree/leaf", "/tree/"),
            ("GET /tree%2F", "/"),
            ("GET /a%20b/c%2Fd\\e", "-> /a%20b/c%2Fd%5Ce/"),
            ("GET h.org/%74ree", "-> /%74ree/"),
        ],
    );
    let both = mux(&["/tree/", "/tree", "/wild/", "/{x}", "h.org/h/"]);
    check(
        &both,
        &[
            ("GET /tree", "/tree"),
            ("GET /wild", "/{x} x=wild"),
            ("GET h.org/h", "/{x} x=h"),
            ("GET /", "404"),
        ],
    );
    check(&mux(&["h.org/h/", "/"]), &[("GET h.org/h", "-> /h/"), ("GET /h", "/")]);
}

#[test]
fn unclean_paths_are_redirected_to_their_clean_form_if_something_takes_it() {
    let mux = mux(&["/a", "/tree/", "/p/{x}/b", "GET /get", "CONNECT /c/{rest...}"]);
    check(
        &mux,
        &[
            ("GET //a", "-> /a"),
            ("POST /x/../a", "-> /a"),
            ("GET /a/.", "-> /a"),
            ("GET /./tree", "-> /tree/"),
            ("GET /tree//x", "-> /tree/x"),
            ("GET /tree/../../tree/x/", "-> /tree/x/"),
            ("GET /p/a%20b//b", "-> /p/a%20b/b"),
            ("GET /p/\\x/./b", "-> /p/%5Cx/b"),
            ("GET //p/x/../y//b", "-> /p/y/b"),
            ("GET //evil.example/..//none", "404"),
            ("GET /a/", "404"),
            ("GET //", "404"),
            ("POST //get", "405 GET, HEAD"),
            // Encoded dots are text.
            ("GET /tree/%2e%2e/a", "/tree/"),
            ("GET /p/.well-known/b", "/p/{x}/b x=.well-known"),
            ("CONNECT //a", "404"),
            ("CONNECT /c//x/../y", "CONNECT /c/{rest...} rest=/x/../y"),
        ],
    );
}

#[test]
fn targets_that_are_no_paths_are_nowhere() {
    let mux = mux(&["/", "h.org/"]);
    for host in ["", "h.org"] {
        for target in ["", "*", "h.org:443"] {
            let found = mux.find(b"OPTIONS", host.as_bytes(), target.as_bytes());
            assert_eq!(found, Match::None, "{target}");
        }
    }
}

#[test]
fn patterns_are_listed_as_registered() {
    let mut mux = mux(&["GET  /b/{x}", "Host.org/a", "/"]);
    assert!(!mux.is_empty());
    mux.mount("/m/", "mount").expect("a mount");
    let listed: Vec<&str> = mux.patterns().map(|(pattern, _)| pattern).collect();
    assert_eq!(listed, ["GET  /b/{x}", "Host.org/a", "/", "/m/"]);
    assert!(super::Mux::<()>::default().is_empty());
    assert_eq!(ask(&super::mux(&[]), "GET /"), "404");
}
