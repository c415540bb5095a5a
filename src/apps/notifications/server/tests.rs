//! Tests of the deciders, without a hub.

#![cfg(test)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::apps::notifications::model::{MAX_NOTICE_BYTES, MAX_NOTICES, MAX_READ_INDIVIDUALLY, NoticeEntry};
use crate::apps::notifications::wire::{GROUPS, MAX_BODY, MAX_TITLE};
use crate::wire::first_visit::FirstVisit;
use crate::wire::notice::{EVERYONE, Level, LocalizedText};
use duplex_hub::testing::DeciderHarness;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::Person;
use duplex_protocol::topic::Topic;

const MINE: &str = "0000000000000001";

fn person(id: &str) -> Person {
    Person {
        id: PersonId(id.to_owned()),
        name: String::new(),
    }
}

fn me() -> Person {
    person(MINE)
}

fn notice(title: &str) -> Notice {
    Notice {
        title: LocalizedText::untranslated(title),
        body: LocalizedText::untranslated(""),
        link: None,
        level: Level::Info,
        expires: None,
    }
}

fn rejected(reason: &str) -> Result<usize, Rejection> {
    Err(Rejection::custom(reason))
}

fn unread_count(inbox: &DeciderHarness<Inbox>) -> usize {
    inbox
        .state
        .unread_count(OWN_INBOX, &inbox.state.list, FirstVisit(0), inbox.now)
}

#[test]
fn everyone_reads_public_topics_and_only_programs_and_the_server_write() {
    let admits = |who: Principal<'_>, rest: &str| Notices.admit(who, &TopicName::of::<Notices>(rest).unwrap());
    for rest in [EVERYONE, "market", "devices", "news"] {
        assert_eq!(admits(Principal::visitor(&me()), rest), Ok(Access::Read));
        for writer in [Principal::server(), Principal::program()] {
            assert_eq!(admits(writer, rest), Ok(Access::Write));
        }
        let mut harness = DeciderHarness::new(Notices, rest);
        assert_eq!(harness.execute_as_server(NoticesCommand::Send(notice("x"))), Ok(1));
    }
    for wrong in ["me", "other", "market/x"] {
        assert_eq!(admits(Principal::server(), wrong), Err(Denial::Unknown), "{wrong}");
        let result = DeciderHarness::new(Notices, wrong).execute_as_server(NoticesCommand::Send(notice("x")));
        assert_eq!(result, Err(Rejection::Denied(Denial::Unknown)), "{wrong}");
    }
}

#[test]
fn an_inbox_admits_only_its_owner() {
    let admits = |who: Principal<'_>, rest: &str| Inbox.admit(who, &TopicName::of::<Inbox>(rest).unwrap());
    let other = person("0000000000000002");
    assert_eq!(admits(Principal::visitor(&me()), MINE), Ok(Access::Write));
    assert_eq!(admits(Principal::server(), MINE), Ok(Access::Write));
    assert_eq!(admits(Principal::program(), MINE), Ok(Access::Write));
    assert_eq!(admits(Principal::visitor(&other), MINE), Err(Denial::Forbidden));
    for invalid in ["0000000000000000", "ffffffffffffffff", "x", "0000000000000001/a"] {
        assert_eq!(
            admits(Principal::visitor(&person(invalid)), invalid),
            Err(Denial::Unknown),
            "{invalid}"
        );
    }
    let result = DeciderHarness::new(Inbox, MINE).execute(&other, InboxCommand::Send(notice("x")));
    assert_eq!(result, Err(Rejection::Denied(Denial::Forbidden)));
}

#[test]
fn an_invalid_notice_is_rejected_with_its_field() {
    let mut all = DeciderHarness::new(Notices, EVERYONE);
    let late = Notice {
        expires: Some(all.now),
        ..notice("x")
    };
    assert_eq!(
        all.execute_as_server(NoticesCommand::Send(late)),
        rejected("`expires` is in the past")
    );
    let result = all.execute_as_server(NoticesCommand::Send(notice(" \n")));
    assert_eq!(result, rejected("`title` is empty"));
}

