// gohttp: an HTTP server for C. The guide is docs/c.md. Written by `make header` from src/c.

#ifndef GOHTTP_H
#define GOHTTP_H

#include <stddef.h>
#include <stdint.h>

// The 2016 library's names and types: https://github.com/shazow/gohttplib
typedef unsigned int ResponseWriterPtr;
typedef struct Request Request;
typedef void FuncPtr(ResponseWriterPtr w, Request *r);


// What a function returns: GOHTTP_OK, or a negative number that says why not.
enum gohttp_error {
  // It was done.
  GOHTTP_OK = 0,
  // The handle is stale or was never one.
  GOHTTP_ERROR_HANDLE = -1,
  // An argument is NULL, out of range or malformed.
  GOHTTP_ERROR_ARGUMENT = -2,
  // What was asked for is not there: no such header, no declared length.
  GOHTTP_ERROR_MISSING = -3,
  // The client has gone.
  GOHTTP_ERROR_GONE = -4,
  // The response has begun: its status and headers have been sent.
  GOHTTP_ERROR_STARTED = -5,
  // The response has ended.
  GOHTTP_ERROR_ENDED = -6,
  // The request's body is malformed.
  GOHTTP_ERROR_BODY = -7,
  // The request's body is larger than the server allows, or the response's than declared.
  GOHTTP_ERROR_TOO_LARGE = -8,
  // The client was too slow, or the request's time was up.
  GOHTTP_ERROR_TIMEOUT = -9,
  // The server is not in a state for this: it runs, has ended or does not listen.
  GOHTTP_ERROR_STATE = -10,
  // The system refused: gohttp_last_error says what.
  GOHTTP_ERROR_SYSTEM = -11,
  // Handlers were still running when the stop's time was up; they go on without a server.
  GOHTTP_ERROR_ABANDONED = -12,
  // There are too many handles.
  GOHTTP_ERROR_FULL = -13,
  // A fault of the library itself.
  GOHTTP_ERROR_INTERNAL = -14,
};

// What gohttp_server_set sets. Times are in milliseconds.
enum gohttp_option {
  // Threads in handlers at once; 64 unless set. Those that wait for their clients do not count.
  GOHTTP_OPTION_THREADS = 1,
  // Requests that may wait for a thread; further ones get 503. 1024 unless set.
  GOHTTP_OPTION_QUEUE = 2,
  // Bytes of a handler's stack; 8 MiB unless set.
  GOHTTP_OPTION_STACK_SIZE = 3,
  // Bytes of a request's body; more is answered with 413. 0, as it is unless set: no limit.
  GOHTTP_OPTION_MAX_BODY_SIZE = 4,
  // Connections at once; further ones wait. 0, as it is unless set: no limit.
  GOHTTP_OPTION_MAX_CONNECTIONS = 5,
  // From the first byte of a request to the end of its head; 10 s unless set.
  GOHTTP_OPTION_HEADER_TIMEOUT = 6,
  // Without a byte of a body that is waited for; 30 s unless set.
  GOHTTP_OPTION_BODY_TIMEOUT = 7,
  // Between requests of a connection; 75 s unless set.
  GOHTTP_OPTION_IDLE_TIMEOUT = 8,
  // Without the client taking a byte of the response; 60 s unless set.
  GOHTTP_OPTION_WRITE_TIMEOUT = 9,
  // For a whole request; the client then gets 504. The handler is not stopped: it is told that
  // the client has gone. 0, as it is unless set: no limit.
  GOHTTP_OPTION_REQUEST_TIMEOUT = 10,
  // How long a stop waits for requests in flight; 30 s unless set.
  GOHTTP_OPTION_GRACEFUL_TIMEOUT = 11,
  // 1: SIGTERM and SIGINT stop the server, a second one ends the process. 0 unless set.
  GOHTTP_OPTION_SIGNALS = 12,
  // 1: a line of the log for each response. 0 unless set.
  GOHTTP_OPTION_ACCESS_LOG = 13,
};

