//! The server and two workers on the loopback engine.

use crate::server::Server;

/// A picture that no worker ends: its job runs until it is cancelled.
const ENDLESS: &str = "/thumb/glossary?times=18446744073709551615";

#[test]
fn a_pages_thumbnail_arrives() {
    let server = Server::start(&[]);
    let answer = server.get("/thumb/guide/machines?width=300", &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("image/svg+xml"));
    assert!(answer.body.starts_with("<svg ") && answer.body.contains("width=\"300\""), "{}", answer.body);
    assert!(answer.body.contains(">When you outgrow the machine</text>"), "{}", answer.body);
    assert!(answer.header("x-worker").is_some_and(|worker| !worker.is_empty()));
}

#[test]
fn the_list_shows_each_page() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("part")).expect("a folder");
    std::fs::write(folder.path().join("a b.md"), "# One").expect("a page");
    std::fs::write(folder.path().join("part/two.md"), "# Two").expect("a page");
    std::fs::write(folder.path().join("notes.txt"), "no page").expect("a file");
    let server = Server::start(&["--pages", folder.path().to_str().expect("text")]);
    let list = server.get("/", &[]).body;
    assert_eq!(list.matches("<img ").count(), 2, "{list}");
    assert!(list.contains("src=\"/thumb/a%20b?width=200\"") && list.contains("/thumb/part/two?"), "{list}");
    assert!(server.get("/thumb/a%20b", &[]).body.contains(">One</text>"));
}

#[test]
fn markup_in_a_page_is_text_in_its_thumbnail() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = "# <script>\n\n`</text><script>` & \"'\u{1}\n\n<script>alert(1)</script>\n\n```\n]]></svg>\n```\n";
    std::fs::write(folder.path().join("page.md"), page).expect("a page");
    let server = Server::start(&["--pages", folder.path().to_str().expect("text")]);
    let svg = server.get("/thumb/page", &[]).body;
    assert!(!svg.contains("<script") && !svg.contains('\u{1}'), "{svg}");
    assert!(svg.contains("&lt;/text&gt;&lt;script&gt; &amp; &quot;&#39;"), "{svg}");
    assert_eq!((svg.matches("</svg>").count(), svg.contains("]]&gt;&lt;/svg&gt;")), (1, true), "{svg}");
}

#[test]
fn a_page_that_is_not_there_is_404() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/thumb/nothing", &[]).status, 404);
    assert_eq!(server.get("/thumb/..%2FREADME", &[]).status, 404);
    assert_eq!(server.family().sum("thumbs", "completed"), 0);
}

#[test]
fn a_client_that_hangs_up_stops_its_job_on_the_worker() {
    let server = Server::start(&["--limit", "600"]);
    let client = server.send(ENDLESS, &[]);
    server.eventually("its job runs", |family| family.sum("thumbs-here", "running") == 1);
    drop(client);
    server.eventually("its job has stopped", |family| {
        family.sum("thumbs-here", "running") + family.sum("thumbs", "running") == 0
    });
    let family = server.eventually("no scope is left of it", |family| family.requests() == 0);
    assert_eq!(family.sum("thumbs-here", "interrupted"), 1);
}

#[test]
fn a_time_limit_stops_the_job_on_the_worker() {
    let server = Server::start(&["--limit", "0.3"]);
    assert_eq!(server.get(ENDLESS, &[]).status, 504);
    server.eventually("its job has stopped", |family| {
        family.sum("thumbs-here", "running") + family.sum("thumbs", "running") == 0
    });
}

#[test]
fn the_trace_context_of_a_request_is_its_jobs() {
    let server = Server::start(&[]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("baggage", "user=7,plan=free")];
    let answer = server.get("/thumb/glossary", &headers);
    assert_eq!(answer.status, 200);
    assert_eq!((answer.header("traceparent"), answer.header("baggage")), (Some(trace), Some("user=7,plan=free")));
    let without = server.get("/thumb/glossary", &[]);
    assert_eq!((without.header("traceparent"), without.header("baggage")), (None, None));
}

#[test]
fn the_tenant_of_a_request_is_its_jobs() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/thumb/glossary", &[("x-tenant", "acme")]).header("x-tenant"), Some("acme"));
    assert_eq!(server.get("/thumb/glossary", &[]).header("x-tenant"), None);
}

#[test]
fn the_inspector_shows_a_job_at_both_ends() {
    let server = Server::start(&["--limit", "600"]);
    let _client = server.send(ENDLESS, &[]);
    // At the origin it is a task of the remote pool, below its request. The origin hears of a repeatable job a millisecond later.
    let family = server.eventually("the job runs, and its origin knows", |family| {
        family.sum("thumbs-here", "running") == 1 && family.sum("thumbs", "running") == 1
    });
    let request = family.path(|name| name == "GET /thumb/glossary").expect("the request's scope");
    assert_eq!(request.len(), 2, "{request:?}");
    // At the worker it stands below a scope with the names of the request and of its host.
    let remote = family.path(|name| name.starts_with("GET /thumb/glossary @ ")).expect("the remote scope");
    assert_eq!(remote.len(), 4, "{remote:?}");
    assert!(remote[1] == "serve \"thumbs\"" && remote[2].starts_with("worker "), "{remote:?}");
}

#[test]
fn at_sigterm_a_running_job_ends_and_nothing_is_left() {
    let server = Server::start(&["--limit", "600"]);
    let client = server.send(ENDLESS, &[]);
    server.eventually("the job runs", |family| family.sum("thumbs-here", "running") == 1);
    let (said, well) = server.terminate();
    assert!(well && said.contains("shutdown complete") && said.contains("0 remaining"), "{said}");
    drop(client);
}

#[test]
fn the_run_without_a_broker_passes() {
    let (said, well) = crate::server::Program::start(&["--rounds", "3"]).end();
    assert!(well, "{said}");
}
