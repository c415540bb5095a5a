//! The alarms of a device, newest first, with a button to acknowledge each.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::{model::Alarm, wire::DeviceCommand},
    detail::{DeviceContext, time},
    form_command::FormCommand,
    labels,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_view, fill, optional_text, t},
    wire::text::isolated,
};

#[component]
pub fn Alarms(cx: DeviceContext) -> impl IntoView {
    let i18n = use_i18n();
    let command = FormCommand::new(cx.device);
    let alarms = Memo::new(move |_| cx.device.state.with(|device| device.alarms.clone()));
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        let may_control = cx.may_control.get();
        let item = |alarm: &Alarm| alarm_item(cx, command, locale, alarm, may_control);
        Some(alarms.with(|alarms| alarms.iter().map(item).collect_view()).into_any())
    });
    let empty_hint = optional_text(move || {
        let is_empty = alarms.with(|alarms| alarms.is_empty());
        is_empty.then(|| t_string!(i18n, devices.no_alarms).to_owned())
    });
    view! {
        <ul class="alarms">{list}</ul>
        <p class="hint">{empty_hint}</p>
        {command.problem()}
    }
    .into_any()
}

fn alarm_item(cx: DeviceContext, command: FormCommand, locale: Locale, alarm: &Alarm, may_control: bool) -> AnyView {
    let unit = cx.device.state.with_untracked(|device| {
        device
            .metrics
            .get(&alarm.metric)
            .map(|metric| metric.unit.clone())
            .unwrap_or_default()
    });
    let description = format!(
        "{} {} ({} {})",
        labels::metric(locale, &alarm.metric),
        labels::value(alarm.value, &unit),
        labels::limit_kind(alarm.limit_kind)(locale),
        labels::value(alarm.limit, &unit)
    );
    let raised = time(cx, locale, alarm.raised_at);
    let cleared = alarm
        .cleared_at
        .map(|at| fill(td_string!(locale, devices.over_at), &[("time", &time(cx, locale, at))]));
    let by = alarm.acknowledged.as_ref().map(|(by, _)| {
        let name = if by.name.is_empty() { by.id.short() } else { &by.name };
        fill(td_string!(locale, devices.seen_by), &[("name", &isolated(name))])
    });
    let state = if alarm.cleared_at.is_some() {
        "cleared"
    } else {
        "active"
    };
    let can_acknowledge = may_control && alarm.acknowledged.is_none();
    let button = can_acknowledge.then(|| acknowledge(cx, command, alarm.id));
    view! {
        <li class="alarm" data-state=state>
            <span class="alarm-description">{description}</span>
            <span class="hint">{raised}</span>
            <span class="hint">{cleared}</span>
            <span class="hint">{by}</span>
            {button}
        </li>
    }
    .into_any()
}

fn acknowledge(cx: DeviceContext, command: FormCommand, alarm: u64) -> AnyView {
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        command.send(DeviceCommand::Acknowledge { alarm });
    };
    view! {
        <form method="post" action=cx.path() on:submit=submit>
            <input type="hidden" name="act" value="acknowledge"/>
            <input type="hidden" name="alarm" value=alarm.to_string()/>
            <button class="button small" type="submit">{t!(devices.acknowledge)}</button>
        </form>
    }
    .into_any()
}
