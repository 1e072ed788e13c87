//! The routes, the layers, and the error that every handler returns.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use heirloom::ErrorKind;
use heirloom::inspector::Inspector;
use heirloom::remote::{self, TraceContext};
use heirloom::tower::ScopeLayer;
use serde::Deserialize;

use crate::job::{Picture, TENANT, Thumbnail};
use crate::pages::Pages;
use crate::svg;

/// The limit on requests at once. The next one gets 503 at once.
const AT_ONCE: usize = 500;
/// The longest name of a tenant.
const TENANT_BYTES: usize = 64;

pub(crate) fn router(pages: Arc<Pages>, inspector: &Inspector, limit: Duration) -> Router {
    let scopes = ScopeLayer::new()
        .name(|request: &Request| format!("{} {}", request.method(), request.uri().path()))
        .limit(AT_ONCE)
        .timeout(limit); // 504, and the request's jobs are cancelled on their workers
    Router::new()
        .route("/", get(index))
        .route("/thumb/{*page}", get(thumb))
        .layer(middleware::from_fn(with_values))
        .layer(scopes)
        .nest_service("/heirloom", inspector.router())
        .with_state(pages)
}

#[derive(Deserialize)]
struct Size {
    #[serde(default = "wide")]
    width: u32,
    /// See [`Thumbnail::times`].
    #[serde(default)]
    times: u64,
}

fn wide() -> u32 {
    200
}

/// Answers with the thumbnail of a page, which a worker draws.
async fn thumb(
    State(pages): State<Arc<Pages>>,
    Path(page): Path<String>,
    Query(Size { width, times }): Query<Size>,
) -> Result<Response, Failure> {
    let file = pages.file(&page).ok_or(Failure::NoPage)?.to_path_buf();
    let page = heirloom::call("io", move || std::fs::read_to_string(file).map_err(Failure::File)).await?;
    let job = Thumbnail { page, width: width.clamp(20, 2000), times };
    let Picture { svg, worker, tenant, traceparent, baggage } = remote::call_job("thumbs", job).await?;
    let mut answer = ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response();
    // Shown as the worker saw them.
    let seen = [("x-worker", Some(worker)), ("x-tenant", tenant), ("traceparent", traceparent), ("baggage", baggage)];
    for (name, value) in seen {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Ok(answer)
}

/// Lists the pages with their thumbnails.
async fn index(State(pages): State<Arc<Pages>>) -> Html<String> {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Pages</title>\
         <style>body{font:14px sans-serif;margin:2em}figure{display:inline-block;margin:.5em}\
         img{height:260px;width:200px;object-fit:cover;object-position:top;border:1px solid #ccc}</style>\
         <p>Each picture is a job of the pool <code>thumbs</code>: see <a href=\"/heirloom\">the family</a>.</p>",
    );
    for name in pages.names() {
        let mut shown = String::new();
        svg::escape(name, &mut shown);
        let link = in_path(name);
        let _ = write!(
            html,
            "<figure><a href=\"/thumb/{link}?width=800\"><img src=\"/thumb/{link}?width=200\" alt=\"\"></a>\
             <figcaption>{shown}</figcaption></figure>"
        );
    }
    Html(html + "</html>")
}

/// Percent-encodes a page's name. Slashes stay.
pub(crate) fn in_path(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./".contains(&byte) {
            path.push(byte as char);
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

async fn with_values(request: Request, next: Next) -> Result<Response, Failure> {
    bind_values(request.headers())?;
    Ok(next.run(request).await)
}

/// Binds the values of a request's headers at its scope, from which jobs take them along: the tenant, and the trace context as it is.
///
/// A server with spans of its own sets a `remote::Propagator` instead.
fn bind_values(headers: &HeaderMap) -> Result<(), heirloom::Error> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(tenant) = header("x-tenant").filter(|name| name.len() <= TENANT_BYTES) {
        TENANT.bind(tenant.to_string())?;
    }
    let mut context = TraceContext::new();
    for name in ["traceparent", "tracestate", "baggage"] {
        if let Some(value) = header(name) {
            context.set(name, value);
        }
    }
    context.bind_at(&heirloom::current())
}

/// The error of a handler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Pools(#[from] heirloom::Error),
    #[error("there is no such page")]
    NoPage,
    #[error("the page cannot be read: {0}")]
    File(io::Error),
}

impl Failure {
    fn status(&self) -> StatusCode {
        use ErrorKind::{EngineFailed, NotAllowed, NotSendable, NotUnderstood, WorkerLost};
        match self {
            Self::NoPage => StatusCode::NOT_FOUND,
            Self::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Pools(error) => match error.kind() {
                ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
                NotSendable => StatusCode::PAYLOAD_TOO_LARGE,
                // The broker, its rights, or the workers: not the request's fault, and later it may work.
                EngineFailed | NotAllowed | NotUnderstood | WorkerLost => StatusCode::SERVICE_UNAVAILABLE,
                // A cancelled request has no reader, or its server ends.
                _ if error.is_cancelled() || error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::info!(error = %self, "failed");
        }
        // The text of an error has names of machines, which are no business of a client's.
        let mut answer = (status, format!("{status}\n")).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}
