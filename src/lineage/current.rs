//! Where the running code stands: a stack of places for each thread, and on it for each flow.
//!
//! The newest entry still on the stack is the current place. A guard takes *its own* entry off, wherever it is, so
//! guards dropped out of order never bring back a place that was left; whoever runs foreign code (a task, a poll)
//! cuts the stack back to the height it had, so a forgotten guard cannot leak a place into the next task.
//!
//! An entry is either a real node or *pending*: a thread or a task nobody has looked at yet. Looking makes its node
//! (invariant 4 of [`crate::lineage`]).
//!
//! # Who sees an entry
//! An entry belongs to the [`Flow`] that made it, and no other flow sees it: a future of a runtime that holds a guard
//! across an `.await` stands there at its next poll, and the futures that the thread polls meanwhile do not.
//!
//! A flow without an entry stands somewhere all the same. The flow that has the thread for itself stands at the thread:
//! at the process on the main thread, elsewhere at a node that is made for it. Code that shares its thread, a guest or
//! any code of a thread that is marked as shared, stands at the process and owns nothing: [`here`] is the process, and
//! [`own_here`] is nothing.
//!
//! While the thread's locals are being destroyed the stack is gone: everything falls back to the process node.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use crate::lineage::flow::Flow;
use crate::lineage::flows::Flows;
use crate::lineage::node::{Node, NodeKind, NodeRef, OnMaterialize, Role, process};
use crate::lineage::thread_state::ThreadState;
use crate::names::id::TaskId;
use crate::sync::os::Arc;

thread_local! {
    static STACK: Stack = const { Stack { flows: RefCell::new(Flows::new()), shared: Cell::new(false) } };
    static TOP: Top = const { Top { of: Cell::new(Flow::THREAD), node: Cell::new(ptr::null()) } };
    /// How many borrows of this stack's places are under way.
    static PINS: Cell<usize> = const { Cell::new(0) };
    /// Whether `KEPT` has any.
    static KEEPING: Cell<bool> = const { Cell::new(false) };
    /// Entries taken off meanwhile.
    static KEPT: RefCell<Vec<StackEntry>> = const { RefCell::new(Vec::new()) };
    static NEXT_MARK: Cell<u64> = const { Cell::new(1) };
}

/// What look-ups begin at. It has no destructor, so reading it is two loads; the stack's destructor clears it.
struct Top {
    of: Cell<Flow>,
    /// The node of the flow's topmost entry, null for the process.
    node: Cell<*const Node>,
}

impl Top {
    #[inline]
    fn set(flow: Flow, top: Option<&StackEntry>) {
        TOP.with(|this| {
            this.of.set(flow);
            this.node.set(top.map_or(ptr::null(), |top| top.place.as_ptr()));
        });
    }

    /// Of the flow that runs.
    #[inline]
    fn node() -> *const Node {
        let flow = Flow::now();
        TOP.with(|this| if this.of.get() == flow { this.node.get() } else { Self::turn_to(flow) })
    }

    #[cold]
    fn turn_to(flow: Flow) -> *const Node {
        let turn = |stack: &Stack| stack.change(flow, |_| ());
        // Refused only while the thread's locals are being destroyed; nothing is there to be seen then.
        STACK.try_with(turn).map_or(ptr::null(), |()| TOP.with(|this| this.node.get()))
    }
}

struct Stack {
    flows: RefCell<Flows<StackEntry>>,
    /// The thread was marked as shared: what stands at the thread itself is not seen by its code.
    shared: Cell<bool>,
}

impl Stack {
    /// Changes what a flow has on the stack. `f` runs no user code: the stack is borrowed.
    #[inline]
    fn change<R>(&self, flow: Flow, f: impl FnOnce(&mut Vec<StackEntry>) -> R) -> R {
        let mut flows = self.flows.borrow_mut();
        let entries = flows.of_mut(flow);
        let out = f(entries);
        Top::set(flow, entries.last().filter(|top| self.shows(top)));
        out
    }

