//! One error enum for a web server, and how it answers each kind of error.
//!
//! `?` takes in every error of heirloom by one `#[from]`. A full queue is 503 with `Retry-After`, a panic 500, a deadline
//! 504, and a cancelled request has no reader.
//!
//! ```text
//! cargo run --example errors
//! ```

use std::sync::mpsc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use heirloom::{ErrorKind, FutureExt, PoolConfig, Scope};
use tower::ServiceExt;

/// Why a handler has no page.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Pools(#[from] heirloom::Error),
    #[error("no such page: {0}")]
    File(#[from] std::io::Error),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::File(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return (StatusCode::NOT_FOUND, error.to_string()).into_response();
            }
            Self::File(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
            Self::Pools(error) => error,
        };
        match error.kind() {
            ErrorKind::DeadlineExceeded | ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT.into_response(),
            // The client has disconnected, so the server drops this answer unread.
            _ if error.is_cancelled() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ if error.is_temporary() => {
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], error.to_string()).into_response()
            }
            ErrorKind::Panicked => {
                // The text is for the log: it may name a file, or a user.
                eprintln!("task {:?} panicked: {:?}", error.task_id(), error.panic_message());
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

async fn page(Path(name): Path<String>) -> Result<String, AppError> {
    let render = move || -> Result<String, AppError> {
        heirloom::checkpoint()?;
        assert_ne!(name, "haunted", "the template of the haunted page has no end");
        Ok(std::fs::read_to_string(name)?)
    };
    heirloom::get("render")?.submit(render)?.await?
}

#[tokio::main]
async fn main() -> Result<(), heirloom::Error> {
    std::panic::set_hook(Box::new(|_| {})); // the handlers report panics
    let render = heirloom::create("render");
    render.start(PoolConfig::leased(1).queue_limit(1))?;
    let app = Router::new().route("/{name}", get(page));

    assert_eq!(ask(&app, "Cargo.toml").await.status(), StatusCode::OK);
    assert_eq!(ask(&app, "missing").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ask(&app, "haunted").await.status(), StatusCode::INTERNAL_SERVER_ERROR);

    let request = Scope::new("request 4");
    request.cancel();
    let late = ask(&app, "Cargo.toml").in_lineage(&request).await;
    assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!late.headers().contains_key(header::RETRY_AFTER));

    let (runs, is_running) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let busy = render.submit(move || {
        let _ = runs.send(());
        wait.recv().is_err()
    })?;
    let _ = is_running.recv();
    let queued = render.submit(|| ())?;
    let full = ask(&app, "Cargo.toml").await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(full.headers()[header::RETRY_AFTER], "1");
    drop(go);
    assert!(busy.await?);
    queued.await?;

    let _report = render.stop_async().await?;
    assert_eq!(ask(&app, "Cargo.toml").await.status(), StatusCode::INTERNAL_SERVER_ERROR); // closed for good: no `Retry-After`
    println!("200, 404, 500, 503 and 500, each from one enum");
    Ok(())
}

async fn ask(app: &Router, name: &str) -> Response {
    let request = Request::builder().uri(format!("/{name}")).body(Body::empty());
    let Ok(request) = request else { return StatusCode::BAD_REQUEST.into_response() };
    let Ok(response) = app.clone().oneshot(request).await;
    response
}
