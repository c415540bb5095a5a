//! What the visitor wants to be told of: a form, and what was set. Only where scripts run: it is theirs alone, so it is not in
//! the page that the server renders, and comes when the page knows who they are.

use leptos::{ev::SubmitEvent, prelude::*};

use super::super::{
    model::{alerts::Alert, decimal},
    wire::{Alerts, AlertsCommand, Entry, Side, symbol_path, why},
};
use super::{floor::Floor, words};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        command_text,
        number_field::parsed_hint,
        text::{dynamic_text, dynamic_view, fill, optional_text, t, text_key, translate},
    },
    wire::number,
};
use duplex_leptos::topic::{Live, UseTopic, use_topic};
use duplex_protocol::{
    cursor::Seq,
    session::{CommandId, Rejection},
};

#[component]
pub fn AlertsCard(floor: Floor, entry: RwSignal<Entry>) -> impl IntoView {
    let person = Memo::new(move |_| {
        let me = floor.quotes.me.with(|me| me.as_ref().map(|me| me.id.clone()));
        me.filter(|_| floor.local.get())
    });
    let mine = dynamic_view(move || {
        let person = person.get()?;
        let alerts = use_topic::<Alerts>(&person.0);
        Some(
            view! {
                <AlertForm alerts entry/>
                <Live topic=alerts>
                    <AlertItems floor alerts/>
                </Live>
            }
            .into_any(),
        )
    });
    view! {
        <Card id="alerts" title=text_key!(market.alerts)>
            <p class="hint">{t!(market.alerts_text)}</p>
            {mine}
            <p class="hint plain">{t!(market.alerts_no_script)}</p>
        </Card>
    }
    .into_any()
}

#[component]
fn AlertForm(alerts: UseTopic<Alerts>, entry: RwSignal<Entry>) -> impl IntoView {
    let i18n = use_i18n();
    let listing = entry.with_untracked(|entry| entry.listing.clone());
    let last = entry.with_untracked(|entry| entry.tick.last);
    let price = RwSignal::new(decimal::plain(last, listing.scale, listing.least));
    let above = RwSignal::new(true);
    let sent = RwSignal::new(None::<CommandId>);
    let bad = RwSignal::new(None::<BadPrice>);
    // What the price has reached already is said first; who presses again for the same wants it all the same.
    let warned = RwSignal::new(None::<(Side, u64)>);
    let scale = listing.scale;
    let already = optional_text({
        let listing = listing.clone();
        move || {
            let (side, _) = warned.get()?;
            let text = match side {
                Side::Above => t_string!(i18n, market.already_above),
                Side::Below => t_string!(i18n, market.already_below),
            };
            let last = entry.with(|entry| words::price(&listing, entry.tick.last));
            Some(fill(text, &[("price", &last)]))
        }
    });
    let problem = optional_text(move || {
        let locale = i18n.get_locale();
        if let Some(bad) = bad.get() {
            return Some(bad.told(locale, scale));
        }
        refused(locale, alerts, &sent.get()?)
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(id) = sent.get_untracked() {
            alerts.cancel(&id);
            sent.set(None);
        }
        let read = price.with_untracked(|typed| read_price(typed, scale));
        bad.set(read.err());
        let Ok(price) = read else { return warned.set(None) };
        let side = if above.get_untracked() {
            Side::Above
        } else {
            Side::Below
        };
        let (last, stale) = entry.with_untracked(|entry| (entry.tick.last, entry.tick.stale));
        let is_reached = !stale && side.is_reached((price, scale), (last, scale));
        if is_reached && warned.get_untracked() != Some((side, price)) {
            return warned.set(Some((side, price)));
        }
        warned.set(None);
        sent.set(Some(alerts.send(AlertsCommand::Set {
            symbol: listing.symbol.clone(),
            side,
            price,
            scale: listing.scale,
        })));
    };
    let choose = move |side: bool, words| {
        let pressed = dynamic_text(move || (above.get() == side).to_string());
        view! { <button type="button" aria-pressed=pressed on:click=move |_| above.set(side)>{translate(words)}</button> }
            .into_any()
    };
    view! {
        <form class="alert-form" on:submit=submit>
            <label class="field grow">
                <span>{t!(market.alert_price)}</span>
                <input name="price" inputmode="decimal" autocomplete="off" required bind:value=price/>
                {parsed_hint(price)}
            </label>
            <div class="choice" role="group" aria-label=t!(market.alert_side)>
                {choose(true, words::side(Side::Above))}
                {choose(false, words::side(Side::Below))}
            </div>
            <button class="button primary" type="submit">{t!(market.alert_set)}</button>
        </form>
        <p class="problem" role="alert">{problem}</p>
        <p class="hint alert-already" role="status">{already}</p>
    }
    .into_any()
}

/// Why what was typed is no price of the symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadPrice {
    /// Nothing above zero.
    NoPrice,
    /// More decimals than its prices have.
    TooFine,
}

