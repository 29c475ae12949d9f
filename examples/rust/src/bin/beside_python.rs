//! A gohttp server with handlers in Rust, files, and Python apps beside them.
//!
//! ```console
//! $ cargo run --bin beside_python -- 127.0.0.1:8000 /shop=myflaskapp:app
//! ```

use std::error::Error;
use std::io::Read;
use std::time::Duration;

use gohttp::{Body, Mux, PythonApp, PythonError, Request, Response, Server};

/// Counts the bytes of an upload as they come. It may block: it has a thread.
fn count(mut req: Request) -> Result<Response, (u16, String)> {
    let mut piece = [0; 16 * 1024];
    let mut total = 0;
    loop {
        match req.read(&mut piece) {
            Ok(0) => return Ok(Response::json(format!("{{\"bytes\": {total}}}\n"))),
            Ok(n) => total += n,
            Err(error) => return Err((400, format!("{error}\n"))),
        }
    }
}

/// Counts down, a line every tenth of a second. It must not block: it only waits.
async fn countdown(req: Request) -> Result<Response, (u16, &'static str)> {
    let from: u32 = req
        .value("from")
        .and_then(|from| from.parse().ok())
        .ok_or((404, "count down from a number\n"))?;
    let (mut sender, body) = Body::channel();
    tokio::spawn(async move {
        for n in (1..=from).rev() {
            if sender.send(format!("{n}\n")).await.is_err() {
                return; // the client has gone
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        sender.finish();
    });
    Ok(Response::of_type("text/plain", body))
}

/// Shows what a Python app said itself as it failed, such as its traceback.
fn show_details(error: &(dyn Error + 'static)) {
    match error.downcast_ref::<PythonError>() {
        Some(error) if !error.details().is_empty() => eprintln!("{}", error.details().trim_end()),
        _ => error.source().into_iter().for_each(show_details),
    }
}

fn main() {
    if let Err(error) = run() {
        show_details(&*error);
        eprintln!("beside_python: {error}.");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mut mux = Mux::new();
    mux.handle("GET /hello/{name}", async |req: Request| {
        format!("Hello, {}, from Rust.\n", req.value("name").unwrap_or_default())
    })?;
    mux.handle("GET /countdown/{from}", countdown)?;
    mux.handle_blocking("POST /count", count)?;
    for mount in arguments {
        let (prefix, target) = mount.split_once('=').ok_or("an app is given as PREFIX=TARGET")?;
        mux.mount(prefix, PythonApp::new(target))?;
    }
    let server = Server::builder().address(address).start(mux)?;
    println!("serving at http://127.0.0.1:{}", server.port().unwrap_or_default());
    server.run()?;
    Ok(())
}
