//! Progressive hydration: the elements of a long list hydrate after the rest of the page, a few in each task, so that no task keeps
//! the visitor's input waiting.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Promise;
use leptos::prelude::*;
use leptos::tachys::html::attribute::Attribute;
use leptos::tachys::html::attribute::any_attribute::AnyAttribute;
use leptos::tachys::hydration::Cursor;
use leptos::tachys::renderer::types::{Element, Node};
use leptos::tachys::view::add_attr::AddAnyAttr;
use leptos::tachys::view::any_view::AnyViewState;
use leptos::tachys::view::{Mountable, Position, PositionState, Render, RenderHtml};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::clock;

/// The time in milliseconds after which a task ends and the next one goes on: half a frame.
const TASK_MS: f64 = 8.0;

type Job = Box<dyn FnOnce()>;

/// What remains to be done when the rest of the page has hydrated. The page provides it as context before it hydrates.
#[derive(Clone)]
pub struct HydrationQueue(SendWrapper<Rc<Jobs>>);

#[derive(Default)]
struct Jobs {
    /// Elements to hydrate, the last one first: a list that follows its end shows its last elements.
    elements: RefCell<Vec<Job>>,
    /// Run in order after the elements have hydrated.
    changes: RefCell<VecDeque<Job>>,
    /// The page has hydrated as a whole.
    finished: Cell<bool>,
}

impl Default for HydrationQueue {
    fn default() -> Self {
        Self(SendWrapper::new(Rc::default()))
    }
}

impl HydrationQueue {
    /// The queue of the page that hydrates now, if one does.
    pub fn current() -> Option<Self> {
        use_context::<Self>().filter(|queue| !queue.0.finished.get())
    }

    /// Hydrates all elements now. Call it before a change to what they show: they hydrate as the server rendered them.
    pub fn flush(&self) {
        while self.hydrate_next() {}
    }

    fn hydrate_next(&self) -> bool {
        let job = self.0.elements.borrow_mut().pop();
        job.map(|job| job()).is_some()
    }

    fn change_next(&self) -> bool {
        let job = self.0.changes.borrow_mut().pop_front();
        job.map(|job| job()).is_some()
    }

    fn is_empty(&self) -> bool {
        self.0.elements.borrow().is_empty() && self.0.changes.borrow().is_empty()
    }

    /// Does everything in short tasks. Timers of a hidden page are slow and it has no input to delay, so there it is one task.
    pub async fn drain(&self) {
        while !self.is_empty() {
            next_task().await;
            let start = clock::now();
            let is_due = || document().hidden() || !clock::has_elapsed(start, TASK_MS, clock::now());
            while is_due() && self.hydrate_next() {}
            // A change re-renders many elements, in the task that makes it.
            if self.0.elements.borrow().is_empty() {
                self.change_next();
            }
        }
        self.0.finished.set(true);
    }
}

/// Completes in a task of its own.
async fn next_task() {
    let timeout = Promise::new(&mut |resolve, _| {
        let _ = window().set_timeout_with_callback(&resolve);
    });
    let _ = JsFuture::from(timeout).await;
}

/// Runs `change` once the page has hydrated: for what the browser shows otherwise than the server.
pub fn after_hydration(change: impl FnOnce() + 'static) {
    match HydrationQueue::current() {
        Some(queue) => queue.0.changes.borrow_mut().push_back(Box::new(change)),
        None => change(),
    }
}

/// A view of one element that hydrates when its turn in the [`HydrationQueue`] comes. Rendered at once on the server, and in the
/// browser outside of hydration.
pub fn deferred(view: impl FnOnce() -> AnyView + Send + 'static) -> AnyView {
    match HydrationQueue::current() {
        Some(queue) => Deferred {
            queue,
            view: Box::new(view),
        }
        .into_any(),
        None => view(),
    }
}

struct Deferred {
    queue: HydrationQueue,
    view: Box<dyn FnOnce() -> AnyView + Send>,
}

/// The element that the server rendered, or the view that has taken it over.
enum Slot {
    Waiting(Node),
    Rendered(AnyViewState),
}

struct DeferredState(Rc<RefCell<Slot>>);

impl Render for Deferred {
    type State = DeferredState;

    fn build(self) -> DeferredState {
        DeferredState(Rc::new(RefCell::new(Slot::Rendered((self.view)().build()))))
    }

