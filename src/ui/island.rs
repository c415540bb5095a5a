//! The island: the part of a page that hydrates before the router and the layout.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::lazy::preload_loader;
use crate::i18n::LocaleSignal;

/// The id of the island's element; a page has at most one.
pub const ISLAND_ID: &str = "early";

/// The hydrated island. The app takes it from its context and disposes it with the page.
#[derive(Clone)]
pub struct IslandHandle {
    pub language: LocaleSignal,
    /// Whether an unread hint loaded the app.
    pub woken_by_unread: SendWrapper<Rc<Cell<bool>>>,
    mounted: SendWrapper<Rc<RefCell<Option<MountedView>>>>,
}

impl IslandHandle {
    pub fn new(language: LocaleSignal, owner: Option<Owner>, view: impl Any) -> Self {
        let view = Box::new(view);
        Self {
            language,
            woken_by_unread: SendWrapper::new(Rc::default()),
            mounted: SendWrapper::new(Rc::new(RefCell::new(Some(MountedView { owner, _view: view })))),
        }
    }

    fn take(&self) -> Option<MountedView> {
        self.mounted.borrow_mut().take()
    }
}

/// Disposes the island when dropped: its effects first, as with every component, then the view.
struct MountedView {
    owner: Option<Owner>,
    _view: Box<dyn Any>,
}

impl Drop for MountedView {
    fn drop(&mut self) {
        if let Some(owner) = &self.owner {
            owner.cleanup();
        }
    }
}

/// Renders `view`, or adopts the mounted island that renders it already.
#[component]
pub fn Island(view: fn() -> AnyView) -> impl IntoView {
    preload_loader();
    match use_context::<IslandHandle>().and_then(|island| island.take()) {
        None => view! { <div id=ISLAND_ID>{view()}</div> }.into_any(),
        Some(mounted) => {
            let mounted = SendWrapper::new(mounted);
            on_cleanup(move || drop(mounted));
            view! { <div id=ISLAND_ID inner_html=""></div> }.into_any()
        }
    }
}
