//! The notifications page: the list of notices, and cards with the visitor's settings.

use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use serde::{Deserialize, Serialize};

use super::super::wire::{GROUPS, Millis, Notices};
use super::{
    follow::follow_card,
    inbox_model::{InboxModel, current_time},
    labels,
    list::{ListModel, list_view},
    permission::permission_card,
    send::send_card,
    toolbar::{problem, toolbar},
};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, page_title, t},
    wire::{first_visit::FirstVisit, form::RejectedForm, notice::EVERYONE},
};
use duplex_leptos::topic::{Live, UseTopic, Visitor, use_topic};
use duplex_protocol::session::Rejection;

/// Values that the server rendered with, and that hydration must reuse.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ServerData {
    visitor: Option<String>,
    now: Millis,
    #[serde(rename = "arrival")]
    first_visit: Millis,
    /// Why the posted form was rejected, if this page is the response to one.
    rejected: Option<Rejection>,
}

impl ServerData {
    fn capture() -> Self {
        Self {
            visitor: use_context::<Visitor>().map(|Visitor(person)| person.id.0),
            now: current_time(),
            first_visit: use_context::<FirstVisit>().unwrap_or_default().0,
            rejected: use_context::<RejectedForm>().map(|rejected| rejected.rejection),
        }
    }
}

pub fn page() -> AnyView {
    let ServerData {
        visitor,
        now,
        first_visit,
        rejected,
    } = SharedValue::new(ServerData::capture).into_inner();
    let all = use_topic::<Notices>(EVERYONE);
    let me = Memo::new(move |_| {
        let from_session = || all.me.with(|me| me.as_ref().map(|me| me.id.0.clone()));
        visitor.clone().or_else(from_session)
    });
    let content = dynamic_view(move || {
        Some(match me.get() {
            Some(visitor) => when_loaded(
                InboxModel::with_all_groups(&visitor, all, FirstVisit(first_visit), now),
                visitor,
            ),
            None => loading(),
        })
    });
    let rejected = rejected.map(|rejection| {
        let i18n = use_i18n();
        let message = dynamic_text(move || labels::rejection(&rejection)(i18n.get_locale()).to_owned());
        view! { <p class="problem" role="alert">{message}</p> }
    });
    view! {
        <Title text=page_title(t!(notifications.title))/>
        <Meta name="description" content=t!(notifications.description)/>
        <div class="notifications">
            <div class="page-header">
                <h1>{t!(notifications.title)}</h1>
                <p class="lede">{t!(notifications.lede)}</p>
                {rejected}
            </div>
            {content}
        </div>
    }
    .into_any()
}

fn loading() -> AnyView {
    view! { <p class="hint" role="status">{t!(notifications.loading)}</p> }.into_any()
}

/// Renders the content once all states are loaded. All are requested at once; the server awaits them one after the other.
fn when_loaded(model: InboxModel, visitor: String) -> AnyView {
    let groups: Vec<UseTopic<Notices>> = GROUPS
        .iter()
        .filter_map(|group| untrack(|| model.group(group)))
        .collect();
    let with_groups = move || {
        groups.into_iter().fold(
            Box::new(move || content(model, visitor)) as Box<dyn FnOnce() -> AnyView + Send>,
            |inner, group| Box::new(move || view! { <Live topic=group fallback=loading>{inner()}</Live> }.into_any()),
        )()
    };
    view! {
        <Live topic=model.inbox fallback=loading>
            <Live topic=model.all fallback=loading>{with_groups()}</Live>
        </Live>
    }
    .into_any()
}

fn content(model: InboxModel, visitor: String) -> AnyView {
    let list = ListModel::start(model);
    view! {
        <div class="notifications-grid">
            <div class="notifications-main">
                {status(model)}
                {toolbar(model, visitor.clone(), list.filter)}
                {problem(model)}
                {list_view(list)}
            </div>
            <div class="notifications-side">
                {follow_card(model)}
                {permission_card()}
                {send_card(model, visitor)}
            </div>
        </div>
    }
    .into_any()
}

fn status(model: InboxModel) -> AnyView {
    let i18n = use_i18n();
    let status = model.inbox.status;
    let status_code = dynamic_text(move || labels::status(status.get()).0.to_owned());
    let label = dynamic_text(move || (labels::status(status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="inbox-status script-only" role="status" data-status=status_code>
            <span class="dot" aria-hidden="true"></span>
            <span>{label}</span>
        </p>
    }
    .into_any()
}
