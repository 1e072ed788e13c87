//! [`find`]: a walk over the records, from a thread's target back to that thread.
//!
//! A wait is held up by one other wait, or by a number of waits together ([`Holds`]). The walk follows them one after
//! the other on a heap-allocated stack, so a small stack of the thread does not bound it.
//!
//! # A wait for the first of several
//! The wait is part of a circle when each of its alternatives is: as long as one may end, so may the wait. Alternatives
//! may wait for one another, or for the waiter, without the searching thread. So a thread that the walk meets again on
//! its own way counts as held up, if at least one of the other alternatives leads to the searching thread.

use std::collections::HashMap;

use super::found::Found;
use super::holds::{Held, Holds, Step, View};
use super::record::{Graph, Record};
use crate::sync::os::Arc;

/// Returns the circle that the thread's wait is part of. All its waits were there together at one moment of the call.
pub(super) fn find(graph: &Graph, me: &Arc<Record>) -> Option<Found> {
    loop {
        let mut first = Search::new(graph, me);
        let leads_home = first.run().is_some();
        if !first.has_changed {
            if !leads_home {
                return None;
            }
            let mut second = Search::new(graph, me);
            let way = second.run();
            if let Some(way) = way.filter(|_| second.rests_on(&first))
                && let Some(found) = second.words(way)
            {
                return Some(found);
            }
        }
        // Some threads went on meanwhile, which need not be those of the circle.
    }
}

/// The result of following one target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The target may come: some code on the way runs, or has not started.
    No,
    /// The target does not come before a wait on the way to here, which the walk has not settled yet.
    IfThatDoes,
    /// The target does not come before the searching thread goes on.
    Me,
}

/// Where the way continues from a wait.
#[derive(Clone, Copy)]
enum Way {
    /// To the searching thread.
    Home,
    /// To the wait at this index of [`Search::seen`].
    To(usize),
}

/// A wait on the way.
struct Seen {
    record: Arc<Record>,
    number: u64,
    /// While the wait is on the way: [`Reach::IfThatDoes`]. `None` when the walk must follow it again.
    reach: Option<Reach>,
    way: Way,
}

/// Alternatives that the walk follows one after the other.
struct Level {
    /// The waits that led here, each from the one before.
    chain: Vec<usize>,
    /// How many alternatives it takes.
    needs: usize,
    left: Vec<Step>,
    /// How many alternatives do not go on.
    held: usize,
    found: Reach,
    way: Way,
}