#[test]
fn notices_are_marked_as_read_once() {
    let mut inbox = DeciderHarness::new(Inbox, MINE);
    for title in ["a", "b", "c"] {
        inbox
            .execute(Principal::server(), InboxCommand::Send(notice(title)))
            .unwrap();
    }
    assert_eq!(unread_count(&inbox), 3);
    let read = |source: &str, seqs: &[Seq]| InboxCommand::Read {
        source: source.to_owned(),
        seqs: seqs.to_vec(),
    };
    assert_eq!(inbox.execute(&me(), read(OWN_INBOX, &[2])), Ok(1));
    assert_eq!(
        inbox.execute(&me(), read(OWN_INBOX, &[2, 0, 99])),
        Ok(0),
        "neither read seqs nor unknown ones"
    );
    assert_eq!(unread_count(&inbox), 2);
    let all = InboxCommand::ReadAll {
        heads: [(OWN_INBOX.to_owned(), 3), (EVERYONE.to_owned(), 12)].into(),
    };
    assert_eq!(inbox.execute(&me(), all.clone()), Ok(1));
    assert_eq!(inbox.execute(&me(), all), Ok(0));
    assert_eq!(unread_count(&inbox), 0);
    assert!(inbox.state.has_read(EVERYONE, 12) && !inbox.state.has_read(EVERYONE, 13));
    assert_eq!(
        inbox.execute(&me(), read("other", &[1])),
        rejected(reason_code::NO_SOURCE)
    );
    assert_eq!(
        inbox.execute(&me(), read(OWN_INBOX, &[1; MAX_SEQS_PER_READ + 1])),
        rejected(reason_code::TOO_MANY)
    );
    let other = InboxCommand::ReadAll {
        heads: [("other".to_owned(), 1)].into(),
    };
    assert_eq!(inbox.execute(&me(), other), rejected(reason_code::NO_SOURCE));
}

#[test]
fn a_new_follower_has_nothing_unread() {
    let mut market = DeciderHarness::new(Notices, "market");
    for title in ["a", "b"] {
        market.execute_as_server(NoticesCommand::Send(notice(title))).unwrap();
    }
    let mut inbox = DeciderHarness::new(Inbox, MINE);
    let follow = |group: &str, on, head| InboxCommand::Follow {
        group: group.to_owned(),
        on,
        head,
    };
    assert_eq!(inbox.execute(&me(), follow("market", true, market.state.head())), Ok(1));
    assert_eq!(inbox.execute(&me(), follow("market", true, 0)), Ok(0));
    assert_eq!(
        inbox
            .state
            .unread_count("market", &market.state, FirstVisit(0), market.now),
        0
    );
    market.execute_as_server(NoticesCommand::Send(notice("c"))).unwrap();
    assert_eq!(
        inbox
            .state
            .unread_count("market", &market.state, FirstVisit(0), market.now),
        1
    );
    assert_eq!(inbox.execute(&me(), follow("market", false, 0)), Ok(1));
    assert!(inbox.state.follows.is_empty());
    assert_eq!(inbox.execute(&me(), follow("market", false, 0)), Ok(0));
    assert_eq!(
        inbox.execute(&me(), follow(OWN_INBOX, true, 0)),
        rejected(reason_code::NO_SOURCE)
    );
}

#[test]
fn an_expired_notice_does_not_count_and_is_removed_with_the_next() {
    let mut all = DeciderHarness::new(Notices, EVERYONE);
    let brief = Notice {
        expires: Some(all.now + 10),
        ..notice("brief")
    };
    all.execute_as_server(NoticesCommand::Send(brief)).unwrap();
    let inbox = InboxState::default();
    assert_eq!(inbox.unread_count(EVERYONE, &all.state, FirstVisit(0), all.now + 9), 1);
    assert_eq!(inbox.unread_count(EVERYONE, &all.state, FirstVisit(0), all.now + 10), 0);
    all.now += 10;
    all.execute_as_server(NoticesCommand::Send(notice("next"))).unwrap();
    assert_eq!((all.state.notices.len(), all.state.total), (1, 2));
}

