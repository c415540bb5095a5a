//! Tests of the quotas: an office that stays below every limit, and clients that exceed them.

use std::net::{IpAddr, Ipv4Addr};

use tokio::time::advance;

use super::*;

const CONFIG: QuotaConfig = QuotaConfig {
    command_rate: 50,
    max_connections: 10_000,
};

fn address(host: u8) -> Address {
    Address::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)))
}

/// A person behind an address.
fn person(number: usize, host: u8) -> ClientKey {
    ClientKey {
        address: Some(address(host)),
        person: Some(PersonId(format!("{number:016x}"))),
    }
}

fn take(quotas: &Quotas, client: &ClientKey, rate: Rate, times: u32) {
    for time in 0..times {
        assert_eq!(quotas.take(client, rate), Ok(()), "{} number {time}", rate.name());
    }
}

/// 200 people with three tabs each: all tabs reconnect at once after a restart. Then everyone loads a page every ten seconds and
/// sends a command every second, for an hour.
#[tokio::test(start_paused = true)]
async fn an_office_behind_one_address_exceeds_no_limit() {
    const PEOPLE: usize = 200;
    const TABS: u32 = 3;
    const ASSETS: u32 = 30;
    let quotas = Quotas::new(true, CONFIG);
    let people: Vec<ClientKey> = (0..PEOPLE).map(|number| person(number, 1)).collect();
    let mut open = Vec::new();
    let load = |client: &ClientKey, open: &mut Vec<QuotaGuard>| {
        take(&quotas, client, Rate::Pages, 1);
        take(&quotas, client, Rate::Requests, 1 + ASSETS);
        take(&quotas, client, Rate::Reads, 8);
        // Three WebSockets per page.
        take(&quotas, client, Rate::Handshakes, 3);
        for _ in 0..3 {
            open.push(quotas.acquire(client, Resource::Connections).unwrap());
        }
    };
    for client in &people {
        for _ in 0..TABS {
            load(client, &mut open);
        }
        // Personal topics and some shared ones, which are asleep since the restart.
        take(&quotas, client, Rate::Topics, 8);
        open.push(quotas.acquire(client, Resource::Topics).unwrap());
    }
    // The commands that each person queued during the restart.
    for client in &people {
        take(&quotas, client, Rate::Commands, 10);
    }
    for second in 0..3600_usize {
        for (number, client) in people.iter().enumerate() {
            take(&quotas, client, Rate::Commands, 1);
            quotas.take_many(client, Rate::CommandBytes, 1).unwrap();
            if number % 10 == second % 10 {
                let mut page = Vec::new();
                load(client, &mut page);
            }
        }
        advance(Duration::from_secs(1)).await;
    }
    assert!(quotas.rejections().iter().all(|(_, count)| *count == 0));
}

#[tokio::test(start_paused = true)]
async fn one_person_is_limited_before_the_address() {
    let quotas = Quotas::new(true, CONFIG);
    let (one, other) = (person(1, 1), person(2, 1));
    let accepted = (0..10_000)
        .filter(|_| quotas.take(&one, Rate::Commands).is_ok())
        .count();
    assert_eq!(accepted, 300);
    let exceeded = quotas.take(&one, Rate::Commands).unwrap_err();
    assert_eq!(
        (
            exceeded.scope,
            exceeded.retry_after_ms(),
            exceeded.retry_after_seconds()
        ),
        ("person", 20, 1)
    );
    take(&quotas, &other, Rate::Commands, 300);
    advance(exceeded.retry_after).await;
    assert_eq!(quotas.take(&one, Rate::Commands), Ok(()), "after the returned wait");
}

#[tokio::test(start_paused = true)]
async fn many_people_behind_one_address_share_its_limit() {
    let quotas = Quotas::new(true, CONFIG);
    let accepted = (0..10_000).filter(|number| quotas.take(&person(*number, 1), Rate::Commands).is_ok());
    assert_eq!(accepted.count(), 3_000);
    assert_eq!(
        quotas.take(&person(0, 2), Rate::Commands),
        Ok(()),
        "another address is not affected"
    );
    let rejections = quotas.rejections().into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(rejections.collect::<Vec<_>>(), [("commands", 7_000)]);
}