struct Search<'a> {
    view: View<'a>,
    me: &'a Arc<Record>,
    /// In the order of the walk, so waits met within one come after it.
    seen: Vec<Seen>,
    /// The last index of a record in that list.
    at: HashMap<*const Record, usize>,
    /// The walk met a thread in two different waits.
    has_changed: bool,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, me: &'a Arc<Record>) -> Self {
        Self { view: View::new(graph), me, seen: Vec::new(), at: HashMap::new(), has_changed: false }
    }

    /// Returns the way from the thread's target back to the thread.
    fn run(&mut self) -> Option<Way> {
        let target = self.me.wait.lock().as_ref().map(|wait| wait.on.clone())?;
        let mut levels: Vec<Level> = Vec::new();
        let mut next = self.follow(Holds::of(&self.view, &target), &mut levels);
        loop {
            let Some((reach, way)) = next else {
                // One more level.
                next = self.next_of_level(&mut levels);
                continue;
            };
            let Some(level) = levels.last_mut() else {
                return (reach == Reach::Me).then_some(way);
            };
            level.take(reach, way);
            next = self.next_of_level(&mut levels);
        }
    }

    /// Follows a target for as long as one wait holds up each. `None` at several alternatives: they are a new level.
    fn follow(&mut self, mut holds: Holds, levels: &mut Vec<Level>) -> Option<(Reach, Way)> {
        let mut chain = Vec::new();
        loop {
            let held = match holds {
                Holds::Nothing => return Some(self.settle(&chain, Reach::No, Way::Home)),
                Holds::One(held) => held,
                Holds::Several(needs, left) => {
                    levels.push(Level { chain, needs, left, held: 0, found: Reach::No, way: Way::Home });
                    return None;
                }
            };
            if Arc::ptr_eq(&held.record, self.me) {
                return Some(self.settle(&chain, Reach::Me, Way::Home));
            }
            if let Some(at) = self.at.get(&Arc::as_ptr(&held.record))
                && let Some(reach) = self.seen[*at].reach
            {
                let at = *at;
                // The result for another wait of the thread says nothing of this one.
                self.has_changed |= self.seen[at].number != held.number;
                return Some(self.settle(&chain, reach, Way::To(at)));
            }
            let Held { record, number, on } = held;
            chain.push(self.seen.len());
            self.at.insert(Arc::as_ptr(&record), self.seen.len());
            self.seen.push(Seen { record, number, reach: Some(Reach::IfThatDoes), way: Way::Home });
            holds = Holds::of(&self.view, &on);
        }
    }

    /// Settles a chain of waits, each of which leads to the next, and the last one to `way`.
    fn settle(&mut self, chain: &[usize], reach: Reach, way: Way) -> (Reach, Way) {
        let Some(first) = chain.first() else { return (reach, way) };
        if reach == Reach::No {
            // The waits that led here through this chain alone are not settled by it.
            for seen in &mut self.seen[*first..] {
                seen.reach = seen.reach.filter(|reach| *reach == Reach::No);
            }
        }
        let mut to = way;
        for at in chain.iter().rev() {
            self.seen[*at].reach = Some(reach);
            self.seen[*at].way = to;
            to = Way::To(*at);
        }
        (reach, to)
    }

    /// Follows the next alternative of the innermost level, or settles the level.
    fn next_of_level(&mut self, levels: &mut Vec<Level>) -> Option<(Reach, Way)> {
        let level = levels.last_mut()?;
        if let Some(step) = level.next() {
            let holds = match step {
                Step::Waits(held) => Holds::One(held),
                Step::Permit(pool) => Holds::permit(&self.view, pool),
            };
            return self.follow(holds, levels);
        }
        let level = levels.pop()?;
        let reach = level.reach();
        Some(self.settle(&level.chain, reach, level.way))
    }

    /// The other search has seen all the waits that this search's answer rests on.
    fn rests_on(&self, other: &Self) -> bool {
        if self.has_changed {
            return false;
        }
        let held = |seen: &&Seen| seen.reach.is_some_and(|reach| reach != Reach::No);
        let same = |one: &Seen, two: &Seen| Arc::ptr_eq(&one.record, &two.record) && one.number == two.number;
        self.seen.iter().filter(held).all(|seen| other.seen.iter().any(|other| same(seen, other)))
    }

    /// The circle that the way closes. `None` when one of its waits has ended.
    fn words(&self, first: Way) -> Option<Found> {
        let mut records = vec![self.me];
        let mut way = first;
        while let Way::To(at) = way {
            let seen = &self.seen[at];
            records.push(&seen.record);
            way = seen.way;
            // A way leads home; any other is a mistake of the search.
            if records.len() > self.seen.len() + 1 {
                debug_assert!(false, "a way leads home");
                return None;
            }
        }
        Found::of(&records, |record, number| {
            self.seen.iter().any(|seen| Arc::ptr_eq(&seen.record, record) && seen.number == number)
        })
    }
}

impl Level {
    fn take(&mut self, reach: Reach, way: Way) {
        if reach == Reach::No {
            return;
        }
        self.held += 1;
        if self.found != Reach::Me {
            (self.found, self.way) = (reach, way);
        }
    }

    /// The next alternative, unless the result is clear without it.
    fn next(&mut self) -> Option<Step> {
        let is_enough = self.held >= self.needs && self.found == Reach::Me;
        let is_too_few = self.held + self.left.len() < self.needs;
        if is_enough || is_too_few { None } else { self.left.pop() }
    }

    fn reach(&self) -> Reach {
        if self.held >= self.needs { self.found } else { Reach::No }
    }
}
