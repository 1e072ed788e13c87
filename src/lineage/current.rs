//! Where the running code stands: a stack of places for each thread.
//!
//! The newest entry still on the stack is the current place. A guard takes *its own* entry off, wherever it is, so
//! guards dropped out of order never bring back a place that was left; whoever runs foreign code (a task, a poll)
//! cuts the stack back to the height it had, so a forgotten guard cannot leak a place into the next task.
//!
//! An entry is either a real node or *pending*: a thread or a task nobody has looked at yet. Looking makes its node
//! (invariant 4 of [`crate::lineage`]).
//!
//! While the thread's locals are being destroyed the stack is gone: everything falls back to the process node.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use crate::id::TaskId;
use crate::lineage::node::{Node, NodeKind, Place, Role, process};
use crate::lineage::started::Started;
use crate::sync::os::Arc;

thread_local! {
    static STACK: Stack = const { Stack(RefCell::new(Vec::new())) };
    /// The topmost entry's node, null for the process: what look-ups begin at. It has no destructor, so reading it is one
    /// load; the stack's destructor clears it.
    static TOP: Cell<*const Node> = const { Cell::new(ptr::null()) };
    /// How many borrows of this stack's places are under way.
    static PINS: Cell<usize> = const { Cell::new(0) };
    /// Whether `KEPT` has any.
    static KEEPING: Cell<bool> = const { Cell::new(false) };
    /// Entries taken off meanwhile.
    static KEPT: RefCell<Vec<Stand>> = const { RefCell::new(Vec::new()) };
    static NEXT_MARK: Cell<u64> = const { Cell::new(1) };
}

struct Stack(RefCell<Vec<Stand>>);

impl Stack {
    /// Changes the stack. `f` runs no user code: the stack is borrowed.
    #[inline]
    fn change<R>(&self, f: impl FnOnce(&mut Vec<Stand>) -> R) -> R {
        let mut entries = self.0.borrow_mut();
        let out = f(&mut entries);
        TOP.set(entries.last().map_or(ptr::null(), |top| top.place.as_ptr()));
        out
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        TOP.set(ptr::null());
    }
}

/// One entry of the stack.
struct Stand {
    mark: u64,
    /// The nearest real node.
    place: ManuallyDrop<Place>,
    /// Somebody else holds the place while this entry is on the stack.
    borrowed: bool,
    /// The place is that of the code that stands here: leaving it is the code's end.
    own: bool,
    pending: Pending,
}

/// What stands at an entry and is no node yet.
pub(crate) enum Pending {
    /// The entry's place is where code stands.
    Nothing,
    /// One of ours comes with what its handle shares with it.
    Thread(Option<String>, Option<Arc<Started>>),
    /// The pointer lives until the entry is off the stack.
    Task(TaskId, *const dyn BecomesNode),
}

/// Told when what stands somewhere becomes a node.
pub(crate) trait BecomesNode {
    /// Runs no user code.
    fn became(&self, node: &Arc<Node>);
}

impl Stand {
    fn realize(&mut self) {
        let node = match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => return,
            Pending::Thread(name, started) => {
                let isolated = started.as_ref().is_some_and(|started| started.isolated);
                let make = if isolated { Node::new_isolated } else { Node::new };
                let role = Role::Thread(std::thread::current().id());
                let node = make(&self.place, name.map(Cow::Owned), role);
                if let Some(started) = started {
                    started.became(&node);
                }
                node
            }
            Pending::Task(id, task) => {
                let node = Node::new(&self.place, None, Role::Task(id));
                // SAFETY: it lives until the entry is off the stack, by the contract of `stand_borrowed`.
                unsafe { &*task }.became(&node);
                node
            }
        };
        self.own = true;
        self.set(node.into());
    }

    /// Changes the place to one that this entry holds itself.
    fn set(&mut self, place: Place) {
        let before = std::mem::replace(&mut self.place, ManuallyDrop::new(place));
        if !std::mem::replace(&mut self.borrowed, false) {
            drop(ManuallyDrop::into_inner(before));
        }
    }
}

impl Drop for Stand {
    #[inline]
    fn drop(&mut self) {
        if self.own {
            self.place.node().end();
        }
        if !self.borrowed {
            // SAFETY: dropped once, here, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.place) };
        }
    }
}

