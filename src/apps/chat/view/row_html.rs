//! Server-side HTML of a message's row, rendered without signals: byte for byte the output of the [reactive row](super::row), at a
//! tenth of the CPU time.

use std::fmt::Write as _;

use leptos::prelude::*;

use super::{
    super::{
        model::{Message, Revision},
        rich_text::{Segment, segments},
        wire::Reply,
    },
    labels,
    list::row_id,
    menu::button_id,
    room_model::RoomModel,
    row::{people_names, quoted_text},
};
use crate::{
    i18n::*,
    ui::{
        calendar,
        escape::{attribute, text, text_node},
    },
};
use duplex_protocol::person::PersonId;

/// What a row shows apart from its message.
struct RowContext {
    locale: Locale,
    me: Option<PersonId>,
    group_start: bool,
    /// The excerpt of the message that the row's message replies to.
    quoted: String,
}

/// The row of a message for the visitor whose page is rendered.
pub fn row_html(room: RoomModel, message: &Message, group_start: bool) -> String {
    let locale = use_i18n().get_locale_untracked();
    let quoted = message
        .reply_to
        .as_ref()
        .map(|reply| untrack(|| quoted_text(room, locale, reply.seq)));
    let context = RowContext {
        locale,
        me: room.chat.me.with_untracked(|me| me.as_ref().map(|me| me.id.clone())),
        group_start,
        quoted: quoted.unwrap_or_default(),
    };
    article(&context, message)
}

// Writing to a string cannot fail.
fn article(context: &RowContext, message: &Message) -> String {
    let locale = context.locale;
    let name = labels::name(locale, &message.by);
    let mut html = String::with_capacity(1_000 + 2 * message.text.len());
    let _ = write!(
        html,
        "<article id=\"{id}\" tabindex=\"-1\" aria-label=\"{label}\" data-group-start=\"{group_start}\" data-own=\"{own}\" \
         data-hue=\"{hue}\" data-target=\"false\" class=\"message\">\
         <span aria-hidden=\"true\" class=\"avatar\">{initial}<!></span><div class=\"message-content\">",
        id = row_id(message.seq),
        label = attribute(&name),
        group_start = context.group_start,
        own = context.me.as_ref() == Some(&message.by.id),
        hue = labels::hue(&message.by.id),
        initial = text_node(&labels::initial(&name)),
    );
    match &message.reply_to {
        Some(reply) => quote(&mut html, context, reply),
        None => html.push_str("<!>"),
    }
    let _ = write!(
        html,
        "<p class=\"message-header\"><strong class=\"author\">{name}<!></strong><time datetime=\"{iso}\">{time}<!></time><!><!></p>",
        name = text_node(&name),
        iso = calendar::iso(message.at),
        time = labels::time_of_day(message.at, false),
    );
    body(&mut html, locale, message);
    reactions(&mut html, context, message);
    let _ = write!(
        html,
        "<!><!></div><div class=\"message-actions script-only\"><button type=\"button\" id=\"{id}\" aria-label=\"{menu}\" \
         aria-expanded=\"false\" class=\"menu-button\">⋯<!></button><!><!><!></div><!><!></article>",
        id = button_id(message.seq),
        menu = attribute(td_string!(locale, chat.menu)),
    );
    html
}

fn quote(html: &mut String, context: &RowContext, reply: &Reply) {
    let locale = context.locale;
    let _ = write!(
        html,
        "<a href=\"#{id}\" rel=\"external\" data-hue=\"{hue}\" class=\"quote\"><span class=\"visually-hidden\">{label}<!></span>\
         <strong class=\"author\">{name}<!></strong><span dir=\"auto\">{excerpt}<!></span><!><!></a>",
        id = row_id(reply.seq),
        hue = labels::hue(&reply.to.id),
        label = td_string!(locale, chat.in_reply_to),
        name = text_node(&labels::name(locale, &reply.to)),
        excerpt = text_node(&context.quoted),
    );
}

fn body(html: &mut String, locale: Locale, message: &Message) {
    if message.is_deleted() {
        let deleted = td_string!(locale, chat.deleted);
        let _ = write!(html, "<p class=\"message-text deleted\">{deleted}<!></p>");
        return;
    }
    html.push_str("<p dir=\"auto\" class=\"message-text\">");
    for segment in segments(&message.text) {
        match segment {
            Segment::Text(plain) => html.push_str(&text(plain)),
            Segment::Link(link) => {
                let _ = write!(
                    html,
                    "<a href=\"{address}\" dir=\"ltr\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">{name}<!></a>",
                    address = attribute(link),
                    name = text(link),
                );
            }
        }
    }
    html.push_str("<!>");
    if matches!(message.changed, Revision::Edited(_)) {
        let edited = td_string!(locale, chat.edited);
        let _ = write!(html, " <span class=\"edited\">{edited}<!></span><!>");
    }
    html.push_str("<!></p>");
}

