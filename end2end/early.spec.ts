// The echo page comes to life before the app around it, which comes when the visitor turns to it. On a server of its own:
// what is sent to everyone would wake other specs' pages.

import type { Page } from "@playwright/test";
import { InspectorDrawer } from "./support/inspector";
import { NotificationsPage, send, unique } from "./support/notifications-page";
import { test } from "./support/server";
import { expect } from "./support/test";
import { en, ko } from "./support/texts";
import { seeVitalsLive } from "./support/vitals";

const PARTS = /\/pkg\/(chunk|split)_[^/]*\.wasm$/;
/** The page, open and untouched; how many parts it asked for so far. */
async function open(page: Page): Promise<() => number> {
  let asked = 0;
  page.on("request", (request) => (asked += PARTS.test(request.url()) ? 1 : 0));
  const listens = page.waitForRequest(/\/api\/notifications\/news/);
  await page.goto("/");
  await expect(page.locator(".state")).toHaveAttribute("data-state", "open");
  await page.evaluate(() => Object.assign(window, { document_of_before: true }));
  await listens;
  return () => asked;
}

/** Until an open page has got all that it asks for by itself. */
const quiet = (page: Page) => page.waitForLoadState("networkidle");

const isSameDocument = (page: Page) => page.evaluate(() => "document_of_before" in window);

test("the socket opens and answers before any part is asked for", async ({ page }) => {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  const asked = await open(page);
  await expect.poll(() => lines).toContain("서버로부터 메시지: 서버 응답: 안녕하세요 서버!");
  await page.locator("#compose textarea").fill("일찍");
  await page.locator("#compose textarea").press("Enter");
  await expect.poll(() => lines).toContain("서버로부터 메시지: 서버 응답: 일찍");
  await quiet(page);
  expect(asked()).toBe(0);
});

/** Keeps the module away until it is let go. */
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

test("the socket is open before the code has come, and the code takes it over", async ({ page }) => {
  const opened: string[] = [];
  const sent: string[] = [];
  page.on("websocket", (socket) => {
    if (!isEcho(socket.url())) return;
    opened.push(socket.url());
    socket.on("framesent", ({ payload }) => sent.push(String(payload)));
  });
  const release = await withhold(page);
  await page.goto("/", { waitUntil: "commit" });
  await page.waitForFunction(() => (window as unknown as { begun?: WebSocket }).begun?.readyState === WebSocket.OPEN);
  await expect(page.locator(".state")).toHaveAttribute("data-state", "connecting");
  expect(sent).toEqual([]);

  release();
  await expect(page.locator(".state")).toHaveAttribute("data-state", "open");
  await expect.poll(() => sent).toEqual(["안녕하세요 서버!"]);
  await page.locator("#journal").evaluate((element) => element.scrollIntoView());
  const rows = page.locator("#journal .virtual-list-row");
  await expect(rows).toHaveCount(4);
  await expect(page.locator("#journal")).not.toContainText("trace=");
  await page.locator("#handshake").evaluate((element) => element.scrollIntoView());
  await expect(page.locator("#handshake .first-line").first(), "the server knows it by its trace").toContainText("/api/socket");
  expect(opened).toHaveLength(1);
});

test("one that ended before the code came is replaced", async ({ page }) => {
  const opened: string[] = [];
  page.on("websocket", (socket) => isEcho(socket.url()) && opened.push(socket.url()));
  const release = await withhold(page);
  await page.goto("/", { waitUntil: "commit" });
  await page.waitForFunction(() => {
    const { begun } = window as unknown as { begun?: WebSocket };
    if (begun?.readyState === WebSocket.OPEN) begun.close();
    return begun?.readyState === WebSocket.CLOSED;
  });
  release();
  await expect(page.locator(".state")).toHaveAttribute("data-state", "open");
  expect(opened).toHaveLength(2);
  expect(new Set(opened).size, "each with a trace of its own").toBe(2);
});

test("the page names all that its module needs to start, and nothing is asked for twice", async ({ page }) => {
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  const answer = await page.goto("/");
  await expect(page.locator(".state")).toHaveAttribute("data-state", "open");
  const files = asked.filter((path) => path.startsWith("/pkg/"));
  expect(files.length).toBeGreaterThan(2);
  expect(files).toEqual([...new Set(files)]);
  const html = await answer!.text();
  expect(files.filter((file) => !html.includes(`"${file}"`))).toEqual([]);
});

