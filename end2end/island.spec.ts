// The echo page's island: it hydrates first, and the rest of the app loads on the visitor's first interaction. The spec has its own server, because
// notices to everyone would wake other specs' pages.

import type { Page } from "@playwright/test";
import { InspectorDrawer } from "./support/inspector";
import { NotificationsPage, send, unique } from "./support/notifications-page";
import { test } from "./support/server";
import { expect } from "./support/test";
import { en, ko } from "./support/texts";
import { expectVitalsLive } from "./support/vitals";

const CHUNKS = /\/pkg\/(chunk|split)_[^/]*\.wasm$/;
/** Opens the page. The returned function gives the number of requested chunks. */
async function open(page: Page): Promise<() => number> {
  let requested = 0;
  page.on("request", (request) => (requested += CHUNKS.test(request.url()) ? 1 : 0));
  const unreadStream = page.waitForRequest(/\/api\/notifications\/news/);
  await page.goto("/");
  await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "open");
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));
  await unreadStream;
  return () => requested;
}

/** Waits until the page has loaded all that it requests without interaction. */
const networkIdle = (page: Page) => page.waitForLoadState("networkidle");

const isSameDocument = (page: Page) => page.evaluate(() => "sameDocument" in window);

test("the socket opens and echoes before any chunk is requested", async ({ page }) => {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  const requestedChunks = await open(page);
  await expect.poll(() => lines).toContain("서버로부터 메시지: 서버 응답: 안녕하세요 서버!");
  await page.locator("#compose textarea").fill("일찍");
  await page.locator("#compose textarea").press("Enter");
  await expect.poll(() => lines).toContain("서버로부터 메시지: 서버 응답: 일찍");
  await networkIdle(page);
  expect(requestedChunks()).toBe(0);
});

/** Delays the module until the returned function is called. */
async function withhold(page: Page): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\/pkg\/duplex\.[^/]*\.wasm$/, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

const isEcho = (url: string) => new URL(url).pathname === "/api/socket";

test("the socket opens before the module has loaded, and the module takes it over", async ({ page }) => {
  const opened: string[] = [];
  const sent: string[] = [];
  page.on("websocket", (socket) => {
    if (!isEcho(socket.url())) return;
    opened.push(socket.url());
    socket.on("framesent", ({ payload }) => sent.push(String(payload)));
  });
  const release = await withhold(page);
  await page.goto("/", { waitUntil: "commit" });
  await page.waitForFunction(
    () => (window as unknown as { preconnectedSocket?: WebSocket }).preconnectedSocket?.readyState === WebSocket.OPEN,
  );
  await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "connecting");
  expect(sent).toEqual([]);

  release();
  await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "open");
  await expect.poll(() => sent).toEqual(["안녕하세요 서버!"]);
  await page.locator("#journal").evaluate((element) => element.scrollIntoView());
  const rows = page.locator("#journal .virtual-list-row");
  await expect(rows).toHaveCount(4);
  await expect(page.locator("#journal")).not.toContainText("trace=");
  await page.locator("#handshake").evaluate((element) => element.scrollIntoView());
  await expect(page.locator("#handshake .start-line").first(), "the server has its record").toContainText("/api/socket");
  expect(opened).toHaveLength(1);
});

test("a socket that closed before the module loaded is replaced", async ({ page }) => {
  const opened: string[] = [];
  page.on("websocket", (socket) => isEcho(socket.url()) && opened.push(socket.url()));
  const release = await withhold(page);
  await page.goto("/", { waitUntil: "commit" });
  await page.waitForFunction(() => {
    const { preconnectedSocket } = window as unknown as { preconnectedSocket?: WebSocket };
    if (preconnectedSocket?.readyState === WebSocket.OPEN) preconnectedSocket.close();
    return preconnectedSocket?.readyState === WebSocket.CLOSED;
  });
  release();
  await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "open");
  expect(opened).toHaveLength(2);
  expect(new Set(opened).size, "each has its own trace id").toBe(2);
});

test("the HTML references all files of the first load, and none is requested twice", async ({ page }) => {
  const requested: string[] = [];
  page.on("request", (request) => requested.push(new URL(request.url()).pathname));
  const response = await page.goto("/");
  await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "open");
  const files = requested.filter((path) => path.startsWith("/pkg/"));
  expect(files.length).toBeGreaterThan(2);
  expect(files).toEqual([...new Set(files)]);
  const html = await response!.text();
  expect(files.filter((file) => !html.includes(`"${file}"`))).toEqual([]);
});