/// Whether this is the thread that runs `main`. Asked of the system once per thread.
fn is_main_thread() -> bool {
    thread_local! {
        static MAIN: Cell<Option<bool>> = const { Cell::new(None) };
    }
    MAIN.with(|main| {
        main.get().unwrap_or_else(|| {
            main.set(Some(ask_if_main_thread()));
            ask_if_main_thread()
        })
    })
}

fn ask_if_main_thread() -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: both calls take nothing, return a number and cannot fail.
        unsafe { libc::getpid() == libc::gettid() }
    }
    #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd", target_os = "openbsd"))]
    {
        // SAFETY: takes nothing, returns a number and cannot fail.
        unsafe { libc::pthread_main_np() == 1 }
    }
    #[cfg(not(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "openbsd"
    )))]
    {
        // `std` names the main thread so; a thread of another name is not it.
        std::thread::current().name() == Some("main")
    }
}

/// The current place as a real node, made on first use.
pub(crate) fn here() -> Place {
    STACK
        .try_with(|stack| {
            if stack.0.borrow().is_empty() && !is_main_thread() {
                // A thread nobody told us about: a node below the process, for as long as the thread runs.
                let name = std::thread::current().name().map(String::from);
                let entry = Stand {
                    mark: 0,
                    place: ManuallyDrop::new(Place::PROCESS),
                    borrowed: false,
                    own: false,
                    pending: Pending::Thread(name, None),
                };
                stack.change(|entries| entries.push(entry));
            }
            stack.change(|entries| match entries.last_mut() {
                Some(top) => {
                    top.realize();
                    Place::clone(&top.place)
                }
                None => Place::PROCESS,
            })
        })
        .unwrap_or(Place::PROCESS)
}

/// The nearest real node, which is where anything submitted now stands. Makes nothing.
#[inline]
pub(crate) fn nearest() -> Place {
    if TOP.get().is_null() {
        return Place::PROCESS;
    }
    STACK
        .try_with(|stack| stack.0.borrow().last().map_or(Place::PROCESS, |top| Place::clone(&top.place)))
        .unwrap_or(Place::PROCESS)
}

/// The nearest real node, borrowed for as long as this thread's places are pinned.
#[inline]
pub(crate) fn nearest_node(_pinned: &Pin) -> &Node {
    // SAFETY: the entry on the stack holds the node, or whoever lent it the place does; and while pinned an entry that
    // is taken off is kept.
    unsafe { TOP.get().as_ref() }.unwrap_or_else(|| process())
}

/// The current place, if it is a real node. Nothing for a thread or a task that nobody has looked at, which is none
/// yet, and nothing while the thread's locals are being destroyed.
pub(crate) fn exactly_here() -> Option<Place> {
    let exactly = |stack: &Stack| match stack.0.borrow().last() {
        Some(top) => matches!(top.pending, Pending::Nothing).then(|| Place::clone(&top.place)),
        None => is_main_thread().then_some(Place::PROCESS),
    };
    STACK.try_with(exactly).ok().flatten()
}

/// Whether any code of this thread stands somewhere: in a thread of ours, a task, a place that was entered.
pub(crate) fn stands() -> bool {
    STACK.try_with(|stack| !stack.0.borrow().is_empty()).unwrap_or(false)
}

impl Stand {
    /// It is where a task or a thread began, so what stands here is that itself, node or not.
    fn is_beginning(&self) -> bool {
        self.own || !matches!(self.pending, Pending::Nothing)
    }
}

/// The running task itself, or the thread if it runs none, as a node, made on first use; wherever the code stands now.
pub(crate) fn own() -> Option<Place> {
    let own = |entries: &mut Vec<Stand>| {
        let own = entries.iter_mut().rfind(|entry| entry.is_beginning())?;
        own.realize();
        Some(Place::clone(&own.place))
    };
    STACK.try_with(|stack| stack.change(own)).ok().flatten()
}

/// Whether the running task, or the thread if it runs none, is a node that was itself asked to stop.
pub(crate) fn own_is_asked() -> bool {
    let asked = |stack: &Stack| {
        let entries = stack.0.borrow();
        entries.iter().rfind(|entry| entry.is_beginning()).is_some_and(|own| own.own && own.place.node().is_asked())
    };
    STACK.try_with(asked).unwrap_or(false)
}

