// Notifications: programs send over HTTP, every open tab shows them, and read marks apply to all tabs. The spec has its own server,
// because notices to everyone would appear in other specs' pages.

import AxeBuilder from "@axe-core/playwright";
import { execFileSync } from "node:child_process";
import type { Browser, BrowserContext } from "@playwright/test";
import { NotificationsPage, send, unique } from "./support/notifications-page";
import { Server, test } from "./support/server";
import { expect } from "./support/test";
import { fill, ko } from "./support/texts";

const newVisitor = (browser: Browser, server: Server, options = {}) =>
  browser.newContext({ locale: "ko-KR", baseURL: server.url, ...options });

async function open(context: BrowserContext): Promise<NotificationsPage> {
  return new NotificationsPage(await context.newPage()).open();
}

test("a program's notice appears on every visitor's page at once, and only once", async ({ page, browser, request, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const context = await newVisitor(browser, server);
  const other = new NotificationsPage(await context.newPage());
  await other.page.goto("/about");
  await other.expectBellLive();
  const title = unique("모두에게");
  const before = await other.unread();
  const notice = { to: "everyone", title, body: "본문", level: "warning", link: "/chat", key: title } as const;
  expect(await send(request, server, notice)).toMatchObject({ topic: "notices/all", again: false });
  expect(await send(request, server, notice)).toMatchObject({ again: true });
  await expect(notifications.row(title)).toHaveAttribute("data-read", "false");
  await expect(other.toast(title)).toContainText("본문");
  await expect(other.bell.locator(".badge")).toHaveText(String(before + 1));
  await expect(notifications.row(title)).toHaveCount(1);
  await other.toast(title).getByRole("link").click();
  await expect(other.page).toHaveURL("/chat");
  await expect.poll(() => other.unread()).toBe(before);
  await expect(other.toasts).toHaveCount(0);
  await expect(notifications.row(title), "read marks belong to one visitor").toHaveAttribute("data-read", "false");
  await context.close();
});

test("earlier notices do not enlarge a new visitor's first page", async ({ browser, request }) => {
  const server = await Server.start();
  // The files and the total bytes that a first visit loads, including the check for unread notices.
  const visit = async () => {
    const context = await newVisitor(browser, server);
    const page = await context.newPage();
    const files: string[] = [];
    let bytes = 0;
    const cdp = await context.newCDPSession(page);
    await cdp.send("Network.enable");
    cdp.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    page.on("response", (response) => {
      const { pathname } = new URL(response.url());
      if (pathname.startsWith("/pkg/")) files.push(pathname);
    });
    const unreadStream = page.waitForRequest(/\/api\/notifications\/news/);
    await page.goto("/");
    await unreadStream;
    await page.waitForLoadState("networkidle");
    await context.close();
    return { files: files.sort(), bytes };
  };
  const before = await visit();
  expect(before.bytes).toBeGreaterThan(100_000);
  await send(request, server, { to: "everyone", title: unique("전부터") });
  const after = await visit();
  expect(after.files).toEqual(before.files);
  expect(after.bytes / before.bytes, `${after.bytes} bytes, not ${before.bytes}`).toBeLessThan(1.1);
  await server.stop();
});

test("an invalid request is rejected with the field's name", async ({ request, server }) => {
  const post = (data: object, secret = server.token) =>
    request.post("/api/notifications", { headers: { authorization: `Bearer ${secret}` }, data });
  for (const [data, field] of [
    [{ to: "everyone" }, "`title`"],
    [{ to: { group: "nobody" }, title: "x" }, "`to.group`"],
    [{ to: "everyone", title: "x", link: "javascript:alert(1)" }, "`link`"],
    [{ to: "everyone", title: "x", expires: 5 }, "`expires`"],
  ] as const) {
    const response = await post(data);
    expect(response.status()).toBe(422);
    expect(response.headers()["content-type"]).toBe("application/problem+json");
    expect((await response.json()).detail).toContain(field);
  }
  expect((await post({ to: "everyone", title: "x" }, "wrong-wrong-wrong-wrong")).status()).toBe(401);
});

test("the displayed shell command works as pasted", async ({ page, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const line = await page.locator("#curl").innerText();
  expect(line).toContain(await notifications.id());
  execFileSync("sh", ["-c", line], { env: { ...process.env, DUPLEX_TOKEN: server.token } });
  await expect(notifications.row(ko.notifications.sample)).toHaveAttribute("data-level", "success");
  await expect(notifications.row(ko.notifications.sample)).toHaveAttribute("data-source", "me");
});

test("reading in one tab applies to all tabs, one by one and all at once", async ({ page, context, request, server }) => {
  const one = await new NotificationsPage(page).open();
  const two = await open(context);
  const visitor = await one.id();
  expect(await two.id()).toBe(visitor);
  const titles = [unique("하나"), unique("둘"), unique("셋")];
  for (const title of titles) await send(request, server, { to: { visitor }, title });
  for (const title of titles) await expect(two.row(title)).toHaveAttribute("data-read", "false");
  await one.row(titles[0]!).locator("[data-action=mark-read]").click();
  await expect(two.row(titles[0]!)).toHaveAttribute("data-read", "true");
  await expect(two.toast(titles[0]!)).toHaveCount(0);
  await expect(one.row(titles[1]!)).toHaveAttribute("data-read", "false");
  await two.page.getByRole("button", { name: ko.notifications.read_all }).click();
  for (const side of [one, two]) {
    await expect(side.row(titles[1]!)).toHaveAttribute("data-read", "true");
    await expect(side.bell.locator(".badge")).toBeEmpty();
    await expect(side.page.locator(".unread-count")).toHaveText(ko.notifications.nothing_unread);
  }
  await page.reload();
  await expect(one.row(titles[2]!), "also after a reload").toHaveAttribute("data-read", "true");
});

test("a notice sent while offline arrives once on reconnect", async ({ page, context, request, server, consoleErrors }) => {
  consoleErrors.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  await context.setOffline(true);
  await expect(notifications.status).not.toHaveAttribute("data-status", "live", { timeout: 60_000 });
  const title = unique("자리를 비운 사이");
  await send(request, server, { to: { visitor }, title });
  await context.setOffline(false);
  await expect(notifications.row(title)).toHaveCount(1, { timeout: 30_000 });
  await expect(notifications.toast(title)).toHaveCount(1);
  await expect(notifications.row(title)).toHaveAttribute("data-read", "false");
});

test("an inbox is private to its visitor", async ({ page, browser, request, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  const title = unique("나만 보는 것");
  await send(request, server, { to: { visitor }, title });
  await expect(notifications.row(title)).toBeVisible();
  const context = await newVisitor(browser, server);
  const other = await open(context);
  await expect(other.row(title)).toHaveCount(0);
  const fetchStatus = (path: string) => other.page.evaluate(async (path) => (await fetch(path)).status, path);
  expect(await fetchStatus(`/api/session/history?topic=inbox/${visitor}`)).toBe(403);
  const response = await context.request.post(`/api/session/command?session=intruder`, {
    data: { command: { topic: `inbox/${visitor}`, id: "0".repeat(32), command: { read_all: { heads: { me: 1 } } } } },
  });
  expect(await response.json()).toMatchObject({ reply: { answer: { rejected: { denied: "forbidden" } } } });
  await expect(notifications.row(title)).toHaveAttribute("data-read", "false");
  await context.close();
});

test("a follower receives a group's notices from then on", async ({ page, request, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const [before, after] = [unique("이전 시세"), unique("새 시세")];
  await send(request, server, { to: { group: "market" }, title: before });
  const market = page.getByRole("switch", { name: ko.notifications.source_market });
  await expect(market).not.toBeChecked();
  await market.check();
  await expect(notifications.row(before), "earlier notices count as read").toHaveAttribute("data-read", "true");
  await send(request, server, { to: { group: "market" }, title: after });
  await expect(notifications.row(after)).toHaveAttribute("data-read", "false");
  await expect(notifications.toast(after)).toBeVisible();
  await page.reload();
  await notifications.expectLive();
  await expect(market).toBeChecked();
  await market.uncheck();
  await expect(notifications.row(after)).toHaveCount(0);
});

test("the list is filtered and loads its history", async ({ page, request, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  const prefix = unique("옛 알림");
  for (let number = 0; number < 120; number++) await send(request, server, { to: { visitor }, title: `${prefix} ${number}.` });
  await send(request, server, { to: { visitor }, title: unique("불이야"), level: "danger" });
  await page.reload();
  await notifications.expectLive();
  await expect(notifications.row(`${prefix} 119.`)).toBeVisible();
  await expect(notifications.row(`${prefix} 0.`)).toHaveCount(0);
  const older = page.getByRole("button", { name: ko.notifications.older });
  await expect(async () => {
    await older.click();
    await expect(notifications.row(`${prefix} 0.`)).toHaveCount(1, { timeout: 500 });
  }).toPass();
  await expect(notifications.row(prefix)).toHaveCount(120);
  const order = await notifications.row(prefix).locator(".notice-title").allTextContents();
  expect(order[0]).toContain(" 119.");
  expect(order.at(-1)).toContain(" 0.");
  await page.getByLabel(ko.notifications.level).selectOption("danger");
  await expect(notifications.row(prefix)).toHaveCount(0);
  await expect(notifications.row("불이야")).toHaveCount(1);
  await page.getByLabel(ko.notifications.level).selectOption("");
  await page.getByLabel(ko.notifications.source).selectOption("all");
  await expect(notifications.row(prefix)).toHaveCount(0);
  await page.getByLabel(ko.notifications.source).selectOption("me");
  await page.getByRole("button", { name: ko.notifications.read_all }).click();
  await page.getByRole("group", { name: ko.notifications.filters }).getByRole("button", { name: ko.notifications.unread }).click();
  await expect(page.locator(".notices-empty")).toHaveText(ko.notifications.nothing_unread);
});

test("an expired notice disappears", async ({ page, request, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  const title = unique("잠깐");
  await send(request, server, { to: { visitor }, title, level: "danger", expires: Date.now() + 4_000 });
  await expect(notifications.row(title)).toBeVisible();
  const unread = await notifications.unread();
  await expect(notifications.row(title)).toHaveCount(0, { timeout: 10_000 });
  await expect(notifications.toast(title)).toHaveCount(0);
  await expect.poll(() => notifications.unread()).toBe(unread - 1);
});

test("toasts are announced politely, or assertively for danger", async ({ page, request, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  const [calm, alarm] = [unique("차분한 것"), unique("위험한 것")];
  await send(request, server, { to: { visitor }, title: calm });
  await send(request, server, { to: { visitor }, title: alarm, level: "danger" });
  const [polite, assertive] = [page.locator(".toasts-polite"), page.locator(".toasts-assertive")];
  await expect(polite).toHaveAttribute("aria-live", "polite");
  await expect(polite.getByText(calm)).toBeVisible();
  await expect(assertive).toHaveAttribute("aria-live", "assertive");
  await expect(assertive.getByText(alarm)).toBeVisible();
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }))).toEqual([]);
  await expect(polite.getByText(calm), "the toast disappears by itself").toHaveCount(0, { timeout: 20_000 });
  await expect(assertive.getByText(alarm), "a toast of level danger stays").toBeVisible();
  await page.getByRole("button", { name: fill(ko.notifications.close_of, { title: alarm }) }).click();
  await expect(assertive.getByText(alarm)).toHaveCount(0);
  await expect(notifications.row(alarm), "closing does not mark as read").toHaveAttribute("data-read", "false");
});

interface ShownNotification {
  title: string;
  tag?: string;
}

/** Replaces the Notification API: records notifications, and answers permission requests. */
function stub(answer: NotificationPermission): void {
  const shown: ShownNotification[] = [];
  class Stub {
    static permission: NotificationPermission = "default";
    static async requestPermission(): Promise<NotificationPermission> {
      return (Stub.permission = answer);
    }
    onclick: unknown = null;
    constructor(title: string, options?: NotificationOptions) {
      shown.push({ title, tag: options?.tag });
    }
  }
  Object.assign(window, { Notification: Stub, shown });
}

test("a hidden tab shows a browser notification once permitted", async ({ page, context, request, server }) => {
  await context.grantPermissions(["notifications"], { origin: server.url });
  await page.addInitScript(stub, "granted" as const);
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  const shown = () => page.evaluate(() => (window as unknown as { shown: ShownNotification[] }).shown);
  const hide = (hidden: boolean) => page.evaluate((hidden) => Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden }), hidden);
  const titles = [unique("허락 전"), unique("보이는 동안"), unique("가려진 동안")];
  await hide(true);
  await send(request, server, { to: { visitor }, title: titles[0]! });
  await expect(notifications.row(titles[0]!)).toBeVisible();
  await page.getByRole("button", { name: ko.notifications.permission_button }).click();
  await expect(page.locator("#permission")).toContainText(ko.notifications.permission_granted);
  await hide(false);
  await send(request, server, { to: { visitor }, title: titles[1]! });
  await expect(notifications.toast(titles[1]!)).toBeVisible();
  await hide(true);
  await send(request, server, { to: { visitor }, title: titles[2]! });
  await expect.poll(async () => (await shown()).map(({ title }) => title)).toEqual([titles[2]]);
  expect((await shown())[0]!.tag).toMatch(/^duplex-me-\d+$/);
});

test("a visitor who denied the permission sees how to change it", async ({ page }) => {
  await page.addInitScript(stub, "denied" as const);
  await new NotificationsPage(page).open();
  await page.getByRole("button", { name: ko.notifications.permission_button }).click();
  await expect(page.locator("#permission")).toContainText(ko.notifications.permission_denied);
  await expect(page.getByRole("button", { name: ko.notifications.permission_button })).toHaveCount(0);
});

test("the sample goes to all tabs of the visitor and to no other visitor", async ({ page, context, browser, server }) => {
  const notifications = await new NotificationsPage(page).open();
  const second = await open(context);
  const strangers = await newVisitor(browser, server);
  const stranger = await open(strangers);
  await page.locator("[data-action=sample]").click();
  await expect(notifications.toast(ko.notifications.sample)).toBeVisible();
  await expect(second.toast(ko.notifications.sample)).toBeVisible();
  await expect(stranger.row(ko.notifications.sample)).toHaveCount(0);
  await strangers.close();
});

test("without scripts the page shows the list, and a form marks all as read", async ({ browser, request, server }) => {
  const context = await newVisitor(browser, server, { javaScriptEnabled: false });
  const page = await context.newPage();
  const plain = new NotificationsPage(page);
  await page.goto("/about");
  await plain.bell.click();
  await expect(page).toHaveURL("/notifications");
  const title = unique("스크립트 없이도");
  await send(request, server, { to: { visitor: await plain.id() }, title, link: "/chat" });
  await page.reload();
  await expect(plain.row(title)).toHaveAttribute("data-read", "false");
  await page.getByRole("button", { name: ko.notifications.read_all }).click();
  await expect(page).toHaveURL("/notifications");
  await expect(plain.row(title)).toHaveAttribute("data-read", "true");
  await plain.row(title).getByRole("link").click();
  await expect(page).toHaveURL("/chat");
  await context.close();
});