// A function that is given a line of the log. It is called from any thread, from several at once,
// also while the library is in the middle of something: it must not call the library, nor wait for
// a thread that may be inside gohttp_set_log.
typedef void (*gohttp_log_function)(int level, const char *message, void *data);

// A request. It is the same number as its gohttp_response, and as the article's ResponseWriterPtr.
typedef uint32_t gohttp_request;

// A response in the making. 0 is none.
typedef uint32_t gohttp_response;

// A server; 0 is none.
typedef uint32_t gohttp_server;

// Answers a request. It runs on a thread of the library's and may block; `data` is what was given
// to gohttp_server_handle. When it returns, the response is complete, unless it was detached.
typedef void (*gohttp_handler)(gohttp_response w, gohttp_request r, void *data);

// A request, good until the handler returns. All texts end in NUL and are never NULL.
struct Request {
  // The method: `GET`.
  const char *Method;
  // Host and port that the client asked for.
  const char *Host;
  // Path and query as the client sent them: `/a%20b?x=1`.
  const char *URL;
  // The whole body. Of one with NULs in it, gohttp_request_read gives all.
  const char *Body;
  // The header fields but Host, as `Name: value` lines that end in CR LF.
  const char *Headers;
};

// The functions that handlers call, for code that runs inside a Python server: see gohttp_use. Each
// field is the function of its name. A later version adds fields at the end only.
struct gohttp_api {
  // How large this struct is in the server's version.
  size_t size;
  const char *(*gohttp_request_method)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_path)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_query)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_url)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_host)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_protocol)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_remote_address)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_pattern)(gohttp_request r, size_t *length);
  const char *(*gohttp_request_path_value)(gohttp_request r, const char *name, size_t *length);
  const char *(*gohttp_request_query_value)(gohttp_request r, const char *name, size_t *length);
  const char *(*gohttp_request_header)(gohttp_request r, const char *name, size_t *length);
  int (*gohttp_request_header_count)(gohttp_request r);
  int (*gohttp_request_header_at)(gohttp_request r, int index, const char **name, const char **value);
  int64_t (*gohttp_request_content_length)(gohttp_request r);
  ptrdiff_t (*gohttp_request_read)(gohttp_request r, void *buffer, size_t size);
  int (*gohttp_response_set_status)(gohttp_response w, int status);
  int (*gohttp_response_set_header)(gohttp_response w, const char *name, const char *value);
  int (*gohttp_response_add_header)(gohttp_response w, const char *name, const char *value);
  int (*gohttp_response_interim)(gohttp_response w, int status);
  ptrdiff_t (*gohttp_response_write)(gohttp_response w, const void *data, size_t length);
  int (*gohttp_response_flush)(gohttp_response w);
  int (*gohttp_response_gone)(gohttp_response w);
  int (*gohttp_response_detach)(gohttp_response w);
  int (*gohttp_response_end)(gohttp_response w);
  int (*gohttp_response_abort)(gohttp_response w);
  int (*ResponseWriter_Write)(ResponseWriterPtr w, char *buf, int length);
  void (*ResponseWriter_WriteHeader)(ResponseWriterPtr w, int code);
  const char *(*gohttp_last_error)(void);
  const char *(*gohttp_strerror)(int code);
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Writes `length` bytes of the body. Returns how many were written, or EOF when the client has
// gone or `w` is no longer good. The first write settles the status. Waits while the client takes
// nothing.
//
// `buf` points to `length` bytes.
int ResponseWriter_Write(ResponseWriterPtr w, char *buf, int length);

// Sets the status, 200 unless set. Once only, and before the first write: what comes later is
// ignored and logged, as in Go. 1xx is sent at once, as an interim response.
void ResponseWriter_WriteHeader(ResponseWriterPtr w, int code);

