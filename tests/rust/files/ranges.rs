//! Ranges of a file (RFC 9110 section 14).

use crate::site::{AT, Tree};

#[test]
fn one_range_is_sent_as_it_is() {
    let tree = Tree::new();
    tree.file("digits.txt", "0123456789");
    for (range, body, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=0-", "0123456789", "bytes 0-9/10"),
        ("bytes=-10", "0123456789", "bytes 0-9/10"),
        ("bytes=-99999999999999999999999999", "0123456789", "bytes 0-9/10"),
        ("bytes=8-18446744073709551616", "89", "bytes 8-9/10"),
        ("bytes=20-,3-3", "3", "bytes 3-3/10"),
    ] {
        let answer = tree.ask("GET", "/static/digits.txt", &[("Range", range)]);
        assert_eq!((answer.status, answer.text()), (206, body), "{range}");
        assert_eq!(answer.field("content-range"), Some(content_range), "{range}");
        assert_eq!(answer.field("content-length"), Some(&*body.len().to_string()), "{range}");
        assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.field("last-modified"), Some(AT));
        assert!(answer.field("etag").is_some());
    }
}

#[test]
fn ranges_beyond_the_end_are_refused_and_others_ignored() {
    let tree = Tree::new();
    tree.file("digits.txt", "0123456789");
    for range in ["bytes=10-", "bytes=-0", "bytes=99999999999999999999999999-", "bytes=10-,20-30"] {
        let answer = tree.ask("GET", "/static/digits.txt", &[("Range", range)]);
        assert_eq!((answer.status, answer.field("content-range")), (416, Some("bytes */10")));
        assert_eq!(answer.text(), "416 Range Not Satisfiable\n", "{range}");
        assert_eq!((answer.field("etag"), answer.field("last-modified")), (None, None));
    }
    let many: Vec<String> = (0..17).map(|_| "0-0".into()).collect();
    let many = format!("bytes={}", many.join(","));
    for range in ["bytes=5-4", "bytes=x", "lines=0-1", "bytes=0-,0-0", "bytes=0-6,3-9", &many] {
        let answer = tree.ask("GET", "/static/digits.txt", &[("Range", range)]);
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{range}");
        assert_eq!(answer.field("content-range"), None);
    }
    let twice = [("Range", "bytes=0-0"), ("Range", "bytes=1-1")];
    assert_eq!(tree.ask("GET", "/static/digits.txt", &twice).status, 200);
}

#[test]
fn several_ranges_are_parts_of_one_answer() {
    let tree = Tree::new();
    tree.file("digits.txt", "0123456789");
    for (range, parts) in [
        ("bytes=0-1,4-5", &[("0-1", "01"), ("4-5", "45")][..]),
        ("bytes=-1, 0-0", &[("9-9", "9"), ("0-0", "0")]),
        ("bytes=0-3,2-5", &[("0-3", "0123"), ("2-5", "2345")]),
        ("bytes=1-1,99-,3-3", &[("1-1", "1"), ("3-3", "3")]),
    ] {
        let answer = tree.ask("GET", "/static/digits.txt", &[("Range", range)]);
        assert_eq!((answer.status, answer.field("content-range")), (206, None), "{range}");
        let media = answer.field("content-type").expect("a type");
        let boundary = media.strip_prefix("multipart/byteranges; boundary=").expect("parts");
        let mut expected = String::new();
        for (at, content) in parts {
            expected.push_str(&format!(
                "--{boundary}\r\ncontent-type: text/plain; charset=utf-8\r\n\
                 content-range: bytes {at}/10\r\n\r\n{content}\r\n"
            ));
        }
        expected.push_str(&format!("--{boundary}--\r\n"));
        assert_eq!(answer.text(), expected, "{range}");
        assert_eq!(answer.field("content-length"), Some(&*expected.len().to_string()));
    }
}

#[test]
fn sixteen_ranges_of_a_large_file_are_all_sent() {
    let tree = Tree::new();
    let content: Vec<u8> = (0..4_000_000u32).map(|n| (n / 7 % 251) as u8).collect();
    tree.file("large", &content);
    let ranges: Vec<(usize, usize)> =
        (0..16).map(|n| (n * 240_000, n * 240_000 + 200_000)).collect();
    let asked: Vec<String> = ranges.iter().map(|(from, to)| format!("{from}-{}", to - 1)).collect();
    let field = format!("bytes={}", asked.join(","));
    let answer = tree.ask("GET", "/static/large", &[("Range", &field)]);
    assert_eq!(answer.status, 206);
    let mut rest = &answer.body[..];
    for (from, to) in ranges {
        let at = rest.windows(4).position(|w| w == b"\r\n\r\n").expect("a part's head") + 4;
        assert!(rest[at..].starts_with(&content[from..to]), "{from}-{to}");
        rest = &rest[at + (to - from)..];
    }
    assert!(rest.starts_with(b"\r\n--") && rest.ends_with(b"--\r\n"), "{:?}", rest.escape_ascii());
}
