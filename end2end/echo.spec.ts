// The echo page: sending and receiving text and binary messages, their sizes, limits and round trips.

import { EchoPage } from "./support/echo-page";
import { HandshakeRecords, socketsOf, traceOf } from "./support/handshake-records";
import { expect, test } from "./support/test";
import { GREETING, REPLY_PREFIX, fill, ko } from "./support/texts";

const bytes = (text: string) => Buffer.byteLength(text, "utf8");

test("the page opens its socket, sends the greeting, and shows the reply", async ({ page }) => {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  const echo = await new EchoPage(page).open();
  await expect(page.getByRole("heading", { level: 1, name: "WebSocket 테스트" })).toBeVisible();
  await expect(echo.row("sent", GREETING)).toHaveCount(1);
  await expect(echo.row("received", REPLY_PREFIX + GREETING)).toHaveCount(1);
  await echo.disconnect();
  await echo.expectState("closed");
  expect(lines.filter((line) => /WebSocket|서버로부터/.test(line))).toEqual([
    "WebSocket 연결 열림",
    `서버로부터 메시지: ${REPLY_PREFIX}${GREETING}`,
    "WebSocket 연결 닫힘",
  ]);
});

test("without the greeting nothing is sent", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.greet.uncheck();
  await echo.button("journal", ko.echo.clear).click();
  await echo.connect();
  await echo.send("먼저");
  await expect(echo.row("received", `${REPLY_PREFIX}먼저`)).toHaveCount(1);
  await expect(echo.row("sent")).toHaveCount(1);
});

test("Enter sends, Shift+Enter starts a new line, the button sends", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.message.pressSequentially("첫 줄");
  await echo.message.press("Shift+Enter");
  await echo.message.pressSequentially("둘째 줄");
  await expect(echo.message).toHaveValue("첫 줄\n둘째 줄");
  await expect(echo.row("sent")).toHaveCount(1);
  await echo.message.press("Enter");
  await expect(echo.message).toHaveValue("");
  await expect(echo.row("received", `${REPLY_PREFIX}첫 줄 둘째 줄`)).toHaveCount(1);
  await echo.row("received", "둘째 줄").click();
  await expect(echo.detail.locator("pre")).toHaveText(`${REPLY_PREFIX}첫 줄\n둘째 줄`);

  await echo.message.fill("단추로");
  await echo.button("compose", ko.echo.send).click();
  await expect(echo.row("received", `${REPLY_PREFIX}단추로`)).toHaveCount(1);
});

test("rows show the sizes of payload and frame", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  const reply = REPLY_PREFIX + GREETING;
  // A client's frame has 2 bytes of header and 4 of mask; a server's has no mask.
  expect(await echo.sizes(echo.row("sent", GREETING))).toEqual({
    size: `${bytes(GREETING)} B`,
    wire: `${bytes(GREETING) + 6} B`,
  });
  await expect(echo.row("received", reply)).toHaveCount(1);
  expect(await echo.sizes(echo.row("received", reply))).toEqual({
    size: `${bytes(reply)} B`,
    wire: `${bytes(reply) + 2} B`,
  });
  // From 126 bytes on, the length takes 2 more bytes.
  await echo.send("x".repeat(126));
  expect(await echo.sizes(echo.row("sent", "xxx"))).toEqual({ size: "126 B", wire: "134 B" });
});

test("binary messages are echoed unchanged: typed as hex, and from a file", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.sendHex("DE:AD be ef");
  await expect(echo.row("received", "de ad be ef")).toHaveCount(1);
  expect(await echo.sizes(echo.row("sent", "de ad be ef"))).toEqual({ size: "4 B", wire: "10 B" });
  await expect(echo.hex).toHaveValue("");
  await echo.row("received", "de ad be ef").click();
  await expect(echo.detail.locator("pre")).toContainText("00000000  de ad be ef");

  await echo.sendFile("파일.bin", Buffer.from([0, 1, 0xff, 0x41]));
  await expect(echo.row("received", "00 01 ff 41")).toHaveCount(1);
  await echo.sendFile("파일.bin", Buffer.from([0, 1, 0xff, 0x41]));
  await expect(echo.row("received", "00 01 ff 41")).toHaveCount(2);
});

