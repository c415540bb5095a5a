//! A room's messages in a box that scrolls. The box counts from its end (`flex-direction: column-reverse`): a page without
//! scripts shows the newest messages, the end is followed, and what is put before the first row moves nothing. Other
//! changes of the rows keep the row in sight where it is.

use std::collections::HashSet;

use leptos::{
    ev::{self, KeyboardEvent},
    html,
    leptos_dom::helpers::request_animation_frame,
    prelude::*,
    task::spawn_local,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, FocusOptions, HtmlElement};

use super::{
    pending::PendingRows,
    rove,
    row::row,
    talk::{Item, Talk},
};
use crate::{
    i18n::*,
    ui::{
        keys,
        text::{dynamic_text, dynamic_view, fill, t, text_key, translate},
    },
};
use duplex_protocol::cursor::Seq;

/// Pixels from the end within which the end is followed.
const NEAR_END: i32 = 48;
/// Pixels from either end of the rows at which more are wanted.
const MARGIN: i32 = 900;
/// Pages of history asked for to find a message that was jumped to: an answer is never far from what it answers.
const LOOK_BACK: usize = 5;

/// The box, and where it stands.
#[derive(Clone, Copy)]
pub struct Scroll {
    talk: Talk,
    outer: NodeRef<html::Div>,
    inner: NodeRef<html::Div>,
    pub at_end: RwSignal<bool>,
    /// There is more than the box shows.
    scrolls: RwSignal<bool>,
}

impl Scroll {
    pub fn new(talk: Talk) -> Self {
        Self {
            talk,
            outer: NodeRef::new(),
            inner: NodeRef::new(),
            at_end: RwSignal::new(true),
            scrolls: RwSignal::new(true),
        }
    }

    /// After the rows have changed.
    fn measure(self) {
        request_animation_frame(move || {
            if let Some(outer) = self.outer.try_get_untracked().flatten() {
                self.scrolls.try_set(outer.scroll_height() > outer.client_height());
            }
        });
    }

    fn scrolled(self) {
        let Some(outer) = self.outer.get_untracked() else {
            return;
        };
        let from_end = -outer.scroll_top();
        let from_start = outer.scroll_height() - outer.client_height() - from_end;
        let at_end = from_end < NEAR_END;
        if at_end {
            self.talk.follow();
        } else {
            self.talk.hold();
        }
        if self.at_end.get_untracked() != at_end {
            self.at_end.set(at_end);
        }
        if from_start < MARGIN {
            self.older();
        } else if from_end < MARGIN && self.talk.span.get_untracked().to.is_some() {
            self.keep_place(move || self.talk.newer());
        }
    }

    /// More rows before the first: from memory, else from the log.
    pub fn older(self) {
        if self.talk.loading.get_untracked() {
            return;
        }
        if self.talk.has_older() {
            self.keep_place(move || self.talk.older());
            return;
        }
        spawn_local(async move {
            if self.talk.ask_for_older().await {
                self.keep_place(move || self.talk.older());
            }
        });
    }

    /// Changes rows, and puts the first row in sight back to where it was before anything is painted. Rows that only move leave the
    /// document for a moment, and lose the focus there.
    fn keep_place(self, change: impl FnOnce()) {
        let place = self.first_in_sight();
        let focused = self.focused();
        change();
        request_animation_frame(move || {
            if let Some(focused) = focused {
                focus_again(&focused);
            }
            let Some((id, top)) = place else { return };
            let row = document().get_element_by_id(&id);
            if let (Some(outer), Some(row)) = (self.outer.try_get_untracked().flatten(), row) {
                let moved = (row.get_bounding_client_rect().top() - top).round() as i32;
                if moved != 0 {
                    outer.set_scroll_top(outer.scroll_top() + moved);
                }
            }
        });
    }

    /// What has the focus among the rows.
    fn focused(self) -> Option<HtmlElement> {
        let (rows, focused) = (self.inner.get_untracked()?, document().active_element()?);
        let focused = focused.dyn_into::<HtmlElement>().ok()?;
        rows.contains(Some(&focused)).then_some(focused)
    }

    fn first_in_sight(&self) -> Option<(String, f64)> {
        let edge = self.outer.get_untracked()?.get_bounding_client_rect().top();
        let mut row = self.inner.get_untracked()?.first_element_child();
        while let Some(element) = row {
            let place = element.get_bounding_client_rect();
            // A day's line moves to the first message of its day: only messages keep their place.
            if place.bottom() > edge && element.tag_name() == "ARTICLE" && !element.id().is_empty() {
                return Some((element.id(), place.top()));
            }
            row = element.next_element_sibling();
        }
        None
    }

    pub fn to_end(self) {
        self.scroll_to_end();
        // A scroll on the way may have held the rows as they were, or kept their place.
        request_animation_frame(move || self.scroll_to_end());
    }

    /// The box first: with other rows in it, where it stood could be at their start, and older ones would be asked for.
    fn scroll_to_end(self) {
        if let Some(outer) = self.outer.try_get_untracked().flatten() {
            outer.set_scroll_top(0);
            self.talk.to_end();
        }
    }
}

/// To a message and its neighbours, wherever it is.
pub fn jump(talk: Talk, seq: Seq) {
    spawn_local(async move {
        for _ in 0..LOOK_BACK {
            if talk.message(seq).is_some() || !talk.ask_for_older().await {
                break;
            }
        }
        if talk.show(seq) {
            talk.target.set(Some(seq));
            request_animation_frame(move || {
                if let Some(row) = document().get_element_by_id(&row_id(seq)) {
                    row.scroll_into_view();
                    focus(&row_id(seq));
                }
            });
        }
    });
}