fn reactions(html: &mut String, context: &RowContext, message: &Message) {
    html.push_str("<div class=\"reactions\">");
    for emoji in message.emojis() {
        let people = message.people(emoji);
        let _ = write!(
            html,
            "<button type=\"button\" aria-pressed=\"{pressed}\" title=\"{names}\" class=\"reaction\"><span>{symbol}<!></span>\
             <span class=\"count\">{count}<!></span><!><!></button>",
            pressed = people.iter().any(|person| context.me.as_ref() == Some(&person.id)),
            names = attribute(&people_names(context.locale, &people)),
            symbol = emoji.symbol(),
            count = people.len(),
        );
    }
    html.push_str("<!><!></div>");
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use std::collections::{HashSet, VecDeque};
    use std::sync::Arc;

    use any_spawner::Executor;
    use duplex_leptos::topic::{TopicSource, Visitor, use_topic};
    use duplex_protocol::cursor::{Cursor, Epoch};
    use duplex_protocol::person::Person;
    use hydration_context::SsrSharedContext;
    use proptest::prelude::*;

    use super::*;
    use crate::apps::chat::{
        model::{Reaction, Room, RoomList},
        view::{row::message_row, visitor::VisitorState},
        wire::{ALL_ROOMS, Chat, Emoji, Rooms},
    };

    fn person() -> impl Strategy<Value = Person> {
        (0..4u8, "[가-힣a-z<>&\"' ]{0,6}").prop_map(|(id, name)| Person {
            id: PersonId(format!("person-{id}")),
            name,
        })
    }

    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("https://example.com/?a=1&b=\"<2>\"".to_owned()),
            "[ -~가-힣\n]{1,20}",
        ];
        prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(" "))
    }

    fn reaction() -> impl Strategy<Value = Reaction> {
        (prop::sample::select(&Emoji::ALL[..]), person()).prop_map(|(emoji, by)| Reaction { emoji, by })
    }

    fn message() -> impl Strategy<Value = Message> {
        let changed = prop_oneof![
            Just(Revision::None),
            Just(Revision::Edited(1)),
            Just(Revision::Deleted(2))
        ];
        let reply = prop::option::of((1..9u64, person()).prop_map(|(seq, to)| Reply { seq, to }));
        (
            person(),
            0..2_000_000_000_000u64,
            text(),
            reply,
            changed,
            prop::collection::vec(reaction(), 0..20),
        )
            .prop_map(|(by, at, text, reply_to, changed, reactions)| {
                let (text, reactions) = match changed {
                    Revision::Deleted(_) => (String::new(), Vec::new()),
                    _ => (text, reactions),
                };
                Message {
                    seq: 0,
                    number: 0,
                    by,
                    at,
                    text,
                    reply_to,
                    changed,
                    reactions,
                }
            })
    }

    fn room() -> impl Strategy<Value = Room> {
        prop::collection::vec(message(), 1..6).prop_map(|messages| {
            let numbered = (1..).zip(messages).map(|(seq, message)| Message {
                seq,
                number: seq,
                ..message
            });
            let messages: VecDeque<_> = numbered.collect();
            Room {
                count: messages.len() as u64,
                messages,
                closed: false,
            }
        })
    }

    /// The HTML of each message, from this module and from the reactive row.
    async fn rows(locale: Locale, state: Room, me: Person, group_start: bool) -> Vec<(String, String)> {
        provide_context(LocaleSignal::new(locale));
        provide_context(Visitor(me));
        let json = serde_json::to_string(&state).unwrap_or_default();
        provide_context(TopicSource::new(move |topic| {
            let state = match topic.kind() {
                "chat" => json.clone(),
                _ => serde_json::to_string(&RoomList::default()).unwrap_or_default(),
            };
            async move { Ok((Cursor::new(Epoch::new(1), 0), state)) }
        }));
        let chat = use_topic::<Chat>("room");
        let rooms = use_topic::<Rooms>(ALL_ROOMS);
        chat.loaded().await;
        rooms.loaded().await;
        let room = RoomModel::new("room".to_owned(), chat, rooms, VisitorState::new());
        let row = |message: &Message| {
            let group_starts = if group_start {
                HashSet::from([message.seq])
            } else {
                HashSet::new()
            };
            let reactive = message_row(
                room,
                message.seq,
                Memo::new(move |_| group_starts.clone()),
                RwSignal::new(message.clone()),
            );
            (row_html(room, message, group_start), reactive.to_html())
        };
        state.messages.iter().map(row).collect()
    }

    proptest! {
        #[test]
        fn the_server_row_equals_the_hydrated_row(state in room(), me in person(), korean in any::<bool>(), group_start in any::<bool>()) {
            let _ = Executor::init_tokio();
            let locale = if korean { Locale::ko } else { Locale::en };
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new())));
            let rows = runtime.block_on(owner.with(|| ScopedFuture::new(rows(locale, state, me, group_start))));
            prop_assert!(!rows.is_empty());
            for (written, rendered) in rows {
                prop_assert_eq!(written, rendered);
            }
        }
    }
}