/** The computed style of every element, one property per line. */
const computedStyles = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("body, body *")].flatMap((element, index) => {
      const style = getComputedStyle(element);
      return [...style].map((name) => `${index} ${element.tagName}#${element.id}.${element.classList} ${name}: ${style.getPropertyValue(name)}`);
    }),
  );

for (const [name, width, colorScheme] of [["desktop", 1280, "light"], ["phone", 360, "dark"]] as const) {
  test(`the inlined styles are complete (${name})`, async ({ page }) => {
    let sheets = 0;
    page.on("request", (request) => (sheets += request.url().endsWith(".css") ? 1 : 0));
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 500 });
    await open(page);
    for (const card of ["journal", "round-trip", "handshake"]) {
      await page.locator(`#${card}`).evaluate((element) => element.scrollIntoView());
      await expect(page.locator(`#${card} .lazy-content > *`).first()).toBeVisible();
    }
    await expect(page.locator("#handshake .loading")).toHaveCount(0);
    await networkIdle(page);
    expect(sheets).toBe(0);

    const before = await computedStyles(page);
    expect(before.length).toBeGreaterThan(10_000);
    await page.locator("link[rel=stylesheet]").evaluate(
      (sheet) =>
        new Promise((resolve) => {
          sheet.addEventListener("load", resolve);
          sheet.removeAttribute("disabled");
        }),
    );
    expect(sheets).toBe(1);
    const after = new Set(await computedStyles(page));
    expect(before.filter((line) => !after.has(line))).toEqual([]);
  });
}

test("the other pages' style sheet loads when the visitor navigates to one", async ({ page }) => {
  await open(page);
  await page.getByRole("navigation").getByRole("link", { name: ko.app.chat, exact: true }).click();
  await expect(page.locator(".chat")).toHaveCSS("display", "grid");
  expect(await isSameDocument(page)).toBe(true);
});

test("a link clicked before the router has loaded is followed by the router", async ({ page }) => {
  await open(page);
  await page.getByRole("navigation").getByRole("link", { name: ko.app.about }).click();
  await expect(page.getByRole("heading", { level: 1, name: ko.about.title })).toBeVisible();
  expect(await isSameDocument(page)).toBe(true);
  await expect(page.locator("#early")).toHaveCount(0);
});

test("a button clicked before the app has loaded takes effect", async ({ page }) => {
  await open(page);
  await page.locator("#compose textarea").fill("아직 쓰는 중");
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.getByText(en.echo.lede)).toBeVisible();
  await expect(page.getByRole("heading", { name: en.echo.connection })).toBeVisible();
  await expect(page.locator("#compose textarea"), "the page was not reloaded").toHaveValue("아직 쓰는 중");
  expect(await isSameDocument(page)).toBe(true);
});

test("Alt+I opens the inspector", async ({ page }) => {
  await open(page);
  await page.keyboard.press("Alt+KeyI");
  await expect(new InspectorDrawer(page).drawer).toBeVisible();
});

test("the vitals go live when they become visible", async ({ page }) => {
  const requestedChunks = await open(page);
  await expect(page.locator("aside.vitals")).toHaveAttribute("data-liveness", "waiting");
  expect(requestedChunks()).toBe(0);
  await expectVitalsLive(page);
});

test("a page that becomes hidden loads its bell, so that it can notify", async ({ page }) => {
  const requestedChunks = await open(page);
  await networkIdle(page);
  expect(requestedChunks()).toBe(0);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  });
  await new NotificationsPage(page).expectBellLive();
});

test("a page opened in the background loads its bell", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(document, "hidden", { configurable: true, get: () => true }));
  await page.goto("/");
  await new NotificationsPage(page).expectBellLive();
});

// The last test, because its notice to everyone would be unread in later ones.
test("a notice wakes the bell of an untouched page", async ({ page, request, server }) => {
  const requestedChunks = await open(page);
  const notifications = new NotificationsPage(page);
  await networkIdle(page);
  expect(requestedChunks()).toBe(0);
  const title = unique("일어나세요");
  await send(request, server, { to: "everyone", title });
  await expect(notifications.bell.locator(".badge")).toHaveText("1");
  await expect(notifications.toasts, "the toast is shown as on every other page").toContainText(title);

  // The notice is still unread: the next page shows the number at once.
  await page.goto("/about");
  await open(page);
  await expect(notifications.bell.locator(".badge")).toHaveText("1");
  await expect(notifications.toasts, "a notice is shown as a toast only once").toHaveCount(0);
});