// Has `fn` answer requests for `pattern`, for the next ListenAndServe and for those that run.
// Patterns are those of Go's ServeMux. One that is malformed or taken is not registered; that is
// logged, and gohttp_last_error tells it.
//
// `pattern` is a text that ends in NUL; `fn` is a function of the type FuncPtr.
void HandleFunc(char *pattern, FuncPtr *fn);

// Serves on `addr` until SIGTERM, SIGINT or Shutdown, and until the requests in flight have been
// answered: `":8080"`, `"127.0.0.1:8080"`, `"unix:/path"`. Handlers run on threads of the
// library's. If it cannot listen it returns at once; that is logged, and gohttp_last_error tells it.
//
// `addr` is a text that ends in NUL, or NULL, which means `":80"`.
void ListenAndServe(char *addr);

// Has every ListenAndServe stop: what waits is answered, then they return. From any thread, and
// from handlers; it does not wait.
void Shutdown(void);

// What went wrong in the last call that failed on this thread; empty if none has. The text is
// valid until the next call that fails on this thread.
const char *gohttp_last_error(void);

// What an error code means, in a few words. The text is valid for ever.
const char *gohttp_strerror(int code);

// Has lines of the log go to `function`, with `data`; to stderr if it is NULL. `level` is how much:
// 0 nothing, 1 errors, 2 warnings as well (as it is unless set), 3 what happens, each access line
// among it, 4 all. Waits until no thread is in the former function: that and its data may be let go
// of then. GOHTTP_ERROR_STATE from inside that function.
//
// `function` stays callable, from any thread, until this returns for another.
int gohttp_set_log(int level, gohttp_log_function function, void *data);

// The method: `GET`. Here and below: NULL if `r` is stale or there is no such text; `length`, unless
// it is NULL, gets the length without the NUL.
//
// `length` is NULL or points to a `size_t`.
const char *gohttp_request_method(gohttp_request r,
                                  size_t *length);

// The path as the client sent it, percent signs kept: `/a%20b`.
//
// As gohttp_request_method.
const char *gohttp_request_path(gohttp_request r, size_t *length);

// What stands behind the `?`, as sent; empty if there is none.
//
// As gohttp_request_method.
const char *gohttp_request_query(gohttp_request r, size_t *length);

// Path and query as the client sent them: `/a%20b?x=1`.
//
// As gohttp_request_method.
const char *gohttp_request_url(gohttp_request r, size_t *length);

// Host and port that the client asked for; empty if it named none (HTTP/1.0).
//
// As gohttp_request_method.
const char *gohttp_request_host(gohttp_request r, size_t *length);

// The protocol: `HTTP/1.1`.
//
// As gohttp_request_method.
const char *gohttp_request_protocol(gohttp_request r, size_t *length);

// The client's address and port, `127.0.0.1:52814`; empty on a Unix socket.
//
// As gohttp_request_method.
const char *gohttp_request_remote_address(gohttp_request r, size_t *length);

// The pattern that the request was found by, as it was registered.
//
// As gohttp_request_method.
const char *gohttp_request_pattern(gohttp_request r, size_t *length);

// What the wildcard `name` of the pattern took of the path, percent-decoded. NULL if the pattern
// has no such wildcard. It may hold slashes, `..` and NULs that were encoded.
//
// As gohttp_request_method; `name` is a text that ends in NUL.
const char *gohttp_request_path_value(gohttp_request r, const char *name, size_t *length);

// The first value of `name` in the query, decoded as forms are: `+` is a space. NULL if there is
// none.
//
// As gohttp_request_method; `name` is a text that ends in NUL.
const char *gohttp_request_query_value(gohttp_request r, const char *name, size_t *length);

// The first value of the header `name`, in whatever case. NULL if there is none.
//
// As gohttp_request_method; `name` is a text that ends in NUL.
const char *gohttp_request_header(gohttp_request r, const char *name, size_t *length);

// How many header fields there are, or an error.
int gohttp_request_header_count(gohttp_request r);

// Name, in lower case, and value of a header field, counted from 0 in the order received.
//
// `name` and `value` are each NULL or point to a `const char *`.
int gohttp_request_header_at(gohttp_request r, int index, const char **name, const char **value);

