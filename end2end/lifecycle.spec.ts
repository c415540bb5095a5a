// The echo page's socket: opened on mount and closed on cleanup. The spec has its own server, because it checks the server's counts.

import type { Page } from "@playwright/test";
import { EchoPage } from "./support/echo-page";
import { HandshakeRecords, socketsOf, traceOf } from "./support/handshake-records";
import { test } from "./support/server";
import { expect } from "./support/test";
import { GREETING, ko } from "./support/texts";

const VISITS = 20;

let records: HandshakeRecords;

test.beforeEach(async ({ request }) => {
  records = new HandshakeRecords(request);
  await records.expectOpenSockets(0);
});

test("leaving through the router closes with 1000; returning opens exactly one socket", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  const connections = page.getByRole("complementary").locator('[data-key="connections"]');
  await records.expectOpenSockets(1);
  // The page's socket, and the session of the bell.
  await connections.scrollIntoViewIfNeeded();
  await expect(connections).toHaveText("2");
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));

  await echo.navigate("about");
  await expect(page.getByRole("heading", { level: 1, name: ko.about.title })).toBeVisible();
  await records.expectEnded(traceOf(sockets[0]), { by: "client", code: 1000, reason: "" });
  await records.expectOpenSockets(0);
  await expect(connections).toHaveText("1");

  await echo.navigate("echo");
  await echo.expectState("open");
  await records.expectOpenSockets(1);
  await expect(echo.row("received", GREETING)).toHaveCount(1);
  await expect(echo.row("open")).toHaveCount(1);
  expect(sockets).toHaveLength(2);
  expect((await records.handshake(traceOf(sockets[1])))?.ended).toBeNull();
  expect(await page.evaluate(() => "sameDocument" in window), "no document was loaded").toBe(true);
});

test("twenty quick visits leave one socket open, and leaving the page closes it", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await page.evaluate(navigateRepeatedly, { visits: VISITS, wait: true });
  await expectOneSocket(page, echo, sockets);
  expect(sockets, "each visit opened one").toHaveLength(VISITS + 1);

  await echo.navigate("about");
  await records.expectOpenSockets(0);
  for (const socket of sockets) {
    // The server may have no record of a socket that closed during the handshake.
    const record = await records.handshake(traceOf(socket));
    if (record) expect(record.ended).not.toBeNull();
  }
});

test("visits too quick for any page to render leave one socket open", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await page.evaluate(navigateRepeatedly, { visits: VISITS, wait: false });
  await expectOneSocket(page, echo, sockets);
  await echo.navigate("about");
  await records.expectOpenSockets(0);
});

test("closing the tab closes the socket with 1000", async ({ page }) => {
  const sockets = socketsOf(page);
  await new EchoPage(page).open();
  await page.close({ runBeforeUnload: true });
  await records.expectEnded(traceOf(sockets[0]), { by: "client", code: 1000 });
  await records.expectOpenSockets(0);
});

test("leaving for another site closes with 1000; returning opens exactly one socket", async ({ page, foreignServer }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  const elsewhere = await foreignServer();
  await page.goto(elsewhere.origin);
  await records.expectEnded(traceOf(sockets[0]), { by: "client", code: 1000 });
  await records.expectOpenSockets(0);
  await page.goBack();
  await echo.expectState("open");
  await records.expectOpenSockets(1);
  expect(sockets).toHaveLength(2);
});

test("a reload closes with 1000 and opens exactly one socket", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await page.reload();
  await echo.expectState("open");
  await records.expectEnded(traceOf(sockets[0]), { by: "client", code: 1000 });
  await records.expectOpenSockets(1);
  expect(sockets).toHaveLength(2);
});

async function expectOneSocket(page: Page, echo: EchoPage, sockets: ReturnType<typeof socketsOf>): Promise<void> {
  // Pages load in chunks, so navigation lags behind the clicks: only the final state counts.
  await expect(async () => {
    await expect(page).toHaveURL("/");
    const open = sockets.filter((socket) => !socket.isClosed());
    expect(open).toHaveLength(1);
    expect((await records.handshake(traceOf(open[0])))?.ended).toBeNull();
  }).toPass({ timeout: 15_000 });
  await echo.expectState("open");
  await records.expectOpenSockets(1);
  await expect(echo.row("received", GREETING)).toHaveCount(1);
  await expect(echo.row("open")).toHaveCount(1);
  await echo.send("아직 여기");
  await expect(echo.row("received", "아직 여기")).toHaveCount(1);
}

/** Navigates from the echo page and back by clicks. With `wait`, it waits for each page to render. */
async function navigateRepeatedly({ visits, wait }: { visits: number; wait: boolean }): Promise<void> {
  const click = async (path: string) => {
    const title = () => document.querySelector("h1")?.textContent;
    const before = title();
    document.querySelector<HTMLAnchorElement>(`nav a[href="${path}"]`)?.click();
    while (wait && title() === before) await new Promise(requestAnimationFrame);
  };
  for (let visit = 0; visit < visits; visit++) {
    await click("/about");
    await click("/");
  }
}
