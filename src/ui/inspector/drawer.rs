//! The drawer itself: its head, its four parts, and the clock by which it looks again. Everything in here is loaded when the
//! drawer is first opened.

use std::time::Duration;

use leptos::{ev::KeyboardEvent, html, leptos_dom::helpers::IntervalHandle, prelude::*};

use super::{faults::Faults, frames::Frames, how::How, live::Live};
use crate::ui::{
    keys,
    text::{TextKey, dynamic_text, dynamic_view, t, text_key, translate},
};
use duplex_leptos::trace::Inspection;

/// The drawer looks so often for something new: below what a person calls late, and no work while nothing happens.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Live,
    Frames,
    Faults,
    How,
}

/// Changes when there is something new to show; only while the drawer is open.
pub type Fresh = RwSignal<u64>;

pub fn drawer(inspection: Inspection, open: RwSignal<bool>, button: NodeRef<html::Button>) -> AnyView {
    let shown = RwSignal::new(Part::Live);
    let head = NodeRef::<html::H2>::new();
    let fresh = use_fresh(&inspection, open);
    follow_focus(open, head, button);
    let close = move || open.set(false);
    let on_key = move |event: KeyboardEvent| {
        if keys::is(&event, "Escape") {
            event.stop_propagation();
            close();
        }
    };
    let choice = move |one: Part, name: TextKey| {
        let pressed = dynamic_text(move || (shown.get() == one).to_string());
        view! { <button type="button" aria-pressed=pressed on:click=move |_| shown.set(one)>{translate(name)}</button> }
    };
    // To choose the part that is shown already does not build it anew.
    let chosen = Memo::new(move |_| shown.get());
    let body = dynamic_view(move || {
        let inspection = inspection.clone();
        Some(match chosen.get() {
            Part::Live => view! { <Live inspection fresh/> }.into_any(),
            Part::Frames => view! { <Frames inspection fresh/> }.into_any(),
            Part::Faults => view! { <Faults inspection fresh/> }.into_any(),
            Part::How => view! { <How inspection fresh/> }.into_any(),
        })
    });
    view! {
        <div
            class="inspector"
            id="inspector"
            role="dialog"
            aria-labelledby="inspector-title"
            hidden=move || !open.get()
            on:keydown=on_key
        >
            <div class="inspector-head">
                <h2 id="inspector-title" tabindex="-1" node_ref=head>{t!(inspector.title)}</h2>
                <div class="choice" role="group" aria-label=t!(inspector.parts)>
                    {choice(Part::Live, text_key!(inspector.part_live))}
                    {choice(Part::Frames, text_key!(inspector.part_frames))}
                    {choice(Part::Faults, text_key!(inspector.part_faults))}
                    {choice(Part::How, text_key!(inspector.part_how))}
                </div>
                <button type="button" class="inspector-close" aria-label=t!(inspector.close) on:click=move |_| close()>
                    <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 3l10 10M13 3L3 13"/></svg>
                </button>
            </div>
            <div class="inspector-body" tabindex="0" role="region" aria-labelledby="inspector-title">{body}</div>
        </div>
    }
    .into_any()
}

fn use_fresh(inspection: &Inspection, open: RwSignal<bool>) -> Fresh {
    let shared = inspection.trace();
    let fresh = RwSignal::new(0);
    Effect::new(move |_| {
        if !open.get() {
            return;
        }
        let shared = shared.clone();
        let look = move || {
            let version = shared.with(|trace| trace.version());
            if fresh.get_untracked() != version {
                fresh.set(version);
            }
        };
        look();
        let timer = set_interval_with_handle(look, LOOK).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    fresh
}

/// Into the drawer when it opens, and back to the button when it closes.
fn follow_focus(open: RwSignal<bool>, head: NodeRef<html::H2>, button: NodeRef<html::Button>) {
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        let target = head.get();
        if now && before != Some(true) {
            // The attribute `hidden` goes in the same turn, perhaps after this.
            request_animation_frame(move || {
                let _ = target.map(|head| head.focus());
            });
        } else if !now && before == Some(true) {
            let _ = button.get_untracked().map(|button| button.focus());
        }
        now
    });
}