/// The node of the calling thread itself, if it has one.
pub(crate) fn own_thread() -> Option<Place> {
    let own = |entry: &&Stand| entry.own && entry.place.node().kind() == NodeKind::Thread;
    STACK.try_with(|stack| stack.0.borrow().iter().find(own).map(|entry| Place::clone(&entry.place))).ok().flatten()
}

/// While it lives, no place that is or was on this thread's stack ends: what is found from here can be borrowed.
pub(crate) struct Pin(PhantomData<*const ()>);

#[inline]
pub(crate) fn pin() -> Pin {
    PINS.set(PINS.get() + 1);
    Pin(PhantomData)
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        let left = PINS.get() - 1;
        PINS.set(left);
        if left == 0 && KEEPING.replace(false) {
            // Dropped outside the borrow: a node's end may run code that comes back here.
            let _ = KEPT.try_with(|kept| drop(std::mem::take(&mut *kept.borrow_mut())));
        }
    }
}

/// Lets an entry go that was taken off, unless somebody borrows from it.
#[inline]
fn let_go(entry: Stand) {
    if PINS.get() == 0 {
        drop(entry);
    } else {
        KEEPING.set(true);
        // Refused only while the thread's locals are being destroyed; the entry is dropped then.
        let _ = KEPT.try_with(|kept| kept.borrow_mut().push(entry));
    }
}

/// Stands somewhere until dropped. Not `Send`: it belongs to this thread's stack.
#[must_use = "the place is left as soon as this is dropped"]
pub(crate) struct Standing {
    mark: u64,
    here: PhantomData<*const ()>,
}

/// Puts an entry on the stack.
#[inline]
pub(crate) fn stand(place: Place, pending: Pending) -> Standing {
    push(ManuallyDrop::new(place), false, pending)
}

/// Puts an entry on the stack that does not count the place, for whoever holds it anyway.
///
/// # Safety
/// The place, and what `pending` points to, live until the entry is off the stack, which the caller makes sure of with
/// [`Standing::cut`].
#[inline]
pub(crate) unsafe fn stand_borrowed(place: &Place, pending: Pending) -> Standing {
    // SAFETY: a copy that is never dropped, and not used for longer than the original, by the contract.
    push(ManuallyDrop::new(unsafe { std::ptr::read(place) }), true, pending)
}

#[inline]
fn push(place: ManuallyDrop<Place>, borrowed: bool, pending: Pending) -> Standing {
    let mark = NEXT_MARK.get();
    NEXT_MARK.set(mark + 1);
    let entry = Stand { mark, place, borrowed, own: false, pending };
    // Refused only while the thread's locals are being destroyed; then there is nothing to restore either.
    let _ = STACK.try_with(|stack| stack.change(|entries| entries.push(entry)));
    Standing { mark, here: PhantomData }
}

impl Standing {
    /// Takes this entry and everything above it off: for whoever ran foreign code and must leave nothing of it.
    #[inline]
    pub(crate) fn cut(self) {
        let mark = self.mark;
        std::mem::forget(self);
        let _ = STACK.try_with(|stack| {
            // Marks only rise towards the top.
            let top = stack.change(|entries| entries.pop_if(|top| top.mark == mark));
            if top.is_none() {
                let above = stack.change(|entries| {
                    let at = entries.partition_point(|entry| entry.mark < mark);
                    entries.split_off(at)
                });
                above.into_iter().for_each(let_go);
            }
            // Outside the borrow: a node's end may run code that comes back here.
            if let Some(top) = top {
                let_go(top);
            }
        });
    }
}

impl Drop for Standing {
    #[inline]
    fn drop(&mut self) {
        let _ = STACK.try_with(|stack| {
            let entry = stack.change(|entries| {
                let top = entries.pop_if(|top| top.mark == self.mark);
                top.or_else(|| {
                    let at = entries.iter().rposition(|entry| entry.mark == self.mark);
                    at.map(|at| entries.remove(at))
                })
            });
            if let Some(entry) = entry {
                let_go(entry);
            }
        });
    }
}
