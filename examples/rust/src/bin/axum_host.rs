//! An axum program that mounts Python apps under prefixes.
//!
//! ```console
//! $ cargo run --bin axum_host -- 127.0.0.1:8000 /shop=myflaskapp:app /tasks=myfastapi:app
//! ```
//!
//! `/` as a prefix gives the app all paths that axum has no route for.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Path};
use axum::http::Extensions;
use axum::routing::get;
use gohttp::{PythonApp, PythonError, RunningApp};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type BoxError = Box<dyn Error + Send + Sync>;

/// How long requests in flight, and then the apps, have to end.
const GRACE: Duration = Duration::from_secs(10);

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}, from axum.\n")
}

/// axum keeps the client's address where only axum's own code looks for it.
fn client(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|client| client.0)
}

/// Imports and starts an app. That blocks, and may take seconds.
async fn start(prefix: &str, target: &str) -> Result<RunningApp, BoxError> {
    let app = PythonApp::new(target).prefix(prefix);
    Ok(tokio::task::spawn_blocking(move || app.start()).await??)
}

async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Shows what a Python app said itself as it failed, such as its traceback.
fn show_details(error: &(dyn Error + 'static)) {
    match error.downcast_ref::<PythonError>() {
        Some(error) if !error.details().is_empty() => eprintln!("{}", error.details().trim_end()),
        _ => error.source().into_iter().for_each(show_details),
    }
}

#[tokio::main]
async fn main() {
    if let Err(error) = run().await {
        show_details(&*error);
        eprintln!("axum_host: {error}.");
        std::process::exit(1);
    }
}

async fn run() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mut router = Router::new().route("/hello/{name}", get(hello));
    let mut apps = Vec::new();
    for mount in arguments {
        let (prefix, target) = mount.split_once('=').ok_or("an app is given as PREFIX=TARGET")?;
        let app = start(prefix, target).await?;
        router = match prefix {
            "/" => router.fallback_service(app.service().client_address(client)),
            // axum takes the prefix away from the path; the app is told of it all the same.
            _ => router.nest_service(prefix, app.nested().client_address(client)),
        };
        apps.push(app);
    }
    let listener = TcpListener::bind(address).await?;
    println!("serving at http://{}", listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(told_to_stop()).await?;
    for app in apps.into_iter().rev() {
        tokio::task::spawn_blocking(move || app.stop(GRACE)).await?;
    }
    Ok(())
}
