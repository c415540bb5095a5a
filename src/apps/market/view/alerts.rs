//! The alerts card: a form and a list of the visitor's price alerts. Rendered only in the browser: alerts are private, so they are
//! not in the server-rendered page, and the topic is opened once the visitor's id is known.

use leptos::{ev::SubmitEvent, prelude::*};

use super::super::{
    model::{alerts::Alert, decimal},
    wire::{AlertCondition, Alerts, AlertsCommand, Entry, reason_code, symbol_path},
};
use super::{labels, quote_store::QuoteStore};
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
pub fn AlertsCard(store: QuoteStore, entry: RwSignal<Entry>) -> impl IntoView {
    let owner = Memo::new(move |_| {
        let me = store.quotes.me.with(|me| me.as_ref().map(|me| me.id.clone()));
        me.filter(|_| store.use_local_time.get())
    });
    let form_and_list = dynamic_view(move || {
        let owner = owner.get()?;
        let alerts = use_topic::<Alerts>(&owner.0);
        Some(
            view! {
                <AlertForm alerts entry/>
                <Live topic=alerts>
                    <AlertItems store alerts/>
                </Live>
            }
            .into_any(),
        )
    });
    view! {
        <Card id="alerts" title=text_key!(market.alerts)>
            <p class="hint">{t!(market.alerts_text)}</p>
            {form_and_list}
            <p class="hint noscript-only">{t!(market.alerts_no_script)}</p>
        </Card>
    }
    .into_any()
}

#[component]
fn AlertForm(alerts: UseTopic<Alerts>, entry: RwSignal<Entry>) -> impl IntoView {
    let i18n = use_i18n();
    let listing = entry.with_untracked(|entry| entry.listing.clone());
    let last = entry.with_untracked(|entry| entry.tick.last);
    let price = RwSignal::new(decimal::format_plain(last, listing.scale, listing.min_decimals));
    let above = RwSignal::new(true);
    let sent = RwSignal::new(None::<CommandId>);
    let price_error = RwSignal::new(None::<PriceError>);
    // If the price is already reached, the first submit only warns; the same input again sets the alert.
    let warned_about = RwSignal::new(None::<(AlertCondition, u64)>);
    let scale = listing.scale;
    let already_reached_hint = optional_text({
        let listing = listing.clone();
        move || {
            let (condition, _) = warned_about.get()?;
            let text = match condition {
                AlertCondition::Above => t_string!(i18n, market.already_above),
                AlertCondition::Below => t_string!(i18n, market.already_below),
            };
            let last = entry.with(|entry| labels::price(&listing, entry.tick.last));
            Some(fill(text, &[("price", &last)]))
        }
    });
    let problem = optional_text(move || {
        let locale = i18n.get_locale();
        if let Some(price_error) = price_error.get() {
            return Some(price_error.message(locale, scale));
        }
        command_problem(locale, alerts, &sent.get()?)
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(id) = sent.get_untracked() {
            alerts.cancel(&id);
            sent.set(None);
        }
        let parsed = price.with_untracked(|typed| parse_price(typed, scale));
        price_error.set(parsed.err());
        let Ok(price) = parsed else {
            return warned_about.set(None);
        };
        let condition = if above.get_untracked() {
            AlertCondition::Above
        } else {
            AlertCondition::Below
        };
        let (last, stale) = entry.with_untracked(|entry| (entry.tick.last, entry.tick.stale));
        let is_reached = !stale && condition.is_reached((price, scale), (last, scale));
        if is_reached && warned_about.get_untracked() != Some((condition, price)) {
            return warned_about.set(Some((condition, price)));
        }
        warned_about.set(None);
        sent.set(Some(alerts.send(AlertsCommand::Set {
            symbol: listing.symbol.clone(),
            condition,
            price,
            scale: listing.scale,
        })));
    };
    let side_button = move |is_above: bool, key| {
        let pressed = dynamic_text(move || (above.get() == is_above).to_string());
        view! { <button type="button" aria-pressed=pressed on:click=move |_| above.set(is_above)>{translate(key)}</button> }
            .into_any()
    };
    view! {
        <form class="alert-form" on:submit=submit>
            <label class="field grow">
                <span>{t!(market.alert_price)}</span>
                <input name="price" inputmode="decimal" autocomplete="off" required bind:value=price/>
                {parsed_hint(price)}
            </label>
            <div class="segmented-control" role="group" aria-label=t!(market.alert_side)>
                {side_button(true, labels::alert_condition(AlertCondition::Above))}
                {side_button(false, labels::alert_condition(AlertCondition::Below))}
            </div>
            <button class="button primary" type="submit">{t!(market.alert_set)}</button>
        </form>
        <p class="problem" role="alert">{problem}</p>
        <p class="hint alert-already-reached" role="status">{already_reached_hint}</p>
    }
    .into_any()
}

/// Why the input is not a price of the symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PriceError {
    /// Not a number above zero.
    NotPositive,
    /// More decimals than the symbol's prices.
    TooManyDecimals,
}

