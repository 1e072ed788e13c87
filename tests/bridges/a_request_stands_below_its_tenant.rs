//! With the feature `tower`: `below_with` chooses the parent of each request's scope.
//!
//! Where the parent has ended, the layer answers and the service is not called.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use crate::common::bounded;
use crate::common::pools::{Busy, started};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::executor::block_on;
use heirloom::tower::ScopeLayer;
use heirloom::{Heirloom, Lineage, PoolConfig, Registry, Scope};
use tower::service_fn;
use tower_layer::Layer;
use tower_service::Service;

static PLAN: Heirloom<&str> = Heirloom::new("plan");

fn of_tenant(name: &'static str) -> Request {
    Request::builder().header("x-tenant", name).body(Body::empty()).unwrap()
}

/// Two tenants, each with a value and a pool of its own.
fn tenants() -> HashMap<&'static str, Scope> {
    ["acme", "example"]
        .map(|name| {
            let tenant = Scope::new(name);
            PLAN.at(&tenant).bind(if name == "acme" { "large" } else { "small" }).unwrap();
            started(&tenant, "work", PoolConfig::leased(1));
            (name, tenant)
        })
        .into()
}

fn chooses(tenants: &HashMap<&'static str, Scope>) -> impl Fn(&Request) -> Option<Lineage> + use<> {
    let places: HashMap<_, _> = tenants.iter().map(|(name, tenant)| (*name, tenant.lineage().clone())).collect();
    move |request| places.get(request.headers().get("x-tenant")?.to_str().ok()?).cloned()
}

