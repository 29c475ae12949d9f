//! The state that a connection and a handler share for one request.
//!
//! All of it is behind one mutex, held for a few instructions at a time. The connection's side
//! puts in request bytes and takes out response parts; the handler's side does the opposite
//! (`handler`, `upload`).
//! Each side registers a waker when it has to wait. The connection is woken through the
//! [`WakeQueue`], since handlers run outside the runtime.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use smallvec::SmallVec;

use super::body::BodyError;
use super::dispatch::ConnInfo;
use super::file_part::Part;
use super::filter::Filter;
use super::response::ResponseHead;
use super::upgrade::Upgrade;
use crate::wake::{WakeQueue, lock};

mod handler;
mod outgoing;
mod own;
mod upload;
mod waiters;

pub use outgoing::{Due, Outgoing, Progress};
pub(crate) use own::OwnLink;
use upload::Upload;
use waiters::{wake, wake_all};

/// How to wake the connection's task.
#[derive(Debug, Clone)]
pub struct LinkWaker {
    /// The task.
    pub task: Waker,
    /// The runtime that the task lives on.
    pub queue: Arc<WakeQueue>,
}

#[derive(Debug)]
struct State {
    upload: Upload,
    /// Who waits for request bytes or for the client's going.
    readers: Vec<Waker>,
    /// Who waits for the client's going only.
    leavers: Vec<Waker>,

    interim: Vec<ResponseHead>,
    /// What runs the connection after this exchange, and the answer before that.
    upgrade: Option<(Option<ResponseHead>, Box<dyn Upgrade>)>,
    head: Option<ResponseHead>,
    body: SmallVec<[Part; 1]>,
    body_len: usize,
    trailers: Option<Box<ResponseHead>>,
    takes: u64,
    progress: Progress,
    /// What changes the head as it leaves, the outermost first.
    filters: Vec<Arc<dyn Filter>>,
    /// Who waits for room for more of the response.
    writers: Vec<Waker>,

    /// The client has sent its last byte; it may still read.
    hung_up: bool,
    due: Due,
}

impl State {
    fn new(has_body: bool) -> Self {
        Self {
            upload: Upload::new(has_body),
            readers: Vec::new(),
            leavers: Vec::new(),
            interim: Vec::new(),
            upgrade: None,
            head: None,
            body: SmallVec::new(),
            body_len: 0,
            trailers: None,
            takes: 0,
            progress: Progress::Open,
            filters: Vec::new(),
            writers: Vec::new(),
            hung_up: false,
            due: Due::Settings,
        }
    }
}

/// One request's shared state.
#[derive(Debug)]
pub struct Link {
    state: Mutex<State>,
    /// The client has gone, or the connection is closed. Changed with the state locked.
    gone: AtomicBool,
    /// The handler has changed something since the connection looked, and has woken it. Set after
    /// that change, and taken back before the connection looks: both lock the state, so that one
    /// of them sees the other.
    news: AtomicBool,
    /// The server has answered in the handler's place: its time was up.
    expired: AtomicBool,
    /// The connection knows that no more of the response will be given (HTTP/2).
    answered: AtomicBool,
    conn: Arc<ConnInfo>,
    connection: LinkWaker,
}

/// The connection's side.
impl Link {
    /// A link of a request just begun. `has_body`: whether request bytes may follow.
    pub fn new(conn: Arc<ConnInfo>, connection: LinkWaker, has_body: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(has_body)),
            gone: AtomicBool::new(false),
            news: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            conn,
            connection,
        })
    }

    /// The connection that the request came on.
    pub fn conn(&self) -> &Arc<ConnInfo> {
        &self.conn
    }

    /// Whether the handler has changed something since the last call. Changes after this wake the
    /// connection anew.
    pub fn take_news(&self) -> bool {
        // Relaxed: whoever is told goes on to lock the state, which orders all else; who is not
        // told is woken.
        let news = self.news.load(Relaxed);
        if news {
            self.news.store(false, Relaxed);
        }
        news
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.gone()
    }

    /// What waits to be taken by the connection, and how often it has taken something; `None`
    /// when nothing more will be.
    pub fn untaken(&self) -> Option<(usize, u64)> {
        let state = lock(&self.state);
        let more = !self.gone() && (state.progress == Progress::Open || state.body_len > 0);
        more.then_some((state.body_len, state.takes))
    }

    /// Takes what the handler has given of the response since the last call. The handler is told
    /// that there is room again.
    pub fn take_outgoing(&self) -> Outgoing {
        let (out, writers) = {
            self.news.store(false, Relaxed);
            let mut state = lock(&self.state);
            state.takes += 1;
            let out = Outgoing {
                interim: std::mem::take(&mut state.interim),
                head: state.head.take(),
                body: std::mem::take(&mut state.body),
                trailers: state.trailers.take(),
                progress: state.progress,
                due: state.due,
            };
            state.body_len = 0;
            (out, std::mem::take(&mut state.writers))
        };
        wake_all(writers);
        out
    }

    /// A head that the connection itself answers with, in the handler's place: what is added to the
    /// handler's is added to it too.
    pub(crate) fn refine(&self, head: &mut ResponseHead) {
        for filter in self.filters().iter().rev() {
            filter.fields(head);
        }
    }

    /// By when the response must be complete.
    pub fn due(&self) -> Due {
        lock(&self.state).due
    }

    /// The client has taken some of what was taken from here before: it has not stalled.
    pub(crate) fn note_progress(&self) {
        lock(&self.state).takes += 1;
    }

    /// What runs the connection from now on, and the answer to be sent before that.
    pub(crate) fn take_upgrade(&self) -> Option<(Option<ResponseHead>, Box<dyn Upgrade>)> {
        lock(&self.state).upgrade.take()
    }

    /// The client sends no more: whoever waits for its going is told, but the response may go on.
    pub fn hang_up(&self) {
        let (readers, leavers) = {
            let mut state = lock(&self.state);
            state.hung_up = true;
            (std::mem::take(&mut state.readers), std::mem::take(&mut state.leavers))
        };
        wake_all(readers);
        wake_all(leavers);
    }

    /// Whether the handler may still give more of the response.
    pub fn unfinished(&self) -> bool {
        !self.gone() && lock(&self.state).progress == Progress::Open
    }

    /// Ends the response from outside: the client sees that it is not whole, the handler that the
    /// client is gone.
    pub fn cut(&self) {
        self.close();
        lock(&self.state).progress = Progress::Aborted;
        self.wake_connection();
    }

    /// Notes that no more of the response will be given. Returns whether that is news.
    pub(crate) fn note_answered(&self) -> bool {
        !self.answered.swap(true, Relaxed)
    }

    /// Whether that has been noted.
    pub(crate) fn answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// The request's time is up: the handler is told that the client has gone.
    pub(crate) fn expire(&self) {
        self.expired.store(true, Relaxed);
        self.end_upload(Some(BodyError::Deadline));
        self.close();
    }

    /// The client has gone: whoever waits on this request is told.
    pub fn close(&self) {
        let (readers, writers, leavers, uploader) = {
            let mut state = lock(&self.state);
            if self.gone.swap(true, Relaxed) {
                return;
            }
            let uploader = state.upload.close();
            let readers = std::mem::take(&mut state.readers);
            let leavers = std::mem::take(&mut state.leavers);
            (readers, std::mem::take(&mut state.writers), leavers, uploader)
        };
        wake_all(readers);
        wake_all(leavers);
        wake_all(writers);
        wake(uploader);
    }
}