#[test]
fn a_form_post_marks_all_as_read() {
    let fields = [("inbox", MINE), ("heads", "all=4 me=2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let command = (form().command)(PAGE_PATH, &fields.into()).unwrap();
    assert_eq!(command.topic().as_str(), format!("inbox/{MINE}"));
    let expected = InboxCommand::ReadAll {
        heads: [(EVERYONE.to_owned(), 4), (OWN_INBOX.to_owned(), 2)].into(),
    };
    assert_eq!(command.decode::<Inbox>(), Ok(expected));
    assert_eq!(
        (form().command)(PAGE_PATH, &[("inbox".to_owned(), "A".to_owned())].into()),
        None
    );
}

fn notices() -> impl Strategy<Value = Notice> {
    let title = prop_oneof![
        8 => "[a-z가 ]{0,9}",
        1 => Just("가".repeat(MAX_TITLE)),
        1 => Just("가".repeat(MAX_TITLE + 1)),
    ];
    let body = prop_oneof![6 => "[a-z\n]{0,9}", 1 => Just("가".repeat(MAX_BODY))];
    let link = prop::option::of("/[a-z/]{0,3}|https://a|javascript:x");
    let expires = prop::option::weighted(0.3, 900_000..1_500_000_u64);
    (title, body, link, expires).prop_map(|(title, body, link, expires)| Notice {
        title: LocalizedText::untranslated(&title),
        body: LocalizedText::untranslated(&body),
        link,
        level: Level::Warning,
        expires,
    })
}

fn commands() -> impl Strategy<Value = InboxCommand> {
    let source = || prop::sample::select(vec![OWN_INBOX, EVERYONE, "news", "market", "other"]).prop_map(str::to_owned);
    let group = prop::sample::select(vec![OWN_INBOX, "news", "market", "other"]).prop_map(str::to_owned);
    prop_oneof![
        4 => notices().prop_map(InboxCommand::Send),
        3 => (source(), prop::collection::vec(0..300_u64, 0..5)).prop_map(|(source, seqs)| InboxCommand::Read { source, seqs }),
        1 => prop::collection::btree_map(source(), 0..300_u64, 0..3).prop_map(|heads| InboxCommand::ReadAll { heads }),
        1 => (group, any::<bool>(), 0..300_u64).prop_map(|(group, on, head)| InboxCommand::Follow { group, on, head }),
    ]
}

fn is_within_limits(list: &NoticeList) -> bool {
    let bytes = |entry: &NoticeEntry| {
        let Notice { title, body, link, .. } = &entry.notice;
        title.ko.len() + title.en.len() + body.ko.len() + body.en.len() + link.as_ref().map_or(0, String::len)
    };
    let all: usize = list.notices.iter().map(bytes).sum();
    let sorted = list
        .notices
        .iter()
        .zip(list.notices.iter().skip(1))
        .all(|(a, b)| a.seq < b.seq);
    sorted && list.notices.len() <= MAX_NOTICES && (all <= MAX_NOTICE_BYTES || list.notices.len() == 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any commands leave the inbox within its limits; read notices stay read, and no others become read.
    #[test]
    fn an_inbox_stays_within_its_limits_and_keeps_its_marks(commands in prop::collection::vec((commands(), 0..9_000_u64), 0..300)) {
        let mut inbox = DeciderHarness::new(Inbox, MINE);
        let mut expected_read = BTreeSet::new();
        for (command, later) in commands {
            inbox.now += later;
            let head = inbox.events.len() as Seq;
            match &command {
                InboxCommand::Read { source, seqs } if source == OWN_INBOX => expected_read.extend(seqs.iter().copied().filter(|seq| *seq <= head)),
                InboxCommand::ReadAll { heads } if heads.keys().all(|source| is_source(source)) => {
                    if let Some(read_up_to) = heads.get(OWN_INBOX).filter(|read_up_to| **read_up_to <= head) { expected_read.extend(1..=*read_up_to); }
                }
                _ => {}
            }
            let read_before: Vec<Seq> = (1..=head).filter(|seq| inbox.state.has_read(OWN_INBOX, *seq)).collect();
            let _ = inbox.execute(&me(), command);
            prop_assert!(read_before.into_iter().all(|seq| inbox.state.has_read(OWN_INBOX, seq)));
            prop_assert!(is_within_limits(&inbox.state.list));
            prop_assert!(inbox.state.marks.len() <= GROUPS.len() + 2 && inbox.state.follows.len() <= GROUPS.len());
            prop_assert!(inbox.state.marks.values().all(|mark| mark.read_individually.len() <= MAX_READ_INDIVIDUALLY));
            for entry in &inbox.state.list.notices {
                prop_assert_eq!(inbox.state.has_read(OWN_INBOX, entry.seq), expected_read.contains(&entry.seq), "seq {}", entry.seq);
            }
        }
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&inbox.state).unwrap();
            prop_assert_eq!(&encoding.decode::<InboxState>(&bytes).unwrap(), &inbox.state);
        }
    }

    /// A public topic stays within its limits, and replaying its events gives the same state.
    #[test]
    fn a_list_is_bounded_and_replayable(sends in prop::collection::vec((notices(), 0..9_000_u64), 0..200)) {
        let mut all = DeciderHarness::new(Notices, EVERYONE);
        for (notice, later) in sends {
            all.now += later;
            let _ = all.execute_as_server(NoticesCommand::Send(notice));
            prop_assert!(is_within_limits(&all.state));
        }
        prop_assert_eq!(all.state.total, all.events.len() as u64);
        let mut replayed = NoticeList::default();
        for (seq, event) in &all.events { Notices::apply(&mut replayed, *seq, event); }
        prop_assert_eq!(&replayed, &all.state);
    }

    #[test]
    fn commands_and_events_are_the_same_in_both_encodings(commands in prop::collection::vec(commands(), 0..30)) {
        let mut inbox = DeciderHarness::new(Inbox, MINE);
        for command in commands {
            for encoding in Encoding::ALL {
                let bytes = encoding.encode(&command).unwrap();
                prop_assert_eq!(&encoding.decode::<InboxCommand>(&bytes).unwrap(), &command);
            }
            let _ = inbox.execute(&me(), command);
        }
        for (_, event) in &inbox.events {
            for encoding in Encoding::ALL {
                let bytes = encoding.encode(event).unwrap();
                prop_assert_eq!(&encoding.decode::<InboxEvent>(&bytes).unwrap(), event);
            }
        }
    }
}

#[test]
fn unread_notices_that_the_visitor_receives_are_reported() {
    let json = Encoding::Json;
    let mut inbox = DeciderHarness::new(Inbox, MINE);
    let mut market = DeciderHarness::new(Notices, "market");
    let endpoint = unread_endpoint();
    let topics: Vec<String> = (endpoint.topics)(&me()).iter().map(ToString::to_string).collect();
    assert_eq!(topics.len(), 2 + GROUPS.len());
    let unread_since = |first_visit: u64, inbox: &DeciderHarness<Inbox>, market: &DeciderHarness<Notices>| {
        let states = topics.iter().map(|topic| match topic.as_str() {
            topic if topic.ends_with(MINE) => Some(EncodedValue::encode(json, &inbox.state).unwrap()),
            topic if topic.ends_with("market") => Some(EncodedValue::encode(json, &market.state).unwrap()),
            // A topic that cannot be read.
            _ => None,
        });
        (endpoint.has_unread)(&states.collect::<Vec<_>>(), FirstVisit(first_visit), inbox.now)
    };
    let has_unread = |inbox: &DeciderHarness<Inbox>, market: &DeciderHarness<Notices>| unread_since(0, inbox, market);
    assert!(!has_unread(&inbox, &market));
    market.execute_as_server(NoticesCommand::Send(notice("x"))).unwrap();
    assert!(!has_unread(&inbox, &market), "this group is not followed");
    let follow = InboxCommand::Follow {
        group: "market".to_owned(),
        on: true,
        head: 0,
    };
    inbox.execute(&me(), follow).unwrap();
    assert!(has_unread(&inbox, &market));
    let sent_at = market.now;
    assert!(unread_since(sent_at, &inbox, &market));
    assert!(
        !unread_since(sent_at + 1, &inbox, &market),
        "a notice sent before the first visit counts as read"
    );
    let read = InboxCommand::Read {
        source: "market".to_owned(),
        seqs: vec![1],
    };
    inbox.execute(&me(), read).unwrap();
    assert!(!has_unread(&inbox, &market));
    inbox
        .execute(Principal::server(), InboxCommand::Send(notice("y")))
        .unwrap();
    assert!(has_unread(&inbox, &market));
    assert!(
        unread_since(u64::MAX, &inbox, &market),
        "a notice in the visitor's own inbox always counts"
    );
}