pub fn row_id(seq: Seq) -> String {
    format!("m{seq}")
}

pub fn focus(id: &str) {
    let element = document().get_element_by_id(id);
    if let Some(element) = element.as_ref().and_then(|element| element.dyn_ref::<HtmlElement>()) {
        let _ = element.focus();
    }
}

/// Unless the visitor has gone on to something else.
fn focus_again(element: &HtmlElement) {
    let active = document().active_element();
    let is_lost = active.is_none_or(|active| active.local_name() == "body");
    if is_lost && element.is_connected() {
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        let _ = element.focus_with_options(&options);
    }
}

#[component]
pub fn Messages(talk: Talk, scroll: Scroll) -> impl IntoView {
    let items = Memo::new(move |_| talk.items());
    let leads = Memo::new(move |_| items.with(|items| items.iter().filter_map(Item::lead).collect::<HashSet<Seq>>()));
    Effect::new(move |_| {
        items.track();
        scroll.measure();
        let resized = window_event_listener(ev::resize, move |_| scroll.measure());
        on_cleanup(move || resized.remove());
    });
    let close = move |event: Event| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let inside = target.is_some_and(|target| target.closest(".menu, .menu-button").ok().flatten().is_some());
        if !inside && talk.menu.get_untracked().is_some() {
            talk.menu.set(None);
        }
    };
    // From here on the messages are one tab stop.
    Effect::new(move |_| talk.focused.set(Some(None)));
    let on_key = move |event: KeyboardEvent| {
        if rove::move_focus(scroll, &event) {
            return event.prevent_default();
        }
        if keys::is(&event, "Escape")
            && let Some(seq) = talk.menu.get_untracked()
        {
            talk.menu.set(None);
            focus(&super::menu::button_id(seq));
        }
    };
    view! {
        <div class="messages-box">
            <div
                class="messages"
                role="log"
                tabindex="0"
                aria-label=t!(chat.messages)
                data-scrolls=dynamic_text(move || scroll.scrolls.get().to_string())
                aria-busy=dynamic_text(move || talk.loading.get().to_string())
                node_ref=scroll.outer
                on:scroll=move |_| scroll.scrolled()
                on:click=move |event| close(event.into())
                on:keydown=on_key
                on:focusin=move |event| rove::focus_in(talk, &event)
                on:focusout=move |event| rove::focus_out(talk, &event)
            >
                <div class="messages-rows" node_ref=scroll.inner>
                    <Beginning talk scroll/>
                    <For each=move || items.get() key=Item::id let:item>
                        {row(talk, item, leads)}
                    </For>
                    <PendingRows talk/>
                </div>
            </div>
            <ToEnd talk scroll/>
        </div>
    }
    .into_any()
}

/// What stands before the first row: the room's beginning, or the way to older messages.
#[component]
fn Beginning(talk: Talk, scroll: Scroll) -> impl IntoView {
    let complete = Memo::new(move |_| talk.is_complete());
    let empty = Memo::new(move |_| talk.items().is_empty());
    let note = dynamic_view(move || {
        let words = match (complete.get(), empty.get()) {
            (_, true) => text_key!(chat.nothing_yet),
            (true, false) => text_key!(chat.beginning),
            (false, false) => return Some(older_button(talk, scroll)),
        };
        Some(view! { <p class="beginning">{translate(words)}</p> }.into_any())
    });
    view! { <div class="messages-start">{note}</div> }.into_any()
}

fn older_button(talk: Talk, scroll: Scroll) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || {
        let words = match (talk.loading.get(), talk.failed.get()) {
            (true, _) => t_string!(i18n, chat.loading),
            (false, true) => t_string!(i18n, chat.history_failed),
            (false, false) => t_string!(i18n, chat.older),
        };
        words.to_owned()
    });
    view! { <button type="button" class="button small script" on:click=move |_| scroll.older()>{name}</button> }
        .into_any()
}

/// The way back to the end, and how much is new there.
#[component]
fn ToEnd(talk: Talk, scroll: Scroll) -> impl IntoView {
    let i18n = use_i18n();
    let below = Memo::new(move |_| talk.below());
    let hidden = dynamic_text(move || (scroll.at_end.get() && below.get() == 0).to_string());
    let name = dynamic_text(move || match below.get() {
        0 => t_string!(i18n, chat.to_end).to_owned(),
        count => fill(t_string!(i18n, chat.new_below), &[("count", &count.to_string())]),
    });
    view! {
        <button type="button" class="button small to-end script" data-hidden=hidden on:click=move |_| scroll.to_end()>
            <span aria-hidden="true">"↓ "</span>{name}
        </button>
    }
    .into_any()
}

/// The rows by what they are, for the document's ids.
impl Item {
    pub fn id(&self) -> String {
        match self {
            Self::Day(day) => format!("day{day}"),
            Self::New => "new".to_owned(),
            Self::Message { seq, .. } => row_id(*seq),
        }
    }

    /// The message that bears its author's name.
    fn lead(&self) -> Option<Seq> {
        match self {
            Self::Message { seq, lead: true } => Some(*seq),
            _ => None,
        }
    }
}
