//! Files that are still being sent while something happens.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::site::{LARGE, Tree};

/// Reads until `buffer` holds what `enough` wants.
fn read_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, enough: impl Fn(&[u8]) -> bool) {
    let mut piece = [0; 4096];
    while !enough(buffer) {
        let n = stream.read(&mut piece).expect("it answers");
        assert!(n > 0, "it ended: {:?}", buffer.escape_ascii());
        buffer.extend_from_slice(&piece[..n]);
    }
}

#[test]
fn a_large_file_arrives_whole() {
    let tree = Tree::new();
    tree.large("large");
    let answer = tree.get("/static/large");
    assert_eq!(answer.field("content-length"), Some(&*LARGE.to_string()));
    assert_eq!(answer.body.len() as u64, LARGE);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_its_connection_only() {
    let tree = Tree::new();
    let file = tree.large("large");
    let mut stream = tree.running.connect();
    stream.write_all(b"GET /static/large HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    read_until(&mut stream, &mut answer, |answer| answer.ends_with(b"\0"));
    file.set_len(0).expect("ours");
    let ended = stream.read_to_end(&mut answer);
    assert!(
        ended.as_ref().err().is_none_or(|e| e.kind() == ErrorKind::ConnectionReset),
        "{ended:?}"
    );
    assert!((answer.len() as u64) < LARGE);
    assert_eq!(tree.get("/static/large").field("content-length"), Some("0"));
}

#[test]
fn a_client_that_takes_nothing_of_a_file_holds_nobody_up() {
    let tree = Tree::new();
    tree.large("large");
    tree.file("small", "quick");
    let mut stream = tree.running.connect();
    stream.write_all(b"GET /static/large HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    read_until(&mut stream, &mut answer, |answer| answer.ends_with(b"\0"));
    assert_eq!(tree.get("/static/small").text(), "quick");
}
