//! Ban management: the bans and the assigned names, each with a button that reverts it, and a form that bans an address or a
//! person.

use leptos::{ev::SubmitEvent, prelude::*};

use crate::i18n::*;
use crate::ui::calendar;
use crate::ui::card::Card;
use crate::ui::command_text;
use crate::ui::moderation::{DURATIONS, ban_end, rejection_text};
use crate::ui::text::{TextKey, dynamic_text, dynamic_view, optional_text, t, text_key, translate};
use crate::wire::moderation::{ALL, Ban, MAX_ADDRESS, MAX_BAN_REASON, Moderation, ModerationCommand, Target};
use duplex_leptos::topic::Live;
use duplex_leptos::topic::{CommandStatus, UseTopic, use_topic};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::Rejection;

type ModerationTopic = UseTopic<Moderation>;

pub fn bans() -> AnyView {
    let topic = use_topic::<Moderation>(ALL);
    view! {
        <Live topic>
            <div class="status-bans">{bans_card(topic)} {names_card(topic)}</div>
        </Live>
    }
    .into_any()
}

fn bans_card(topic: ModerationTopic) -> AnyView {
    let i18n = use_i18n();
    let rows = dynamic_view(move || {
        let locale = i18n.get_locale();
        let rows = topic.state.with(|state| {
            let rows = state.bans.iter().map(|(target, ban)| row(locale, topic, target, ban));
            rows.collect_view()
        });
        Some(rows.into_any())
    });
    let empty_hint = optional_text(move || {
        let is_empty = topic.state.with(|state| state.bans.is_empty());
        is_empty.then(|| td_string!(i18n.get_locale(), moderation.no_bans).to_owned())
    });
    view! {
        <Card id="bans" title=text_key!(moderation.bans)>
            <div class="table-scroll" tabindex="0" role="group" aria-labelledby="bans-title">
                <table class="status-table">
                    <thead>
                        <tr>
                            <th scope="col">{t!(moderation.target)}</th>
                            <th scope="col">{t!(moderation.until)}</th>
                            <th scope="col">{t!(moderation.reason)}</th>
                            <th scope="col"></th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
                <p class="hint">{empty_hint}</p>
            </div>
            {ban_form(topic)}
        </Card>
    }
    .into_any()
}

fn row(locale: Locale, topic: ModerationTopic, target: &Target, ban: &Ban) -> AnyView {
    let name = match target {
        Target::Person(PersonId(id)) | Target::Address(id) => id.clone(),
    };
    let until = match ban.until {
        Some(until) => format!(
            "{} {} UTC",
            calendar::date(calendar::day(until, 0)),
            calendar::time_of_day(until, 0)
        ),
        None => td_string!(locale, moderation.ever).to_owned(),
    };
    let (reason, target) = (ban.reason.clone(), target.clone());
    let unban = move || {
        let target = target.clone();
        topic.send(ModerationCommand::Unban { target });
    };
    view! {
        <tr>
            <th scope="row">{name}</th>
            <td>{until}</td>
            <td dir="auto">{reason}</td>
            <td>{confirm_button(text_key!(moderation.unban), text_key!(moderation.really_unban), "unban", unban)}</td>
        </tr>
    }
    .into_any()
}

/// A button that requires a second click to confirm.
fn confirm_button(
    name: TextKey,
    confirmation: TextKey,
    key: &'static str,
    on_confirm: impl Fn() + Send + Sync + 'static,
) -> AnyView {
    let is_confirming = RwSignal::new(false);
    let (name, confirmation, on_confirm) = (
        translate(name),
        translate(confirmation),
        Callback::new(move |()| on_confirm()),
    );
    let label = dynamic_text(move || if is_confirming.get() { confirmation() } else { name() }.to_owned());
    let on_click = move |_| {
        if is_confirming.get_untracked() {
            on_confirm.run(());
        }
        is_confirming.update(|confirming| *confirming = !*confirming);
    };
    view! {
        <button
            type="button"
            class="button small"
            data-action=key
            on:click=on_click
            on:blur=move |_| is_confirming.set(false)
        >{label}</button>
    }
    .into_any()
}

