//! What Duplex is, and the way of one message, in words.

use crate::ui::frame::Entry;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::components::A;
use leptos_router::path;

use crate::ui::{
    card::Card,
    first_page,
    lazy::foretell_app,
    words::{say, titled, words},
};

pub const APP: super::App = super::App {
    page: || super::page(path!("/about"), AboutPage),
    navigation: Some(Entry {
        path: "/about",
        name: words!(app.about),
    }),
    skip_link: None,
    tool: None,
};

#[component]
pub fn AboutPage() -> impl IntoView {
    foretell_app();
    view! {
        <Title text=titled(say!(about.title))/>
        <Meta name="description" content=say!(about.description)/>
        <div class="page-head">
            <h1>{say!(about.title)}</h1>
            <p class="lede">{say!(about.lede)}</p>
        </div>
        <div class="grid">
            <Card id="how" title=words!(about.how)>
                <ol class="steps">
                    <li>{say!(about.how_open)}</li>
                    <li>{say!(about.how_send)}</li>
                    <li>{say!(about.how_answer)}</li>
                    <li>{say!(about.how_keep)}</li>
                    <li>{say!(about.how_leave)}</li>
                </ol>
            </Card>
            <Card id="look" title=words!(about.look)>
                <p>{say!(about.look_text)}</p>
                <p><A href="/" attr:class="button" attr:rel=first_page::rel("/")>{say!(about.go)}</A></p>
            </Card>
        </div>
    }
}
