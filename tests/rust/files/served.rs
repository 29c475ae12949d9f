//! What a file is answered with, and in which form.

use std::fs;
use std::os::unix::fs::symlink;

use crate::site::{AT, Answer, Tree};

#[test]
fn a_file_is_answered_with_what_is_known_of_it() {
    let tree = Tree::new();
    tree.file("style.css", "body {}");
    let answer = tree.get("/static/style.css");
    assert_eq!((answer.status, answer.text()), (200, "body {}"));
    assert_eq!(answer.field("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(answer.field("content-length"), Some("7"));
    assert_eq!(answer.field("last-modified"), Some(AT));
    assert_eq!(answer.field("accept-ranges"), Some("bytes"));
    assert!(answer.field("etag").is_some_and(|tag| tag.starts_with('"') && tag.ends_with('"')));
    assert_eq!((answer.field("vary"), answer.field("content-encoding")), (None, None));
}

#[test]
fn a_connection_goes_on_after_a_file() {
    let tree = Tree::new();
    tree.file("a", "first");
    tree.file("b", "second");
    let answers = tree.running.converse(
        b"GET /static/a HTTP/1.1\r\nHost: x\r\n\r\n\
          HEAD /static/a HTTP/1.1\r\nHost: x\r\n\r\n\
          GET /static/a HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0,2-2\r\n\r\n\
          GET /static/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    let text = String::from_utf8(answers).expect("text");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert_eq!(text.matches("HTTP/1.1 206 ").count(), 1, "{text}");
    assert!(
        text.contains("\r\n\r\nfirstHTTP/1.1 200") && text.ends_with("\r\n\r\nsecond"),
        "{text}"
    );
}

#[test]
fn head_has_the_fields_and_no_body() {
    let tree = Tree::new();
    tree.file("a.txt", "content");
    let (get, head) = (tree.get("/static/a.txt"), tree.ask("HEAD", "/static/a.txt", &[]));
    let without_date = |answer: &Answer| -> Vec<String> {
        answer.head.lines().filter(|line| !line.starts_with("date:")).map(String::from).collect()
    };
    assert_eq!(without_date(&get), without_date(&head));
    assert_eq!(head.body, b"");
    // Ranges are defined for GET only.
    assert_eq!(tree.ask("HEAD", "/static/a.txt", &[("Range", "bytes=0-0")]).status, 200);
    let tag = get.field("etag").expect("a tag");
    assert_eq!(tree.ask("HEAD", "/static/a.txt", &[("If-None-Match", tag)]).status, 304);
    let missing = tree.ask("HEAD", "/static/b.txt", &[]);
    assert_eq!((missing.status, missing.body.len()), (404, 0));
}

#[test]
fn other_methods_are_told_which_there_are() {
    let tree = Tree::new();
    tree.file("a", "content");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let answer = tree.ask(method, "/static/a", &[]);
        assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn an_empty_file_is_whole_whatever_range_is_asked_for() {
    let tree = Tree::new();
    tree.file("empty", "");
    for fields in [&[][..], &[("Range", "bytes=0-")], &[("Range", "bytes=-5")]] {
        let answer = tree.ask("GET", "/static/empty", fields);
        assert_eq!((answer.status, answer.field("content-length")), (200, Some("0")), "{fields:?}");
        assert_eq!(answer.body, b"");
    }
}

#[test]
fn names_are_any_bytes_escaped() {
    let tree = Tree::new();
    for (name, path) in [
        ("naïve é.txt", "/static/na%C3%AFve%20%c3%a9.txt"),
        ("日本語", "/static/%E6%97%A5%E6%9C%AC%E8%AA%9E"),
        ("100%", "/static/100%25"),
        ("a?b#c", "/static/a%3Fb%23c"),
        ("a+b", "/static/a+b"),
        ("%2e%2e", "/static/%252e%252e"),
        ("back\\slash", "/static/back%5Cslash"),
        ("a..b", "/static/a..b"),
    ] {
        tree.file(name, name);
        let answer = tree.get(path);
        assert_eq!((answer.status, answer.text()), (200, name), "{path}");
    }
}

#[test]
fn a_directory_is_its_index_behind_a_slash() {
    let tree = Tree::new();
    tree.file("index.html", "top");
    tree.file("sub/index.html", "sub");
    tree.file("bare/file", "x");
    fs::create_dir_all(tree.at("odd/index.html")).expect("a directory");
    for (path, body) in [("/static/", "top"), ("/static/sub/", "sub")] {
        let answer = tree.get(path);
        assert_eq!((answer.status, answer.text()), (200, body));
        assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
    }
    for (path, location) in [
        ("/static", "./static/"),
        ("/static/sub", "./sub/"),
        ("/static/sub?a=1&b=//c", "./sub/?a=1&b=//c"),
        ("/static/bare", "./bare/"),
    ] {
        let answer = tree.get(path);
        assert_eq!((answer.status, answer.field("location")), (301, Some(location)), "{path}");
    }
    for path in ["/static/bare/", "/static/odd/", "/static/none", "/static/none/"] {
        assert_eq!(tree.get(path).status, 404, "{path}");
    }
}

#[test]
fn siblings_compressed_beforehand_go_to_who_accepts_them() {
    let tree = Tree::new();
    tree.file("app.js", "plain");
    tree.file("app.js.gz", "as gzip");
    tree.file("app.js.br", "as brotli");
    tree.file("app.js.zst", "as zstd");
    let mut tags = Vec::new();
    for (accept, coding, body) in [
        ("", None, "plain"),
        ("gzip", Some("gzip"), "as gzip"),
        ("gzip, deflate, br, zstd", Some("br"), "as brotli"),
        ("gzip, deflate, zstd", Some("zstd"), "as zstd"),
        ("br;q=0.5, gzip;q=0.9", Some("gzip"), "as gzip"),
        ("br;q=0, gzip;q=0", None, "plain"),
        ("*", Some("br"), "as brotli"),
        ("identity, gzip;q=0.5", None, "plain"),
        ("deflate", None, "plain"),
    ] {
        let answer = tree.ask("GET", "/static/app.js", &[("Accept-Encoding", accept)]);
        assert_eq!((answer.status, answer.text()), (200, body), "{accept}");
        assert_eq!(answer.field("content-encoding"), coding, "{accept}");
        assert_eq!(answer.field("vary"), Some("accept-encoding"));
        assert_eq!(answer.field("content-type"), Some("text/javascript; charset=utf-8"));
        tags.push(answer.field("etag").expect("a tag").to_owned());
    }
    let (plain, gzip) = (&*tags[0], &*tags[1]);
    assert!(plain != gzip && gzip != tags[2], "{tags:?}");
    // Conditions and ranges are about the form that the client gets.
    let ask = |fields: &[_]| tree.ask("GET", "/static/app.js", fields);
    let fresh = ask(&[("Accept-Encoding", "gzip"), ("If-None-Match", gzip)]);
    assert_eq!((fresh.status, fresh.field("vary")), (304, Some("accept-encoding")));
    assert_eq!(fresh.field("content-encoding"), None);
    assert_eq!(ask(&[("Accept-Encoding", "gzip"), ("If-None-Match", plain)]).status, 200);
    let part = ask(&[("Accept-Encoding", "gzip"), ("Range", "bytes=3-")]);
    assert_eq!((part.status, part.text()), (206, "gzip"));
    assert_eq!(part.field("content-encoding"), Some("gzip"));
    assert_eq!(tree.get("/static/app.js.gz").field("content-type"), Some("application/gzip"));
}

#[test]
fn siblings_that_may_not_be_served_are_none() {
    let tree = Tree::new();
    tree.file("index.html", "plain");
    tree.file("index.html.gz", "as gzip");
    fs::write(tree.outer.path().join("secret"), "secret").expect("a file");
    symlink("../secret", tree.at("index.html.br")).expect("a link");
    fs::create_dir(tree.at("index.html.zst")).expect("a directory");
    let fields = [("Accept-Encoding", "br, zstd, gzip;q=0.1")];
    let answer = tree.ask("GET", "/static/", &fields);
    assert_eq!((answer.text(), answer.field("content-encoding")), ("as gzip", Some("gzip")));
    assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
    tree.file("only.js.gz", "as gzip");
    assert_eq!(tree.ask("GET", "/static/only.js", &[("Accept-Encoding", "gzip")]).status, 404);
}
