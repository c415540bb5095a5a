//! The document around every page, and the table of pages. Does not change when an application is added.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::components::{A, FlatRoutes, Router};

use crate::{
    apps::{NAVIGATION, Pages, Tools},
    client::tab::provide_link,
    i18n::*,
    ui::{
        frame::Frame,
        preferences,
        words::{say, titled},
    },
};

/// Which build of the front end the server has, in the context of each rendering.
#[derive(Clone)]
pub struct Build(pub Arc<str>);

/// Before the module: how its parts are fetched.
const PARTS: &str = include_str!("parts.js");

/// The HTML that the server sends.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let build = use_context::<Build>().map(|Build(build)| build.to_string());
    view! {
        <!DOCTYPE html>
        <html>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <meta name="duplex-build" content=build/>
                <HashedStylesheet options=options.clone()/>
                <AutoReload options=options.clone()/>
                <script nonce=use_nonce() inner_html=PARTS></script>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_link();
    view! {
        <I18nContextProvider
            enable_cookie=false
            ssr_lang_header_getter=preferences::languages()
        >
            <Title formatter=|title: String| format!("{title} · Duplex")/>
            <Router>
                <Frame navigation=NAVIGATION tools=|| view! { <Tools/> }.into_any()>
                    <FlatRoutes fallback=NotFound>
                        <Pages/>
                    </FlatRoutes>
                </Frame>
            </Router>
        </I18nContextProvider>
    }
}

#[component]
fn NotFound() -> impl IntoView {
    view! {
        <Title text=titled(say!(app.not_found))/>
        <div class="page-head">
            <h1>{say!(app.not_found)}</h1>
            <p class="lede">{say!(app.not_found_text)}</p>
            <p><A href="/" attr:class="button">{say!(app.home)}</A></p>
        </div>
    }
}
