//! Credentials of a server with an operator: a JWT for each account and each user, signed here.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use heirloom::remote::engine::Fault;
use heirloom_nats::{ConnectError, connect};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::common::end::{End, LEASE, limits, text};
use crate::common::server::{Server, Setup};

/// Signs claims of the subject, as `nsc` does.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, expires: Option<u64>, nats: &Value) -> String {
    let mut claims = json!({
        "jti": name, "iat": 1, "iss": issuer.public_key(), "sub": subject.public_key(), "name": name, "nats": nats,
    });
    if let Some(expires) = expires {
        claims["exp"] = json!(expires);
    }
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), encode(&claims));
    let signature = issuer.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

struct Operator(KeyPair);

/// An account, with its JWT.
struct Account(KeyPair, String);

impl Operator {
    fn account(&self, name: &str, jetstream: bool) -> Account {
        let most = if jetstream { -1 } else { 0 };
        let account = KeyPair::new_account();
        let nats = json!({
            "limits": {
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
                "leaf": -1, "mem_storage": most, "disk_storage": most, "streams": most, "consumer": most,
            },
            "default_permissions": {"pub": {}, "sub": {}},
            "type": "account", "version": 2,
        });
        let jwt = jwt(&self.0, &account, name, None, &nats);
        Account(account, jwt)
    }

    /// Starts a server that knows these accounts, the first of which is the system's.
    fn start(&self, accounts: &[&Account]) -> Option<Server> {
        let own = jwt(&self.0, &self.0, "operator", None, &json!({"type": "operator", "version": 2}));
        let mut config = format!("operator: {own}\nsystem_account: {}\nresolver: MEMORY\n", accounts[0].0.public_key());
        config.push_str("resolver_preload: {\n");
        for Account(key, jwt) in accounts {
            let _ = writeln!(config, "  {}: {jwt}", key.public_key());
        }
        Setup::default().config(&format!("{config}}}\n")).start()
    }
}

impl Account {
    /// Writes the credentials of a new user, as `nsc` does.
    fn user(&self, server: &Server, name: &str, expires: Option<u64>, denied: &[&str]) -> PathBuf {
        let user = KeyPair::new_user();
        let nats = json!({
            "pub": {"deny": denied}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2,
        });
        let jwt = jwt(&self.0, &user, name, expires, &nats);
        let path = server.folder().join(format!("{name}.creds"));
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed().expect("a seed")
        );
        std::fs::write(&path, text).expect("the credentials");
        path
    }
}

#[test]
fn credentials_of_an_account_open_its_queues_and_an_account_is_a_wall() {
    let operator = Operator(KeyPair::new_operator());
    let (system, one, two) =
        (operator.account("SYS", false), operator.account("ONE", true), operator.account("TWO", true));
    let Some(server) = operator.start(&[&system, &one, &two]) else { return };
    let end = |account: &Account, name| {
        End::of(connect(server.url()).credentials_file(account.user(&server, name, None, &[])))
    };
    let (origin, worker, other) = (end(&one, "origin"), end(&one, "worker"), end(&two, "other"));
    origin.declare("q", limits(4, None)).unwrap();
    worker.declare("q", None).unwrap();
    // The other account has a queue of the same name, and none of these jobs.
    other.declare("q", limits(4, None)).unwrap();
    other.engine.pull("q", 1);
    other.engine.follow(&origin.me);
    origin.send("q", "job");
    assert!(other.delivery_within(LEASE).is_none());
    assert_eq!(other.request(&origin.me, "begin", LEASE), Err(Fault::Gone));
    worker.engine.pull("q", 1);
    let job = worker.delivery();
    assert_eq!(text(&job), "job");
    assert!(worker.request(&origin.me, "begin", LEASE * 5).is_ok());
    worker.done(&job);
    origin.wait_depth("q", |depth| depth.queued + depth.running == 0);
}

#[test]
fn credentials_that_have_expired_or_are_of_no_known_account_are_refused() {
    let operator = Operator(KeyPair::new_operator());
    let (system, one, unknown) =
        (operator.account("SYS", false), operator.account("ONE", true), operator.account("UNKNOWN", true));
    let Some(server) = operator.start(&[&system, &one]) else { return };
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let expired = hour_ago.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let late = one.user(&server, "late", Some(expired), &[]);
    for path in [late, unknown.user(&server, "unknown", None, &[])] {
        let error = connect(server.url()).credentials_file(&path).open().unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    }
}

#[test]
fn a_right_that_the_credentials_deny_is_named() {
    let operator = Operator(KeyPair::new_operator());
    let (system, one) = (operator.account("SYS", false), operator.account("ONE", true));
    let Some(server) = operator.start(&[&system, &one]) else { return };
    let path = one.user(&server, "web", None, &["hl.shop.job.>"]);
    let end = End::of(connect(server.url()).credentials_file(path));
    end.declare("q", limits(1, None)).unwrap();
    match end.publish("q", &end.job("x")) {
        Err(Fault::NotAllowed(words)) => assert!(words.contains("publish to `hl.shop.job.q."), "{words}"),
        other => panic!("{other:?}"),
    }
}
