use crate::mux::clean::{clean, is_clean, location};

#[test]
fn clean_paths_lose_empty_and_dotted_segments() {
    for (path, expected) in [
        ("/", "/"),
        ("//", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("//a", "/a"),
        ("/a//", "/a/"),
        ("/a//b", "/a/b"),
        ("/./", "/"),
        ("/.", "/"),
        ("/a/.", "/a"),
        ("/a/./b/", "/a/b/"),
        ("/..", "/"),
        ("/../a", "/a"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/b/..", "/a"),
        ("/a/../../b/", "/b/"),
        ("/.a", "/.a"),
        ("/..a/b..", "/..a/b.."),
        ("/...", "/..."),
        ("/.a/.b/", "/.a/.b/"),
        ("/%2e%2e/a", "/%2e%2e/a"),
        ("/a%2F%2Fb", "/a%2F%2Fb"),
    ] {
        let cleaned = clean(path.as_bytes());
        assert_eq!(String::from_utf8_lossy(&cleaned), expected, "{path}");
        assert_eq!(is_clean(path.as_bytes()), path == expected, "{path}");
    }
}

#[test]
fn all_short_paths_are_clean_once_cleaned_and_those_that_are_clean_do_not_change() {
    for length in 0..=7_u32 {
        for code in 0..3_usize.pow(length) {
            let letter = |place| b"/.a"[code / 3_usize.pow(place) % 3];
            let path: Vec<u8> = std::iter::once(b'/').chain((0..length).map(letter)).collect();
            let cleaned = clean(&path);
            assert!(is_clean(&cleaned), "{path:?}");
            assert_eq!(is_clean(&path), cleaned == path, "{path:?}");
            assert!(!cleaned.starts_with(b"//"), "{path:?}");
        }
    }
}

#[test]
fn what_a_location_cannot_hold_is_encoded_and_what_is_encoded_stays() {
    assert_eq!(location(b"/a%20b/c%zz"), "/a%20b/c%zz");
    assert_eq!(location(b"/\\evil\r\n\"<x>?#\xff"), "/%5Cevil%0D%0A%22%3Cx%3E%3F%23%FF");
    assert_eq!(location(b"/~a-b_c.d!$&'()*+,;=:@"), "/~a-b_c.d!$&'()*+,;=:@");
}
