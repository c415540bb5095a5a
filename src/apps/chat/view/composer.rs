//! The message composer. Enter sends and Shift+Enter inserts a line break; an Enter that ends an IME composition does neither.
//! Without scripts it is a plain form that posts to the page's own path.

use leptos::{
    ev::{Event, KeyboardEvent, SubmitEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::HtmlTextAreaElement;

use super::{
    super::wire::{ChatCommand, MAX_MESSAGE_CHARS, RejectedPost, TYPING, check_text, normalize_text},
    drafts, labels,
    list::ScrollState,
    room_model::RoomModel,
    row::excerpt,
};
use crate::{
    i18n::*,
    ui::{
        clock, format, keys,
        raw_text::raw_text,
        text::{dynamic_text, dynamic_view, fill, optional_text, t},
    },
    wire::{form::RejectedForm, text::isolated},
};
use duplex_protocol::session::Rejection;

/// The id of the text field.
pub const FIELD_ID: &str = "message-field";
/// The counter is shown when at most this many characters remain.
const COUNTER_MARGIN: usize = 400;
/// Milliseconds between two typing notifications.
const TYPING_INTERVAL_MS: f64 = 2_000.0;

/// Why the text is not sent.
#[derive(Debug, Clone, PartialEq)]
enum Problem {
    Rejected(Rejection),
    /// A pasted text of this many characters would exceed the limit.
    Pasted(usize),
}

#[component]
pub fn Composer(room: RoomModel, scroll: ScrollState) -> impl IntoView {
    let i18n = use_i18n();
    // A plain form that was posted and rejected is restored with the page.
    let restored = SharedValue::new(rejected_post).into_inner();
    let (typed, rejection) = restored
        .map(|form| ((form.name, form.text), Problem::Rejected(form.rejection)))
        .unzip();
    let problem = RwSignal::new(rejection);
    let (name, draft) = typed.unwrap_or_default();
    room.draft.set(draft);
    drafts::persist(room);
    let send = move || submit(room, scroll, problem);
    let on_key = move |event: KeyboardEvent| {
        if keys::is_key(&event, "Escape") && room.replying.get_untracked().is_some() {
            room.replying.set(None);
        } else if keys::is_submit(&event) {
            event.prevent_default();
            send();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
    };
    let error_text = optional_text(move || problem.get().map(|problem| problem_text(i18n.get_locale(), &problem)));
    view! {
        <form class="composer" method="post" action=room.path() on:submit=on_submit>
            <Replying room/>
            <label class="field noscript-only">
                <span>{t!(chat.your_name)}</span>
                <input name="name" autocomplete="nickname" maxlength="24" value=name/>
            </label>
            <div class="composer-row">
                <Field room problem on_key=Callback::new(on_key)/>
                <button class="button primary" type="submit">{t!(chat.send)}</button>
            </div>
            <div class="composer-notes">
                <p class="problem" role="alert">{error_text}</p>
                <Typing room/>
                <Counter room/>
            </div>
        </form>
    }
    .into_any()
}

fn rejected_post() -> Option<RejectedPost> {
    let RejectedForm { rejection, mut fields } = use_context()?;
    if fields.contains_key("room") {
        return None;
    }
    Some(RejectedPost {
        name: fields.remove("name").unwrap_or_default(),
        text: fields.remove("message").unwrap_or_default(),
        rejection,
    })
}

#[component]
fn Field(room: RoomModel, problem: RwSignal<Option<Problem>>, on_key: Callback<KeyboardEvent>) -> impl IntoView {
    let field = NodeRef::<html::Textarea>::new();
    let sent_at = StoredValue::new(None);
    // Shows a draft that was restored from storage. Text typed before hydration is only in the field and becomes the draft.
    Effect::new(move |before: Option<()>| {
        let draft = room.draft.get();
        let Some(field) = field.get().filter(|field| field.value() != draft) else {
            return;
        };
        if before.is_none() && !field.value().is_empty() {
            room.draft.set(field.value());
        } else {
            field.set_value(&draft);
        }
    });
    let on_input = move |event: Event| {
        let Some(field) = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlTextAreaElement>().ok())
        else {
            return;
        };
        on_typed(room, problem, &field);
        send_typing(room, sent_at);
    };
    view! {
        <textarea
            id=FIELD_ID
            name="message"
            rows="1"
            enterkeyhint="send"
            required
            aria-label=t!(chat.message)
            placeholder=t!(chat.message_hint)
            node_ref=field
            on:keydown=move |event| on_key.run(event)
            on:input=on_input
        >{raw_text(room.draft.get_untracked())}</textarea>
    }
    .into_any()
}

/// Rejects a paste that makes the message too long, because truncation would silently lose text. Typed text may exceed the limit:
/// the counter shows it, and it is not sent.
fn on_typed(room: RoomModel, problem: RwSignal<Option<Problem>>, field: &HtmlTextAreaElement) {
    let value = field.value();
    let before = room.draft.with_untracked(|draft| draft.chars().count());
    let now = value.chars().count();
    if now > MAX_MESSAGE_CHARS && now > before + 1 && before <= MAX_MESSAGE_CHARS {
        field.set_value(&room.draft.get_untracked());
        problem.set(Some(Problem::Pasted(now - before)));
        return;
    }
    if problem.with_untracked(Option::is_some) {
        problem.set(None);
    }
    room.draft.set(value);
}

/// Notifies others that the visitor is typing; `sent_at` is the time of the last notification.
fn send_typing(room: RoomModel, sent_at: StoredValue<Option<f64>>) {
    let now = clock::now();
    if room.draft.with_untracked(String::is_empty) {
        sent_at.set_value(None);
        room.chat.set_activity(None);
    } else if sent_at
        .get_value()
        .is_none_or(|sent_at| clock::has_elapsed(sent_at, TYPING_INTERVAL_MS, now))
    {
        sent_at.set_value(Some(now));
        room.chat.set_activity(Some(TYPING));
    }
}

fn submit(room: RoomModel, scroll: ScrollState, problem: RwSignal<Option<Problem>>) {
    let text = normalize_text(&room.draft.get_untracked());
    if let Err(reason) = check_text(&text) {
        return problem.set(Some(Problem::Rejected(Rejection::custom(reason))));
    }
    problem.set(None);
    room.send(ChatCommand::Post {
        text,
        reply_to: room.replying.get_untracked(),
    });
    room.replying.set(None);
    room.draft.set(String::new());
    room.new_after.set(None);
    room.chat.set_activity(None);
    scroll.scroll_to_newest();
}

fn problem_text(locale: Locale, problem: &Problem) -> String {
    match problem {
        Problem::Rejected(rejection) => labels::rejection(locale, rejection),
        Problem::Pasted(count) => fill(
            td_string!(locale, chat.pasted_too_long),
            &[
                ("count", &format::grouped(*count as u64)),
                ("limit", &format::grouped(MAX_MESSAGE_CHARS as u64)),
            ],
        ),
    }
}

#[component]
fn Replying(room: RoomModel) -> impl IntoView {
    let i18n = use_i18n();
    let strip = dynamic_view(move || {
        let seq = room.replying.get()?;
        let label = dynamic_text(move || {
            let describe = |message: &super::super::model::Message| {
                let name = labels::name(i18n.get_locale(), &message.by);
                fill(
                    t_string!(i18n, chat.replying_to),
                    &[("name", &name), ("text", &isolated(&excerpt(&message.text)))],
                )
            };
            room.with_message(seq, describe).unwrap_or_default()
        });
        Some(
            view! {
                <p class="replying">
                    <span>{label}</span>
                    <button type="button" class="button small" on:click=move |_| room.replying.set(None)>
                        {t!(chat.cancel)}
                    </button>
                </p>
            }
            .into_any(),
        )
    });
    view! { <div>{strip}</div> }.into_any()
}

/// The character counter, shown near the limit.
#[component]
fn Counter(room: RoomModel) -> impl IntoView {
    let count = Memo::new(move |_| room.draft.with(|draft| draft.chars().count()));
    let counter = optional_text(move || {
        let count = count.get();
        let (count_text, limit) = (format::grouped(count as u64), format::grouped(MAX_MESSAGE_CHARS as u64));
        (count + COUNTER_MARGIN > MAX_MESSAGE_CHARS).then(|| format!("{count_text} / {limit}"))
    });
    let over = dynamic_text(move || (count.get() > MAX_MESSAGE_CHARS).to_string());
    view! { <p class="counter" data-over-limit=over>{counter}</p> }.into_any()
}

/// The names of the people who are typing.
#[component]
fn Typing(room: RoomModel) -> impl IntoView {
    const MAX_NAMES: usize = 3;
    let i18n = use_i18n();
    let line = optional_text(move || {
        let locale = i18n.get_locale();
        let names: Vec<_> = room.chat.presence.with(|presence| {
            let others = presence
                .people
                .iter()
                .filter(|present| !room.is_own(&present.person.id));
            let typing = others.filter(|present| present.activity.as_deref() == Some(TYPING));
            typing.map(|present| labels::name(locale, &present.person)).collect()
        });
        let text = match names.len() {
            0 => return None,
            1..=MAX_NAMES => t_string!(i18n, chat.typing),
            _ => t_string!(i18n, chat.many_typing),
        };
        Some(fill(text, &[("names", &names.join(", "))]))
    });
    view! { <p class="typing" aria-live="polite">{line}</p> }.into_any()
}