    fn rebuild(self, state: &mut DeferredState) {
        let mut built = self.build();
        state.insert_before_this(&mut built);
        state.unmount();
        *state = built;
    }
}

impl RenderHtml for Deferred {
    type AsyncOutput = AnyView;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> AnyView {
        (self.view)()
    }

    fn to_html_with_buf(
        self,
        buf: &mut String,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        (self.view)().to_html_with_buf(buf, position, escape, mark_branches, extra_attrs);
    }

    fn hydrate<const FROM_SERVER: bool>(self, cursor: &Cursor, position: &PositionState) -> DeferredState {
        match position.get() {
            Position::FirstChild => cursor.child(),
            Position::Current => {}
            _ => cursor.sibling(),
        }
        position.set(Position::NextChild);
        let node = cursor.current();
        let slot = Rc::new(RefCell::new(Slot::Waiting(node.clone())));
        // The queue must not keep an element that the page has removed.
        let waiting = Rc::downgrade(&slot);
        let owner = Owner::current();
        let hydrate = move || {
            let (Some(slot), Ok(element)) = (waiting.upgrade(), node.dyn_into::<Element>()) else {
                return;
            };
            let hydrate =
                || (self.view)().hydrate::<true>(&Cursor::new(element), &PositionState::new(Position::Current));
            let rendered = match owner {
                Some(owner) => owner.with(|| untrack(hydrate)),
                None => untrack(hydrate),
            };
            *slot.borrow_mut() = Slot::Rendered(rendered);
        };
        self.queue.0.elements.borrow_mut().push(Box::new(hydrate));
        DeferredState(slot)
    }

    fn into_owned(self) -> Self {
        self
    }
}

impl AddAnyAttr for Deferred {
    type Output<A: Attribute> = Self;

    fn add_any_attr<A: Attribute>(self, attribute: A) -> Self {
        let attribute = attribute.into_cloneable_owned();
        let view = move || (self.view)().add_any_attr(attribute).into_any();
        Self {
            queue: self.queue,
            view: Box::new(view),
        }
    }
}

impl Mountable for DeferredState {
    fn unmount(&mut self) {
        match &mut *self.0.borrow_mut() {
            Slot::Waiting(node) => {
                if let Some(parent) = node.parent_node() {
                    let _ = parent.remove_child(node);
                }
            }
            Slot::Rendered(view) => view.unmount(),
        }
    }

    fn mount(&mut self, parent: &Element, marker: Option<&Node>) {
        match &mut *self.0.borrow_mut() {
            Slot::Waiting(node) => {
                let _ = parent.insert_before(node, marker);
            }
            Slot::Rendered(view) => view.mount(parent, marker),
        }
    }

    fn insert_before_this(&self, child: &mut dyn Mountable) -> bool {
        match &*self.0.borrow() {
            Slot::Waiting(node) => match node.parent_element() {
                Some(parent) => {
                    child.mount(&parent, Some(node));
                    true
                }
                None => false,
            },
            Slot::Rendered(view) => view.insert_before_this(child),
        }
    }

    fn elements(&self) -> Vec<Element> {
        match &*self.0.borrow() {
            Slot::Waiting(node) => node.dyn_ref::<Element>().cloned().into_iter().collect(),
            Slot::Rendered(view) => view.elements(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_elements_hydrate_first_and_changes_follow_in_order() {
        let queue = HydrationQueue::default();
        let done = Rc::new(RefCell::new(Vec::new()));
        let job = |name| {
            let done = Rc::clone(&done);
            Box::new(move || done.borrow_mut().push(name)) as Job
        };
        for name in ["change 1", "change 2"] {
            queue.0.changes.borrow_mut().push_back(job(name));
        }
        for name in ["element 1", "element 2"] {
            queue.0.elements.borrow_mut().push(job(name));
        }
        queue.flush();
        assert_eq!(*done.borrow(), ["element 2", "element 1"]);
        while queue.change_next() {}
        assert_eq!(done.borrow()[2..], ["change 1", "change 2"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn without_a_page_that_hydrates_views_and_changes_are_immediate() {
        let owner = Owner::new();
        owner.set();
        let finished = HydrationQueue::default();
        finished.0.finished.set(true);
        provide_context(finished.clone());
        let changed = Rc::new(Cell::new(false));
        let change = Rc::clone(&changed);
        after_hydration(move || change.set(true));
        assert!(changed.get() && finished.is_empty());
    }
}
