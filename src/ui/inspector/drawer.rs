//! The drawer: its head, its four panels, and the timer that refreshes them. Loaded when the drawer is first opened.

use std::time::Duration;

use leptos::{ev::KeyboardEvent, html, leptos_dom::helpers::IntervalHandle, prelude::*};

use super::{explanation::Explanation, faults::Faults, frames::Frames, live::Live};
use crate::ui::{
    keys,
    text::{TextKey, dynamic_text, dynamic_view, t, text_key, translate},
};
use duplex_leptos::trace::Inspection;

/// Interval at which the open drawer polls the trace's version.
const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panel {
    Live,
    Frames,
    Faults,
    Explanation,
}

/// The trace's version; changes only while the drawer is open.
pub type TraceVersion = RwSignal<u64>;

pub fn drawer(inspection: Inspection, open: RwSignal<bool>, button: NodeRef<html::Button>) -> AnyView {
    let panel = RwSignal::new(Panel::Live);
    let head = NodeRef::<html::H2>::new();
    let version = use_trace_version(&inspection, open);
    manage_focus(open, head, button);
    let close = move || open.set(false);
    let on_key = move |event: KeyboardEvent| {
        if keys::is_key(&event, "Escape") {
            event.stop_propagation();
            close();
        }
    };
    let panel_button = move |this_panel: Panel, name: TextKey| {
        let pressed = dynamic_text(move || (panel.get() == this_panel).to_string());
        view! { <button type="button" aria-pressed=pressed on:click=move |_| panel.set(this_panel)>{translate(name)}</button> }
    };
    // A memo, so that selecting the current panel again does not rebuild it.
    let current = Memo::new(move |_| panel.get());
    let body = dynamic_view(move || {
        let inspection = inspection.clone();
        Some(match current.get() {
            Panel::Live => view! { <Live inspection version/> }.into_any(),
            Panel::Frames => view! { <Frames inspection version/> }.into_any(),
            Panel::Faults => view! { <Faults inspection version/> }.into_any(),
            Panel::Explanation => view! { <Explanation inspection version/> }.into_any(),
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
            <div class="inspector-header">
                <h2 id="inspector-title" tabindex="-1" node_ref=head>{t!(inspector.title)}</h2>
                <div class="segmented-control" role="group" aria-label=t!(inspector.parts)>
                    {panel_button(Panel::Live, text_key!(inspector.part_live))}
                    {panel_button(Panel::Frames, text_key!(inspector.part_frames))}
                    {panel_button(Panel::Faults, text_key!(inspector.part_faults))}
                    {panel_button(Panel::Explanation, text_key!(inspector.part_how))}
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

fn use_trace_version(inspection: &Inspection, open: RwSignal<bool>) -> TraceVersion {
    let shared = inspection.trace();
    let version = RwSignal::new(0);
    Effect::new(move |_| {
        if !open.get() {
            return;
        }
        let shared = shared.clone();
        let refresh = move || {
            let newest = shared.with(|trace| trace.version());
            if version.get_untracked() != newest {
                version.set(newest);
            }
        };
        refresh();
        let timer = set_interval_with_handle(refresh, REFRESH_INTERVAL).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    version
}

/// Moves the focus into the drawer when it opens, and back to the button when it closes.
fn manage_focus(open: RwSignal<bool>, head: NodeRef<html::H2>, button: NodeRef<html::Button>) {
    Effect::new(move |before: Option<bool>| {
        let now = open.get();
        let target = head.get();
        if now && before != Some(true) {
            // `hidden` is removed in the same tick, possibly after this effect.
            request_animation_frame(move || {
                let _ = target.map(|head| head.focus());
            });
        } else if !now && before == Some(true) {
            let _ = button.get_untracked().map(|button| button.focus());
        }
        now
    });
}
