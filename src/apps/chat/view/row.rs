//! The rows of a room: day separators, the separator above unread messages, and messages. Each row is created once and updates
//! reactively with its message only.

use std::collections::HashSet;

use leptos::{ev::MouseEvent, prelude::*};

use super::{
    super::{
        model::{Message, Revision},
        rich_text::{Segment, segments},
        wire::{ChatCommand, Emoji, Reply},
    },
    edit::edit_form,
    labels,
    list::{jump_to, row_id},
    menu::menu,
    room_model::{RoomModel, Row},
    roving_tabindex::control_tabindex,
    row_html::row_html,
};
use crate::{
    i18n::*,
    ui::{
        calendar,
        fragment::server_html,
        hydration_queue::deferred,
        text::{dynamic_text, dynamic_view, fill, t},
    },
    wire::text::truncate,
};
use duplex_protocol::{cursor::Seq, person::Person};

/// The length of a quoted message's excerpt, in characters.
const MAX_EXCERPT: usize = 80;
/// Maximum number of names listed under a reaction.
const MAX_NAMES: usize = 8;

/// Renders a row. `group_starts` are the messages that show their author; passed separately, so that a row is not recreated when
/// its message becomes or stops being one.
pub fn row(room: RoomModel, item: Row, group_starts: Memo<HashSet<Seq>>) -> AnyView {
    match item {
        Row::Day(day) => day_row(room, item.id(), day),
        Row::New => view! { <p class="unread-divider" id=item.id()><span>{t!(chat.new_here)}</span></p> }.into_any(),
        Row::Message { seq, group_start } => match room.message(seq) {
            Some(message) => {
                let hydrated = message.clone();
                server_html(
                    || message.with_untracked(|message| row_html(room, message, group_start)),
                    || deferred(move || message_row(room, seq, group_starts, hydrated.into())),
                )
            }
            None => ().into_any(),
        },
    }
}

fn day_row(room: RoomModel, id: String, day: i64) -> AnyView {
    let i18n = use_i18n();
    let name = dynamic_text(move || labels::day(i18n.get_locale(), day, room.visitor.local_time.get()));
    view! { <p class="day-divider" id=id><span>{name}</span></p> }.into_any()
}

pub fn message_row(room: RoomModel, seq: Seq, group_starts: Memo<HashSet<Seq>>, message: RwSignal<Message>) -> AnyView {
    let i18n = use_i18n();
    let (by, at, reply) = message.with_untracked(|message| (message.by.clone(), message.at, message.reply_to.clone()));
    let hue = labels::hue(&by.id).to_string();
    let own = dynamic_text({
        let by = by.id.clone();
        move || room.is_own(&by).to_string()
    });
    let name = dynamic_text(move || labels::name(i18n.get_locale(), &by));
    let initial = dynamic_text(move || name.with(|name| labels::initial(name)));
    let target = dynamic_text(move || (room.target.get() == Some(seq)).to_string());
    let group_start = dynamic_text(move || {
        group_starts
            .with(|group_starts| group_starts.contains(&seq))
            .to_string()
    });
    let tabindex = control_tabindex(room, seq);
    let editing = Memo::new(move |_| room.editing.get() == Some(seq));
    let content = dynamic_view(move || {
        Some(if editing.get() {
            edit_form(room, seq, message)
        } else {
            message_body(message, tabindex)
        })
    });
    view! {
        <article
            class="message"
            id=row_id(seq)
            tabindex="-1"
            aria-label=name
            data-group-start=group_start
            data-own=own
            data-hue=hue
            data-target=target
        >
            <span class="avatar" aria-hidden="true">{initial}</span>
            <div class="message-content">
                {reply.map(|reply| quote(room, reply, tabindex))}
                <p class="message-header"><strong class="author">{name}</strong>{time(room, at)}</p>
                {content}
                {reactions(room, seq, message)}
            </div>
            {menu(room, seq, message)}
        </article>
    }
    .into_any()
}

fn time(room: RoomModel, at: u64) -> AnyView {
    let clock = dynamic_text(move || labels::time_of_day(at, room.visitor.local_time.get()));
    view! { <time datetime=calendar::iso(at)>{clock}</time> }.into_any()
}

/// The message's text, updated when it changes.
fn message_body(message: RwSignal<Message>, tabindex: Signal<Option<String>>) -> AnyView {
    let content = Memo::new(move |_| message.with(|message| (message.text.clone(), message.changed)));
    dynamic_view(move || {
        content.with(|(text, changed)| {
            Some(match changed {
                Revision::Deleted(_) => view! { <p class="message-text deleted">{t!(chat.deleted)}</p> }.into_any(),
                Revision::Edited(_) => {
                    let mark = view! { <span class="edited">{t!(chat.edited)}</span> };
                    view! { <p class="message-text" dir="auto">{with_links(text, tabindex)}" "{mark}</p> }.into_any()
                }
                Revision::None => {
                    view! { <p class="message-text" dir="auto">{with_links(text, tabindex)}</p> }.into_any()
                }
            })
        })
    })
    .into_any()
}

