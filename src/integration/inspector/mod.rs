//! A page that shows the family live, as an [`axum`] router (feature `inspector`).
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use axum::Router;
//!
//! let app = Router::new().nest_service("/family", heirloom::inspector::router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, app).await // the page: http://127.0.0.1:8080/family
//! # }
//! ```
//!
//! `nest_service` answers at `/family` and at `/family/`; with `nest`, axum answers at the first alone. The page finds
//! the rest from its own address, so a proxy before it may strip or add a prefix.
//!
//! The page is one file without any other host, script or font. It shows the tree, each node's managers with running,
//! blocked and queued tasks, limit, mode, task type and the age of the oldest running task, and p50 and p99 of the queue waits and
//! run times. A manager is marked where
//! its queue grows (over two seconds, without having been empty) and where a task is old (see
//! [`Inspector::old_after`]). The page can be searched, collapsed and paused, read on a phone and in the dark, and used by
//! keyboard and by screen reader. It shows when the server has ended, and goes on when there is one again.
//!
//! **It shows the names of requests, components and threads, and task types, to every client that can open it, without
//! authentication.** Names often contain users' data: paths, tenants. So mount it behind the authentication of your other
//! pages for operators, or on a listener of its own that is bound to the loopback address. It changes nothing: there are
//! only `GET`s.
//!
//! It answers to `localhost` and to loopback addresses, and refuses other names with 403. So a stranger's page whose own
//! name resolves to this machine cannot read the answers. [`Inspector::allow_host`] adds the name of your server. At most
//! [`max_readers`](Inspector::max_readers) pages follow at once.
//!
//! # Routes
//!
//! | route | answers |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /snapshot` | the family as it was at most a quarter of a second before the request, as JSON |
//! | `GET /events` | the same as server-sent events: `full` first, then `diff`s |
//!
//! ```json
//! {
//!   "now": 61250, "run": 1815, "left_out": 0,
//!   "totals": { "nodes": 2, "managers": 1, "running": 1, "waiting": 0, "queued": 2, "marked": 1 },
//!   "nodes": [
//!     { "id": 1, "parent": null, "kind": "process", "name": null, "task": null, "pending": null, "closed": false,
//!       "cancelled": false, "until": null, "hidden": 0, "managers": [], "managers_hidden": 0 },
//!     { "id": 7, "parent": 1, "kind": "scope", "name": "request 7", "task": null, "pending": 3, "closed": false,
//!       "cancelled": false, "until": 66000, "hidden": 0, "managers_hidden": 0, "managers": [
//!         { "namespace": "render", "started": true, "kind": "leased", "mode": "joining", "task_type": "component", "limit": 4,
//!           "running": 1, "waiting": 0, "queued": 2, "completed": 10, "interrupted": 0, "panicked": 0, "cancelled": 0,
//!           "refused": 0, "shares": [], "wait": { "p50": 0.001, "p99": 0.049 }, "run": { "p50": 0.012, "p99": 0.197 },
//!           "since": 59000, "marks": ["old"] } ] }
//!   ]
//! }
//! ```
//!
//! Fields have the meaning of [`Snapshot`](crate::Snapshot)'s; `wait` and `run` are its `wait_seconds` and `run_seconds`. `now`,
//! `since` (the start of the oldest running task) and `until` (the node's own deadline) are milliseconds of one clock. `run` tells one server process from the next. `marks` are `"queue"` and `"old"`.
//! Ids are numbers far below 2^53, up to which JavaScript is exact. Names are cut after 200 characters. `hidden` counts the
//! children and `managers_hidden` the managers of this node that were left out, `left_out` all such nodes. A `diff` has the
//! changed nodes in `nodes`, and the ids of removed nodes in `gone`.
//!
//! # Cost
//!
//! The tasks of the family are measured from its first inspector on, also without a reader: each task reads the clock three
//! times, see [`ManagerSnapshot::queue_wait`](crate::ManagerSnapshot::queue_wait). Nothing else without a reader: no thread, no
//! timer. A page that is hidden in its browser is no reader. With readers, one
//! thread takes a snapshot for all of them, at most four times a second, and uses at most a tenth of one CPU. A snapshot
//! costs about half a microsecond for each live node. So with 100 000 nodes there are two snapshots a second, and a
//! `/snapshot` may take until the next one; from a million nodes on there is one every five seconds. An update holds the
//! changes, about 200 bytes for each node and 300 for each of its managers. It is made once and shared among the readers.
//! Without changes there is only a sign of life every five seconds. At most [`max_nodes`](Inspector::max_nodes) nodes and
//! managers are sent, those with marks and tasks first.

mod host;
mod hub;
mod updates;
mod view;

use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::host::REFUSED;
use self::hub::{Hub, Unable};
use self::updates::Updates;
use crate::registry::registry::Registry;
use crate::sync::os::{Arc, Ordering};

/// The whole page: there is no build step and no second file to load.
const PAGE: &str = include_str!("page.html");