/** Every property of every element as it is shown, a line each. */
const looks = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("body, body *")].flatMap((element, place) => {
      const style = getComputedStyle(element);
      return [...style].map((name) => `${place} ${element.tagName}#${element.id}.${element.classList} ${name}: ${style.getPropertyValue(name)}`);
    }),
  );

for (const [name, width, colorScheme] of [["a desk", 1280, "light"], ["a phone", 360, "dark"]] as const) {
  test(`the page brings the style of all that it shows, at ${name}`, async ({ page }) => {
    let sheets = 0;
    page.on("request", (request) => (sheets += request.url().endsWith(".css") ? 1 : 0));
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: 500 });
    await open(page);
    for (const card of ["journal", "round-trip", "handshake"]) {
      await page.locator(`#${card}`).evaluate((element) => element.scrollIntoView());
      await expect(page.locator(`#${card} .later > *`).first()).toBeVisible();
    }
    await expect(page.locator("#handshake .waiting")).toHaveCount(0);
    await quiet(page);
    expect(sheets).toBe(0);

    const before = await looks(page);
    expect(before.length).toBeGreaterThan(10_000);
    await page.locator("link[rel=stylesheet]").evaluate(
      (sheet) =>
        new Promise((loaded) => {
          sheet.addEventListener("load", loaded);
          sheet.removeAttribute("disabled");
        }),
    );
    expect(sheets).toBe(1);
    const after = new Set(await looks(page));
    expect(before.filter((line) => !after.has(line))).toEqual([]);
  });
}

test("the style of the other pages comes when the visitor turns to them", async ({ page }) => {
  await open(page);
  await page.getByRole("navigation").getByRole("link", { name: ko.app.chat, exact: true }).click();
  await expect(page.locator(".chat")).toHaveCSS("display", "grid");
  expect(await isSameDocument(page)).toBe(true);
});

test("a link that is clicked before there is a router is followed by it", async ({ page }) => {
  await open(page);
  await page.getByRole("navigation").getByRole("link", { name: ko.app.about }).click();
  await expect(page.getByRole("heading", { level: 1, name: ko.about.title })).toBeVisible();
  expect(await isSameDocument(page)).toBe(true);
  await expect(page.locator("#early")).toHaveCount(0);
});

test("a button that is pressed before the app is there does what it says", async ({ page }) => {
  await open(page);
  await page.locator("#compose textarea").fill("아직 쓰는 중");
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.getByText(en.echo.lede)).toBeVisible();
  await expect(page.getByRole("heading", { name: en.echo.connection })).toBeVisible();
  await expect(page.locator("#compose textarea"), "nothing was loaded again").toHaveValue("아직 쓰는 중");
  expect(await isSameDocument(page)).toBe(true);
});

test("Alt+I opens the inspector", async ({ page }) => {
  await open(page);
  await page.keyboard.press("Alt+KeyI");
  await expect(new InspectorDrawer(page).drawer).toBeVisible();
});

test("the vitals go live when they are seen", async ({ page }) => {
  const asked = await open(page);
  await expect(page.locator("aside.vitals")).toHaveAttribute("data-liveness", "waiting");
  expect(asked()).toBe(0);
  await seeVitalsLive(page);
});

test("a page that goes out of sight has its bell: it may have to notify", async ({ page }) => {
  const asked = await open(page);
  await quiet(page);
  expect(asked()).toBe(0);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  });
  await new NotificationsPage(page).listening();
});

test("so has one that is opened in the background", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(document, "hidden", { configurable: true, get: () => true }));
  await page.goto("/");
  await new NotificationsPage(page).listening();
});

// The last: what is sent to everyone is unread for those who come after.
test("a notification wakes the bell of a page that nobody touches", async ({ page, request, server }) => {
  const asked = await open(page);
  const notifications = new NotificationsPage(page);
  await quiet(page);
  expect(asked()).toBe(0);
  const title = unique("일어나세요");
  await send(request, server, { to: "everyone", title });
  await expect(notifications.bell.locator(".badge")).toHaveText("1");
  await expect(notifications.toasts, "it is shown as on every other page").toContainText(title);

  // Unread still: the next page knows at once.
  await page.goto("/about");
  await open(page);
  await expect(notifications.bell.locator(".badge")).toHaveText("1");
  await expect(notifications.toasts, "what is known is not told again").toHaveCount(0);
});
