//! The routes: the page, its form, the built front end, and the session's transports.

use any_spawner::Executor;
use axum::extract::Request;
use axum::middleware::from_fn;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use duplex_axum::error::Problem;
use duplex_axum::middleware::protect;
use duplex_axum::{Gateway, PageVisitor, health};
use duplex_leptos::topic::{TopicSource, Visitor};
use leptos::config::LeptosOptions;
use leptos::prelude::provide_context;
use serde::Deserialize;

use crate::app::shell;
use crate::model::{ONE, Tally};
use crate::visitor::ensure_cookie;

/// All routes, wrapped in the protection middleware.
pub fn routes(gateway: Gateway, options: LeptosOptions) -> Router {
    // Not needed by apps that call `generate_route_list`. The error means that an executor is already set.
    let _ = Executor::init_tokio();
    let files = leptos_axum::site_pkg_dir_service(&options);
    let files_path = leptos_axum::site_pkg_dir_service_route_path(&options);
    let page = async move |visitor, request| page(visitor, options.clone(), request).await;
    let routes = Router::new()
        .route("/", get(page))
        .route("/add", post(add))
        .layer(from_fn(ensure_cookie))
        .route_service(&files_path, files)
        .merge(duplex_axum::routes(gateway.clone()))
        .merge(health::routes(gateway.clone()));
    protect(routes, &gateway).with_state(gateway)
}

/// Renders the page including the current total, so that a browser without JavaScript shows it too.
async fn page(visitor: PageVisitor, options: LeptosOptions, request: Request) -> Response {
    let context = move || {
        let visitor = visitor.clone();
        provide_context(Visitor(visitor.person().clone()));
        provide_context(TopicSource::new(move |topic| {
            let visitor = visitor.clone();
            async move { visitor.state(&topic).await }
        }));
    };
    leptos_axum::render_app_async_with_context(context, move || shell(options.clone()))(request).await
}

#[derive(Deserialize)]
struct Fields {
    add: u32,
}

/// Handles the form of a browser without JavaScript. Redirects to the page, so that reloading adds nothing.
async fn add(visitor: PageVisitor, Form(fields): Form<Fields>) -> Result<Redirect, Problem> {
    visitor.send::<Tally>(ONE, &fields.add).await?;
    Ok(Redirect::to("/"))
}
