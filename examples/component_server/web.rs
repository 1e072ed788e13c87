//! The addresses of the site.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use heirloom::FutureExt;

use crate::error::PageError;
use crate::highlight;
use crate::html::escape;
use crate::page::{self, View};
use crate::request;
use crate::site::Site;

/// Whatever a file says, a page of it runs no script.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' https: data:; base-uri 'self'; form-action 'none'";

pub(crate) fn router(site: Arc<Site>) -> Router {
    let style = format!("{}{}", include_str!("style.css"), highlight::colours());
    Router::new()
        .route("/", get(home))
        .route("/tree", get(tree))
        .route("/style.css", get(async move || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], style)))
        .route("/{*path}", get(page))
        .with_state(site)
}

async fn home(State(site): State<Arc<Site>>) -> Response {
    // There is one: a site without pages is not opened.
    respond(site, View::Page(0)).await
}

async fn tree(State(site): State<Arc<Site>>) -> Response {
    respond(site, View::Tree).await
}

async fn page(State(site): State<Arc<Site>>, Path(path): Path<String>) -> Response {
    let view = site.find(&path).map_or(View::Missing, View::Page);
    respond(site, view).await
}

/// Opens a scope, renders in it, and closes it. When the client goes away earlier, this future is dropped, and with
/// it the request's scope: what was still to be rendered for it is cancelled.
async fn respond(site: Arc<Site>, view: View) -> Response {
    let status = if matches!(view, View::Missing) { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let rendered = match request::open() {
        Ok((scope, ticket)) => page::render(site, view, ticket).in_scope(scope).await,
        Err(error) => Err(error),
    };
    match rendered {
        Ok(html) => {
            (status, [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))], Html(html)).into_response()
        }
        Err(error) => failure(&error),
    }
}

fn failure(error: &PageError) -> Response {
    let text = escape(&error.to_string());
    (StatusCode::INTERNAL_SERVER_ERROR, Html(format!("<!doctype html><title>Error</title><p>{text}</p>")))
        .into_response()
}