// The length of the body that the client has declared; GOHTTP_ERROR_MISSING if it has declared
// none: then there is no body, or one whose length its end will show.
int64_t gohttp_request_content_length(gohttp_request r);

// Reads some of the body, up to `size` bytes, and waits for the client if there is none yet.
// Returns how many, 0 at the end, or an error. From any thread; each byte is read once.
//
// `buffer` points to `size` bytes.
ptrdiff_t gohttp_request_read(gohttp_request r, void *buffer, size_t size);

// Sets the status, 200 to 999; it is 200 unless set.
int gohttp_response_set_status(gohttp_response w, int status);

// Sets a header, in place of what it was; NULL as value takes it out. Without a Content-Type the
// first bytes of the body decide, as in Go. Headers of the connection are the server's: they are
// dropped, but `Connection: close` is obeyed.
//
// `name` is a text that ends in NUL, and `value` is one or NULL.
int gohttp_response_set_header(gohttp_response w, const char *name, const char *value);

// Adds a header beside those of the same name: `Set-Cookie`.
//
// `name` and `value` are texts that end in NUL.
int gohttp_response_add_header(gohttp_response w, const char *name, const char *value);

// Sends an interim response at once, with the headers set so far: 103 with Link, or 100, 102 to 199.
int gohttp_response_interim(gohttp_response w,
                            int status);

// Writes part of the body. Up to 16 KiB are gathered, and sent with their length if that is all;
// more is streamed, and the call waits while the client takes nothing. Returns `length`, or an
// error.
//
// `data` points to `length` bytes.
ptrdiff_t gohttp_response_write(gohttp_response w, const void *data, size_t length);

// Sends what has been written so far, the headers first, and waits while the client takes nothing.
int gohttp_response_flush(gohttp_response w);

// 1 if the client has gone, 0 if not, or an error. A client that has closed its half only has not
// gone: it may wait for the answer.
int gohttp_response_gone(gohttp_response w);

// Keeps the response open after the handler has returned: any thread may go on with it, and one
// must end it by gohttp_response_end or gohttp_response_abort, even if the client has gone. The
// request stays readable until then.
int gohttp_response_detach(gohttp_response w);

// Ends the response. A detached one's handle is stale from now on, whatever is returned; in a
// handler, without detaching, it sends the response before the handler returns.
int gohttp_response_end(gohttp_response w);

// Ends the response so that the client sees that it is not whole; else as gohttp_response_end.
int gohttp_response_abort(gohttp_response w);

// Makes a server. Returns 0 if there are too many.
gohttp_server gohttp_server_new(void);

// Sets an option, a GOHTTP_OPTION_…, before the server runs.
int gohttp_server_set(gohttp_server server, int option, int64_t value);

// Has `handler` answer requests for `pattern`, one of Go's ServeMux, with `data`. Also while the
// server runs. A pattern that is malformed or taken is an error.
//
// `pattern` is a text that ends in NUL; `handler` stays callable, from any thread, for as long as
// the server lives.
int gohttp_server_handle(gohttp_server server,
                         const char *pattern,
                         gohttp_handler handler,
                         void *data);

// Listens on an address: `"127.0.0.1:8080"`, `":8080"` for all of the machine's addresses,
// `"[::1]:8080"`, `"unix:/path"`. Port 0 gets any free one: see gohttp_server_port. May be called
// again for further addresses, until the server runs. Clients can connect from now on, and wait.
//
// `address` is a text that ends in NUL.
int gohttp_server_listen(gohttp_server server, const char *address);

// The port of the first address of TCP that is listened on, or an error.
int gohttp_server_port(gohttp_server server);

// Serves until it is told to stop, and until the requests in flight have been answered. Handlers
// run on threads of the library's; the calling thread only waits. A server runs once.
int gohttp_server_run(gohttp_server server);

