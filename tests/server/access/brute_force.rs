//! Brute-force attacks on tokens, and single use of sign-in links.

use axum::http::StatusCode;

use super::{READ_ENDPOINTS, TOKEN, node, post_form, request, request_with_token, sign_in, token};

#[tokio::test(start_paused = true)]
async fn guessed_sign_in_tokens_get_growing_delays() {
    let node = node();
    let (mut checked, mut waits) = (0, Vec::new());
    for number in 0..2_000 {
        let guess = format!("token=a-guess-of-a-token-{number}");
        let response = post_form(&node, "/api/operator/sign-in", &[], &guess).await;
        match response.status {
            StatusCode::SEE_OTHER => checked += 1,
            StatusCode::TOO_MANY_REQUESTS => waits.push(response.header("retry-after").parse::<u64>().unwrap()),
            other => panic!("{other}"),
        }
    }
    assert!(checked < 10, "{checked} guesses were checked");
    assert!(waits.is_sorted() && waits[0] < waits[waits.len() - 1], "{waits:?}");
    let correct = post_form(&node, "/api/operator/sign-in", &[], &format!("token={TOKEN}")).await;
    assert_eq!(
        correct.status,
        StatusCode::TOO_MANY_REQUESTS,
        "the correct token is delayed as well: it could have been guessed"
    );
    let (created, _) = token(&node, "operator", None);
    sign_in(&node, &created).await;
    let code = node.state.access.links().create().unwrap();
    let signed_in = post_form(&node, "/operator/sign-in", &[], &format!("code={}", code.as_str())).await;
    assert_eq!(
        signed_in.header("location"),
        "/status",
        "secrets that cannot be guessed are not delayed"
    );
}

#[tokio::test(start_paused = true)]
async fn guessed_bearer_tokens_are_rate_limited() {
    let node = node();
    let mut statuses = Vec::new();
    for number in 0..200 {
        statuses.push(
            request_with_token(&node, READ_ENDPOINTS[0], &format!("a-guess-of-a-token-{number}"))
                .await
                .status,
        );
    }
    let checked = statuses
        .iter()
        .filter(|status| **status == StatusCode::UNAUTHORIZED)
        .count();
    assert!(checked < 30, "{checked}");
    assert_eq!(statuses[199], StatusCode::TOO_MANY_REQUESTS);
    let (created, _) = token(&node, "read", None);
    assert_eq!(
        request_with_token(&node, READ_ENDPOINTS[0], &created).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_viewing_it_does_not_use_it() {
    let node = node();
    let code = node.state.access.links().create().unwrap();
    let path = format!("/operator/sign-in?code={}", code.as_str());
    for _ in 0..3 {
        let page = node.get(&path).await;
        assert_eq!(
            (page.status, page.header("referrer-policy")),
            (StatusCode::OK, "no-referrer")
        );
        assert_eq!(page.header("set-cookie"), "");
        assert!(page.body.contains(r#"method="post""#) && !page.body.contains("<script"));
    }
    let body = format!("code={}", code.as_str());
    let evil = [("origin", "http://evil.example")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let foreign = request(&node, ("POST", "/operator/sign-in"), &[form[0], evil[0]], &body).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    // Browsers send these headers from a page with the policy `no-referrer`.
    let opaque = [form[0], ("origin", "null"), ("sec-fetch-site", "same-origin")];
    let signed_in = request(&node, ("POST", "/operator/sign-in"), &opaque, &body).await;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (StatusCode::SEE_OTHER, "/status")
    );
    let (cookie, _) = signed_in.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(
        request(&node, READ_ENDPOINTS[0], &[("cookie", cookie)], "")
            .await
            .status,
        StatusCode::OK
    );
    let again = request(&node, ("POST", "/operator/sign-in"), &opaque, &body).await;
    assert_eq!((again.status, again.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
    assert!(again.body.contains("duplex sign-in"));
    let korean = [("accept-language", "ko")];
    assert!(
        request(&node, ("GET", &path), &korean, "")
            .await
            .body
            .contains("로그인")
    );
    let hostile = node.get("/operator/sign-in?code=%22%3E%3Cscript%3E").await;
    assert!(!hostile.body.contains("<script") && hostile.body.contains(r#"value="""#));
}
