//! Who is kept out and who was given a name, with a way back for each, and a form that bans an address or a person.

use leptos::{ev::SubmitEvent, prelude::*};

use crate::i18n::*;
use crate::ui::calendar;
use crate::ui::card::Card;
use crate::ui::command_text;
use crate::ui::moderation::{DURATIONS, refusal, until};
use crate::ui::text::{TextKey, dynamic_text, dynamic_view, optional_text, t, text_key, translate};
use crate::wire::moderation::{ALL, Ban, MAX_ADDRESS, MAX_BAN_REASON, Moderation, ModerationCommand, Target};
use duplex_leptos::topic::Live;
use duplex_leptos::topic::{CommandStatus, UseTopic, use_topic};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::Rejection;

type Rules = UseTopic<Moderation>;

pub fn bans() -> AnyView {
    let rules = use_topic::<Moderation>(ALL);
    view! {
        <Live topic=rules>
            <div class="status-bans">{banned(rules)} {named(rules)}</div>
        </Live>
    }
    .into_any()
}

fn banned(rules: Rules) -> AnyView {
    let i18n = use_i18n();
    let rows = dynamic_view(move || {
        let locale = i18n.get_locale();
        let rows = rules.state.with(|state| {
            let rows = state.bans.iter().map(|(target, ban)| row(locale, rules, target, ban));
            rows.collect_view()
        });
        Some(rows.into_any())
    });
    let nothing = optional_text(move || {
        let none = rules.state.with(|state| state.bans.is_empty());
        none.then(|| td_string!(i18n.get_locale(), moderation.no_bans).to_owned())
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
                <p class="hint">{nothing}</p>
            </div>
            {form(rules)}
        </Card>
    }
    .into_any()
}

fn row(locale: Locale, rules: Rules, target: &Target, ban: &Ban) -> AnyView {
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
    let lift = move || {
        let target = target.clone();
        rules.send(ModerationCommand::Unban { target });
    };
    view! {
        <tr>
            <th scope="row">{name}</th>
            <td>{until}</td>
            <td dir="auto">{reason}</td>
            <td>{twice(text_key!(moderation.unban), text_key!(moderation.really_unban), "unban", lift)}</td>
        </tr>
    }
    .into_any()
}

/// A button that asks once more.
fn twice(name: TextKey, really: TextKey, key: &'static str, act: impl Fn() + Send + Sync + 'static) -> AnyView {
    let sure = RwSignal::new(false);
    let (name, really, act) = (translate(name), translate(really), Callback::new(move |()| act()));
    let shown = dynamic_text(move || if sure.get() { really() } else { name() }.to_owned());
    let choose = move |_| {
        if sure.get_untracked() {
            act.run(());
        }
        sure.update(|sure| *sure = !*sure);
    };
    view! {
        <button
            type="button"
            class="button small"
            data-act=key
            on:click=choose
            on:blur=move |_| sure.set(false)
        >{shown}</button>
    }
    .into_any()
}

/// What is an address by its signs is one; all else is a person's id.
fn target(typed: &str) -> Target {
    let typed = typed.trim();
    if typed.contains(['.', ':', '/']) {
        Target::Address(typed.to_owned())
    } else {
        Target::Person(PersonId(typed.to_owned()))
    }
}

fn form(rules: Rules) -> AnyView {
    let i18n = use_i18n();
    let [typed, reason, length] = ["", "", "day"].map(|text| RwSignal::new(text.to_owned()));
    let problem = optional_text(move || {
        let locale = i18n.get_locale();
        let pending = rules.pending.get();
        let why = |rejection: &Rejection| match rejection {
            Rejection::Refused { reason: why } => refusal(why).map_or(why.clone(), |words| words(locale).to_owned()),
            _ => td_string!(locale, moderation.not_now).to_owned(),
        };
        let told = |one: &CommandStatus| one.problem(|wait| command_text::rate_limited(locale, wait), why);
        pending.iter().rev().find_map(|one| told(&one.status))
    });
    let ban = move |event: SubmitEvent| {
        event.prevent_default();
        rules.send(ModerationCommand::Ban {
            target: target(&typed.get_untracked()),
            until: until(&length.get_untracked()),
            reason: reason.get_untracked(),
        });
        typed.set(String::new());
    };
    let choices: Vec<_> = DURATIONS
        .iter()
        .map(|(key, name, _)| view! { <option value=*key selected=*key == "day">{translate(*name)}</option> })
        .collect();
    view! {
        <form class="row script" on:submit=ban>
            <label class="field grow">
                <span>{t!(moderation.whom)}</span>
                <input name="target" required autocomplete="off" maxlength=(MAX_ADDRESS + 21).to_string() bind:value=typed/>
            </label>
            <label class="field">
                <span>{t!(moderation.how_long)}</span>
                <select name="length" on:change=move |event| length.set(event_target_value(&event))>{choices}</select>
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

fn named(rules: Rules) -> AnyView {
    let i18n = use_i18n();
    let rows = dynamic_view(move || {
        let row = |(person, name): (&PersonId, &String)| {
            let id = person.clone();
            let reset = move || {
                let (person, name) = (id.clone(), String::new());
                rules.send(ModerationCommand::Rename { person, name });
            };
            let back = twice(
                text_key!(moderation.reset),
                text_key!(moderation.really_reset),
                "reset-name",
                reset,
            );
            view! { <tr><th scope="row">{person.0.clone()}</th><td dir="auto">{name.clone()}</td><td>{back}</td></tr> }
        };
        let rows = rules.state.with(|state| state.names.iter().map(row).collect_view());
        Some(rows.into_any())
    });
    let nothing = optional_text(move || {
        let none = rules.state.with(|state| state.names.is_empty());
        none.then(|| td_string!(i18n.get_locale(), moderation.no_names).to_owned())
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
            <p class="hint">{nothing}</p>
        </Card>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_by_its_signs() {
        for address in ["192.0.2.1", "2001:db8::1", "192.0.2.0/24"] {
            assert_eq!(target(address), Target::Address(address.to_owned()));
        }
        assert_eq!(target(" 0a1b "), Target::Person(PersonId("0a1b".to_owned())));
    }
}