fn text(response: Response) -> String {
    let body = block_on(axum::body::to_bytes(response.into_body(), 1000)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn a_request_finds_the_values_and_pools_of_its_tenant_or_of_the_layers_place() {
    bounded(|| {
        let (server, tenants) = (Scope::new("server"), tenants());
        let handler = service_fn(|_: Request| async {
            let parent = heirloom::current().parent().unwrap();
            let task = heirloom::with("work", |work| work.submit(|| PLAN.with(|plan| plan.to_string()).unwrap()));
            let plan = match task {
                Ok(task) => task.unwrap().await.unwrap(),
                Err(_) => "none".to_string(),
            };
            Ok::<_, Infallible>(format!("{} {plan}", parent.name().unwrap()).into_response())
        });
        let mut service = ScopeLayer::new().below(&server).below_with(chooses(&tenants)).layer(handler);
        let mut ask = |request| text(block_on(service.call(request)).unwrap());
        assert_eq!(ask(of_tenant("acme")), "acme large");
        assert_eq!(ask(of_tenant("example")), "example small");
        assert_eq!(ask(of_tenant("stranger")), "server none");
    });
}

#[test]
fn where_the_code_stands_in_a_scope_below_the_tenant_the_request_opens_there() {
    bounded(|| {
        let tenants = tenants();
        let handler = service_fn(|_: Request| async {
            Ok::<_, Infallible>(heirloom::current().parent().unwrap().name().unwrap().to_string().into_response())
        });
        let mut service = ScopeLayer::new().below_with(chooses(&tenants)).layer(handler);
        let connection = Scope::new_in(&tenants["acme"], "connection");
        assert_eq!(text(block_on(connection.run(|| service.call(of_tenant("acme")))).unwrap()), "connection");
        assert_eq!(text(block_on(connection.run(|| service.call(of_tenant("example")))).unwrap()), "example");
    });
}

#[test]
fn the_end_of_the_tenant_ends_its_requests_and_nobody_elses() {
    bounded(|| {
        let mut tenants = tenants();
        let (says, said) = mpsc::channel();
        let handler = service_fn(|_: Request| {
            says.send(heirloom::current()).unwrap();
            std::future::pending::<Result<Response, Infallible>>()
        });
        let mut service = ScopeLayer::new().below_with(chooses(&tenants)).layer(handler);
        let (_acme, _example) = (service.call(of_tenant("acme")), service.call(of_tenant("example")));
        let (acme, example) = (said.recv().unwrap(), said.recv().unwrap());
        drop(tenants.remove("acme"));
        assert!(acme.is_cancelled() && !example.is_cancelled());
    });
}

#[test]
fn a_request_whose_tenant_has_ended_is_answered_and_the_service_is_not_called() {
    bounded(|| {
        let mut tenants = tenants();
        let handler = service_fn(|_: Request| async { Ok::<_, Infallible>("called".into_response()) });
        let layer = ScopeLayer::new().below_with(chooses(&tenants)).limit(1);
        let mut service = layer.layer(handler);
        // A closed parent is enough.
        tenants["acme"].close();
        let refused = block_on(service.call(of_tenant("acme"))).unwrap();
        assert_eq!(
            (refused.status(), refused.headers()["retry-after"].as_bytes()),
            (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..])
        );
        drop(tenants.remove("acme"));
        assert_eq!(block_on(service.call(of_tenant("acme"))).unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((layer.usage().in_use(), layer.usage().refused()), (0, 0), "it takes no place of the limit");
        assert_eq!(text(block_on(service.call(of_tenant("example"))).unwrap()), "called");

        let gone = |request: &Request| -> Response {
            (StatusCode::GONE, request.headers()["x-tenant"].to_str().unwrap().to_string()).into_response()
        };
        let mut service = ScopeLayer::new().below_with(chooses(&tenants)).on_ended(gone).layer(handler);
        drop(tenants.remove("example"));
        let answer = block_on(service.call(of_tenant("example"))).unwrap();
        assert_eq!(answer.status(), StatusCode::GONE);
        assert_eq!(text(answer), "example");
    });
}

#[test]
fn below_a_place_that_has_ended_a_service_is_called_in_a_cancelled_scope_unless_the_layer_answers() {
    bounded(|| {
        let family = Registry::new();
        let server = Scope::new_in(&family.root(), "server");
        let work = started(&server, "work", PoolConfig::leased(1));
        let handler = service_fn(|_: Request| {
            let refused = heirloom::is_cancelled() && work.submit(|| ()).is_err();
            async move { Ok::<_, Infallible>(refused.to_string().into_response()) }
        });
        let layer = ScopeLayer::new().below(&server);
        server.cancel();
        assert_eq!(text(block_on(layer.layer(handler).call(of_tenant(""))).unwrap()), "true");
        let ended = |_: &Request| -> Response { StatusCode::SERVICE_UNAVAILABLE.into_response() };
        let answered = block_on(layer.on_ended(ended).layer(handler).call(of_tenant(""))).unwrap();
        assert_eq!(answered.status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}

/// At its end `axum::serve` drops the router.
#[test]
fn accepted_work_outlives_the_router_where_main_keeps_the_scope() {
    bounded(|| {
        for keeps in [true, false] {
            let family = Registry::new();
            let pool = family.root().create("work");
            pool.start(PoolConfig::leased(1)).unwrap();
            let ran = Arc::new(AtomicBool::new(false));
            let server = Arc::new(Scope::new_in(&family.root(), "server"));
            let main_has = keeps.then(|| Arc::clone(&server));
            let (work, runs) = (pool.clone(), Arc::clone(&ran));
            let accept = async move |State(_): State<Arc<Scope>>| {
                work.submit(move || runs.store(true, Ordering::SeqCst)).map(drop).unwrap();
                StatusCode::ACCEPTED
            };
            let layer = ScopeLayer::new().below(&server);
            let mut app = Router::new().route("/", get(accept)).layer(layer).with_state(server);
            let blocker = Busy::on(&pool);
            let accepted = block_on(app.call(Request::new(Body::empty()))).unwrap();
            assert_eq!(accepted.status(), StatusCode::ACCEPTED);
            drop(app);
            blocker.end();
            let report = family.shutdown_timeout(std::time::Duration::MAX);
            assert_eq!((ran.load(Ordering::SeqCst), report.is_complete()), (keeps, true), "{report}");
            assert_eq!(report.pools[0].report.cancelled, u64::from(!keeps), "{report}");
            drop(main_has);
        }
    });
}
