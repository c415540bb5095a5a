//! The document around every page, and the table of pages. Does not change when an application is added.

use std::sync::{Arc, LazyLock};

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::components::{A, FlatRoutes, Router};

use crate::{
    apps::{Pages, navigation, skip_links, tools},
    i18n::*,
    ui::{
        frame::Frame,
        home_page,
        island::MountedIsland,
        operator::{self, Operator},
        permissions::Permissions,
        raw_text::raw_text,
        text::{page_title, t},
    },
};
use duplex_leptos::provide_session;

/// Which build of the front end the server has, in the context of each rendering.
#[derive(Clone)]
pub struct Build(pub Arc<str>);

/// Where the script is that hydrates pages, in the context of each rendering.
#[derive(Clone)]
pub struct HydrationScript(pub Arc<str>);

/// What a page brings in its HTML, in the context of its rendering, so as not to wait for what all pages share.
#[derive(Clone)]
pub struct InlineAssets {
    /// Without it, it waits for the style sheet.
    pub style: Option<Arc<str>>,
    /// Runs before anything else.
    pub script: &'static str,
}

/// Before everything else: keeps what is typed and pressed too early.
const PAGE: &str = include_str!("page.js");

/// Before the module: how its parts are fetched; and before the style sheet, for which a script would wait. Pages and tools are
/// parts that come when they are needed, and Leptos has no answer to one that does not come. So a part is asked for until it is
/// there; one that is gone belongs to an older page than the server has.
const PARTS: &str = include_str!("parts.js");

/// The HTML that the server sends.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let build = use_context::<Build>().map(|Build(build)| build.to_string());
    let permits = Permissions::current();
    let own = use_context::<InlineAssets>();
    let hydration = use_context::<HydrationScript>().map(|HydrationScript(path)| path.to_string());
    let script = own.as_ref().map(|own| own.script);
    let style = own.and_then(|own| own.style).map(|style| style.to_string());
    let sheet_waits = style.is_some();
    view! {
        <!DOCTYPE html>
        <html lang=use_i18n().get_locale_untracked().as_str()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <meta name="duplex-build" content=build/>
                {use_context::<Operator>().map(|_| view! { <meta name=operator::META content="1"/> })}
                <meta name="duplex-permits" content=permits.written()/>
                {script.map(|script| view! { <script nonce=use_nonce() inner_html=script></script> })}
                <script nonce=use_nonce() inner_html=page_script()></script>
                {hydration.map(|path| view! { <script id="hydration" nonce=use_nonce() defer src=path></script> })}
                <script nonce=use_nonce() inner_html=PARTS></script>
                {style.map(|style| view! { <style nonce=use_nonce() inner_html=style></style> })}
                <HashedStylesheet options=options.clone() attr:disabled=sheet_waits/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

fn page_script() -> &'static str {
    static SCRIPT: LazyLock<String> = LazyLock::new(|| strip_comments(PAGE));
    &SCRIPT
}

/// A script without its comments and indents.
pub fn strip_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//") && !line.is_empty());
    code.collect::<Vec<_>>().join("\n")
}

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_session();
    provide_language();
    view! {
        // Of every page: titles may hold what visitors wrote.
        <Title formatter=|title: String| raw_text(format!("{title} · Duplex"))/>
        <Router>
            <Frame navigation=navigation() skips=skip_links() tools>
                <FlatRoutes fallback=NotFound>
                    <Pages/>
                </FlatRoutes>
            </Frame>
        </Router>
    }
}

/// That of the server's context, or of what came to life before the app.
fn provide_language() {
    if use_context::<Language>().is_none() && !is_server() {
        let early = use_context::<MountedIsland>().map(|alive| alive.language);
        provide_context(early.unwrap_or_else(Language::of_document));
    }
}

#[component]
fn NotFound() -> impl IntoView {
    view! {
        <Title text=page_title(t!(app.not_found))/>
        <div class="page-head">
            <h1>{t!(app.not_found)}</h1>
            <p class="lede">{t!(app.not_found_text)}</p>
            <p><A href="/" attr:class="button" attr:rel=home_page::rel("/")>{t!(app.home)}</A></p>
        </div>
    }
}