    /// Looks at what a flow sees, oldest first. `f` runs no user code.
    #[inline]
    fn look<R>(&self, flow: Flow, f: impl FnOnce(&[StackEntry]) -> R) -> R {
        let flows = self.flows.borrow();
        let entries = flows.of(flow);
        let hidden = entries.iter().take_while(|entry| !self.shows(entry)).count();
        f(&entries[hidden..])
    }

    /// Whether code sees the entry. Those of a thread itself are below all others.
    #[inline]
    fn shows(&self, entry: &StackEntry) -> bool {
        !(entry.base && self.shared.get())
    }

    /// A flow without an entry that it sees has no place of its own.
    #[inline]
    fn is_shared(&self, flow: Flow) -> bool {
        flow.is_guest() || self.shared.get()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        Top::set(Flow::THREAD, None);
    }
}

/// One entry of the stack.
struct StackEntry {
    mark: u64,
    /// The nearest real node.
    place: ManuallyDrop<NodeRef>,
    /// Somebody else holds the place while this entry is on the stack.
    borrowed: bool,
    /// The place is that of the code that stands here: leaving it is the code's end.
    own: bool,
    /// The thread itself stands here, for as long as it runs.
    base: bool,
    lazy: LazyNode,
}

/// What stands at an entry and is no node yet.
pub(crate) enum LazyNode {
    /// The entry's place is where code stands.
    Nothing,
    /// Nor will be: code stands at the process without owning anything there.
    Nowhere,
    /// One of ours comes with what its handle shares with it.
    Thread(Option<String>, Option<Arc<ThreadState>>),
    /// The pointer lives until the entry is off the stack.
    Task(TaskId, *const dyn OnMaterialize),
}

impl StackEntry {
    fn materialize(&mut self) {
        let node = match std::mem::replace(&mut self.lazy, LazyNode::Nothing) {
            LazyNode::Nothing => return,
            LazyNode::Nowhere => {
                self.lazy = LazyNode::Nowhere;
                return;
            }
            LazyNode::Thread(name, started) => {
                let shielded = started.as_ref().is_some_and(|started| started.shielded);
                let make = if shielded { Node::new_shielded } else { Node::new };
                let role = Role::Thread(std::thread::current().id());
                let node = make(&self.place, name.map(Cow::Owned), role);
                if let Some(started) = started {
                    started.materialized(&node);
                }
                node
            }
            LazyNode::Task(id, task) => {
                let node = Node::new(&self.place, None, Role::Task(id));
                // SAFETY: it lives until the entry is off the stack, by the contract of `enter_borrowed`.
                unsafe { &*task }.materialized(&node);
                node
            }
        };
        self.own = true;
        self.set(node.into());
    }

    /// Changes the place to one that this entry holds itself.
    fn set(&mut self, place: NodeRef) {
        let before = std::mem::replace(&mut self.place, ManuallyDrop::new(place));
        if !std::mem::replace(&mut self.borrowed, false) {
            drop(ManuallyDrop::into_inner(before));
        }
    }
}