// Tells a server to stop: it accepts no more, requests in flight have `timeout` milliseconds to be
// answered and are cut then; a negative one is the option's. From any thread, and from handlers; it
// does not wait, gohttp_server_run does. Called again it can make the stop shorter. A server that
// has not run yet will not.
int gohttp_server_shutdown(gohttp_server server, int64_t timeout);

// Gives a server back that does not run, and what it listens on. Its handle is stale then.
int gohttp_server_free(gohttp_server server);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GOHTTP_H */

#ifdef GOHTTP_MODULE

// With GOHTTP_MODULE defined before this file is included, for handlers inside a Python server, the
// functions for handlers are those of the server, once gohttp_use has been called in the same file of
// C; nothing is linked. The others, those of servers, are not to be had there.
static const struct gohttp_api *gohttp;

// Takes the functions of the server: `api` is what gohttp.c.api() says in Python. Returns GOHTTP_OK, or
// GOHTTP_ERROR_ARGUMENT if it is NULL or of a version older than this file. Call it before any handler
// is registered.
static inline int gohttp_use(const void *api) {
    const struct gohttp_api *given = (const struct gohttp_api *)api;
    if (given == NULL || given->size < sizeof(struct gohttp_api)) return GOHTTP_ERROR_ARGUMENT;
    gohttp = given;
    return GOHTTP_OK;
}

#ifdef Py_PYTHON_H
// The same for extension modules, with the GIL held: as import_array() of NumPy. Returns 0, or -1
// with a Python exception set.
static inline int gohttp_import(void) {
    const void *api = PyCapsule_Import("gohttp._C_API", 0);
    if (api == NULL) return -1;
    if (gohttp_use(api) == GOHTTP_OK) return 0;
    PyErr_SetString(PyExc_ImportError, "gohttp is older than the gohttp.h this was compiled with");
    return -1;
}
#endif

#define gohttp_request_method (gohttp->gohttp_request_method)
#define gohttp_request_path (gohttp->gohttp_request_path)
#define gohttp_request_query (gohttp->gohttp_request_query)
#define gohttp_request_url (gohttp->gohttp_request_url)
#define gohttp_request_host (gohttp->gohttp_request_host)
#define gohttp_request_protocol (gohttp->gohttp_request_protocol)
#define gohttp_request_remote_address (gohttp->gohttp_request_remote_address)
#define gohttp_request_pattern (gohttp->gohttp_request_pattern)
#define gohttp_request_path_value (gohttp->gohttp_request_path_value)
#define gohttp_request_query_value (gohttp->gohttp_request_query_value)
#define gohttp_request_header (gohttp->gohttp_request_header)
#define gohttp_request_header_count (gohttp->gohttp_request_header_count)
#define gohttp_request_header_at (gohttp->gohttp_request_header_at)
#define gohttp_request_content_length (gohttp->gohttp_request_content_length)
#define gohttp_request_read (gohttp->gohttp_request_read)
#define gohttp_response_set_status (gohttp->gohttp_response_set_status)
#define gohttp_response_set_header (gohttp->gohttp_response_set_header)
#define gohttp_response_add_header (gohttp->gohttp_response_add_header)
#define gohttp_response_interim (gohttp->gohttp_response_interim)
#define gohttp_response_write (gohttp->gohttp_response_write)
#define gohttp_response_flush (gohttp->gohttp_response_flush)
#define gohttp_response_gone (gohttp->gohttp_response_gone)
#define gohttp_response_detach (gohttp->gohttp_response_detach)
#define gohttp_response_end (gohttp->gohttp_response_end)
#define gohttp_response_abort (gohttp->gohttp_response_abort)
#define ResponseWriter_Write (gohttp->ResponseWriter_Write)
#define ResponseWriter_WriteHeader (gohttp->ResponseWriter_WriteHeader)
#define gohttp_last_error (gohttp->gohttp_last_error)
#define gohttp_strerror (gohttp->gohttp_strerror)

#endif  // GOHTTP_MODULE
