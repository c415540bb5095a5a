//! The rows of a room: days, the mark above what is new, and messages. A row is made once; its parts follow their own
//! message, and nothing else.

use std::collections::HashSet;

use leptos::{ev::MouseEvent, prelude::*};

use super::{
    super::{
        model::{Change, Message},
        pieces::{Piece, pieces},
        wire::{ChatCommand, Emoji, Reply},
    },
    edit::edit_form,
    list::{jump, row_id},
    menu::menu,
    rove::tab_stop,
    talk::{Item, Talk},
    words,
};
use crate::{
    i18n::*,
    ui::{
        calendar,
        text::{dynamic_text, dynamic_view, fill, t},
    },
    wire::text::truncate,
};
use duplex_protocol::{cursor::Seq, person::Person};

/// Characters of a message that is quoted.
const QUOTED: usize = 80;
/// Names told of those who reacted.
const NAMED: usize = 8;

/// `leads`: the messages that bear their author's name. A row outlives that its own begins or ceases to.
pub fn row(talk: Talk, item: Item, leads: Memo<HashSet<Seq>>) -> AnyView {
    match item {
        Item::Day(day) => day_row(talk, item.id(), day),
        Item::New => view! { <p class="new-mark" id=item.id()><span>{t!(chat.new_here)}</span></p> }.into_any(),
        Item::Message { seq, .. } => match talk.message(seq) {
            Some(message) => message_row(talk, seq, leads, message.into()),
            None => ().into_any(),
        },
    }
}

fn day_row(talk: Talk, id: String, day: i64) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || words::day(i18n.get_locale(), day, talk.visit.local.get()));
    view! { <p class="day" id=id><span>{name}</span></p> }.into_any()
}

fn message_row(talk: Talk, seq: Seq, leads: Memo<HashSet<Seq>>, message: RwSignal<Message>) -> AnyView {
    let i18n = use_i18n();
    let (by, at, reply) = message.with_untracked(|message| (message.by.clone(), message.at, message.reply_to.clone()));
    let hue = words::hue(&by.id).to_string();
    let own = dynamic_text({
        let by = by.id.clone();
        move || talk.is_own(&by).to_string()
    });
    let name = dynamic_text(move || words::name(i18n.get_locale(), &by));
    let initial = dynamic_text(move || name.with(|name| words::initial(name)));
    let target = dynamic_text(move || (talk.target.get() == Some(seq)).to_string());
    let lead = dynamic_text(move || leads.with(|leads| leads.contains(&seq)).to_string());
    let stop = tab_stop(talk, seq);
    let editing = Memo::new(move |_| talk.editing.get() == Some(seq));
    let content = dynamic_view(move || {
        Some(if editing.get() {
            edit_form(talk, seq, message)
        } else {
            body(message, stop)
        })
    });
    view! {
        <article
            class="message"
            id=row_id(seq)
            tabindex="-1"
            aria-label=name
            data-lead=lead
            data-own=own
            data-hue=hue
            data-target=target
        >
            <span class="avatar" aria-hidden="true">{initial}</span>
            <div class="message-main">
                {reply.map(|reply| quote(talk, reply, stop))}
                <p class="message-head"><strong class="author">{name}</strong>{time(talk, at)}</p>
                {content}
                {reactions(talk, seq, message)}
            </div>
            {menu(talk, seq, message)}
        </article>
    }
    .into_any()
}

fn time(talk: Talk, at: u64) -> AnyView {
    let clock = dynamic_text(move || words::clock(at, talk.visit.local.get()));
    view! { <time datetime=calendar::iso(at)>{clock}</time> }.into_any()
}

/// The message's words, as often as they change.
fn body(message: RwSignal<Message>, stop: Signal<Option<String>>) -> AnyView {
    let said = Memo::new(move |_| message.with(|message| (message.text.clone(), message.changed)));
    dynamic_view(move || {
        said.with(|(text, changed)| {
            Some(match changed {
                Change::Deleted(_) => view! { <p class="message-text gone">{t!(chat.deleted)}</p> }.into_any(),
                Change::Edited(_) => {
                    let mark = view! { <span class="edited">{t!(chat.edited)}</span> };
                    view! { <p class="message-text" dir="auto">{linked(text, stop)}" "{mark}</p> }.into_any()
                }
                Change::None => view! { <p class="message-text" dir="auto">{linked(text, stop)}</p> }.into_any(),
            })
        })
    })
    .into_any()
}