#[tokio::test]
async fn resources_are_released() {
    let quotas = Quotas::new(
        true,
        QuotaConfig {
            max_connections: 300,
            ..CONFIG
        },
    );
    let all: Vec<_> = (0..300)
        .map(|number| quotas.acquire(&person(number, 1), Resource::Connections))
        .collect();
    assert_eq!(
        all.iter().filter(|held| held.is_ok()).count(),
        150,
        "one client cannot hold all"
    );
    assert!(quotas.acquire(&person(1, 2), Resource::Connections).is_ok());
    drop(all);
    assert!(quotas.acquire(&person(1, 1), Resource::Connections).is_ok());
}

#[tokio::test]
async fn disabled_quotas_reject_and_store_nothing() {
    let quotas = Quotas::new(false, CONFIG);
    take(&quotas, &person(1, 1), Rate::SharedCreations, 10_000);
    let held: Vec<_> = (0..10_000)
        .map(|_| quotas.acquire(&person(1, 1), Resource::Participants).unwrap())
        .collect();
    assert_eq!((held.len(), quotas.keys()), (10_000, 0));
}

#[test]
fn each_limit_has_its_index_and_a_person_has_no_more_than_the_address() {
    for (index, rate) in Rate::ALL.into_iter().enumerate() {
        assert_eq!(rate as usize, index, "{}", rate.name());
        let address = rate.for_address(CONFIG);
        if let Some(person) = rate.for_person(CONFIG) {
            assert!(
                person.burst <= address.burst && person.per_minute <= address.per_minute,
                "{}",
                rate.name()
            );
        }
    }
    for (index, resource) in Resource::ALL.into_iter().enumerate() {
        assert_eq!(resource as usize, index, "{}", resource.name());
        assert!(
            resource
                .for_person(CONFIG)
                .is_none_or(|max| max <= resource.for_address(CONFIG))
        );
    }
}

fn format_limit(limit: Option<RateLimit>) -> String {
    let Some(RateLimit { burst, per_minute }) = limit else {
        return String::new();
    };
    match per_minute % 60 {
        0 => format!("{burst}, then {} a second", per_minute / 60),
        _ => format!("{burst}, then {per_minute} a minute"),
    }
}

fn tables() -> String {
    let mut text = String::from("| rate | description | one address | one person |\n| --- | --- | --- | --- |\n");
    for rate in Rate::ALL {
        let (name, description) = (rate.name(), rate.description());
        let (address, person) = (
            format_limit(Some(rate.for_address(CONFIG))),
            format_limit(rate.for_person(CONFIG)),
        );
        text += &format!("| `{name}` | {description} | {address} | {person} |\n");
    }
    text += "\n| resource | description | one address | one person |\n| --- | --- | --- | --- |\n";
    for resource in Resource::ALL {
        let (name, description) = (resource.name(), resource.description());
        let person = resource
            .for_person(CONFIG)
            .map(|max| max.to_string())
            .unwrap_or_default();
        text += &format!(
            "| `{name}` | {description} | {} | {person} |\n",
            resource.for_address(CONFIG)
        );
    }
    let (people, sessions) = (limits::PRESENT_PEOPLE, limits::PRESENT_SESSIONS);
    text += &format!(
        "| people | Shown as present in one topic; further people can read and write but are not shown | {people} | |\n"
    );
    text += &format!("| sessions | Counted as present in one topic | {sessions} | |\n");
    text
}

#[test]
fn the_documentation_contains_these_limits() {
    let tables = tables();
    let documented = include_str!("../../../../docs/limits.md");
    assert!(
        documented.contains(&tables),
        "docs/limits.md does not contain

    {tables}"
    );
}
