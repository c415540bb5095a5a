//! The card that explains how a program sends a notice: shell commands to paste, and a button that sends a sample to oneself.

use leptos::prelude::*;

use super::super::wire::{INGEST_PATH, InboxCommand, PAGE_PATH};
use super::inbox_model::InboxModel;
use crate::{
    i18n::*,
    ui::{
        card::Card,
        text::{dynamic_text, fill, t, text_key},
    },
    wire::notice::{Level, LocalizedText, Notice},
};

/// The origin shown until the browser provides the page's.
const DEFAULT_ORIGIN: &str = "http://127.0.0.1:3000";

const CURL: &str = r#"curl -fsS {origin}{ingest} \
  -H "Authorization: Bearer ${DUPLEX_TOKEN:-$(duplex token)}" \
  -H "Content-Type: application/json" \
  -d '{"to": {"visitor": "{id}"}, "title": "{title}", "level": "success", "link": "{path}"}'"#;

const NOTIFY: &str = r#"duplex notify --url {origin} --visitor {id} --level success "{title}""#;

pub fn send_card(model: InboxModel, visitor: String) -> AnyView {
    let i18n = use_i18n();
    let origin = RwSignal::new(DEFAULT_ORIGIN.to_owned());
    Effect::new(move |_| {
        if let Ok(current) = window().location().origin() {
            origin.set(current);
        }
    });
    let visitor = StoredValue::new(visitor);
    let line = move |pattern: &'static str| {
        dynamic_text(move || {
            let title = t_string!(i18n, notifications.sample);
            visitor.with_value(|id| {
                origin.with(|origin| {
                    let values = [
                        ("origin", origin.as_str()),
                        ("ingest", INGEST_PATH),
                        ("id", id),
                        ("title", title),
                        ("path", PAGE_PATH),
                    ];
                    fill(pattern, &values)
                })
            })
        })
    };
    let own_id = visitor.get_value();
    let sample = move |_| {
        let title = LocalizedText::new(
            td_string!(Locale::ko, notifications.sample),
            td_string!(Locale::en, notifications.sample),
        );
        let body = LocalizedText::new(
            td_string!(Locale::ko, notifications.sample_body),
            td_string!(Locale::en, notifications.sample_body),
        );
        model.inbox.send(InboxCommand::Send(Notice {
            title,
            body,
            link: None,
            level: Level::Success,
            expires: None,
        }));
    };
    view! {
        <Card id="send" title=text_key!(notifications.send)>
            <p>{t!(notifications.send_text)}</p>
            <p class="visitor-id">{t!(notifications.your_id)}" "<code class="mono">{own_id}</code></p>
            <pre class="mono" id="curl" tabindex="0" aria-label=t!(notifications.send_curl)><code>{line(CURL)}</code></pre>
            <p class="hint">{t!(notifications.send_notify)}</p>
            <pre class="mono" tabindex="0" aria-label=t!(notifications.send_notify)><code>{line(NOTIFY)}</code></pre>
            <p><button type="button" class="button script-only" data-action="sample" on:click=sample>{t!(notifications.send_sample)}</button></p>
        </Card>
    }
    .into_any()
}
