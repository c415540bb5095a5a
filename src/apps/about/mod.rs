//! The about page: a description of Duplex and of the path of a message.

use crate::ui::layout::NavigationEntry;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::components::A;
use leptos_router::path;

use crate::ui::{
    card::Card,
    home_page,
    lazy::preload_app,
    text::{page_title, t, text_key},
};

pub const APP: super::App = super::App {
    page: || super::page(path!("/about"), AboutPage),
    navigation: Some(NavigationEntry {
        path: "/about",
        name: text_key!(app.about),
    }),
    skip_link: None,
    tool: None,
};

#[component]
pub fn AboutPage() -> impl IntoView {
    preload_app();
    view! {
        <Title text=page_title(t!(about.title))/>
        <Meta name="description" content=t!(about.description)/>
        <div class="page-header">
            <h1>{t!(about.title)}</h1>
            <p class="lede">{t!(about.lede)}</p>
        </div>
        <div class="grid">
            <Card id="how" title=text_key!(about.how)>
                <ol class="steps">
                    <li>{t!(about.how_open)}</li>
                    <li>{t!(about.how_send)}</li>
                    <li>{t!(about.how_answer)}</li>
                    <li>{t!(about.how_keep)}</li>
                    <li>{t!(about.how_leave)}</li>
                </ol>
            </Card>
            <Card id="look" title=text_key!(about.look)>
                <p>{t!(about.look_text)}</p>
                <p><A href="/" attr:class="button" attr:rel=home_page::rel("/")>{t!(about.go)}</A></p>
            </Card>
        </div>
    }
}
