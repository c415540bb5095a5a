//! The page layout: skip links, brand, navigation, preferences, session status, vitals strip and inspector.

use leptos::prelude::*;
use leptos_router::{components::A, hooks::use_location};

use super::{
    home_page,
    inspector::Inspector,
    preferences::{ColorSchemeChoice, LanguageChoice},
    session_status::SessionStatusBar,
    text::{TextKey, dynamic_view, t, translate},
    vitals::VitalsStrip,
};

/// An entry of the navigation.
#[derive(Clone, Copy)]
pub struct NavigationEntry {
    pub path: &'static str,
    pub name: TextKey,
}

/// A skip link to the main part of an application's pages.
#[derive(Clone, Copy)]
pub struct SkipLink {
    /// The first segment of the pages' paths.
    pub path_segment: &'static str,
    pub target: &'static str,
    pub name: TextKey,
}

#[component]
pub fn Layout(
    navigation: Vec<NavigationEntry>,
    skip_links: Vec<SkipLink>,
    tools: fn() -> AnyView,
    children: Children,
) -> impl IntoView {
    home_page::provide();
    let path = use_location().pathname;
    let skip = dynamic_view(move || {
        let path = path.get();
        let segment = path.split('/').nth(1);
        let skip = skip_links.iter().find(|skip| Some(skip.path_segment) == segment)?;
        Some(view! { <a class="skip-link" href=skip.target rel="external">{translate(skip.name)}</a> }.into_any())
    });
    let entry = |entry: NavigationEntry| {
        let rel = home_page::rel(entry.path);
        // An entry is also current on sub-pages, but every path is below the home page's.
        let exact = entry.path == "/";
        view! { <li><A href=entry.path exact attr:rel=rel>{translate(entry.name)}</A></li> }
    };
    let inspector = Inspector::create();
    view! {
        <a class="skip-link" href="#content" rel="external">{t!(app.skip)}</a>
        {skip}
        <header class="frame-header">
            <a class="brand" href="/" rel=home_page::rel("/")>
                <svg viewBox="0 0 32 32" aria-hidden="true"><path d="M4 11h19l-5-5M28 21H9l5 5"/></svg>
                <span>"Duplex"</span>
            </a>
            <nav aria-label=t!(app.navigation)>
                <ul>{navigation.into_iter().map(entry).collect_view()}</ul>
            </nav>
            <div class="preferences">
                {tools()}
                <LanguageChoice/>
                <ColorSchemeChoice/>
            </div>
        </header>
        <main id="content" tabindex="-1">{children()}</main>
        <SessionStatusBar/>
        <footer class="frame-footer">
            <VitalsStrip/>
            {inspector.button()}
        </footer>
        {inspector.drawer()}
    }
}