test("invalid hex is not sent, and the page shows the reason", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.sendHex("abc");
  await expect(echo.problem).toHaveText(ko.echo.hex_odd);
  await echo.sendHex("ab zz");
  await expect(echo.problem).toHaveText(fill(ko.echo.hex_wrong, { place: 4, found: "z" }));
  await expect(echo.hex).toHaveValue("ab zz");
  await echo.sendHex("ab");
  await expect(echo.row("received", "ab")).toHaveCount(1);
  await expect(echo.problem).toBeEmpty();
  await expect(echo.row("sent")).toHaveCount(2);
});

test("a message of 1 MiB is echoed; one byte more closes with 1009", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await echo.sendFile("limit.bin", Buffer.alloc(1024 * 1024, 7));
  await expect(echo.row("received", "07 07 07")).toHaveCount(1);
  await echo.sendFile("more.bin", Buffer.alloc(1024 * 1024 + 1));
  await echo.expectState("closed");
  await expect(echo.closeStatus).toContainText(ko.echo.closed_by_server);
  await expect(echo.closeStatus).toContainText(`1009 ${ko.close.too_big}`);
  await expect(echo.closeStatus).toContainText("1048576");
  await new HandshakeRecords(page.request).expectEnded(traceOf(sockets[0]), { by: "server", code: 1009 });
});

test("a file above the limit is not read", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.sendFile("huge.bin", Buffer.alloc(16 * 1024 * 1024 + 1));
  await expect(echo.problem).toHaveText(fill(ko.echo.file_too_large, { size: "16.0 MiB", limit: "16.0 MiB" }));
  await echo.expectState("open");
});

test("round trips are measured and charted", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  const points = async () => {
    const line = await echo.card("round_trip").getByRole("img").locator("polyline").getAttribute("points");
    return line?.split(" ").length ?? 0;
  };
  await expect(echo.roundTripValue("count")).toHaveText("1");
  await expect(echo.roundTripValue("last")).toHaveText(/^\d+(\.\d)? ms$/);
  expect(await points()).toBe(1);
  await echo.send("하나");
  await echo.send("둘");
  await expect(echo.roundTripValue("count")).toHaveText("3");
  await expect.poll(points).toBe(3);
  await expect(echo.card("round_trip").getByRole("img")).toHaveAccessibleName(new RegExp(ko.echo.median));
});

test("the handshake is shown as the server recorded it", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await expect(echo.handshakeValue("version")).toHaveText("HTTP/1.1");
  await expect(echo.handshakeValue("subprotocol")).toHaveText(ko.handshake.none);
  const [request, response] = await echo.handshake.locator(".headers").all();
  await expect(request!).toContainText("GET /api/socket HTTP/1.1");
  await expect(response!).toContainText("HTTP/1.1 101");

  const record = await new HandshakeRecords(page.request).handshake(traceOf(sockets[0]));
  const names = (headers: [string, string][] = []) => headers.map(([name]) => name);
  expect(names(record?.request)).toEqual(expect.arrayContaining(["upgrade", "origin", "sec-websocket-key"]));
  expect(names(record?.response)).toContain("sec-websocket-accept");
  for (const [name, value] of record!.request) await expect(request!).toContainText(`${name}${value}`);
  for (const [name, value] of record!.response) await expect(response!).toContainText(`${name}${value}`);
});

test("the trace id appears neither in the export nor on the page", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await expect(echo.handshakeValue("version")).toBeVisible();
  const { file, journal } = await echo.exportJournal();
  expect(file.suggestedFilename()).toMatch(/\.json$/);
  expect(JSON.stringify(journal)).not.toContain(traceOf(sockets[0]));
  expect(await page.locator("body").innerText()).not.toContain(traceOf(sockets[0]));
});