impl BadPrice {
    fn told(self, locale: Locale, scale: u8) -> String {
        match (self, scale) {
            (Self::NoPrice, _) => words::rejection(locale, &Rejection::refused(why::BAD_PRICE)),
            (Self::TooFine, 0) => td_string!(locale, market.whole_price).to_owned(),
            (Self::TooFine, _) => fill(
                td_string!(locale, market.too_fine_price),
                &[("step", &decimal::plain(1, scale, scale))],
            ),
        }
    }
}

fn read_price(typed: &str, scale: u8) -> Result<u64, BadPrice> {
    let number = number::normalize(typed).ok_or(BadPrice::NoPrice)?;
    match decimal::parse(&number, scale) {
        Some(units) if units > 0 => Ok(units),
        None if decimal::is_too_fine(&number, scale) => Err(BadPrice::TooFine),
        _ => Err(BadPrice::NoPrice),
    }
}

fn refused(locale: Locale, alerts: UseTopic<Alerts>, id: &CommandId) -> Option<String> {
    alerts.pending.with(|pending| {
        let found = pending.iter().find(|one| one.id == *id)?;
        found.status.problem(
            |wait| command_text::rate_limited(locale, wait),
            |why| words::rejection(locale, why),
        )
    })
}

#[component]
fn AlertItems(floor: Floor, alerts: UseTopic<Alerts>) -> impl IntoView {
    let ids = Memo::new(move |_| {
        alerts
            .state
            .with(|list| list.alerts.iter().rev().map(|alert| alert.id).collect::<Vec<Seq>>())
    });
    let empty = Memo::new(move |_| ids.with(Vec::is_empty));
    let none = dynamic_view(move || {
        empty
            .get()
            .then(|| view! { <p class="hint">{t!(market.no_alerts)}</p> }.into_any())
    });
    view! {
        <ul class="alert-list">
            <For each=move || ids.get() key=|id| *id let:id>
                {item(floor, alerts, id)}
            </For>
        </ul>
        {none}
    }
    .into_any()
}

fn item(floor: Floor, alerts: UseTopic<Alerts>, id: Seq) -> AnyView {
    let i18n = use_i18n();
    let alert: Memo<Option<Alert>> = Memo::new(move |_| alerts.state.with(|list| list.get(id).cloned()));
    let Some(symbol) = alert.with_untracked(|alert| alert.as_ref().map(|alert| alert.symbol.clone())) else {
        return ().into_any();
    };
    let entry = untrack(|| floor.entry(&symbol));
    let listing = StoredValue::new(entry.map(|entry| entry.with_untracked(|entry| entry.listing.clone())));
    let href = symbol_path(&symbol);
    let name = dynamic_text(move || {
        let locale = i18n.get_locale();
        listing.with_value(|listing| match listing {
            Some(listing) => words::name(locale, listing),
            None => symbol.to_uppercase(),
        })
    });
    let show = move |price, scale| {
        decimal::show(
            price,
            scale,
            listing.with_value(|one| one.as_ref().map_or(0, |one| one.least)),
        )
    };
    let wanted = dynamic_text(move || {
        alert.with(|alert| {
            let alert = alert.as_ref();
            alert.map_or_else(String::new, |alert| {
                let side = (words::side(alert.side))(i18n.get_locale());
                [&show(alert.price, alert.scale), " ", side].concat()
            })
        })
    });
    let done = optional_text(move || {
        let (_, price, scale) = alert.with(|alert| alert.as_ref()?.done)?;
        Some(fill(t_string!(i18n, market.reached), &[("price", &show(price, scale))]))
    });
    let is_done = dynamic_text(move || {
        alert
            .with(|alert| alert.as_ref().is_some_and(|alert| alert.done.is_some()))
            .to_string()
    });
    let label = dynamic_text(move || {
        let what = [name.get(), wanted.get()].join(" ");
        fill(t_string!(i18n, market.alert_remove), &[("what", &what)])
    });
    view! {
        <li class="alert-item" data-done=is_done>
            <a href=href>{name}</a>
            <span class="wanted">{wanted}</span>
            <span class="done">{done}</span>
            <button
                type="button"
                class="button small"
                aria-label=label
                on:click=move |_| { alerts.send(AlertsCommand::Remove { id }); }
            >{t!(market.remove)}</button>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_no_more_decimals_than_its_symbol() {
        assert_eq!(read_price("1,500", 0), Ok(1_500));
        assert_eq!(read_price("1,50", 2), Ok(150));
        assert_eq!(read_price("1,0", 0), Ok(1));
        for (fine, scale) in [("1,5", 0), ("0.5", 0), ("1,005.001", 2), ("1e-3", 2)] {
            assert_eq!(read_price(fine, scale), Err(BadPrice::TooFine), "{fine}");
        }
        for none in ["", "abc", "0", "0,0", "-5", "-0.5", "1e30"] {
            assert_eq!(read_price(none, 0), Err(BadPrice::NoPrice), "{none}");
        }
        assert_eq!(
            BadPrice::TooFine.told(Locale::en, 2),
            "Prices of this symbol are no finer than 0.01."
        );
    }
}
