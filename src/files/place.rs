//! From a URL's path to an open file, and never out of the directory.

use std::ffi::{CStr, CString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// Never waits for the other end of a pipe, never makes a terminal ours.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// A handle on a thing, without opening it.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// How often the kernel is asked again when a rename came between.
const TRIES: u32 = 16;
/// Symbolic links followed on one way; the kernel's own limit.
const MAX_LINKS: u32 = 40;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// A plain file, open.
    File(File, Metadata),
    /// A directory.
    Directory,
}

/// Why a path leads to nothing that is served.
#[derive(Debug)]
pub(super) enum Refused {
    /// There is nothing, or nothing that may be known of.
    NotFound,
    /// The file system says that we may not.
    Forbidden,
    /// Something is wrong with the server.
    Failed(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        // What the system says of names that lead nowhere (or out: EXDEV), and of sockets and
        // devices without a driver.
        const NOWHERE: [Errno; 7] = [
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::LOOP,
            Errno::XDEV,
            Errno::NAMETOOLONG,
            Errno::NXIO,
            Errno::NODEV,
        ];
        match Errno::from_io_error(&error) {
            Some(errno) if NOWHERE.contains(&errno) => Self::NotFound,
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden,
            _ => Self::Failed(error),
        }
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// A directory by its path. It is opened anew for each request: one that is put in its place is
/// served from then on.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// Whether the kernel keeps ways inside (`openat2`, Linux 5.6). Some sandboxes forbid it.
    kernel_confines: bool,
}

impl Place {
    /// # Errors
    /// If there is no such directory.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        // The process may change its own directory later.
        let directory = std::path::absolute(directory)?;
        let root = openat(CWD, &directory, HANDLE | OFlags::DIRECTORY, Mode::empty())?;
        let kernel_confines = beneath(root.as_fd(), c".", HANDLE).is_ok();
        Ok(Self { directory, kernel_confines })
    }

    /// The directory as it is now.
    pub(super) fn enter(&self) -> Result<Root, Refused> {
        let root = openat(CWD, &self.directory, HANDLE | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Root { root, kernel_confines: self.kernel_confines })
    }
}

/// An open directory that files are looked for in.
#[derive(Debug)]
pub(super) struct Root {
    root: OwnedFd,
    kernel_confines: bool,
}

impl Root {
    /// Opens what is at a path below. Symbolic links are followed as long as they stay inside;
    /// those with an absolute target count as leading out.
    pub(super) fn open(&self, path: &[u8]) -> Result<Found, Refused> {
        let path = if path.is_empty() { &b"."[..] } else { path };
        let Ok(path) = CString::new(path) else { return Err(Refused::NotFound) };
        let root = self.root.as_fd();
        let opened =
            if self.kernel_confines { beneath(root, &path, READ) } else { walk(root, &path) };
        let file = File::from(opened?);
        let metadata = file.metadata()?;
        if metadata.is_file() {
            Ok(Found::File(file, metadata))
        } else if metadata.is_dir() {
            Ok(Found::Directory)
        } else {
            Err(Refused::NotFound)
        }
    }
}

