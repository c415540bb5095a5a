//! The overview: what each device's topic tells it, and who has not been heard. Pure.

use super::super::model::{Overview, judge};
use super::super::wire::{
    ALL, Devices, Entry, Fleet, FleetEvent, GROUP, Health, MAX_AGE, MAX_DEVICES, News, device_path, owner, why,
};
use super::NOTICE_LIFE;
use super::commands::{DeviceServerCommand, FleetCommand};
use crate::server::notify;
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use duplex_hub::decider::{Access, Context, Decider, Forward, Millis, NoCommand, Principal, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::TopicName;

/// The state says it all; events are for those who were here a moment ago.
const KEPT_EVENTS: u64 = 5_000;
/// Names in a notice of many devices.
const NAMED: usize = 3;

impl Decider for Fleet {
    type ServerCommand = FleetCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denied> {
        if topic.rest() == ALL {
            Ok(Access::Read)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn decide(&self, _at: Context<'_>, _overview: &Overview, command: NoCommand) -> Result<Vec<FleetEvent>, Rejection> {
        match command {}
    }

    fn forward(&self, _topic: &TopicName, overview: &Overview, _seq: Seq, event: &FleetEvent) -> Vec<Forward> {
        let forward = match event {
            FleetEvent::Entry {
                id,
                entry,
                turned: true,
            } => turn(id, entry),
            FleetEvent::Silent { ids } => notice(overview, ids),
            FleetEvent::Entry { .. } | FleetEvent::Gone { .. } => None,
        };
        forward.into_iter().collect()
    }

    fn retention(&self) -> Retention {
        Retention {
            events: KEPT_EVENTS,
            age: None,
        }
    }
}

pub fn update(overview: &Overview, id: String, news: News, now: Millis) -> Result<Vec<FleetEvent>, Rejection> {
    let before = overview.devices.get(&id);
    let mut events = Vec::new();
    if before.is_none() && overview.devices.len() >= MAX_DEVICES {
        let gone = longest_away(overview).ok_or_else(|| Rejection::refused(why::FLEET_FULL))?;
        events.push(FleetEvent::Gone { id: gone.clone() });
    }
    let entry = entry(before, heard_by(news, now), now);
    if before != Some(&entry) {
        let turned = before.is_none_or(|before| before.health != entry.health);
        events.push(FleetEvent::Entry { id, entry, turned });
    }
    Ok(events)
}

fn entry(before: Option<&Entry>, news: News, now: Millis) -> Entry {
    let health = judge(news.seen, news.every, now);
    let same = before.filter(|before| before.health == health);
    Entry {
        news,
        health,
        since: same.map_or(now, |before| before.since),
    }
}

/// Nobody was heard in the future: who seems to have been, by a clock that was ahead, is taken to be heard now, and is silent from
/// then on. A few seconds are a clock's that is set right all the time.
fn heard_by(news: News, now: Millis) -> News {
    const SLACK: Millis = 2_000;
    let seen = if news.seen > now.saturating_add(SLACK) {
        now
    } else {
        news.seen
    };
    News { seen, ..news }
}

fn turn(id: &str, entry: &Entry) -> Option<Forward> {
    let turn = DeviceServerCommand::Turn {
        health: entry.health,
        at: entry.since,
    };
    Forward::server_command::<Devices>(id, &turn)
}

/// One for all that fell silent together, as behind a broker that went away.
fn notice(overview: &Overview, ids: &[String]) -> Option<Forward> {
    let name = |id: &String| match overview.devices.get(id) {
        Some(entry) if !entry.news.name.is_empty() => entry.news.name.clone(),
        _ => id.clone(),
    };
    let named = ids.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    let (title, body, link) = match ids {
        [id] => (
            LocalizedText::new(format!("연락 두절: {named}"), format!("Not heard any more: {named}")),
            String::new(),
            device_path(id),
        ),
        _ => (
            LocalizedText::new(
                format!("기기 {}대와 연락 두절", ids.len()),
                format!("{} devices are not heard any more", ids.len()),
            ),
            named + if ids.len() > NAMED { " …" } else { "" },
            "/devices".to_owned(),
        ),
    };
    let since = ids.iter().filter_map(|id| Some(overview.devices.get(id)?.since)).max();
    let notice = Notice {
        title,
        body: LocalizedText::untranslated(&body),
        link: Some(link),
        level: Level::Warning,
        expires: since.map(|at| at.saturating_add(NOTICE_LIFE)),
    };
    notify::forward(&Audience::Group(GROUP.to_owned()), &notice)
}

/// A full overview lets go whoever is offline for the longest time.
fn longest_away(overview: &Overview) -> Option<&String> {
    let away = overview
        .devices
        .iter()
        .filter(|(_, entry)| entry.health == Health::Offline);
    away.min_by_key(|(_, entry)| entry.news.seen).map(|(id, _)| id)
}

/// When it was last heard; of what was never heard, since when it is listed.
const fn known(entry: &Entry) -> Millis {
    match entry.news.seen {
        0 => entry.since,
        seen => seen,
    }
}

/// What the time alone changes.
pub fn look(overview: &Overview, now: Millis) -> Vec<FleetEvent> {
    let changed = |(id, before): (&String, &Entry)| {
        if known(before) < now.saturating_sub(MAX_AGE) {
            return Some(FleetEvent::Gone { id: id.clone() });
        }
        let entry = entry(Some(before), heard_by(before.news.clone(), now), now);
        let turned = entry.health != before.health;
        (turned || entry.news.seen != before.news.seen).then(|| FleetEvent::Entry {
            id: id.clone(),
            entry,
            turned,
        })
    };
    let mut events: Vec<_> = overview.devices.iter().filter_map(changed).collect();
    let silent = |event: &FleetEvent| match event {
        FleetEvent::Entry { id, entry, .. } if entry.health == Health::Offline && owner(id).is_none() => {
            Some(id.clone())
        }
        _ => None,
    };
    let ids: Vec<_> = events.iter().filter_map(silent).collect();
    if !ids.is_empty() {
        events.push(FleetEvent::Silent { ids });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_hub::decider::ServerCommand as _;
    use duplex_protocol::topic::Topic as _;

    const START: Millis = 1_000_000_000;

    fn news(seen: Millis) -> News {
        News {
            seen,
            every: 10,
            ..News::default()
        }
    }

    fn tell(overview: &mut Overview, command: FleetCommand, now: Millis) -> Vec<FleetEvent> {
        let (topic, who) = (TopicName::of::<Fleet>(ALL).unwrap(), Principal::server());
        let at = Context {
            topic: &topic,
            who: who.person,
            origin: who.origin,
            authority: duplex_hub::Authority::VISITOR,
            now,
            next: 1,
        };
        let events = command.decide(&Fleet, at, overview).unwrap();
        events.iter().for_each(|event| Fleet::apply(overview, 1, event));
        events
    }

    fn update(id: &str, seen: Millis) -> FleetCommand {
        FleetCommand::Update {
            id: id.to_owned(),
            news: news(seen),
        }
    }

    #[test]
    fn who_is_silent_turns_late_and_offline_and_back_once_each() {
        let mut overview = Overview::default();
        let events = tell(&mut overview, update("a", START), START);
        assert!(matches!(&events[..], [FleetEvent::Entry { turned: true, .. }]));
        assert_eq!(tell(&mut overview, update("a", START), START + 1), [], "no news");
        let healths: Vec<_> = (0..60)
            .flat_map(|second| tell(&mut overview, FleetCommand::Look, START + second * 1_000))
            .filter_map(|event| match event {
                FleetEvent::Entry { entry, turned, .. } => Some((entry.health, entry.since - START, turned)),
                FleetEvent::Silent { .. } => None,
                FleetEvent::Gone { .. } => panic!("gone"),
            })
            .collect();
        assert_eq!(healths, [(Health::Late, 23_000, true), (Health::Offline, 43_000, true)]);
        let back = tell(&mut overview, update("a", START + 70_000), START + 70_000);
        let told = Fleet.forward(&TopicName::of::<Fleet>(ALL).unwrap(), &overview, 1, &back[0]);
        let turn = told[0].command();
        assert_eq!(turn.topic().as_str(), "device/a");
        assert_eq!(
            turn.json(),
            format!(r#"{{"turn":{{"at":{},"health":"online"}}}}"#, START + 70_000)
        );
        let again = tell(&mut overview, update("a", START + 71_000), START + 71_000);
        assert_eq!(
            Fleet.forward(&TopicName::of::<Fleet>(ALL).unwrap(), &overview, 1, &again[0]),
            []
        );
    }

    #[test]
    fn who_was_never_heard_is_listed_offline_for_a_week() {
        let mut overview = Overview::default();
        let events = tell(&mut overview, update("a", 0), 10 * MAX_AGE);
        assert!(matches!(&events[..], [FleetEvent::Entry { entry, .. }] if entry.health == Health::Offline));
        assert_eq!(tell(&mut overview, FleetCommand::Look, 11 * MAX_AGE), []);
        assert_eq!(tell(&mut overview, FleetCommand::Look, 11 * MAX_AGE + 1).len(), 1);
        assert!(overview.devices.is_empty());
    }

    #[test]
    fn those_who_fall_silent_together_are_one_notice_without_the_browsers() {
        let mut overview = Overview::default();
        for id in ["a", "b", "browser-00ff"] {
            tell(&mut overview, update(id, START), START);
        }
        let events = tell(&mut overview, FleetCommand::Look, START + 43_000);
        let ids = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(events.last(), Some(&FleetEvent::Silent { ids }));
        let topic = TopicName::of::<Fleet>(ALL).unwrap();
        let told = Fleet.forward(&topic, &overview, 4, &events[3]);
        assert_eq!(told[0].command().topic().as_str(), "notices/devices");
        let said = told[0].command().json();
        assert!(said.contains("2 devices") && said.contains("a, b"), "{said}");

        tell(&mut overview, update("a", START + 50_000), START + 50_000);
        let alone = tell(&mut overview, FleetCommand::Look, START + 95_000);
        let alone = Fleet.forward(&topic, &overview, 6, &alone[1]);
        let said = alone[0].command().json();
        assert!(said.contains("/devices/a"), "{said}");
        let mut browser = Overview::default();
        tell(&mut browser, update("browser-00ff", START), START);
        assert_eq!(tell(&mut browser, FleetCommand::Look, START + 43_000).len(), 1);
    }

    #[test]
    fn a_device_that_was_heard_by_a_clock_ahead_is_silent_from_now_on() {
        const DAY: Millis = 24 * 3_600_000;
        let mut overview = Overview::default();
        for id in ["dead", "live"] {
            tell(&mut overview, update(id, START + DAY), START + DAY);
        }
        let found = tell(&mut overview, FleetCommand::Look, START);
        assert_eq!(found.len(), 2, "once each");
        assert_eq!(tell(&mut overview, FleetCommand::Look, START + 1_000), []);
        tell(&mut overview, update("live", START + 40_000), START + 40_000);
        tell(&mut overview, FleetCommand::Look, START + 43_000);
        let health = |id: &str| overview.devices[id].health;
        assert_eq!([health("dead"), health("live")], [Health::Offline, Health::Online]);
    }

    #[test]
    fn a_full_overview_lets_go_who_is_away_and_else_nobody() {
        let mut overview = Overview::default();
        for number in 0..MAX_DEVICES {
            tell(
                &mut overview,
                update(&format!("d{number}"), START + number as Millis),
                START,
            );
        }
        let (topic, who) = (TopicName::of::<Fleet>(ALL).unwrap(), Principal::server());
        let at = |now| Context {
            topic: &topic,
            who: who.person,
            origin: who.origin,
            authority: duplex_hub::Authority::VISITOR,
            now,
            next: 1,
        };
        let full = update("new", START).decide(&Fleet, at(START), &overview);
        assert_eq!(full, Err(Rejection::refused(why::FLEET_FULL)));
        tell(&mut overview, FleetCommand::Look, START + 43_000);
        let events = tell(&mut overview, update("new", START + 43_000), START + 43_000);
        assert_eq!(events[0], FleetEvent::Gone { id: "d0".to_owned() });
        assert_eq!(overview.devices.len(), MAX_DEVICES);
        let weeks = tell(&mut overview, FleetCommand::Look, START + 2 * MAX_AGE);
        assert_eq!((weeks.len(), overview.devices.len()), (MAX_DEVICES, 0));
    }

    #[test]
    fn only_the_server_writes() {
        let topic = TopicName::of::<Fleet>(ALL).unwrap();
        assert_eq!(Fleet.admit(Principal::program(), &topic), Ok(Access::Read));
    }
}
