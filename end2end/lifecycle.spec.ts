// One component, one socket: opened with the page, closed with it. On a server of its own, because it reads its count.

import type { Page } from "@playwright/test";
import { EchoPage } from "./support/echo-page";
import { Records, socketsOf, traceOf } from "./support/records";
import { test } from "./support/server";
import { expect } from "./support/test";
import { GREETING, ko } from "./support/texts";

const VISITS = 20;

let records: Records;

test.beforeEach(async ({ request }) => {
  records = new Records(request);
  await records.count(0);
});

test("leaving through the router closes with 1000; coming back opens exactly one", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  const connections = page.getByRole("complementary").locator('[data-fact="connections"]');
  await records.count(1);
  // The page's own socket, and the session of its bell.
  await connections.scrollIntoViewIfNeeded();
  await expect(connections).toHaveText("2");
  await page.evaluate(() => Object.assign(window, { document_of_before: true }));

  await echo.go("about");
  await expect(page.getByRole("heading", { level: 1, name: ko.about.title })).toBeVisible();
  await records.ended(traceOf(sockets[0]), { by: "client", code: 1000, reason: "" });
  await records.count(0);
  await expect(connections).toHaveText("1");

  await echo.go("echo");
  await echo.is("open");
  await records.count(1);
  await expect(echo.row("received", GREETING)).toHaveCount(1);
  await expect(echo.row("open")).toHaveCount(1);
  expect(sockets).toHaveLength(2);
  expect((await records.handshake(traceOf(sockets[1])))?.ended).toBeNull();
  expect(await page.evaluate(() => "document_of_before" in window), "no document was loaded").toBe(true);
});

test("twenty quick visits leave one socket, and the last leaving none", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await page.evaluate(comeAndGo, { visits: VISITS, wait: true });
  await expectOne(page, echo, sockets);
  expect(sockets, "each visit opened one").toHaveLength(VISITS + 1);

  await echo.go("about");
  await records.count(0);
  for (const socket of sockets) {
    // One that was closed before the server had answered may be one that the server never knew.
    const record = await records.handshake(traceOf(socket));
    if (record) expect(record.ended).not.toBeNull();
  }
});

test("visits so quick that no page is ever shown leave one socket", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await page.evaluate(comeAndGo, { visits: VISITS, wait: false });
  await expectOne(page, echo, sockets);
  await echo.go("about");
  await records.count(0);
});

test("a tab that is closed, as its visitor closes it, closes with 1000", async ({ page }) => {
  const sockets = socketsOf(page);
  await new EchoPage(page).open();
  await page.close({ runBeforeUnload: true });
  await records.ended(traceOf(sockets[0]), { by: "client", code: 1000 });
  await records.count(0);
});

test("leaving for another site closes with 1000; coming back opens exactly one", async ({ page, foreign }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  const elsewhere = await foreign();
  await page.goto(elsewhere.origin);
  await records.ended(traceOf(sockets[0]), { by: "client", code: 1000 });
  await records.count(0);
  await page.goBack();
  await echo.is("open");
  await records.count(1);
  expect(sockets).toHaveLength(2);
});

test("a reload closes with 1000 and opens exactly one", async ({ page }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  await page.reload();
  await echo.is("open");
  await records.ended(traceOf(sockets[0]), { by: "client", code: 1000 });
  await records.count(1);
  expect(sockets).toHaveLength(2);
});

async function expectOne(page: Page, echo: EchoPage, sockets: ReturnType<typeof socketsOf>): Promise<void> {
  // A page that comes in a chunk of its own is left later than it was clicked away: what counts is where it all ends.
  await expect(async () => {
    await expect(page).toHaveURL("/");
    const open = sockets.filter((socket) => !socket.isClosed());
    expect(open).toHaveLength(1);
    expect((await records.handshake(traceOf(open[0])))?.ended).toBeNull();
  }).toPass({ timeout: 15_000 });
  await echo.is("open");
  await records.count(1);
  await expect(echo.row("received", GREETING)).toHaveCount(1);
  await expect(echo.row("open")).toHaveCount(1);
  await echo.say("아직 여기");
  await expect(echo.row("received", "아직 여기")).toHaveCount(1);
}

/** From the echo page away and back, by clicks on the navigation. `wait`: until each page is there. */
async function comeAndGo({ visits, wait }: { visits: number; wait: boolean }): Promise<void> {
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