/// Renders text segments as text nodes and links as elements.
fn with_links(text: &str, tabindex: Signal<Option<String>>) -> Vec<AnyView> {
    let segment = |segment: Segment<'_>| match segment {
        Segment::Text(text) => text.to_owned().into_any(),
        Segment::Link(link) => {
            let (address, name) = (link.to_owned(), link.to_owned());
            view! {
                <a href=address dir="ltr" target="_blank" rel="noopener noreferrer nofollow" tabindex=tabindex>{name}</a>
            }
            .into_any()
        }
    };
    segments(text).into_iter().map(segment).collect()
}

/// The start of a message on one line.
pub fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match truncate(&line, MAX_EXCERPT) {
        short if short.len() < line.len() => format!("{short}…"),
        _ => line,
    }
}

/// The excerpt of a quoted message; tracks the message.
pub fn quoted_text(room: RoomModel, locale: Locale, seq: Seq) -> String {
    let excerpt_of = |message: &Message| match message.is_deleted() {
        true => td_string!(locale, chat.deleted).to_owned(),
        false => excerpt(&message.text),
    };
    room.with_message(seq, excerpt_of)
        .unwrap_or_else(|| td_string!(locale, chat.earlier).to_owned())
}

fn quote(room: RoomModel, reply: Reply, tabindex: Signal<Option<String>>) -> AnyView {
    let i18n = use_i18n();
    let seq = reply.seq;
    let hue = labels::hue(&reply.to.id).to_string();
    let name = dynamic_text(move || labels::name(i18n.get_locale(), &reply.to));
    let quoted_text = dynamic_text(move || quoted_text(room, i18n.get_locale(), seq));
    let on_click = move |event: MouseEvent| {
        event.prevent_default();
        jump_to(room, seq);
    };
    view! {
        <a class="quote" href=format!("#{}", row_id(seq)) rel="external" data-hue=hue tabindex=tabindex on:click=on_click>
            <span class="visually-hidden">{t!(chat.in_reply_to)}</span>
            <strong class="author">{name}</strong>
            <span dir="auto">{quoted_text}</span>
        </a>
    }
    .into_any()
}

fn reactions(room: RoomModel, seq: Seq, message: RwSignal<Message>) -> AnyView {
    let kinds = Memo::new(move |_| message.with(Message::emojis));
    view! {
        <div class="reactions">
            <For each=move || kinds.get() key=|emoji| *emoji let:emoji>
                {reaction(room, seq, message, emoji)}
            </For>
        </div>
    }
    .into_any()
}

fn reaction(room: RoomModel, seq: Seq, message: RwSignal<Message>, emoji: Emoji) -> AnyView {
    let i18n = use_i18n();
    let people = Memo::new(move |_| message.with(|message| message.people(emoji)));
    let count = dynamic_text(move || people.with(Vec::len).to_string());
    let own = Memo::new(move |_| people.with(|people| people.iter().any(|person| room.is_own(&person.id))));
    let pressed = dynamic_text(move || own.get().to_string());
    let tabindex = control_tabindex(room, seq);
    let names = dynamic_text(move || people.with(|people| people_names(i18n.get_locale(), people)));
    let toggle = move |_| {
        let on = !own.get_untracked();
        room.send(ChatCommand::React { seq, emoji, on });
    };
    view! {
        <button type="button" class="reaction" tabindex=tabindex aria-pressed=pressed title=names on:click=toggle>
            <span>{emoji.symbol()}</span>
            <span class="count">{count}</span>
        </button>
    }
    .into_any()
}

/// The first people by name, and the number of the others.
pub fn people_names(locale: Locale, people: &[Person]) -> String {
    let listed: Vec<_> = people
        .iter()
        .take(MAX_NAMES)
        .map(|person| labels::name(locale, person))
        .collect();
    let listed = listed.join(", ");
    match people.len().saturating_sub(MAX_NAMES) {
        0 => listed,
        more => fill(
            td_string!(locale, chat.and_more),
            &[("names", &listed), ("count", &more.to_string())],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_one_short_line() {
        assert_eq!(excerpt(" a\n  b "), "a b");
        assert_eq!(excerpt(&"가".repeat(MAX_EXCERPT)), "가".repeat(MAX_EXCERPT));
        let family = "👩\u{200d}👩\u{200d}👧";
        let before = "가".repeat(MAX_EXCERPT - 1);
        assert_eq!(excerpt(&format!("{before}{family}")), format!("{before}…"));
        assert_eq!(
            excerpt(&"가".repeat(MAX_EXCERPT + 1)),
            format!("{}…", "가".repeat(MAX_EXCERPT))
        );
    }
}
