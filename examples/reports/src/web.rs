//! The routes, the layers, and the error that every handler returns.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use heirloom::Registry;
use heirloom::tower::{ScopeLayer, timeout_millis};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use tracing::Instrument;

use crate::db;
use crate::tenants::{TENANT, Tenants};

/// The limit on requests at once, over all tenants. The next one gets 503 at once.
const AT_ONCE: usize = 200;

pub(crate) fn router(tenants: &Tenants, exporter: PrometheusHandle, limit: Duration) -> Router {
    let below = tenants.clone();
    let scopes = ScopeLayer::new()
        .below_with(move |request: &Request| below.of_path(request.uri().path()))
        .name(|request: &Request| format!("{} {}", request.method(), request.uri().path()))
        .limit(AT_ONCE)
        .timeout(limit) // 504, and the request's tasks are cancelled
        .deadline_from(timeout_millis(HeaderName::from_static("x-timeout-ms"))) // sooner, if the client wants no later answer
        .until_body_end(); // a streamed body is part of its request
    Router::new()
        .route("/{tenant}/report", get(report))
        .route("/{tenant}/forecast", get(forecast))
        .route("/{tenant}/orders.csv", get(orders))
        .layer(middleware::from_fn(known_tenants))
        .layer(scopes)
        .layer(middleware::from_fn(with_id)) // outermost: the layers' own answers have an id too
        .route("/metrics", get(metrics))
        .route("/family", get(async || Registry::global().tree().to_string()))
        .with_state(exporter)
}

/// Returns the orders by item: a query on a connection, and rendering in the tenant's own pool.
async fn report() -> Result<String, Failure> {
    let tenant = TENANT.get()?.to_string();
    let rows = db::query(move |connection| {
        let sums = "SELECT item, count(*), sum(cents) FROM orders WHERE tenant = ? GROUP BY item ORDER BY item";
        let mut statement = connection.prepare_cached(sums)?;
        let rows = statement.query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<Vec<(String, i64, i64)>, _>>()?)
    });
    let rows = rows.await?;
    heirloom::call("render", move || render(&rows)).await
}

fn render(rows: &[(String, i64, i64)]) -> Result<String, Failure> {
    let mut page = format!("orders of {}\n", TENANT.get()?);
    for (item, orders, cents) in rows {
        heirloom::checkpoint()?; // returns an error when the client has disconnected
        page.push_str(&format!("{item:>8} {orders:>8} {:>12.2}\n", *cents as f64 / 100.0));
    }
    tracing::info!(lines = rows.len(), "rendered"); // on a pool's thread, in the request's span
    Ok(page)
}

#[derive(Deserialize)]
struct Forecast {
    steps: u64,
}

/// Runs one long statement, which the time limit, or the client's disconnect, interrupts.
async fn forecast(Query(Forecast { steps }): Query<Forecast>) -> Result<String, Failure> {
    let sum = db::query(move |connection| {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        let count =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT sum(i % 7) FROM n";
        Ok(connection.query_row(count, [steps], |row| row.get::<_, i64>(0))?)
    });
    Ok(format!("{}\n", sum.await?))
}

/// Streams all orders. A client that is slow, or reads nothing, holds one connection until the time limit at most.
async fn orders() -> Result<Response, Failure> {
    // An error of the export ends the body with an error: the client sees a broken answer instead of a short one.
    let body = Body::from_stream(db::export(TENANT.get()?.to_string())?);
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response())
}

/// Answers a path without a tenant: its request stands below no tenant's scope.
async fn known_tenants(request: Request, next: Next) -> Response {
    if TENANT.get().is_err() {
        return (StatusCode::NOT_FOUND, "there is no such tenant\n").into_response();
    }
    next.run(request).await
}

/// A span for each request, with the id that the client sent or the next of ours. Pool tasks run in it, on whatever
/// thread; the answer has the id too.
async fn with_id(request: Request, next: Next) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let sent = request.headers().get("x-request-id").filter(|id| id.len() <= 64 && id.to_str().is_ok()).cloned();
    let id = sent.unwrap_or_else(|| HeaderValue::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    let span = tracing::info_span!("request", id = ?id, path = request.uri().path());
    let answer = async {
        let mut answer = next.run(request).await;
        tracing::info!(status = answer.status().as_u16(), "answered");
        answer.headers_mut().insert("x-request-id", id);
        answer
    };
    answer.instrument(span).await
}

async fn metrics(State(exporter): State<PrometheusHandle>) -> impl IntoResponse {
    heirloom::metrics::Publisher::new(Registry::global()).publish();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], exporter.render())
}

/// The error of a handler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Pools(#[from] heirloom::Error),
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let interrupted = matches!(&self, Self::Database(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted));
        match self {
            // The client has disconnected, or the layer has answered at the limit: this answer has no reader.
            Self::Pools(error) if error.is_cancelled() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ if interrupted => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Self::Pools(error) if error.is_temporary() => {
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], format!("{error}\n")).into_response()
            }
            error => {
                tracing::error!(%error, "failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