/// Opens by the kernel's own confinement.
fn beneath(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let confined = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match openat2(root, path, flags, Mode::empty(), confined) {
            // A rename somewhere made the kernel unsure whether a `..` stayed inside.
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

/// One step of a way: a handle on a directory, and its name in the one before.
struct Step {
    name: CString,
    handle: OwnedFd,
}

/// Opens step by step, for kernels without `openat2`: each step is a single name that is opened
/// below a handle without following links, so no rename can lead out.
fn walk(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let mut ahead = Vec::new();
    push_steps(&mut ahead, path.to_bytes())?;
    let mut way: Vec<Step> = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name.as_bytes() == b".." {
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let at = way.last().map_or(root, |step| step.handle.as_fd());
        let handle = openat(at, &name, HANDLE | OFlags::NOFOLLOW, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&handle)?.st_mode) != FileType::Symlink {
            way.push(Step { name, handle });
            continue;
        }
        links += 1;
        let target = readlinkat(&handle, c"", Vec::new())?;
        if links > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        if target.as_bytes().starts_with(b"/") {
            return Err(Errno::XDEV);
        }
        push_steps(&mut ahead, target.as_bytes())?;
    }
    let Some(last) = way.pop() else { return openat(root, c".", READ, Mode::empty()) };
    let at = way.last().map_or(root, |step| step.handle.as_fd());
    let mut flags = READ | OFlags::NOFOLLOW;
    flags.set(OFlags::DIRECTORY, path.to_bytes().ends_with(b"/"));
    openat(at, &last.name, flags, Mode::empty())
}

/// Puts the names of a path on the stack of those still to be gone, the first on top.
fn push_steps(ahead: &mut Vec<CString>, path: &[u8]) -> Result<(), Errno> {
    for name in path.rsplit(|&b| b == b'/').filter(|name| !matches!(*name, b"" | b".")) {
        ahead.push(CString::new(name).map_err(|_| Errno::INVAL)?);
    }
    Ok(())
}

/// The path of a file from that of a URL: `below` is what follows the prefix, escaped as it was
/// sent. Ends with `/` if the URL does; empty for the directory itself. `None` if it cannot name
/// a file, or names one that is hidden by a dot.
pub(super) fn path_of(below: &[u8], dot_files: bool) -> Option<Vec<u8>> {
    let below = below.strip_prefix(b"/").unwrap_or(below);
    let mut path = Vec::with_capacity(below.len());
    let mut segments = below.split(|&b| b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let start = path.len();
        path.extend(percent_decode(segment));
        let name = &path[start..];
        // An empty segment stands only behind the last slash.
        let hidden = name.starts_with(b".") && !dot_files;
        if (name.is_empty() && !last)
            || hidden
            || matches!(name, b"." | b"..")
            || memchr::memchr2(b'/', 0, name).is_some()
        {
            return None;
        }
        if !last {
            path.push(b'/');
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_decoded_once_and_segment_by_segment() {
        for (below, path) in [
            (&b""[..], &b""[..]),
            (b"/", b""),
            (b"a.txt", b"a.txt"),
            (b"/a/b", b"a/b"),
            (b"a/", b"a/"),
            (b"%C3%A9 %20.txt", "é  .txt".as_bytes()),
            (b"%2561", b"%61"),
            (b"100%", b"100%"),
            (b"a%5c..", b"a\\.."),
            (b"...%61", b""),
        ] {
            let expected = (below != b"...%61").then(|| path.to_vec());
            assert_eq!(path_of(below, false), expected, "{:?}", below.escape_ascii());
        }
        assert_eq!(path_of(b".git/..x", true), Some(b".git/..x".to_vec()));
    }

    #[test]
    fn ways_out_are_no_paths() {
        for below in [
            &b".."[..],
            b"../a",
            b"a/../b",
            b"a/..",
            b"%2e%2e/a",
            b".%2E",
            b"%2e",
            b"./a",
            b"a%2fb",
            b"a%2Fb",
            b"%2fetc%2fpasswd",
            b"//etc",
            b"a//b",
            b"a\0b",
            b"a%00.txt",
        ] {
            for dot_files in [false, true] {
                assert_eq!(path_of(below, dot_files), None, "{:?}", below.escape_ascii());
            }
        }
        for below in [&b".git/config"[..], b"a/.env", b"%2eenv", b"..\\a", b".well-known/a"] {
            assert_eq!(path_of(below, false), None, "{:?}", below.escape_ascii());
        }
    }

    #[test]
    fn what_the_system_says_becomes_a_status() {
        let refused = |errno: Errno| Refused::from(errno);
        for errno in [Errno::NOENT, Errno::NOTDIR, Errno::XDEV, Errno::LOOP, Errno::NAMETOOLONG] {
            assert!(matches!(refused(errno), Refused::NotFound), "{errno:?}");
        }
        for errno in [Errno::ACCESS, Errno::PERM] {
            assert!(matches!(refused(errno), Refused::Forbidden), "{errno:?}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::IO, Errno::NOMEM] {
            assert!(matches!(refused(errno), Refused::Failed(_)), "{errno:?}");
        }
    }

    /// A tree with links of all sorts. `secret` is outside of what is served.
    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().expect("a directory");
        let at = |name: &str| tree.path().join(name);
        std::fs::create_dir_all(at("root/sub/deep")).expect("a directory");
        std::fs::create_dir_all(at("rootling")).expect("a directory");
        std::fs::write(at("secret"), "secret").expect("a file");
        std::fs::write(at("rootling/secret"), "secret").expect("a file");
        std::fs::write(at("root/a"), "a").expect("a file");
        std::fs::write(at("root/sub/b"), "b").expect("a file");
        for (target, link) in [
            ("a", "root/to-a"),
            ("../../a", "root/sub/deep/up"),
            ("sub", "root/to-sub"),
            ("to-sub/../a", "root/by-sub"),
            ("./sub//./b", "root/untidy"),
            ("..", "root/out"),
            ("../secret", "root/to-secret"),
            ("sub/../../root/a", "root/out-and-in"),
            ("../rootling/secret", "root/to-neighbour"),
            ("/etc/passwd", "root/absolute"),
            ("/proc/self/root/etc/passwd", "root/magic"),
            ("loop-b", "root/loop-a"),
            ("loop-a", "root/loop-b"),
            ("nothing", "root/dangling"),
        ] {
            symlink(target, at(link)).expect("a link");
        }
        tree
    }

    fn both(tree: &tempfile::TempDir) -> [Place; 2] {
        let by_kernel = Place::new(&tree.path().join("root")).expect("a directory");
        assert!(by_kernel.kernel_confines, "this kernel has no openat2 to be tested");
        let by_steps = Place { directory: by_kernel.directory.clone(), kernel_confines: false };
        [by_kernel, by_steps]
    }

    fn read(place: &Place, path: &str) -> Result<Option<String>, Refused> {
        match place.enter()?.open(path.as_bytes())? {
            Found::File(file, _) => Ok(Some(io::read_to_string(file)?)),
            Found::Directory => Ok(None),
        }
    }

    #[test]
    fn links_inside_are_followed_with_and_without_the_kernels_help() {
        let tree = tree();
        for place in both(&tree) {
            for (path, content) in [
                ("a", Some("a")),
                ("sub/b", Some("b")),
                ("to-a", Some("a")),
                ("to-sub/b", Some("b")),
                ("sub/deep/up", Some("a")),
                ("by-sub", Some("a")),
                ("untidy", Some("b")),
                ("sub", None),
                ("to-sub", None),
                ("", None),
            ] {
                let found = read(&place, path).expect("it is there");
                assert_eq!(found.as_deref(), content, "{path} {place:?}");
            }
        }
    }

    #[test]
    fn nothing_outside_is_found_with_or_without_the_kernels_help() {
        let tree = tree();
        for place in both(&tree) {
            for path in [
                "../secret",
                "sub/../../secret",
                "/etc/passwd",
                "out",
                "out/secret",
                "to-secret",
                "out-and-in",
                "to-neighbour",
                "absolute",
                "magic",
                "loop-a",
                "dangling",
                "a/b",
                "a/",
                "nothing",
                "x\0y",
            ] {
                let found = read(&place, path);
                assert!(matches!(found, Err(Refused::NotFound)), "{path}: {found:?} {place:?}");
            }
        }
    }

    #[test]
    fn a_directory_put_in_the_place_of_the_first_is_served() {
        let tree = tree();
        let at = |name: &str| tree.path().join(name);
        symlink("root", at("current")).expect("a link");
        let place = Place::new(&at("current")).expect("a directory");
        assert_eq!(read(&place, "a").expect("it is there").as_deref(), Some("a"));
        symlink("rootling", at("next")).expect("a link");
        std::fs::rename(at("next"), at("current")).expect("a rename");
        assert!(matches!(read(&place, "a"), Err(Refused::NotFound)));
        assert_eq!(read(&place, "secret").expect("it is there").as_deref(), Some("secret"));
    }
}
