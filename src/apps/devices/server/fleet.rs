//! The decider of `fleet/all`, the overview: the summaries that the devices' topics forward, and each device's health. Pure.

use super::super::model::{FleetState, health_at};
use super::super::wire::{
    ALL, DeviceSummary, Devices, Fleet, FleetEntry, FleetEvent, Health, MAX_AGE, MAX_DEVICES, NOTICE_GROUP,
    browser_owner, device_path, reason_code,
};
use super::NOTICE_LIFETIME;
use super::commands::{DeviceServerCommand, FleetCommand};
use crate::server::notify;
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use duplex_hub::decider::{Access, Context, Decider, Forward, Millis, NoCommand, Principal, Retention};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

/// Maximum events in the log. Kept small: the state is complete, so only resuming subscribers read events.
const RETAINED_EVENTS: u64 = 5_000;
/// Maximum names in a notice about several devices.
const MAX_NAMES: usize = 3;

impl Decider for Fleet {
    type ServerCommand = FleetCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if topic.rest() == ALL {
            Ok(Access::Read)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn decide(
        &self,
        _context: Context<'_>,
        _overview: &FleetState,
        command: NoCommand,
    ) -> Result<Vec<FleetEvent>, Rejection> {
        match command {}
    }

    fn forward(&self, _topic: &TopicName, overview: &FleetState, _seq: Seq, event: &FleetEvent) -> Vec<Forward> {
        let forward = match event {
            FleetEvent::Entry {
                id,
                entry,
                health_changed: true,
            } => forward_health(id, entry),
            FleetEvent::WentOffline { ids } => offline_notice(overview, ids),
            FleetEvent::Entry { .. } | FleetEvent::Removed { .. } => None,
        };
        forward.into_iter().collect()
    }

    fn retention(&self) -> Retention {
        Retention {
            events: RETAINED_EVENTS,
            age: None,
        }
    }
}

pub fn update_entry(
    overview: &FleetState,
    id: String,
    summary: DeviceSummary,
    now: Millis,
) -> Result<Vec<FleetEvent>, Rejection> {
    let before = overview.devices.get(&id);
    let mut events = Vec::new();
    if before.is_none() && overview.devices.len() >= MAX_DEVICES {
        let removed = longest_offline(overview).ok_or_else(|| Rejection::custom(reason_code::FLEET_FULL))?;
        events.push(FleetEvent::Removed { id: removed.clone() });
    }
    let entry = new_entry(before, clamp_seen(summary, now), now);
    if before != Some(&entry) {
        let health_changed = before.is_none_or(|before| before.health != entry.health);
        events.push(FleetEvent::Entry {
            id,
            entry,
            health_changed,
        });
    }
    Ok(events)
}

fn new_entry(before: Option<&FleetEntry>, summary: DeviceSummary, now: Millis) -> FleetEntry {
    let health = health_at(summary.last_seen, summary.every, now);
    let unchanged = before.filter(|before| before.health == health);
    FleetEntry {
        summary,
        health,
        health_since: unchanged.map_or(now, |before| before.health_since),
    }
}

/// Limits `last_seen` to `now`. A difference of up to `TOLERANCE` is a clock adjustment and stays.
fn clamp_seen(summary: DeviceSummary, now: Millis) -> DeviceSummary {
    const TOLERANCE: Millis = 2_000;
    let last_seen = if summary.last_seen > now.saturating_add(TOLERANCE) {
        now
    } else {
        summary.last_seen
    };
    DeviceSummary { last_seen, ..summary }
}

fn forward_health(id: &str, entry: &FleetEntry) -> Option<Forward> {
    let command = DeviceServerCommand::SetHealth {
        health: entry.health,
        at: entry.health_since,
    };
    Forward::server_command::<Devices>(id, &command)
}

/// One notice for all devices that went offline together, for example behind a broker that failed.
fn offline_notice(overview: &FleetState, ids: &[String]) -> Option<Forward> {
    let name = |id: &String| match overview.devices.get(id) {
        Some(entry) if !entry.summary.name.is_empty() => entry.summary.name.clone(),
        _ => id.clone(),
    };
    let named = ids.iter().take(MAX_NAMES).map(name).collect::<Vec<_>>().join(", ");
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
            named + if ids.len() > MAX_NAMES { " …" } else { "" },
            "/devices".to_owned(),
        ),
    };
    let since = ids
        .iter()
        .filter_map(|id| Some(overview.devices.get(id)?.health_since))
        .max();
    let notice = Notice {
        title,
        body: LocalizedText::untranslated(&body),
        link: Some(link),
        level: Level::Warning,
        expires: since.map(|at| at.saturating_add(NOTICE_LIFETIME)),
    };
    notify::forward(&Audience::Group(NOTICE_GROUP.to_owned()), &notice)
}

