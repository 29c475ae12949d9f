//! Preconditions (RFC 9110 section 13), and the fields that they are compared with.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::site::{AFTER, AT, BEFORE, Tree};

#[test]
fn preconditions_decide_in_their_order() {
    let tree = Tree::new();
    tree.file("a.txt", "content");
    let answer = tree.get("/static/a.txt");
    let tag = answer.field("etag").expect("a tag");
    let (weak, list) = (format!("W/{tag}"), format!("\"x\", {tag}"));
    for (fields, status) in [
        (&[("If-Match", tag)][..], 200),
        (&[("If-Match", "*")], 200),
        (&[("If-Match", &list)], 200),
        (&[("If-Match", "\"x\"")], 412),
        (&[("If-Match", &weak)], 412),
        (&[("If-Unmodified-Since", AT)], 200),
        (&[("If-Unmodified-Since", BEFORE)], 412),
        (&[("If-Unmodified-Since", "x")], 200),
        (&[("If-None-Match", tag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &list)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"x\"")], 200),
        (&[("If-Modified-Since", AT)], 304),
        (&[("If-Modified-Since", AFTER)], 304),
        (&[("If-Modified-Since", BEFORE)], 200),
        (&[("If-Modified-Since", "x")], 200),
        // If-Match before If-Unmodified-Since, If-None-Match before If-Modified-Since.
        (&[("If-Match", tag), ("If-Unmodified-Since", BEFORE)], 200),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], 200),
        (&[("If-None-Match", tag), ("If-Modified-Since", BEFORE)], 304),
        // What fails comes before what is not modified, and that before ranges.
        (&[("If-Match", "\"x\""), ("If-None-Match", tag)], 412),
        (&[("If-Unmodified-Since", BEFORE), ("If-None-Match", tag)], 412),
        (&[("If-Match", tag), ("If-None-Match", tag)], 304),
        (&[("If-None-Match", tag), ("Range", "bytes=0-0")], 304),
        (&[("If-None-Match", tag), ("Range", "bytes=99-")], 304),
        (&[("If-Match", "\"x\""), ("Range", "bytes=0-0")], 412),
        (&[("If-Match", tag), ("Range", "bytes=0-0")], 206),
        (&[("If-Modified-Since", BEFORE), ("Range", "bytes=0-0")], 206),
        // If-Range last, and only with a range.
        (&[("If-Range", tag), ("Range", "bytes=0-0")], 206),
        (&[("If-Range", AT), ("Range", "bytes=0-0")], 206),
        (&[("If-Range", &weak), ("Range", "bytes=0-0")], 200),
        (&[("If-Range", "\"x\""), ("Range", "bytes=0-0")], 200),
        (&[("If-Range", BEFORE), ("Range", "bytes=0-0")], 200),
        (&[("If-Range", AFTER), ("Range", "bytes=0-0")], 200),
        (&[("If-Range", "\"x\""), ("Range", "bytes=99-")], 200),
        (&[("If-Range", tag), ("Range", "bytes=99-")], 416),
        (&[("If-Range", "\"x\"")], 200),
    ] {
        let answer = tree.ask("GET", "/static/a.txt", fields);
        assert_eq!(answer.status, status, "{fields:?}");
        match status {
            200 => assert_eq!(answer.text(), "content"),
            206 => assert_eq!(answer.text(), "c"),
            304 => {
                assert_eq!((answer.field("etag"), answer.body.len()), (Some(tag), 0));
                assert_eq!(answer.field("content-type"), None);
                assert_eq!(answer.field("content-length"), None);
            }
            _ => assert!(answer.text().starts_with(&status.to_string()), "{answer:?}"),
        }
    }
}

#[test]
fn a_changed_file_has_another_tag() {
    let tree = Tree::new();
    let path = tree.file("a", "one");
    let before = tree.get("/static/a").field("etag").map(String::from);
    // The same size and time, as reproducible builds make them: the file is another one.
    tree.file("b", "two");
    fs::rename(tree.at("b"), &path).expect("a rename");
    let answer = tree.get("/static/a");
    assert_eq!((answer.text(), answer.field("last-modified")), ("two", Some(AT)));
    assert_ne!(answer.field("etag").map(String::from), before);
}

#[test]
fn a_file_changed_just_now_is_not_pieced_together() {
    let tree = Tree::new();
    let path = tree.file("a", "content");
    let file = fs::File::options().write(true).open(path).expect("it is there");
    // Beyond the end of this test, and so not settled at any time in it.
    file.set_modified(SystemTime::now() + Duration::from_secs(3600)).expect("ours");
    let answer = tree.get("/static/a");
    let tag = answer.field("etag").expect("a tag");
    assert!(tag.starts_with("W/"), "{tag}");
    assert_eq!(answer.field("last-modified"), None);
    assert_eq!(tree.ask("GET", "/static/a", &[("If-None-Match", tag)]).status, 304);
    let fields = [("If-Range", tag), ("Range", "bytes=0-0")];
    assert_eq!(tree.ask("GET", "/static/a", &fields).status, 200);
}

#[test]
fn fields_that_are_set_already_are_kept_and_compared_with() {
    let tree = Tree::new();
    tree.file("a.txt", "content");
    let ask = |path: &str, fields: &[_]| tree.ask("GET", path, fields);
    let answer = ask("/own/a.txt", &[]);
    assert_eq!((answer.status, answer.text()), (200, "content"));
    for (name, value) in [
        ("etag", "\"own\""),
        ("last-modified", AFTER),
        ("content-type", "text/own"),
        ("cache-control", "max-age=60"),
        ("x-own", "1"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.field(name), Some(value));
    }
    let fresh = ask("/own/a.txt", &[("If-None-Match", "\"own\"")]);
    assert_eq!((fresh.status, fresh.field("x-own")), (304, Some("1")));
    assert_eq!(fresh.field("cache-control"), Some("max-age=60"));
    assert_eq!((fresh.field("content-type"), fresh.field("last-modified")), (None, None));
    assert_eq!(ask("/own/a.txt", &[("If-Modified-Since", AT)]).status, 200);
    assert_eq!(ask("/own/a.txt", &[("If-Modified-Since", AFTER)]).status, 304);
    let part = ask("/own/a.txt", &[("Range", "bytes=0-1"), ("If-Range", "\"own\"")]);
    assert_eq!((part.status, part.text(), part.field("x-own")), (206, "co", Some("1")));
    let refused = ask("/own/a.txt", &[("Range", "bytes=9-")]);
    assert_eq!((refused.status, refused.field("x-own")), (416, Some("1")));
    assert_eq!((refused.field("cache-control"), refused.field("etag")), (None, None));
    assert_eq!(refused.field("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn conditions_and_ranges_do_not_touch_another_status() {
    let tree = Tree::new();
    tree.file("404.html", "not here");
    for fields in [&[("If-None-Match", "*")], &[("If-Match", "\"x\"")], &[("Range", "bytes=0-0")]] {
        let answer = tree.ask("GET", "/own/404.html?404", fields);
        assert_eq!((answer.status, answer.text()), (404, "not here"), "{fields:?}");
        assert_eq!(answer.field("accept-ranges"), None);
    }
}

#[test]
fn an_open_directory_is_no_file_to_serve() {
    let tree = Tree::new();
    fs::create_dir(tree.at("sub")).expect("a directory");
    let answer = tree.get("/own/sub");
    assert_eq!((answer.status, answer.text()), (500, "InvalidInput"));
}
