//! Leases of workers, and messages that are to be published again.

use std::time::Instant;

use crate::remote::origin::requests::lose;
use crate::remote::origin::state::Origin;
use crate::sync::os::Arc;
use crate::wire::message::Call;

/// The engine has connected, and may have lost all messages. A worker's silence until now proves nothing.
pub(super) fn connected(origin: &Arc<Origin>) {
    let now = Instant::now();
    let mut again = Vec::new();
    {
        let mut jobs = origin.jobs.lock();
        for record in jobs.values_mut() {
            if let Some(grant) = &mut record.grant {
                grant.seen = now;
            }
            again.extend(record.again(true));
        }
    }
    again.iter().for_each(|(queue, envelope)| origin.publish(queue, envelope));
}

/// Does what is due while there is a connection.
pub(super) fn tick(origin: &Arc<Origin>, now: Instant) {
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
                None => again.extend(record.again(false)),
            }
        }
        lost.extend(ended.iter().filter_map(|number| jobs.remove(number)));
    }
    again.iter().for_each(|(queue, envelope)| origin.publish(queue, envelope));
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
