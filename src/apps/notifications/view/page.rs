//! The page: the list of notices, and beside it what the visitor may choose.

use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use serde::{Deserialize, Serialize};

use super::super::wire::{GROUPS, Millis, Notices};
use super::{
    desk::{Desk, clock},
    follow::follow,
    list::{List, list_view},
    permission::permission,
    send::send,
    tools::{problem, tools},
    words,
};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, page_title, t},
    wire::{first_visit::FirstVisit, form::RejectedForm, notice::EVERYONE},
};
use duplex_leptos::topic::{Live, UseTopic, Visitor, use_topic};
use duplex_protocol::session::Rejection;

/// What the server's rendering knows and the browser must begin with.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Rendered {
    visitor: Option<String>,
    now: Millis,
    arrival: Millis,
    /// Why the form that this page answers had no effect.
    refused: Option<Rejection>,
}

impl Rendered {
    fn now() -> Self {
        Self {
            visitor: use_context::<Visitor>().map(|Visitor(person)| person.id.0),
            now: clock(),
            arrival: use_context::<FirstVisit>().unwrap_or_default().0,
            refused: use_context::<RejectedForm>().map(|refused| refused.rejection),
        }
    }
}

pub fn page() -> AnyView {
    let Rendered {
        visitor,
        now,
        arrival,
        refused,
    } = SharedValue::new(Rendered::now).into_inner();
    let all = use_topic::<Notices>(EVERYONE);
    let me = Memo::new(move |_| {
        let known = || all.me.with(|me| me.as_ref().map(|me| me.id.0.clone()));
        visitor.clone().or_else(known)
    });
    let shown = dynamic_view(move || {
        Some(match me.get() {
            Some(visitor) => open(Desk::whole(&visitor, all, FirstVisit(arrival), now), visitor),
            None => loading(),
        })
    });
    let refused = refused.map(|why| {
        let i18n = use_i18n();
        let told = dynamic_text(move || words::rejection(&why)(i18n.get_locale()).to_owned());
        view! { <p class="problem" role="alert">{told}</p> }
    });
    view! {
        <Title text=page_title(t!(notifications.title))/>
        <Meta name="description" content=t!(notifications.description)/>
        <div class="notifications">
            <div class="page-head">
                <h1>{t!(notifications.title)}</h1>
                <p class="lede">{t!(notifications.lede)}</p>
                {refused}
            </div>
            {shown}
        </div>
    }
    .into_any()
}

fn loading() -> AnyView {
    view! { <p class="hint" role="status">{t!(notifications.loading)}</p> }.into_any()
}

/// When all states are there: the server waits for each in turn, and each is asked for at once.
fn open(desk: Desk, visitor: String) -> AnyView {
    let groups: Vec<UseTopic<Notices>> = GROUPS
        .iter()
        .filter_map(|group| untrack(|| desk.group(group)))
        .collect();
    let content = move || {
        groups.into_iter().fold(
            Box::new(move || content(desk, visitor)) as Box<dyn FnOnce() -> AnyView + Send>,
            |within, group| Box::new(move || view! { <Live topic=group fallback=loading>{within()}</Live> }.into_any()),
        )()
    };
    view! {
        <Live topic=desk.inbox fallback=loading>
            <Live topic=desk.all fallback=loading>{content()}</Live>
        </Live>
    }
    .into_any()
}

fn content(desk: Desk, visitor: String) -> AnyView {
    let list = List::start(desk);
    view! {
        <div class="notifications-grid">
            <div class="notifications-main">
                {status(desk)}
                {tools(desk, visitor.clone(), list.filter)}
                {problem(desk)}
                {list_view(list)}
            </div>
            <div class="notifications-side">
                {follow(desk)}
                {permission()}
                {send(desk, visitor)}
            </div>
        </div>
    }
    .into_any()
}

fn status(desk: Desk) -> AnyView {
    let i18n = use_i18n();
    let status = desk.inbox.status;
    let word = dynamic_text(move || words::status(status.get()).0.to_owned());
    let said = dynamic_text(move || (words::status(status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="inbox-status script" role="status" data-status=word>
            <span class="dot" aria-hidden="true"></span>
            <span>{said}</span>
        </p>
    }
    .into_any()
}
