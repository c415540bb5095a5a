//! The inspector: a drawer on every page with the tab's session, faults to inject into it, and an explanation of its handshake. A
//! page loads only the button; the drawer is loaded when it is first opened.

mod drawer;
mod explanation;
mod export;
mod faults;
mod frame_text;
mod frames;
mod har;
mod live;
mod texts;
mod timeline;

use leptos::{ev, html, prelude::*, task::spawn_local, wasm_split::wasm_split};
use web_sys::KeyboardEvent;

use super::keys;
use super::lazy::LazySlot;
use super::text::{dynamic_text, t};
use duplex_leptos::trace::{Inspection, use_inspection};

/// Pressed with Alt, anywhere on the page. The physical key, because Alt changes the character on some keyboards.
const SHORTCUT: &str = "KeyI";

/// The drawer's state, which navigation between pages keeps.
#[derive(Clone)]
pub struct Inspector {
    open: RwSignal<bool>,
    button: NodeRef<html::Button>,
    inspection: Inspection,
    /// Whether the drawer's chunk has been requested.
    load_started: StoredValue<bool>,
    slot: LazySlot,
}

impl Inspector {
    /// Creates the page's inspector, owned by the calling component.
    pub fn create() -> Self {
        let inspector = Self {
            open: RwSignal::new(false),
            button: NodeRef::new(),
            inspection: use_inspection(),
            load_started: StoredValue::new(false),
            slot: LazySlot::default(),
        };
        let this = inspector.clone();
        let owner = Owner::current();
        Effect::new(move |_| {
            if this.open.get() && !this.load_started.get_value() {
                this.load_started.set_value(true);
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

    /// The button that opens the drawer.
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

    /// The drawer; empty until it is loaded.
    pub fn drawer(&self) -> impl IntoView + use<> {
        self.slot.view()
    }
}

/// The drawer under `owner`, which lives as long as the page.
#[wasm_split(compare_status, wasm_split_path = leptos::wasm_split)]
fn drawer(owner: Owner, inspection: Inspection, open: RwSignal<bool>, button: NodeRef<html::Button>) -> AnyView {
    owner.with(|| drawer::drawer(inspection, open, button))
}