impl PriceError {
    fn message(self, locale: Locale, scale: u8) -> String {
        match (self, scale) {
            (Self::NotPositive, _) => labels::rejection(locale, &Rejection::custom(reason_code::BAD_PRICE)),
            (Self::TooManyDecimals, 0) => td_string!(locale, market.whole_price).to_owned(),
            (Self::TooManyDecimals, _) => fill(
                td_string!(locale, market.too_fine_price),
                &[("step", &decimal::format_plain(1, scale, scale))],
            ),
        }
    }
}

fn parse_price(typed: &str, scale: u8) -> Result<u64, PriceError> {
    let number = number::normalize(typed).ok_or(PriceError::NotPositive)?;
    match decimal::parse(&number, scale) {
        Some(units) if units > 0 => Ok(units),
        None if decimal::has_excess_decimals(&number, scale) => Err(PriceError::TooManyDecimals),
        _ => Err(PriceError::NotPositive),
    }
}

fn command_problem(locale: Locale, alerts: UseTopic<Alerts>, id: &CommandId) -> Option<String> {
    alerts.pending.with(|pending| {
        let found = pending.iter().find(|command| command.id == *id)?;
        found.status.error_text(
            |wait| command_text::rate_limited(locale, wait),
            |rejection| labels::rejection(locale, rejection),
        )
    })
}

#[component]
fn AlertItems(store: QuoteStore, alerts: UseTopic<Alerts>) -> impl IntoView {
    let ids = Memo::new(move |_| {
        alerts
            .state
            .with(|list| list.alerts.iter().rev().map(|alert| alert.id).collect::<Vec<Seq>>())
    });
    let empty = Memo::new(move |_| ids.with(Vec::is_empty));
    let empty_hint = dynamic_view(move || {
        empty
            .get()
            .then(|| view! { <p class="hint">{t!(market.no_alerts)}</p> }.into_any())
    });
    view! {
        <ul class="alert-list">
            <For each=move || ids.get() key=|id| *id let:id>
                {alert_item(store, alerts, id)}
            </For>
        </ul>
        {empty_hint}
    }
    .into_any()
}

fn alert_item(store: QuoteStore, alerts: UseTopic<Alerts>, id: Seq) -> AnyView {
    let i18n = use_i18n();
    let alert: Memo<Option<Alert>> = Memo::new(move |_| alerts.state.with(|list| list.get(id).cloned()));
    let Some(symbol) = alert.with_untracked(|alert| alert.as_ref().map(|alert| alert.symbol.clone())) else {
        return ().into_any();
    };
    let entry = untrack(|| store.entry(&symbol));
    let listing = StoredValue::new(entry.map(|entry| entry.with_untracked(|entry| entry.listing.clone())));
    let href = symbol_path(&symbol);
    let name = dynamic_text(move || {
        let locale = i18n.get_locale();
        listing.with_value(|listing| match listing {
            Some(listing) => labels::name(locale, listing),
            None => symbol.to_uppercase(),
        })
    });
    let format = move |price, scale| {
        decimal::format(
            price,
            scale,
            listing.with_value(|listing| listing.as_ref().map_or(0, |listing| listing.min_decimals)),
        )
    };
    let condition = dynamic_text(move || {
        alert.with(|alert| {
            let alert = alert.as_ref();
            alert.map_or_else(String::new, |alert| {
                let condition = (labels::alert_condition(alert.condition))(i18n.get_locale());
                [&format(alert.price, alert.scale), " ", condition].concat()
            })
        })
    });
    let reached = optional_text(move || {
        let (_, price, scale) = alert.with(|alert| alert.as_ref()?.reached)?;
        Some(fill(
            t_string!(i18n, market.reached),
            &[("price", &format(price, scale))],
        ))
    });
    let is_reached = dynamic_text(move || {
        alert
            .with(|alert| alert.as_ref().is_some_and(|alert| alert.reached.is_some()))
            .to_string()
    });
    let label = dynamic_text(move || {
        let description = [name.get(), condition.get()].join(" ");
        fill(t_string!(i18n, market.alert_remove), &[("what", &description)])
    });
    view! {
        <li class="alert-item" data-reached=is_reached>
            <a href=href>{name}</a>
            <span class="alert-condition">{condition}</span>
            <span class="alert-reached">{reached}</span>
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
        assert_eq!(parse_price("1,500", 0), Ok(1_500));
        assert_eq!(parse_price("1,50", 2), Ok(150));
        assert_eq!(parse_price("1,0", 0), Ok(1));
        for (fine, scale) in [("1,5", 0), ("0.5", 0), ("1,005.001", 2), ("1e-3", 2)] {
            assert_eq!(parse_price(fine, scale), Err(PriceError::TooManyDecimals), "{fine}");
        }
        for invalid in ["", "abc", "0", "0,0", "-5", "-0.5", "1e30"] {
            assert_eq!(parse_price(invalid, 0), Err(PriceError::NotPositive), "{invalid}");
        }
        assert_eq!(
            PriceError::TooManyDecimals.message(Locale::en, 2),
            "Prices of this symbol are no finer than 0.01."
        );
    }
}
