//! Leases of workers, and messages that are to be published again.

use std::time::{Duration, Instant};

use crate::remote::origin::look;
use crate::remote::origin::requests::lose;
use crate::remote::origin::state::Origin;
use crate::sync::os::{Arc, Ordering};
use crate::wire::fault::Fault;
use crate::wire::message::Call;

/// The engine has connected, and may have lost all messages. A worker's silence until now proves nothing.
pub(super) fn connected(origin: &Arc<Origin>) {
    let now = Instant::now();
    let mut again = Vec::new();
    origin.connects.fetch_add(1, Ordering::SeqCst);
    {
        let mut jobs = origin.jobs.lock();
        for record in jobs.values_mut() {
            if let Some(grant) = &mut record.grant {
                grant.seen = now;
            }
            record.doubt();
            again.extend(record.again());
        }
    }
    origin.publish_all(again);
    look::look(origin, None);
}

/// Repeats [`tick`] while the origin lives.
pub(super) fn schedule(origin: &Arc<Origin>) {
    let weak = Arc::downgrade(origin);
    let period = (origin.lease / 3).clamp(Duration::from_millis(5), Duration::from_secs(5));
    origin.clock.after(period, move || {
        if let Some(origin) = weak.upgrade() {
            if let Some(link) = origin.link() {
                if link.engine.is_closed() {
                    closed(&origin);
                } else if link.engine.is_connected() {
                    tick(&origin, Instant::now());
                }
            }
            schedule(&origin);
        }
    });
}

/// The engine was closed: no word of a worker comes any more.
fn closed(origin: &Arc<Origin>) {
    let numbers: Vec<u64> = origin.jobs.lock().keys().copied().collect();
    for number in numbers {
        let Some(record) = origin.take(origin.jobs.lock(), number) else { continue };
        match &record.grant {
            Some(grant) => lose(&*record.kept, &grant.worker),
            None => record.kept.refuse(&Fault::Broken("it was closed; open it again, and send the job again".into())),
        }
    }
}

/// Does what is due while there is a connection.
fn tick(origin: &Arc<Origin>, now: Instant) {
    let (mut again, mut lost) = (Vec::new(), Vec::new());
    {
        let mut jobs = origin.jobs.lock();
        let mut ended = Vec::new();
        for (number, record) in jobs.iter_mut() {
            // Three signs and the engine's own second delivery come earlier.
            let silent = |seen| now.saturating_duration_since(seen) > origin.lease * 2;
            match &record.grant {
                Some(grant) if silent(grant.seen) => {
                    if record.may_repeat() && !record.kept.is_cancelled() {
                        again.push(record.retry(true));
                    } else {
                        ended.push(*number);
                    }
                }
                Some(_) => {}
                None => again.extend(record.again()),
            }
        }
        lost.extend(ended.iter().filter_map(|number| jobs.remove(number)));
    }
    origin.publish_all(again);
    look::look(origin, now.checked_sub(origin.lease * 2));
    for record in lost {
        origin.scopes.leave(&record.sent.scopes);
        if let Some(grant) = &record.grant {
            lose(&*record.kept, &grant.worker);
        }
    }
    let (cancelled, ended) = origin.scopes.look();
    cancelled.into_iter().for_each(|id| origin.stop_scope(id));
    if !ended.is_empty() {
        origin.call(&Call::Ended { scopes: ended });
    }
}
