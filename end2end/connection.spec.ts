// The echo page's connection: close codes and reasons, subprotocols, and other servers.

import { EchoPage } from "./support/echo-page";
import { HandshakeRecords, socketsOf, traceOf } from "./support/handshake-records";
import { expect, test } from "./support/test";
import { GREETING, fill, ko } from "./support/texts";

/** The page's description of a closed connection. */
const closeDescription = (closedBy: string, code: number, meaning: string, reason: string, cleanness: string) =>
  `${closedBy} · ${code} ${meaning} · ${reason} · ${cleanness}`;

test("both sides report a disconnect with a chosen code and reason", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await echo.disconnect(4321, "점심시간");
  await echo.expectState("closed");
  await expect(echo.closeStatus).toHaveText(
    closeDescription(ko.echo.closed_by_client, 4321, ko.close.private, "점심시간", ko.echo.clean),
  );
  await expect(echo.handshakeValue("ended")).toHaveText(`${ko.handshake.ended_by_client} · 4321 점심시간`);
  await new HandshakeRecords(page.request).expectEnded(traceOf(sockets[0]), { by: "client", code: 4321, reason: "점심시간" });
  await expect(echo.row("closing", "4321 점심시간")).toHaveCount(1);
  await expect(echo.row("closed", "4321 점심시간")).toHaveCount(1);
  // 2 bytes of code and 12 of reason, with a header of 6 bytes from the client and 2 from the server.
  expect((await echo.sizes(echo.row("closing"))).wire).toBe("20 B");
  expect((await echo.sizes(echo.row("closed"))).wire).toBe("16 B");
  await expect(echo.button("connection", ko.echo.disconnect)).toBeDisabled();
});

test("by default the page closes with 1000", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await echo.disconnect();
  await expect(echo.closeStatus).toHaveText(
    closeDescription(ko.echo.closed_by_client, 1000, ko.close.normal, ko.echo.no_reason, ko.echo.clean),
  );
  await new HandshakeRecords(page.request).expectEnded(traceOf(sockets[0]), { by: "client", code: 1000, reason: "" });
});

test("an invalid code or reason is rejected with a message", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  const problem = echo.card("connection").getByRole("alert");
  for (const code of [1001, 1006, 2999, 5000, 65_537]) {
    await echo.disconnect(code);
    await expect(problem, String(code)).toHaveText(ko.echo.bad_code);
  }
  await echo.code.fill("천");
  await echo.disconnect();
  await expect(problem).toHaveText(ko.echo.bad_code);
  await echo.disconnect(1000, "가".repeat(42));
  await expect(problem).toHaveText(fill(ko.echo.long_reason, { limit: 123 }));
  await echo.expectState("open");
  await echo.disconnect(1000, "가".repeat(41));
  await echo.expectState("closed");
  await expect(problem).toBeEmpty();
});

test("an unsent message stays in the field, with the reason", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.disconnect();
  await echo.expectState("closed");
  await echo.send("아직 아님");
  await expect(echo.problem).toHaveText(ko.echo.not_open);
  await expect(echo.message).toHaveValue("아직 아님");
  await echo.connect();
  await echo.expectState("open");
  await echo.message.press("Enter");
  await expect(echo.row("received", "아직 아님")).toHaveCount(1);
  await expect(echo.problem).toBeEmpty();
});

test("reconnecting closes the old socket with 1000", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await echo.connect();
  await expect(echo.row("open")).toHaveCount(2);
  await expect(echo.row("received", GREETING)).toHaveCount(2);
  const records = new HandshakeRecords(page.request);
  await records.expectEnded(traceOf(sockets[0]), { by: "client", code: 1000 });
  expect((await records.handshake(traceOf(sockets[1])))?.ended).toBeNull();
  expect(sockets).toHaveLength(2);
});

test("the address may be the plain echo endpoint", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.button("journal", ko.echo.clear).click();
  await echo.connect("/api/echo");
  await expect(echo.row("received")).toHaveCount(1);
  await echo.row("received").click();
  await expect(echo.detail.locator("pre")).toHaveText(GREETING);
  await expect(echo.handshake.getByText("GET /api/echo HTTP/1.1")).toBeVisible();
});

