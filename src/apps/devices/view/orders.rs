//! What a device is asked to do, and what became of it. Without scripts a plain form.

use leptos::{ev::SubmitEvent, prelude::*};

use super::{
    super::{
        model::Order,
        wire::{DeviceCommand, MAX_ARGUMENT, MAX_ORDER},
    },
    detail::{Shown, time},
    sent::Sent,
    words,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_view, optional_text, t},
};

/// What many devices know, with an argument to begin with.
const USUAL: [(&str, &str); 3] = [("identify", ""), ("set-interval", "{\"seconds\": 10}"), ("reboot", "")];

#[component]
pub fn Orders(shown: Shown) -> impl IntoView {
    let i18n = use_i18n();
    let sent = Sent::new(shown.device);
    let form = dynamic_view(move || shown.may_control.get().then(|| form(shown, sent)));
    let orders = Memo::new(move |_| shown.device.state.with(|device| device.orders.clone()));
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        let line = |order: &Order| line(shown, locale, order);
        Some(orders.with(|orders| orders.iter().map(line).collect_view()).into_any())
    });
    let none = optional_text(move || {
        let none = orders.with(|orders| orders.is_empty());
        none.then(|| t_string!(i18n, devices.no_orders).to_owned())
    });
    view! {
        {form}
        <ul class="orders" aria-live="polite">{list}</ul>
        <p class="hint">{none}</p>
    }
    .into_any()
}

fn form(shown: Shown, sent: Sent) -> AnyView {
    let typed = |field: &str| shown.typed("order", field);
    let name = RwSignal::new(typed("order").unwrap_or_else(|| "identify".to_owned()));
    let argument = RwSignal::new(typed("argument").unwrap_or_default());
    let usual = USUAL.map(|(usual, with)| {
        let fill_in = move |_| {
            name.set(usual.to_owned());
            argument.set(with.to_owned());
        };
        view! { <button type="button" class="button small mono" on:click=fill_in>{usual}</button> }
    });
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        sent.send(DeviceCommand::Order {
            name: name.get_untracked().trim().to_owned(),
            argument: argument.get_untracked(),
        });
    };
    view! {
        <form class="order-form" method="post" action=shown.path() on:submit=send>
            <input type="hidden" name="act" value="order"/>
            <div class="row script">{usual.into_iter().collect_view()}</div>
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
            {sent.problem()}
        </form>
    }
    .into_any()
}

fn line(shown: Shown, locale: Locale, order: &Order) -> AnyView {
    let (state, said) = words::outcome(order.outcome);
    let what = format!("{} {}", order.name, order.argument);
    let note = order.note.clone();
    view! {
        <li class="order" data-outcome=state>
            <code class="mono">{what}</code>
            <span class="order-outcome">{said(locale)}</span>
            <span class="hint" dir="auto">{note}</span>
            <span class="hint">{time(shown, locale, order.at)}</span>
        </li>
    }
    .into_any()
}
