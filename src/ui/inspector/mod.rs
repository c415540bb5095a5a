//! The inspector: a drawer on every page with the tab's session as it happens, faults to try on it, and how it all works. What
//! every page loads of it is a button; the drawer comes when it is first opened.

mod drawer;
mod export;
mod faults;
mod frames;
mod har;
mod how;
mod live;
mod reading;
mod story;
mod words;

use leptos::{ev, html, prelude::*, task::spawn_local, wasm_split::wasm_split};
use web_sys::KeyboardEvent;

use super::keys;
use super::lazy::LazySlot;
use super::text::{dynamic_text, t};
use duplex_leptos::trace::{Inspection, use_inspection};

/// With Alt, wherever the page has the focus: the key by its place, since Alt makes another letter of it on some keyboards.
const SHORTCUT: &str = "KeyI";

/// The drawer, open or not; stays as it is while the visitor goes from page to page.
#[derive(Clone)]
pub struct Inspector {
    open: RwSignal<bool>,
    button: NodeRef<html::Button>,
    inspection: Inspection,
    /// The drawer was asked for.
    wanted: StoredValue<bool>,
    slot: LazySlot,
}

impl Inspector {
    /// On the page of the component that calls it.
    pub fn here() -> Self {
        let inspector = Self {
            open: RwSignal::new(false),
            button: NodeRef::new(),
            inspection: use_inspection(),
            wanted: StoredValue::new(false),
            slot: LazySlot::default(),
        };
        let this = inspector.clone();
        let owner = Owner::current();
        Effect::new(move |_| {
            if this.open.get() && !this.wanted.get_value() {
                this.wanted.set_value(true);
                this.load(owner.clone());
            }
        });
        let open = inspector.open;
        Effect::new(move |_| {
            let listener = window_event_listener(ev::keydown, move |event: KeyboardEvent| {
                if event.alt_key() && keys::code(&event).as_deref() == Some(SHORTCUT) {
                    event.prevent_default();
                    open.update(|open| *open = !*open);
                }
            });
            on_cleanup(move || listener.remove());
        });
        inspector
    }

    fn load(&self, owner: Option<Owner>) {
        let Some(owner) = owner else { return };
        let (this, inspection) = (self.clone(), self.inspection.clone());
        spawn_local(async move {
            let view = drawer(owner, inspection, this.open, this.button).await;
            this.slot.fill(view);
        });
    }

    /// What opens it.
    pub fn button(&self) -> impl IntoView + use<> {
        let open = self.open;
        view! {
            <button
                type="button"
                class="inspector-button"
                aria-expanded=dynamic_text(move || open.get().to_string())
                aria-keyshortcuts="Alt+I"
                title="Alt+I"
                node_ref=self.button
                on:click=move |_| open.update(|open| *open = !*open)
            >
                <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1 8h3l2-5 4 10 2-5h3"/></svg>
                <span>{t!(inspector.title)}</span>
            </button>
        }
    }

    /// Where it appears.
    pub fn drawer(&self) -> impl IntoView + use<> {
        self.slot.view()
    }
}

/// The drawer belongs to `owner`, which lives as long as the page.
#[wasm_split(lab, wasm_split_path = leptos::wasm_split)]
fn drawer(owner: Owner, inspection: Inspection, open: RwSignal<bool>, button: NodeRef<html::Button>) -> AnyView {
    owner.with(|| drawer::drawer(inspection, open, button))
}