impl Drop for StackEntry {
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
            let is_main = ask_if_main_thread();
            main.set(Some(is_main));
            is_main
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

/// The current place as a real node, made on first use. The process, where code shares its thread and has no place.
pub(crate) fn here() -> NodeRef {
    own_here().unwrap_or(NodeRef::PROCESS)
}

/// As [`here`], for what the code is to own there. `None` where it shares its thread and has no place of its own.
pub(crate) fn own_here() -> Option<NodeRef> {
    let flow = Flow::now();
    let here = |stack: &Stack| {
        if stack.look(flow, <[StackEntry]>::is_empty) {
            if stack.is_shared(flow) {
                return None;
            }
            if is_main_thread() {
                return Some(NodeRef::PROCESS);
            }
            // A thread nobody told us about: a node below the process, for as long as the thread runs.
            let name = std::thread::current().name().map(String::from);
            let entry = StackEntry {
                mark: 0,
                place: ManuallyDrop::new(NodeRef::PROCESS),
                borrowed: false,
                own: false,
                base: true,
                lazy: LazyNode::Thread(name, None),
            };
            stack.change(flow, |entries| entries.push(entry));
        }
        stack.change(flow, |entries| {
            let top = entries.last_mut()?;
            top.materialize();
            (!matches!(top.lazy, LazyNode::Nowhere)).then(|| NodeRef::clone(&top.place))
        })
    };
    // Code in the destructors of a thread's locals has the thread for itself.
    STACK.try_with(here).unwrap_or_else(|_| (!flow.is_guest()).then_some(NodeRef::PROCESS))
}

/// The nearest real node, which is where anything submitted now stands. Makes nothing.
#[inline]
pub(crate) fn nearest() -> NodeRef {
    if Top::node().is_null() {
        return NodeRef::PROCESS;
    }
    let nearest = |entries: &[StackEntry]| entries.last().map_or(NodeRef::PROCESS, |top| NodeRef::clone(&top.place));
    STACK.try_with(|stack| stack.look(Flow::now(), nearest)).unwrap_or(NodeRef::PROCESS)
}

/// The nearest real node, borrowed for as long as this thread's places are pinned.
#[inline]
pub(crate) fn nearest_node(_pinned: &Pin) -> &Node {
    // SAFETY: the entry on the stack holds the node, or whoever lent it the place does; and while pinned an entry that
    // is taken off is kept.
    unsafe { Top::node().as_ref() }.unwrap_or_else(|| process())
}

/// The current place, if it is a real node. Nothing for a thread or a task that nobody has looked at, which is none
/// yet; for code that shares its thread and has no place; and while the thread's locals are being destroyed.
pub(crate) fn exactly_here() -> Option<NodeRef> {
    let flow = Flow::now();
    let exactly = |stack: &Stack| {
        stack.look(flow, |entries| match entries.last() {
            Some(top) => matches!(top.lazy, LazyNode::Nothing).then(|| NodeRef::clone(&top.place)),
            None => (!stack.is_shared(flow) && is_main_thread()).then_some(NodeRef::PROCESS),
        })
    };
    STACK.try_with(exactly).ok().flatten()
}

/// Whether the running code can own something where it stands. Makes nothing.
pub(crate) fn owns() -> bool {
    let flow = Flow::now();
    let owns = |stack: &Stack| {
        stack.look(flow, |entries| match entries.last() {
            Some(top) => !matches!(top.lazy, LazyNode::Nowhere),
            None => !stack.is_shared(flow),
        })
    };
    STACK.try_with(owns).unwrap_or(!flow.is_guest())
}

/// Whether the running code stands somewhere: in a thread of ours, a task, a place that was entered.
pub(crate) fn stands() -> bool {
    STACK.try_with(|stack| stack.look(Flow::now(), |entries| !entries.is_empty())).unwrap_or(false)
}

/// From now on code of the calling thread that has no other place does not stand at the thread.
pub(crate) fn mark_shared() {
    let _ = STACK.try_with(|stack| {
        stack.shared.set(true);
        stack.change(Flow::THREAD, |_| ());
    });
}

/// Where code stands, taken along to elsewhere.
#[derive(Clone)]
pub(crate) struct CurrentNode {
    place: NodeRef,
    /// It is a place of the code's own.
    owns: bool,
}

impl CurrentNode {
    pub(crate) fn here() -> Self {
        let own = own_here();
        Self { owns: own.is_some(), place: own.unwrap_or(NodeRef::PROCESS) }
    }

    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "for what the feature spawns"))]
    pub(crate) fn place(&self) -> &NodeRef {
        &self.place
    }

    pub(crate) fn enter(&self) -> EnterGuard {
        enter(self.place.clone(), if self.owns { LazyNode::Nothing } else { LazyNode::Nowhere })
    }
}

/// Whether the running code is that of the thread itself: it does not share the thread with others.
pub(crate) fn has_its_thread() -> bool {
    STACK.try_with(|stack| !stack.is_shared(Flow::now())).unwrap_or(true)
}

impl StackEntry {
    /// It is where a task or a thread began, so what stands here is that itself, node or not.
    fn is_beginning(&self) -> bool {
        self.own || matches!(self.lazy, LazyNode::Thread(..) | LazyNode::Task(..))
    }
}