/// The device to remove from a full overview: the one that has been offline longest.
fn longest_offline(overview: &FleetState) -> Option<&String> {
    let offline = overview
        .devices
        .iter()
        .filter(|(_, entry)| entry.health == Health::Offline);
    offline
        .min_by_key(|(_, entry)| entry.summary.last_seen)
        .map(|(id, _)| id)
}

/// When the device was last seen; if never, when it was added.
const fn last_seen(entry: &FleetEntry) -> Millis {
    match entry.summary.last_seen {
        0 => entry.health_since,
        last_seen => last_seen,
    }
}

/// Recomputes each device's health at `now`, and removes devices not seen for [`MAX_AGE`].
pub fn refresh_health(overview: &FleetState, now: Millis) -> Vec<FleetEvent> {
    let changed = |(id, before): (&String, &FleetEntry)| {
        if last_seen(before) < now.saturating_sub(MAX_AGE) {
            return Some(FleetEvent::Removed { id: id.clone() });
        }
        let entry = new_entry(Some(before), clamp_seen(before.summary.clone(), now), now);
        let health_changed = entry.health != before.health;
        (health_changed || entry.summary.last_seen != before.summary.last_seen).then(|| FleetEvent::Entry {
            id: id.clone(),
            entry,
            health_changed,
        })
    };
    let mut events: Vec<_> = overview.devices.iter().filter_map(changed).collect();
    let offline = |event: &FleetEvent| match event {
        FleetEvent::Entry { id, entry, .. } if entry.health == Health::Offline && browser_owner(id).is_none() => {
            Some(id.clone())
        }
        _ => None,
    };
    let ids: Vec<_> = events.iter().filter_map(offline).collect();
    if !ids.is_empty() {
        events.push(FleetEvent::WentOffline { ids });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_hub::decider::ServerCommand as _;
    use duplex_protocol::topic::Topic as _;

    const START: Millis = 1_000_000_000;

    fn summary(last_seen: Millis) -> DeviceSummary {
        DeviceSummary {
            last_seen,
            every: 10,
            ..DeviceSummary::default()
        }
    }

    fn send(overview: &mut FleetState, command: FleetCommand, now: Millis) -> Vec<FleetEvent> {
        let (topic, who) = (TopicName::of::<Fleet>(ALL).unwrap(), Principal::server());
        let context = Context {
            topic: &topic,
            sender: who.person,
            sender_kind: who.sender_kind,
            authority: duplex_hub::Authority::VISITOR,
            now,
            next_seq: 1,
        };
        let events = command.decide(&Fleet, context, overview).unwrap();
        events.iter().for_each(|event| Fleet::apply(overview, 1, event));
        events
    }

    fn update(id: &str, last_seen: Millis) -> FleetCommand {
        FleetCommand::Update {
            id: id.to_owned(),
            summary: summary(last_seen),
        }
    }

    #[test]
    fn a_silent_device_becomes_late_then_offline_then_online_again() {
        let mut overview = FleetState::default();
        let events = send(&mut overview, update("a", START), START);
        assert!(matches!(
            &events[..],
            [FleetEvent::Entry {
                health_changed: true,
                ..
            }]
        ));
        assert_eq!(send(&mut overview, update("a", START), START + 1), [], "unchanged");
        let healths: Vec<_> = (0..60)
            .flat_map(|second| send(&mut overview, FleetCommand::RefreshHealth, START + second * 1_000))
            .filter_map(|event| match event {
                FleetEvent::Entry {
                    entry, health_changed, ..
                } => Some((entry.health, entry.health_since - START, health_changed)),
                FleetEvent::WentOffline { .. } => None,
                FleetEvent::Removed { .. } => panic!("removed"),
            })
            .collect();
        assert_eq!(healths, [(Health::Late, 23_000, true), (Health::Offline, 43_000, true)]);
        let back = send(&mut overview, update("a", START + 70_000), START + 70_000);
        let forwards = Fleet.forward(&TopicName::of::<Fleet>(ALL).unwrap(), &overview, 1, &back[0]);
        let command = forwards[0].command();
        assert_eq!(command.topic().as_str(), "device/a");
        assert_eq!(
            command.json(),
            format!(r#"{{"turn":{{"at":{},"health":"online"}}}}"#, START + 70_000)
        );
        let again = send(&mut overview, update("a", START + 71_000), START + 71_000);
        assert_eq!(
            Fleet.forward(&TopicName::of::<Fleet>(ALL).unwrap(), &overview, 1, &again[0]),
            []
        );
    }

    #[test]
    fn a_device_that_was_never_seen_is_listed_offline_for_a_week() {
        let mut overview = FleetState::default();
        let events = send(&mut overview, update("a", 0), 10 * MAX_AGE);
        assert!(matches!(&events[..], [FleetEvent::Entry { entry, .. }] if entry.health == Health::Offline));
        assert_eq!(send(&mut overview, FleetCommand::RefreshHealth, 11 * MAX_AGE), []);
        assert_eq!(
            send(&mut overview, FleetCommand::RefreshHealth, 11 * MAX_AGE + 1).len(),
            1
        );
        assert!(overview.devices.is_empty());
    }

    #[test]
    fn devices_that_go_offline_together_cause_one_notice_without_browsers() {
        let mut overview = FleetState::default();
        for id in ["a", "b", "browser-00ff"] {
            send(&mut overview, update(id, START), START);
        }
        let events = send(&mut overview, FleetCommand::RefreshHealth, START + 43_000);
        let ids = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(events.last(), Some(&FleetEvent::WentOffline { ids }));
        let topic = TopicName::of::<Fleet>(ALL).unwrap();
        let forwards = Fleet.forward(&topic, &overview, 4, &events[3]);
        assert_eq!(forwards[0].command().topic().as_str(), "notices/devices");
        let json = forwards[0].command().json();
        assert!(json.contains("2 devices") && json.contains("a, b"), "{json}");

        send(&mut overview, update("a", START + 50_000), START + 50_000);
        let alone = send(&mut overview, FleetCommand::RefreshHealth, START + 95_000);
        let alone = Fleet.forward(&topic, &overview, 6, &alone[1]);
        let json = alone[0].command().json();
        assert!(json.contains("/devices/a"), "{json}");
        let mut browser = FleetState::default();
        send(&mut browser, update("browser-00ff", START), START);
        assert_eq!(send(&mut browser, FleetCommand::RefreshHealth, START + 43_000).len(), 1);
    }

    #[test]
    fn a_seen_time_in_the_future_counts_as_now() {
        const DAY: Millis = 24 * 3_600_000;
        let mut overview = FleetState::default();
        for id in ["dead", "live"] {
            send(&mut overview, update(id, START + DAY), START + DAY);
        }
        let found = send(&mut overview, FleetCommand::RefreshHealth, START);
        assert_eq!(found.len(), 2, "once each");
        assert_eq!(send(&mut overview, FleetCommand::RefreshHealth, START + 1_000), []);
        send(&mut overview, update("live", START + 40_000), START + 40_000);
        send(&mut overview, FleetCommand::RefreshHealth, START + 43_000);
        let health = |id: &str| overview.devices[id].health;
        assert_eq!([health("dead"), health("live")], [Health::Offline, Health::Online]);
    }

    #[test]
    fn a_full_overview_removes_only_offline_devices() {
        let mut overview = FleetState::default();
        for number in 0..MAX_DEVICES {
            send(
                &mut overview,
                update(&format!("d{number}"), START + number as Millis),
                START,
            );
        }
        let (topic, who) = (TopicName::of::<Fleet>(ALL).unwrap(), Principal::server());
        let context_at = |now| Context {
            topic: &topic,
            sender: who.person,
            sender_kind: who.sender_kind,
            authority: duplex_hub::Authority::VISITOR,
            now,
            next_seq: 1,
        };
        let full = update("new", START).decide(&Fleet, context_at(START), &overview);
        assert_eq!(full, Err(Rejection::custom(reason_code::FLEET_FULL)));
        send(&mut overview, FleetCommand::RefreshHealth, START + 43_000);
        let events = send(&mut overview, update("new", START + 43_000), START + 43_000);
        assert_eq!(events[0], FleetEvent::Removed { id: "d0".to_owned() });
        assert_eq!(overview.devices.len(), MAX_DEVICES);
        let weeks = send(&mut overview, FleetCommand::RefreshHealth, START + 2 * MAX_AGE);
        assert_eq!((weeks.len(), overview.devices.len()), (MAX_DEVICES, 0));
    }

    #[test]
    fn only_the_server_writes() {
        let topic = TopicName::of::<Fleet>(ALL).unwrap();
        assert_eq!(Fleet.admit(Principal::program(), &topic), Ok(Access::Read));
    }
}
