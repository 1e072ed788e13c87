//! Rights per service, as the README's configuration of the server gives them.

use std::time::{Duration, Instant};

use heirloom::remote::engine::{Bytes, Fault};
use heirloom_nats::connect;

use crate::common::end::{End, LEASE, limits, text};
use crate::common::server::{Server, Setup};
use crate::common::{LONG, soon};

const SECOND: Duration = Duration::from_secs(1);

/// Starts a server with the configuration that the README shows, and with more users.
fn start(more: &str) -> Option<Server> {
    let readme = include_str!("../../README.md");
    let config = readme.split("```conf\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the configuration");
    let config = config.replace("users = [", &format!("users = [\n{more}"));
    Setup::default().config(&config).start()
}

fn user(server: &Server, name: &str) -> End {
    End::of(connect(server.url()).user(name, "secret"))
}

#[test]
fn the_rights_of_the_readme_suffice_for_origin_worker_and_operator() {
    let Some(server) = start("") else { return };
    let operator = user(&server, "operator");
    operator.declare("thumbs", limits(4, Some(10))).unwrap();
    let (origin, worker) = (user(&server, "web"), user(&server, "worker"));
    // Other limits are the operator's to set, and those that are there are used.
    origin.declare("thumbs", limits(9, Some(10))).unwrap();
    worker.declare("thumbs", None).unwrap();
    worker.engine.follow(&origin.me);
    worker.engine.pull("thumbs", 1);
    let gone = origin.send("thumbs", "gone");
    let first = worker.delivery();
    assert_eq!(first.receipt, gone);
    assert!(worker.request(&origin.me, "begin", LONG).is_ok());
    origin.engine.broadcast(Bytes::from_static(b"stop"));
    assert!(worker.broadcast_within(LONG).is_some());
    worker.done(&first);
    let until = Instant::now() + LONG;
    while origin.list("thumbs") != Ok(vec![]) {
        assert!(Instant::now() < until, "a settled job leaves the queue");
        std::thread::sleep(Duration::from_millis(1));
    }
    let queued = origin.send("thumbs", "queued");
    assert_eq!(origin.list("thumbs").map(|jobs| jobs.len()), Ok(1));
    origin.engine.withdraw("thumbs", 0, Some(queued));
    origin.wait_depth("thumbs", |depth| depth.queued == 0 && depth.running == 0);
    assert!(!server.log().contains("Violation for Publish to \"$JS.ACK"), "{}", server.log());
}

#[test]
fn a_job_whose_receipt_is_not_known_is_withdrawn_with_the_right_to_read_messages() {
    let reader = r#"{ user: reader, password: secret, permissions: { publish: ["hl.shop.job.>", "_INBOX_shop.>",
        "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.STREAM.MSG.DELETE.*", "$JS.API.STREAM.MSG.GET.*"] } }"#;
    let Some(server) = start(reader) else { return };
    user(&server, "operator").declare("thumbs", limits(4, Some(10))).unwrap();
    let [web, reader] = ["web", "reader"].map(|name| user(&server, name));
    let [of_web, of_reader] = [&web, &reader].map(|end| {
        end.declare("thumbs", limits(4, Some(10))).unwrap();
        let job = end.job("job");
        end.publish("thumbs", &job).unwrap();
        job.id().number
    });
    web.engine.withdraw("thumbs", of_web, None);
    reader.engine.withdraw("thumbs", of_reader, None);
    reader.wait_depth("thumbs", |depth| depth.queued == 1);
    assert_eq!(web.list("thumbs"), Ok(vec![of_web]), "it stays, and the connection goes on");
}

#[test]
fn a_queue_that_only_an_operator_may_make_names_the_command() {
    let Some(server) = start("") else { return };
    let web = user(&server, "web");
    let fault = soon(Duration::from_secs(2), || web.declare("thumbs", limits(4, Some(10)))).unwrap_err();
    let text = fault.to_string();
    assert!(
        text.contains("heirloom-nats setup") && text.contains("--app shop --queue thumbs --running 4 --queued 10"),
        "{text}"
    );
}