test("subprotocols are offered, and the selected one is shown", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.protocols.fill("chat.v2, chat.v1");
  await echo.connect();
  await expect(echo.handshakeValue("subprotocol")).toHaveText("chat.v2");
  await expect(echo.handshake.locator(".headers").first()).toContainText("sec-websocket-protocolchat.v2, chat.v1");
  await expect(echo.row("open", "chat.v2")).toHaveCount(1);
});

test("the page connects to other servers", async ({ page, foreignServer }) => {
  const targets: (string | undefined)[] = [];
  const server = await foreignServer((socket, request) => {
    targets.push(request.url);
    socket.send("여기는 다른 서버");
    socket.on("message", (data, binary) => socket.send(binary ? data : `다른 답: ${data}`, { binary }));
  });
  const echo = await new EchoPage(page).open();
  await echo.protocols.fill("one, two");
  await echo.connect(`${server.address}/some/path?query=1`);
  await expect(echo.row("received", "여기는 다른 서버")).toHaveCount(1);
  await expect(echo.row("received", `다른 답: ${GREETING}`)).toHaveCount(1);
  await expect(echo.row("open", "two")).toHaveCount(1);
  await expect(echo.handshake.getByText(ko.echo.handshake_foreign)).toBeVisible();
  // The trace id is sent to the page's own server only.
  expect(targets).toEqual(["/some/path?query=1"]);
  await echo.sendHex("c0ffee");
  await expect(echo.row("received", "c0 ff ee")).toHaveCount(1);
});

test("after client-side navigation the page connects to other servers", async ({ page, foreignServer }) => {
  const server = await foreignServer((socket) => socket.send("여기는 다른 서버"));
  await page.goto("/about");
  const echo = new EchoPage(page);
  await echo.navigate("echo");
  await echo.expectState("open");
  await echo.connect(server.address);
  await expect(echo.row("received", "여기는 다른 서버")).toHaveCount(1);
});

test("another server's code and reason are shown", async ({ page, foreignServer }) => {
  const server = await foreignServer((socket) => socket.close(4001, "bye"));
  const echo = await new EchoPage(page).open();
  await echo.connect(server.address);
  await echo.expectState("closed");
  await expect(echo.closeStatus).toHaveText(
    closeDescription(ko.echo.closed_by_server, 4001, ko.close.private, "bye", ko.echo.clean),
  );
});

test("a connection without a close frame ends with 1006", async ({ page, consoleErrors, foreignServer }) => {
  consoleErrors.allow(/WebSocket/);
  const server = await foreignServer((socket) => socket.terminate());
  const echo = await new EchoPage(page).open();
  await echo.connect(server.address);
  await echo.expectState("closed");
  await expect(echo.closeStatus).toHaveText(
    closeDescription(ko.echo.closed_by_network, 1006, ko.close.abnormal, ko.echo.no_reason, ko.echo.unclean),
  );
});

test("an address without a WebSocket endpoint gives a message", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/WebSocket/);
  const echo = await new EchoPage(page).open();
  await echo.connect("/nowhere");
  await echo.expectState("closed");
  await expect(echo.state.getByText(ko.echo.failed)).toBeVisible();
  await expect(echo.row("error")).toHaveCount(1);
});

test("an invalid address or subprotocol gives a message", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/WebSocket/);
  const echo = await new EchoPage(page).open();
  await echo.connect("ftp://127.0.0.1/");
  await expect(echo.state.getByText(ko.echo.bad_address)).toBeVisible();
  await echo.expectState("closed");
  await echo.connect("/api/socket");
  await echo.expectState("open");
  await expect(echo.state.getByText(ko.echo.bad_address)).toHaveCount(0);
  await echo.protocols.fill("two words");
  await echo.connect();
  await expect(echo.state.getByText(ko.echo.bad_address)).toBeVisible();
  await echo.expectState("closed");
});