/// Text stays text: a link is an element of its own.
fn linked(text: &str, stop: Signal<Option<String>>) -> Vec<AnyView> {
    let piece = |piece: Piece<'_>| match piece {
        Piece::Words(words) => words.to_owned().into_any(),
        Piece::Link(link) => {
            let (address, name) = (link.to_owned(), link.to_owned());
            view! {
                <a href=address dir="ltr" target="_blank" rel="noopener noreferrer nofollow" tabindex=stop>{name}</a>
            }
            .into_any()
        }
    };
    pieces(text).into_iter().map(piece).collect()
}

/// The beginning of a message in one line.
pub fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match truncate(&line, QUOTED) {
        short if short.len() < line.len() => format!("{short}…"),
        _ => line,
    }
}

fn quote(talk: Talk, reply: Reply, stop: Signal<Option<String>>) -> AnyView {
    let i18n = use_i18n();
    let seq = reply.seq;
    let hue = words::hue(&reply.to.id).to_string();
    let name = dynamic_text(move || words::name(i18n.get_locale(), &reply.to));
    let said = dynamic_text(move || {
        let said = |message: &Message| match message.is_deleted() {
            true => t_string!(i18n, chat.deleted).to_owned(),
            false => excerpt(&message.text),
        };
        talk.look_up(seq, said)
            .unwrap_or_else(|| t_string!(i18n, chat.earlier).to_owned())
    });
    let go = move |event: MouseEvent| {
        event.prevent_default();
        jump(talk, seq);
    };
    view! {
        <a class="quote" href=format!("#{}", row_id(seq)) rel="external" data-hue=hue tabindex=stop on:click=go>
            <span class="hidden">{t!(chat.in_reply_to)}</span>
            <strong class="author">{name}</strong>
            <span dir="auto">{said}</span>
        </a>
    }
    .into_any()
}

fn reactions(talk: Talk, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let kinds = Memo::new(move |_| message.with(Message::emojis));
    view! {
        <div class="reactions">
            <For each=move || kinds.get() key=|emoji| *emoji let:emoji>
                {reaction(talk, seq, message, emoji)}
            </For>
        </div>
    }
    .into_any()
}

fn reaction(talk: Talk, seq: Seq, message: RwSignal<Message>, emoji: Emoji) -> AnyView {
    let i18n = use_i18n();
    let people = Memo::new(move |_| message.with(|message| message.people(emoji)));
    let count = dynamic_text(move || people.with(Vec::len).to_string());
    let own = Memo::new(move |_| people.with(|people| people.iter().any(|one| talk.is_own(&one.id))));
    let pressed = dynamic_text(move || own.get().to_string());
    let stop = tab_stop(talk, seq);
    let names = dynamic_text(move || people.with(|people| names(i18n.get_locale(), people)));
    let toggle = move |_| {
        let on = !own.get_untracked();
        talk.send(ChatCommand::React { seq, emoji, on });
    };
    view! {
        <button type="button" class="reaction" tabindex=stop aria-pressed=pressed title=names on:click=toggle>
            <span>{emoji.sign()}</span>
            <span class="count">{count}</span>
        </button>
    }
    .into_any()
}

/// Some people by name, and how many more.
pub fn names(locale: Locale, people: &[Person]) -> String {
    let named: Vec<_> = people
        .iter()
        .take(NAMED)
        .map(|person| words::name(locale, person))
        .collect();
    let named = named.join(", ");
    match people.len().saturating_sub(NAMED) {
        0 => named,
        more => fill(
            td_string!(locale, chat.and_more),
            &[("names", &named), ("count", &more.to_string())],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(excerpt(" a\n  b "), "a b");
        assert_eq!(excerpt(&"가".repeat(QUOTED)), "가".repeat(QUOTED));
        let family = "👩\u{200d}👩\u{200d}👧";
        let before = "가".repeat(QUOTED - 1);
        assert_eq!(excerpt(&format!("{before}{family}")), format!("{before}…"));
        assert_eq!(excerpt(&"가".repeat(QUOTED + 1)), format!("{}…", "가".repeat(QUOTED)));
    }
}
