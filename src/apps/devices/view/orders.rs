//! The form that sends an order to a device, and the latest orders with their outcomes. Works without scripts.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::{
        model::Order,
        wire::{DeviceCommand, MAX_ARGUMENT, MAX_ORDER},
    },
    detail::{DeviceContext, time},
    form_command::FormCommand,
    labels,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_view, optional_text, t},
};

/// Common orders, each with a sample argument.
const COMMON_ORDERS: [(&str, &str); 3] = [("identify", ""), ("set-interval", "{\"seconds\": 10}"), ("reboot", "")];

#[component]
pub fn Orders(cx: DeviceContext) -> impl IntoView {
    let i18n = use_i18n();
    let command = FormCommand::new(cx.device);
    let form = dynamic_view(move || cx.may_control.get().then(|| form(cx, command)));
    let orders = Memo::new(move |_| cx.device.state.with(|device| device.orders.clone()));
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        let item = |order: &Order| order_item(cx, locale, order);
        Some(orders.with(|orders| orders.iter().map(item).collect_view()).into_any())
    });
    let empty_hint = optional_text(move || {
        let is_empty = orders.with(|orders| orders.is_empty());
        is_empty.then(|| t_string!(i18n, devices.no_orders).to_owned())
    });
    view! {
        {form}
        <ul class="orders" aria-live="polite">{list}</ul>
        <p class="hint">{empty_hint}</p>
    }
    .into_any()
}

fn form(cx: DeviceContext, command: FormCommand) -> AnyView {
    let posted = |field: &str| cx.posted("order", field);
    let name = RwSignal::new(posted("order").unwrap_or_else(|| "identify".to_owned()));
    let argument = RwSignal::new(posted("argument").unwrap_or_default());
    let common = COMMON_ORDERS.map(|(order, sample)| {
        let fill_in = move |_| {
            name.set(order.to_owned());
            argument.set(sample.to_owned());
        };
        view! { <button type="button" class="button small mono" on:click=fill_in>{order}</button> }
    });
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        command.send(DeviceCommand::Order {
            name: name.get_untracked().trim().to_owned(),
            argument: argument.get_untracked(),
        });
    };
    view! {
        <form class="order-form" method="post" action=cx.path() on:submit=send>
            <input type="hidden" name="act" value="order"/>
            <div class="row script-only">{common.into_iter().collect_view()}</div>
            <div class="row">
                <label class="field grow">
                    <span>{t!(devices.order)}</span>
                    <input
                        name="order"
                        class="mono"
                        required
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        maxlength=MAX_ORDER.to_string()
                        value=name.get_untracked()
                        bind:value=name
                    />
                </label>
                <label class="field grow">
                    <span>{t!(devices.argument)}</span>
                    <input
                        name="argument"
                        class="mono"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        maxlength=MAX_ARGUMENT.to_string()
                        value=argument.get_untracked()
                        bind:value=argument
                    />
                </label>
                <button class="button primary" type="submit">{t!(devices.send)}</button>
            </div>
            {command.problem()}
        </form>
    }
    .into_any()
}

fn order_item(cx: DeviceContext, locale: Locale, order: &Order) -> AnyView {
    let (state, label) = labels::outcome(order.outcome);
    let order_line = format!("{} {}", order.name, order.argument);
    let note = order.note.clone();
    view! {
        <li class="order" data-outcome=state>
            <code class="mono">{order_line}</code>
            <span class="order-outcome">{label(locale)}</span>
            <span class="hint" dir="auto">{note}</span>
            <span class="hint">{time(cx, locale, order.at)}</span>
        </li>
    }
    .into_any()
}
