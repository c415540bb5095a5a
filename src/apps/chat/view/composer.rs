//! Where one writes. Enter sends, Shift+Enter starts a line, and an Enter that ends a composition does neither. Without
//! scripts it is a plain form to the page's own path.

use leptos::{
    ev::{Event, KeyboardEvent, SubmitEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::HtmlTextAreaElement;

use super::{
    super::wire::{ChatCommand, MAX_TEXT, NotPosted, TYPING, check_text, tidy_text},
    drafts,
    list::Scroll,
    row::excerpt,
    talk::Talk,
    words,
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

/// The field's id.
pub const FIELD: &str = "message-field";
/// Characters left at which they are counted.
const NEAR_LIMIT: usize = 400;
/// Milliseconds within which it is said once that somebody writes.
const TYPING_MS: f64 = 2_000.0;

/// Why what was typed is not sent.
#[derive(Debug, Clone, PartialEq)]
enum Problem {
    Refused(Rejection),
    /// A text of so many characters was put in at once.
    Pasted(usize),
}

#[component]
pub fn Composer(talk: Talk, scroll: Scroll) -> impl IntoView {
    let i18n = use_i18n();
    // A form that was posted without scripts comes back with the page, and its text with it.
    let back = SharedValue::new(not_posted).into_inner();
    let (typed, why) = back
        .map(|back| ((back.name, back.text), Problem::Refused(back.why)))
        .unzip();
    let problem = RwSignal::new(why);
    let (name, draft) = typed.unwrap_or_default();
    talk.draft.set(draft);
    drafts::keep(talk);
    let send = move || submit(talk, scroll, problem);
    let on_key = move |event: KeyboardEvent| {
        if keys::is(&event, "Escape") && talk.replying.get_untracked().is_some() {
            talk.replying.set(None);
        } else if keys::sends(&event) {
            event.prevent_default();
            send();
        }
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
    };
    let line = optional_text(move || problem.get().map(|problem| told(i18n.get_locale(), &problem)));
    view! {
        <form class="composer" method="post" action=talk.path() on:submit=on_submit>
            <Replying talk/>
            <label class="field plain">
                <span>{t!(chat.your_name)}</span>
                <input name="name" autocomplete="nickname" maxlength="24" value=name/>
            </label>
            <div class="composer-row">
                <Field talk problem on_key=Callback::new(on_key)/>
                <button class="button primary" type="submit">{t!(chat.send)}</button>
            </div>
            <div class="composer-notes">
                <p class="problem" role="alert">{line}</p>
                <Typing talk/>
                <Counter talk/>
            </div>
        </form>
    }
    .into_any()
}

fn not_posted() -> Option<NotPosted> {
    let RejectedForm { rejection, mut fields } = use_context()?;
    if fields.contains_key("room") {
        return None;
    }
    Some(NotPosted {
        name: fields.remove("name").unwrap_or_default(),
        text: fields.remove("message").unwrap_or_default(),
        why: rejection,
    })
}

#[component]
fn Field(talk: Talk, problem: RwSignal<Option<Problem>>, on_key: Callback<KeyboardEvent>) -> impl IntoView {
    let field = NodeRef::<html::Textarea>::new();
    let said = StoredValue::new(None);
    // The draft may come back from elsewhere; the field's own input is already in it. What was typed before the page came
    // to life is in the field alone.
    Effect::new(move |before: Option<()>| {
        let draft = talk.draft.get();
        let Some(field) = field.get().filter(|field| field.value() != draft) else {
            return;
        };
        if before.is_none() && !field.value().is_empty() {
            talk.draft.set(field.value());
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
        typed(talk, problem, &field);
        tell_typing(talk, said);
    };
    view! {
        <textarea
            id=FIELD
            name="message"
            rows="1"
            enterkeyhint="send"
            required
            aria-label=t!(chat.message)
            placeholder=t!(chat.message_hint)
            node_ref=field
            on:keydown=move |event| on_key.run(event)
            on:input=on_input
        >{raw_text(talk.draft.get_untracked())}</textarea>
    }
    .into_any()
}

/// A text that is put in at once and makes the message too long is not taken: cut off, it would be lost unseen. What is
/// typed by hand may go beyond the limit; the counter says so, and it is not sent.
fn typed(talk: Talk, problem: RwSignal<Option<Problem>>, field: &HtmlTextAreaElement) {
    let value = field.value();
    let before = talk.draft.with_untracked(|draft| draft.chars().count());
    let now = value.chars().count();
    if now > MAX_TEXT && now > before + 1 && before <= MAX_TEXT {
        field.set_value(&talk.draft.get_untracked());
        problem.set(Some(Problem::Pasted(now - before)));
        return;
    }
    if problem.with_untracked(Option::is_some) {
        problem.set(None);
    }
    talk.draft.set(value);
}

/// `said`: when it was, if it is still said.
fn tell_typing(talk: Talk, said: StoredValue<Option<f64>>) {
    let now = clock::now();
    if talk.draft.with_untracked(String::is_empty) {
        said.set_value(None);
        talk.chat.activity(None);
    } else if said
        .get_value()
        .is_none_or(|said| clock::has_elapsed(said, TYPING_MS, now))
    {
        said.set_value(Some(now));
        talk.chat.activity(Some(TYPING));
    }
}

fn submit(talk: Talk, scroll: Scroll, problem: RwSignal<Option<Problem>>) {
    let text = tidy_text(&talk.draft.get_untracked());
    if let Err(why) = check_text(&text) {
        return problem.set(Some(Problem::Refused(Rejection::refused(why))));
    }
    problem.set(None);
    talk.send(ChatCommand::Post {
        text,
        reply_to: talk.replying.get_untracked(),
    });
    talk.replying.set(None);
    talk.draft.set(String::new());
    talk.new_after.set(None);
    talk.chat.activity(None);
    scroll.to_end();
}

fn told(locale: Locale, problem: &Problem) -> String {
    match problem {
        Problem::Refused(rejection) => words::rejection(locale, rejection),
        Problem::Pasted(count) => fill(
            td_string!(locale, chat.pasted_too_long),
            &[
                ("count", &format::grouped(*count as u64)),
                ("limit", &format::grouped(MAX_TEXT as u64)),
            ],
        ),
    }
}

#[component]
fn Replying(talk: Talk) -> impl IntoView {
    let i18n = use_i18n();
    let strip = dynamic_view(move || {
        let seq = talk.replying.get()?;
        let said = dynamic_text(move || {
            let said = |message: &super::super::model::Message| {
                let name = words::name(i18n.get_locale(), &message.by);
                fill(
                    t_string!(i18n, chat.replying_to),
                    &[("name", &name), ("text", &isolated(&excerpt(&message.text)))],
                )
            };
            talk.look_up(seq, said).unwrap_or_default()
        });
        Some(
            view! {
                <p class="replying">
                    <span>{said}</span>
                    <button type="button" class="button small" on:click=move |_| talk.replying.set(None)>
                        {t!(chat.cancel)}
                    </button>
                </p>
            }
            .into_any(),
        )
    });
    view! { <div>{strip}</div> }.into_any()
}

/// Counts when the limit is near.
#[component]
fn Counter(talk: Talk) -> impl IntoView {
    let count = Memo::new(move |_| talk.draft.with(|draft| draft.chars().count()));
    let shown = optional_text(move || {
        let count = count.get();
        let (count_text, limit) = (format::grouped(count as u64), format::grouped(MAX_TEXT as u64));
        (count + NEAR_LIMIT > MAX_TEXT).then(|| format!("{count_text} / {limit}"))
    });
    let over = dynamic_text(move || (count.get() > MAX_TEXT).to_string());
    view! { <p class="counter" data-over=over>{shown}</p> }.into_any()
}

/// Who is writing.
#[component]
fn Typing(talk: Talk) -> impl IntoView {
    const NAMED: usize = 3;
    let i18n = use_i18n();
    let line = optional_text(move || {
        let locale = i18n.get_locale();
        let names: Vec<_> = talk.chat.presence.with(|presence| {
            let others = presence.people.iter().filter(|one| !talk.is_own(&one.person.id));
            let writing = others.filter(|one| one.activity.as_deref() == Some(TYPING));
            writing.map(|one| words::name(locale, &one.person)).collect()
        });
        let text = match names.len() {
            0 => return None,
            1..=NAMED => t_string!(i18n, chat.typing),
            _ => t_string!(i18n, chat.many_typing),
        };
        Some(fill(text, &[("names", &names.join(", "))]))
    });
    view! { <p class="typing" aria-live="polite">{line}</p> }.into_any()
}