/// Parses the input: an address if it contains `.`, `:` or `/`, otherwise a person's id.
fn parse_target(input: &str) -> Target {
    let input = input.trim();
    if input.contains(['.', ':', '/']) {
        Target::Address(input.to_owned())
    } else {
        Target::Person(PersonId(input.to_owned()))
    }
}

fn ban_form(topic: ModerationTopic) -> AnyView {
    let i18n = use_i18n();
    let [target_input, reason, duration] = ["", "", "day"].map(|text| RwSignal::new(text.to_owned()));
    let problem = optional_text(move || {
        let locale = i18n.get_locale();
        let pending = topic.pending.get();
        let describe = |rejection: &Rejection| match rejection {
            Rejection::Custom { reason } => {
                rejection_text(reason).map_or(reason.clone(), |text| text(locale).to_owned())
            }
            _ => td_string!(locale, moderation.not_now).to_owned(),
        };
        let message =
            |status: &CommandStatus| status.error_text(|wait| command_text::rate_limited(locale, wait), describe);
        pending.iter().rev().find_map(|command| message(&command.status))
    });
    let ban = move |event: SubmitEvent| {
        event.prevent_default();
        topic.send(ModerationCommand::Ban {
            target: parse_target(&target_input.get_untracked()),
            until: ban_end(&duration.get_untracked()),
            reason: reason.get_untracked(),
        });
        target_input.set(String::new());
    };
    let choices: Vec<_> = DURATIONS
        .iter()
        .map(|(key, name, _)| view! { <option value=*key selected=*key == "day">{translate(*name)}</option> })
        .collect();
    view! {
        <form class="row script-only" on:submit=ban>
            <label class="field grow">
                <span>{t!(moderation.whom)}</span>
                <input name="target" required autocomplete="off" maxlength=(MAX_ADDRESS + 21).to_string() bind:value=target_input/>
            </label>
            <label class="field">
                <span>{t!(moderation.how_long)}</span>
                <select name="length" on:change=move |event| duration.set(event_target_value(&event))>{choices}</select>
            </label>
            <label class="field grow">
                <span>{t!(moderation.reason_optional)}</span>
                <input name="reason" autocomplete="off" maxlength=MAX_BAN_REASON.to_string() bind:value=reason/>
            </label>
            <button type="submit" class="button">{t!(moderation.ban_now)}</button>
        </form>
        <p class="problem" role="alert">{problem}</p>
    }
    .into_any()
}

fn names_card(topic: ModerationTopic) -> AnyView {
    let i18n = use_i18n();
    let rows = dynamic_view(move || {
        let row = |(person, name): (&PersonId, &String)| {
            let id = person.clone();
            let reset = move || {
                let (person, name) = (id.clone(), String::new());
                topic.send(ModerationCommand::Rename { person, name });
            };
            let reset_button = confirm_button(
                text_key!(moderation.reset),
                text_key!(moderation.really_reset),
                "reset-name",
                reset,
            );
            view! { <tr><th scope="row">{person.0.clone()}</th><td dir="auto">{name.clone()}</td><td>{reset_button}</td></tr> }
        };
        let rows = topic.state.with(|state| state.names.iter().map(row).collect_view());
        Some(rows.into_any())
    });
    let empty_hint = optional_text(move || {
        let is_empty = topic.state.with(|state| state.names.is_empty());
        is_empty.then(|| td_string!(i18n.get_locale(), moderation.no_names).to_owned())
    });
    view! {
        <Card id="given-names" title=text_key!(moderation.given_names)>
            <table class="status-table">
                <thead>
                    <tr>
                        <th scope="col">{t!(moderation.person)}</th>
                        <th scope="col">{t!(moderation.name)}</th>
                        <th scope="col"></th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            <p class="hint">{empty_hint}</p>
        </Card>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_recognized_by_their_punctuation() {
        for address in ["192.0.2.1", "2001:db8::1", "192.0.2.0/24"] {
            assert_eq!(parse_target(address), Target::Address(address.to_owned()));
        }
        assert_eq!(parse_target(" 0a1b "), Target::Person(PersonId("0a1b".to_owned())));
    }
}
