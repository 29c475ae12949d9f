//! What is not served: all that is outside, hidden or no plain file.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use gohttp::config::EngineConfig;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::site::Tree;

#[test]
fn nothing_outside_of_the_directory_is_served() {
    let tree = Tree::new();
    tree.file("sub/inside", "inside");
    let secret = tree.outer.path().join("secret");
    fs::write(&secret, "secret").expect("a file");
    fs::create_dir(tree.outer.path().join("rooted")).expect("a directory");
    fs::write(tree.outer.path().join("rooted/secret"), "secret").expect("a file");
    symlink("../secret", tree.at("relative")).expect("a link");
    symlink(&secret, tree.at("absolute")).expect("a link");
    symlink("..", tree.at("up")).expect("a link");
    symlink("/", tree.at("top")).expect("a link");
    symlink("/proc/self/cwd", tree.at("magic")).expect("a link");
    let absolute = secret.to_str().expect("text");
    for path in [
        "/static/../secret",
        "/static/sub/../../secret",
        "/static/%2e%2e/secret",
        "/static/%2E./secret",
        "/static/..%2fsecret",
        "/static/..%2Fsecret",
        "/static/sub%2finside",
        "/static/..%5csecret",
        "/static/..\\secret",
        "/static/..;/secret",
        "/static/%252e%252e/secret",
        "/static/%c0%ae%c0%ae/secret",
        "/static/sub/%00/../inside",
        "/static/sub/inside%00",
        "/static/sub/inside%00.txt",
        "/static//sub/inside",
        "/static/sub//inside",
        "/static/./sub/inside",
        "/static/sub/inside/",
        "/static/sub/inside/..",
        "/static/relative",
        "/static/absolute",
        "/static/up/secret",
        "/static/up/rooted/secret",
        "/static/up/root/sub/inside",
        "/static/top/etc/passwd",
        "/static/magic",
        "/static/magic/",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/staticed/secret",
        &format!("/static/{absolute}"),
        &format!("/static{absolute}"),
    ] {
        let answer = tree.get(path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.head);
        assert_eq!(answer.text(), "404 Not Found\n", "{path}");
    }
    // The file is there for who asks properly.
    assert_eq!(tree.get("/static/sub/inside").text(), "inside");
}

#[test]
fn links_within_the_directory_are_followed() {
    let tree = Tree::new();
    tree.file("v2/app.js", "new");
    symlink("v2", tree.at("current")).expect("a link");
    symlink("current/../current/app.js", tree.at("app.js")).expect("a link");
    for path in ["/static/current/app.js", "/static/app.js"] {
        assert_eq!(tree.get(path).text(), "new", "{path}");
    }
}

#[test]
fn a_very_long_name_is_not_found() {
    let tree = Tree::new();
    assert_eq!(tree.get(&format!("/static/{}", "x".repeat(300))).status, 404);
    assert_eq!(tree.get(&format!("/static/{}", "x/".repeat(2500))).status, 404);
}

#[test]
fn dot_files_are_served_only_if_that_is_asked_for() {
    for dot_files in [false, true] {
        let tree = Tree::with(EngineConfig::default(), dot_files);
        tree.file(".env", "PASSWORD");
        tree.file(".git/config", "[core]");
        for path in ["/static/.env", "/static/%2eenv", "/static/.git/config"] {
            let expected = if dot_files { 200 } else { 404 };
            assert_eq!(tree.get(path).status, expected, "{path}");
        }
        assert_eq!(tree.get("/static/../root/.env").status, 404);
    }
}

#[test]
fn a_redirect_never_leads_to_another_host_or_scheme() {
    let tree = Tree::new();
    for name in ["javascript:alert(1)", "\\evil.example", "evil.example"] {
        fs::create_dir(tree.at(name)).expect("a directory");
    }
    for (path, location) in [
        ("/static/javascript:alert(1)", "./javascript:alert(1)/"),
        ("/static/%5Cevil.example", "./%5Cevil.example/"),
        ("/static/\\evil.example", "./\\evil.example/"),
    ] {
        let answer = tree.get(path);
        assert_eq!((answer.status, answer.field("location")), (301, Some(location)), "{path}");
    }
    for path in ["/static//evil.example", "/static///evil.example", "/static//evil.example/.."] {
        let answer = tree.get(path);
        assert_eq!((answer.status, answer.field("location")), (404, None), "{path}");
    }
}

#[test]
fn what_is_no_plain_file_is_not_found_and_holds_nobody_up() {
    let tree = Tree::new();
    mkfifoat(CWD, tree.at("fifo"), Mode::RUSR | Mode::WUSR).expect("a pipe");
    let _socket = UnixListener::bind(tree.at("socket")).expect("a socket");
    for path in ["/static/fifo", "/static/socket", "/static/fifo/"] {
        assert_eq!(tree.get(path).status, 404, "{path}");
    }
}
