use super::{Mux, PatternError, check, mux};
use crate::mux::Fault;

fn listed(mux: &Mux<&'static str>) -> Vec<String> {
    mux.patterns().map(|(pattern, _)| pattern.into()).collect()
}

#[test]
fn patterns_are_registered_under_the_prefix() {
    for prefix in ["/v1", "/v1/"] {
        let mut inner = mux(&["GET /x", "/{id}", "/tree/", "/", "/end/{$}"]);
        inner.mount("/app", "app").expect("a mount");
        let mut outer = mux(&["/"]);
        outer.merge(prefix, inner).expect("no conflict");
        assert_eq!(
            listed(&outer),
            ["/", "GET /v1/x", "/v1/{id}", "/v1/tree/", "/v1/", "/v1/end/{$}", "/v1/app"]
        );
        check(
            &outer,
            &[
                ("GET /v1/x", "GET /x"),
                ("GET /v1/7", "/{id} id=7"),
                ("GET /v1/7/8", "/"),
                ("GET /v1/tree", "/{id} id=tree"),
                ("GET /v1", "-> /v1/"),
                ("PUT /v1/app//x", "app"),
                ("GET /x", "/"),
            ],
        );
    }
}

#[test]
fn an_empty_prefix_changes_nothing() {
    for prefix in ["", "/"] {
        let mut inner = mux(&["GET /x", "h.org/{id}", "/"]);
        inner.mount("", "app").expect_err("taken");
        let mut outer = Mux::default();
        outer.merge(prefix, inner).expect("no conflict");
        assert_eq!(listed(&outer), ["GET /x", "h.org/{id}", "/"]);
    }
}

#[test]
fn a_mount_of_the_root_becomes_one_of_the_prefix() {
    for root in ["", "/"] {
        let mut inner = Mux::default();
        inner.mount(root, "app").expect("a mount");
        let mut outer = Mux::default();
        outer.merge("/v1", inner).expect("no conflict");
        check(&outer, &[("GET /v1", "app"), ("GET /v1//x", "app"), ("GET /v2", "404")]);
    }
}

#[test]
fn tables_nest_more_than_once() {
    let mut middle = Mux::default();
    middle.merge("/b", mux(&["GET /c/{x}"])).expect("no conflict");
    let mut outer = Mux::default();
    outer.merge("/a", middle).expect("no conflict");
    check(&outer, &[("GET /a/b/c/d", "GET /c/{x} x=d")]);
}

#[test]
fn the_host_may_stand_in_either() {
    let mut outer = Mux::default();
    outer.merge("h.org/v1", mux(&["GET /x", "H.ORG/y"])).expect("one host");
    outer.merge("/v1", mux(&["i.org/x"])).expect("the inner host");
    assert_eq!(listed(&outer), ["GET h.org/v1/x", "h.org/v1/y", "i.org/v1/x"]);
    let refused = outer.merge("h.org/v2", mux(&["/x", "i.org/x"]));
    let fault = Fault::OtherHost("h.org".into());
    assert_eq!(refused, Err(PatternError::Malformed { pattern: "i.org/x".into(), fault }));
}

#[test]
fn all_or_nothing_is_merged() {
    let mut outer = mux(&["/v1/{x}/b", "h.org/v1/z"]);
    let before = listed(&outer);
    for inner in [
        &["/first", "/a/{y}"][..],
        &["h.org/first", "h.org/z"],
        // These get into each other's way only once they have the same host.
        &["/same", "/first", "h.org/same"],
    ] {
        let prefix = if inner.len() == 3 { "h.org/v1" } else { "/v1" };
        outer.merge(prefix, mux(inner)).expect_err("a conflict");
        assert_eq!(listed(&outer), before);
        check(&outer, &[("GET /v1/first", "404"), ("GET h.org/v1/first", "404")]);
    }
    outer.handle("/v1/first", "/v1/first").expect("nothing is left of it");
    check(&outer, &[("GET /v1/first", "/v1/first"), ("GET /v1/a/b", "/v1/{x}/b x=a")]);
}

#[test]
fn a_bad_prefix_is_refused_even_for_an_empty_table() {
    for prefix in ["v1", "GET /v1", "/{x}", "/a//b"] {
        let refused = Mux::<()>::default().merge(prefix, Mux::default());
        assert!(
            matches!(&refused, Err(PatternError::Malformed { pattern, .. }) if pattern == prefix),
            "{refused:?}"
        );
    }
}
