//! Impersonating names, names set by an operator, and invisible characters.

use super::*;

/// Posts a message; returns the name of its author.
async fn author_name(visitor: &mut Visitor<'_>) -> String {
    visitor.command(LOBBY, &post("hello")).await;
    loop {
        if let (_, ChatEvent::Posted { by, .. }) = visitor.next_event::<Chat>().await {
            return by.name;
        }
    }
}

#[tokio::test]
async fn a_reserved_name_is_rejected_and_the_old_name_kept() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    visitor.subscribe(LOBBY, None).await;
    let rename = |name: &str| ClientFrame::Rename { name: name.to_owned() };
    visitor.send(&rename(" Kim\u{202e}\u{200b} ")).await;
    assert_eq!(author_name(&mut visitor).await, "Kim");
    for name in [
        "admin",
        "аdmin",
        "A d m i n",
        "adm1n",
        "운영자",
        "관리자",
        "Duplex",
        "SEOUL-1",
        "ser\u{200b}ver",
    ] {
        visitor.send(&rename(name)).await;
        let reason = loop {
            if let ServerFrame::NameRejected { reason: why } = visitor.next_frame().await {
                break why;
            }
        };
        assert_eq!(reason, NAME_RESERVED, "{name}");
        assert_eq!(author_name(&mut visitor).await, "Kim", "{name}");
        let (status, answer) = visitor.post(&rename(name)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(matches!(answer, Some(ServerFrame::NameRejected { .. })), "{name}");
    }
    // The name from a cookie and from a form.
    let cookie = format!("{}; name=%D0%B0dmin", visitor.cookie());
    assert_eq!(person(&node, &cookie).await.name, "");
    let form = request(
        &node,
        "POST",
        "/chat",
        &visitor.cookie(),
        "message=x&name=Administrator",
    )
    .await;
    assert_eq!(form.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        form.body.contains("This name is reserved"),
        "the page does not name the cause"
    );
    assert_eq!(form.header("set-cookie"), "");
    let cookie = format!("{}; name=%E2%80%AE%E2%80%8B%E3%85%A4%F3%A0%81%81", visitor.cookie());
    assert_eq!(person(&node, &cookie).await.name, "", "an invisible name was kept");
}

#[tokio::test]
async fn a_name_set_by_an_operator_cannot_be_changed() {
    for transport in Transport::ALL {
        let node = node().await;
        let mut visitor = Visitor::new(&node, transport).await;
        visitor.subscribe(LOBBY, None).await;
        let me = person(&node, &visitor.cookie()).await;
        let rename = |name: &str| ModerationCommand::Rename {
            person: me.id.clone(),
            name: name.to_owned(),
        };
        send_as_operator(&node, RULES, &rename("Lee")).await;
        wait_until(async || person(&node, &visitor.cookie()).await.name == "Lee").await;
        if let Transport::WebSocket(_) = transport {
            let person = loop {
                if let ServerFrame::Welcome(welcome) = visitor.next_frame().await
                    && !welcome.person.name.is_empty()
                {
                    break welcome.person;
                }
            };
            assert_eq!(person.name, "Lee");
            let name = "Kim".to_owned();
            visitor.send(&ClientFrame::Rename { name }).await;
            loop {
                if let ServerFrame::NameRejected { reason: why } = visitor.next_frame().await {
                    assert_eq!(why, NAME_FIXED);
                    break;
                }
            }
        }
        assert_eq!(author_name(&mut visitor).await, "Lee", "{transport:?}");
        send_as_operator(&node, RULES, &rename("")).await;
        wait_until(async || person(&node, &visitor.cookie()).await.name.is_empty()).await;
    }
}

#[tokio::test]
async fn invisible_text_is_rejected_as_a_message_and_as_a_title() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    for text in [
        "\u{200b}",
        "\u{3164}\u{2800}",
        "\u{202e}\u{2066}",
        "\u{fe0f}\u{e0041}",
        "\u{301}",
    ] {
        let answer = visitor.command(LOBBY, &post(text)).await;
        assert_eq!(answer, Answer::Rejected(Rejection::custom("empty")), "{text:?}");
        let create = RoomsCommand::Create {
            room: "room".to_owned(),
            title: text.to_owned(),
        };
        let answer = visitor.command("rooms/all", &create).await;
        assert_eq!(answer, Answer::Rejected(Rejection::custom("bad_title")), "{text:?}");
    }
}