/// Loads nothing from another origin, whatever a name contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Returns the router of an [`Inspector`] for the process-wide family, with its defaults.
///
/// It shows names and task types to every client that can reach it: put it behind your authentication, or bind its server
/// to the loopback address. An update costs half a microsecond for each live node, at most four times a second and only
/// while there are readers; the [module](self) has the details.
///
/// ```
/// use axum::Router;
///
/// let app: Router = Router::new().nest_service("/family", heirloom::inspector::router());
/// # drop(app);
/// ```
///
/// It answers to `localhost` and to loopback addresses; [`Inspector::allow_host`] adds other names.
///
/// An open page keeps its connection, so a server with a graceful shutdown waits for it. There, use an [`Inspector`],
/// and [`close`](Inspector::close) it when the shutdown begins.
pub fn router() -> Router {
    Inspector::new(Registry::global()).router()
}

/// Shows one family. A clone is the same inspector. Dropping it does nothing while a router of it lives.
///
/// It keeps the family's root alive, and nothing else of the family.
///
/// ```
/// use std::time::Duration;
/// use heirloom::Registry;
/// use heirloom::inspector::Inspector;
///
/// let family = Registry::new();
/// let inspector = Inspector::new(&family).max_nodes(500).old_after(Duration::from_secs(2));
/// let app: axum::Router = inspector.router();
/// // At the end, so that open pages do not hold up a graceful shutdown:
/// inspector.close();
/// # drop(app);
/// ```
#[derive(Clone)]
#[must_use = "an inspector shows nothing until its router is served"]
pub struct Inspector {
    hub: Arc<Hub>,
}

impl Inspector {
    /// Returns an inspector of a family.
    pub fn new(family: &Registry) -> Self {
        Self { hub: Arc::new(Hub::new(family)) }
    }

    /// Sends at most this many nodes and managers to a page, and the number of the others.
    ///
    /// Nodes with marks come first, then nodes with tasks, each below all its parents. 2 000 by default, and at least 1: the
    /// root.
    pub fn max_nodes(self, n: usize) -> Self {
        self.hub.max_nodes.store(n.max(1), Ordering::Relaxed);
        self
    }

    /// Marks a manager whose oldest running task has this age, while tasks of its pool are queued or blocked.
    ///
    /// 10 s by default.
    pub fn old_after(self, age: Duration) -> Self {
        self.hub.old_after.store(u64::try_from(age.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self
    }

    /// Allows at most this many pages at once, and at most as many requests for a `/snapshot`.
    ///
    /// The next is answered with 503 and a text that gives the limit. 100 by default.
    pub fn max_readers(self, n: usize) -> Self {
        self.hub.max_readers.store(n, Ordering::Relaxed);
        self
    }

    /// Answers to that name or address too, at any port.
    ///
    /// By default an inspector answers to `localhost` and to loopback addresses alone, whatever port, and refuses other
    /// names with 403: a stranger's page could have its own name resolve to this machine and read the answers. Behind a
    /// proxy or on another address, add the name in the browser's address bar. A whole address is cut down to its host.
    ///
    /// ```
    /// use heirloom::Registry;
    /// use heirloom::inspector::Inspector;
    ///
    /// let inspector = Inspector::new(Registry::global()).allow_host("ops.example.com").allow_host("192.168.1.7");
    /// # drop(inspector.router());
    /// ```
    pub fn allow_host(self, host: &str) -> Self {
        self.hub.hosts.add(host);
        self
    }

    /// Answers to every name, for a router behind a server that authenticates its clients.
    pub fn allow_any_host(self) -> Self {
        self.hub.hosts.allow_any();
        self
    }

    /// Returns the routes; see the [module](self). Serve them, or nest them at the page's path.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/snapshot", get(snapshot))
            .route("/events", get(events))
            .route_layer(from_fn_with_state(Arc::clone(&self.hub), guard))
            .with_state(Arc::clone(&self.hub))
    }

    /// Ends the open event streams, and answers further requests for them and for snapshots with 503. Idempotent.
    ///
    /// A server that waits for its connections to end would wait for open pages for ever: call this when its shutdown
    /// begins.
    pub fn close(&self) {
        self.hub.close();
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("max_nodes", &self.hub.max_nodes).finish_non_exhaustive()
    }
}

fn answer(kind: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Answers requests for other hosts, and gives each answer its headers.
async fn guard(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let response = match hub.hosts.allow(request.headers(), request.uri()) {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, REFUSED).into_response(),
    };
    with_headers(response)
}

/// Adds the headers of every answer, refusals too.
fn with_headers(mut response: Response) -> Response {
    let headers = [
        // A proxy that buffers would hold updates back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // No page of another origin loads it, also not as an image or a script.
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page() -> Response {
    answer("text/html; charset=utf-8", PAGE.into())
}

async fn events(State(hub): State<Arc<Hub>>) -> Response {
    match Updates::new(&hub) {
        Ok(updates) => answer("text/event-stream", Body::from_stream(updates)),
        Err(unable) => unable.into_response(),
    }
}

async fn snapshot(State(hub): State<Arc<Hub>>) -> Response {
    match updates::snapshot(&hub).await {
        Ok(json) => answer("application/json", json.into()),
        Err(unable) => unable.into_response(),
    }
}

impl IntoResponse for Unable {
    fn into_response(self) -> Response {
        let why = match self {
            Unable::Closed => "this inspector was closed".to_owned(),
            Unable::Full(most) => {
                format!("{most} readers are here already; close a page, or allow more with `Inspector::max_readers`")
            }
            Unable::Thread(error) => format!("no thread to look at the family with: {error}"),
        };
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}