#[test]
fn a_call_without_the_right_names_the_subject_within_a_second() {
    let users =
        "{ user: none, password: secret, permissions: { publish: [\"nothing\"], subscribe: [\"_INBOX_shop.>\"] } }
        { user: idle, password: secret, permissions: { publish: { allow: [\">\"], deny: [\"$JS.API.CONSUMER.MSG.>\"] } } }
        { user: mute, password: secret, permissions: { publish: { allow: [\">\"], deny: [\"$JS.ACK.>\"] } } }
        { user: lone, password: secret, permissions: { subscribe: { allow: [\">\"], deny: [\"hl.shop.stop.>\"] } } }";
    let Some(server) = start(users) else { return };
    user(&server, "operator").declare("thumbs", limits(4, None)).unwrap();
    let (none, web, worker) = (user(&server, "none"), user(&server, "web"), user(&server, "worker"));
    let denied = |call: &dyn Fn() -> Result<(), Fault>, subject: &str| match soon(SECOND, call) {
        Err(Fault::NotAllowed(words)) => assert!(words.contains(subject), "{words}"),
        other => panic!("{subject}: {other:?}"),
    };
    denied(&|| none.declare("thumbs", None), "publish to `$JS.API.STREAM.INFO.hl=shop=thumbs`");
    denied(&|| none.request(&web.me, "x", LONG).map(drop), "publish to `hl.shop.to.");
    worker.declare("thumbs", None).unwrap();
    denied(&|| worker.publish("thumbs", &worker.job("x")).map(drop), "publish to `hl.shop.job.thumbs.");
    denied(&|| user(&server, "lone").declare("thumbs", None), "subscribe to `hl.shop.stop.");
    let (idle, mute) = (user(&server, "idle"), user(&server, "mute"));
    denied(&|| idle.declare("thumbs", None), "publish to `$JS.API.CONSUMER.MSG.NEXT.hl=shop=thumbs.");
    denied(&|| mute.declare("thumbs", None), "publish to `$JS.ACK.hl=shop=thumbs.");
    denied(&|| worker.declare("thumbs", limits(4, None)), "subscribe to `hl.shop.to.");
}

#[test]
fn a_process_that_may_not_read_its_inbox_is_told_so() {
    let deaf = "{ user: deaf, password: secret, permissions: { publish: [\">\"], subscribe: [\"nothing\"] } }";
    let Some(server) = start(deaf) else { return };
    let deaf = user(&server, "deaf");
    match soon(SECOND, || deaf.declare("thumbs", limits(1, None))) {
        Err(Fault::NotAllowed(words)) => assert!(words.contains("subscribe to `_INBOX_shop."), "{words}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_that_is_taken_away_costs_a_worker_no_job_that_it_has() {
    let users = "{ user: half, password: secret, permissions: { publish: { allow: [\">\"], deny: [DENIED] } } }
        { user: all, password: secret }";
    let config = |denied: &str| format!("authorization {{ users = [{}] }}", users.replace("DENIED", denied));
    let Some(server) = Setup::default().config(&config("\"none\"")).start() else { return };
    let leased = |name| End::with_lease(connect(server.url()).user(name, "secret"), LEASE);
    let (worker, other) = (leased("half"), leased("all"));
    other.declare("thumbs", limits(4, None)).unwrap();
    worker.declare("thumbs", None).unwrap();
    worker.engine.pull("thumbs", 1);
    other.send("thumbs", "job");
    let job = worker.delivery();
    server.reload(&config("\"$JS.API.STREAM.INFO.>\""));
    let end = Instant::now() + LONG;
    while worker.declare("thumbs", None).is_ok() {
        assert!(Instant::now() < end, "the right is taken away");
    }
    // Each look at the queue fails from now on. The signs of life for the job go on.
    other.engine.pull("thumbs", 1);
    assert!(other.delivery_within(LEASE * 5).is_none());
    worker.done(&job);
    other.wait_depth("thumbs", |depth| depth.running == 0);
}

#[test]
fn a_missing_right_of_one_queue_leaves_the_others_working() {
    let half =
        "{ user: half, password: secret, permissions: { publish: { allow: [\">\"], deny: [\"hl.shop.job.b.>\"] } } }";
    let Some(server) = start(half) else { return };
    let end = user(&server, "half");
    end.declare("a", limits(1, None)).unwrap();
    end.declare("b", limits(1, None)).unwrap();
    assert!(matches!(end.publish("b", &end.job("x")), Err(Fault::NotAllowed(_))));
    end.engine.pull("a", 1);
    end.send("a", "works");
    assert_eq!(text(&end.delivery_within(LONG).expect("a job")), "works");
}