/// The running task itself, or the thread if it runs none, as a node, made on first use; wherever the code stands now.
pub(crate) fn own() -> Option<NodeRef> {
    let own = |stack: &Stack| {
        stack.change(Flow::now(), |entries| {
            let own = entries.iter_mut().rfind(|entry| stack.shows(entry) && entry.is_beginning())?;
            own.materialize();
            Some(NodeRef::clone(&own.place))
        })
    };
    STACK.try_with(own).ok().flatten()
}

/// Whether the running task, or the thread if it runs none, is a node that was itself asked to stop.
pub(crate) fn own_cancel_requested() -> bool {
    let asked = |entries: &[StackEntry]| {
        entries
            .iter()
            .rfind(|entry| entry.is_beginning())
            .is_some_and(|own| own.own && own.place.node().cancel_requested())
    };
    STACK.try_with(|stack| stack.look(Flow::now(), asked)).unwrap_or(false)
}

/// The node of the calling thread itself, if it has one and the running code has the thread for itself.
pub(crate) fn own_thread() -> Option<NodeRef> {
    let own = |entry: &&StackEntry| entry.own && entry.place.node().kind() == NodeKind::Thread;
    let find = |entries: &[StackEntry]| entries.iter().find(own).map(|entry| NodeRef::clone(&entry.place));
    STACK.try_with(|stack| stack.look(Flow::now(), find)).ok().flatten()
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
fn let_go(entry: StackEntry) {
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
pub(crate) struct EnterGuard {
    mark: u64,
    /// Whose entry it is. It may be dropped by another: a runtime's end drops the futures that it has.
    flow: Flow,
    here: PhantomData<*const ()>,
}

/// Puts an entry on the stack.
#[inline]
pub(crate) fn enter(place: NodeRef, lazy: LazyNode) -> EnterGuard {
    push(ManuallyDrop::new(place), false, false, lazy)
}

/// Puts an entry on the stack at which the thread itself stands, below all others.
pub(crate) fn enter_as_thread(place: NodeRef, lazy: LazyNode) -> EnterGuard {
    push(ManuallyDrop::new(place), false, true, lazy)
}

/// Puts an entry on the stack that does not count the place, for whoever holds it anyway.
///
/// # Safety
/// The place, and what `lazy` points to, live until the entry is off the stack, which the caller makes sure of with
/// [`EnterGuard::exit_to`].
#[inline]
pub(crate) unsafe fn enter_borrowed(place: &NodeRef, lazy: LazyNode) -> EnterGuard {
    // SAFETY: a copy that is never dropped, and not used for longer than the original, by the contract.
    push(ManuallyDrop::new(unsafe { std::ptr::read(place) }), true, false, lazy)
}

#[inline]
fn push(place: ManuallyDrop<NodeRef>, borrowed: bool, base: bool, lazy: LazyNode) -> EnterGuard {
    let (mark, flow) = (NEXT_MARK.get(), Flow::now());
    NEXT_MARK.set(mark + 1);
    let entry = StackEntry { mark, place, borrowed, own: false, base, lazy };
    // Refused only while the thread's locals are being destroyed; then there is nothing to restore either.
    let _ = STACK.try_with(|stack| stack.change(flow, |entries| entries.push(entry)));
    EnterGuard { mark, flow, here: PhantomData }
}

impl EnterGuard {
    /// Takes this entry, and everything above it that is of the same flow, off: for whoever ran foreign code and must
    /// leave nothing of it. Others that ran meanwhile may be suspended at places of theirs.
    #[inline]
    pub(crate) fn exit_to(self) {
        let (mark, flow) = (self.mark, self.flow);
        std::mem::forget(self);
        let _ = STACK.try_with(|stack| {
            // Marks only rise towards the top.
            let top = stack.change(flow, |entries| entries.pop_if(|top| top.mark == mark));
            if top.is_none() {
                let above = stack.change(flow, |entries| {
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

impl Drop for EnterGuard {
    #[inline]
    fn drop(&mut self) {
        let _ = STACK.try_with(|stack| {
            let entry = stack.change(self.flow, |entries| {
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
