// Unusual URLs, links and user texts: every page hydrates and keeps working.

import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { NotificationsPage, send, unique } from "./support/notifications-page";
import { test as serverTest } from "./support/server";
import { expect, test } from "./support/test";
import { en, ko } from "./support/texts";

for (const path of ["/chat/%FF", "/chat/%00", "/devices/%E0%A4%A", "/market/%E2%80%AE", "/%5Cevil.example", "//evil.example/chat", "/no/%FF/such"]) {
  test(`${path} is a not-found page that hydrates`, async ({ page, consoleErrors, baseURL }) => {
    consoleErrors.allow(/status of 404/);
    const response = await page.goto(`${baseURL}${path}`);
    expect(response!.status()).toBe(404);
    await expect(page.locator("aside.vitals")).toHaveAttribute("data-liveness", "live", { timeout: 30_000 });
    const navigation = page.getByRole("navigation", { name: ko.app.navigation });
    await navigation.getByRole("link", { name: ko.app.market, exact: true }).click();
    await expect(page).toHaveURL("/market");
    await expect(page.getByRole("heading", { level: 1, name: ko.market.title })).toBeVisible();
  });
}

test("a non-canonical path redirects to the page and keeps the query", async ({ page, baseURL }) => {
  await page.goto(`${baseURL}//Market/?sort=name`);
  await expect(page).toHaveURL("/market?sort=name");
});

test("a subpage marks its parent in the navigation, also after client-side navigation", async ({ page, request }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  await chat.open();
  const navigation = page.getByRole("navigation", { name: ko.app.navigation });
  await expect(navigation.locator("[aria-current=page]")).toHaveText([ko.app.chat]);
  await page.getByRole("navigation", { name: ko.chat.rooms }).getByRole("link").first().click();
  await expect(page).toHaveURL("/chat");
  await expect(navigation.locator("[aria-current=page]")).toHaveText([ko.app.chat]);
});

serverTest("a link that the router does not handle does not stop the app", async ({ page, request, server, consoleErrors }) => {
  consoleErrors.allow(/status of 404/);
  const notifications = await new NotificationsPage(page).open();
  const visitor = await notifications.id();
  for (const [link, url] of [
    ["/%5Cevil.example", "/%5Cevil.example"],
    ["/%09/evil.example", "/%09/evil.example"],
    ["/chat/", "/chat"],
    ["/nowhere", "/nowhere"],
    ["/healthz", "/healthz"],
  ] as const) {
    const title = unique("링크");
    await send(request, server, { to: { visitor }, title, link });
    await notifications.toast(title).getByRole("link").click();
    await expect(page).toHaveURL(url);
    await page.goBack();
    await notifications.expectLive();
  }
});

test("a message's links lead to the hosts they show", async ({ page, request }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  await new Writer(request).post(chat.room, "HTTPS://A.kr/x에서 https://good.com@evil.com (https://b.kr)。");
  await chat.open();
  const links = chat.messages.locator(".message-text a");
  await expect(links).toHaveText(["HTTPS://A.kr/x", "https://b.kr"]);
  expect(await links.evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).hostname))).toEqual(["a.kr", "b.kr"]);
});

test("a blank message is not sent, and a preview keeps grapheme clusters whole", async ({ page, request }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  await chat.open();
  for (const blank of ["\u3164", "\u200b\u2800", "\u0301\u0302", "\u{e0041}"]) {
    await chat.send(blank);
    await expect(page.locator(".composer .problem")).toHaveText(ko.chat.empty);
  }
  await expect(chat.pending).toHaveCount(0);
  await chat.field.fill("");
  // The server and the browser truncate the preview at the same grapheme.
  await new Writer(request).post(chat.room, `${"가".repeat(79)}👩‍👩‍👧 끝`);
  await page.reload();
  await chat.expectLive();
  await expect(chat.messages).toHaveCount(1);
});

test.describe("a room name that is taken", () => {
  test("is an error next to the field, without navigation", async ({ page, request }) => {
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await page.goto("/chat");
    await new ChatPage(page, "lobby").expectLive();
    await page.locator("details.new-room summary").click();
    const form = page.locator("details.new-room form");
    await form.getByLabel(ko.chat.room_title).fill("또");
    const name = form.getByLabel(ko.chat.room_name, { exact: true });
    await name.fill(chat.room);
    await form.getByRole("button").click();
    await expect(form.getByText(ko.chat.room_taken)).toBeVisible();
    await expect(name).toHaveAttribute("aria-invalid", "true");
    await expect(page).toHaveURL("/chat");
    await name.fill(`${chat.room}-2`);
    await form.getByRole("button").click();
    await expect(page).toHaveURL(`/chat/${chat.room}-2`);
  });

  test.describe("without scripts", () => {
    test.use({ javaScriptEnabled: false });

    test("is an error that keeps the input, and another name opens the room", async ({ page, request, consoleErrors }) => {
      consoleErrors.allow(/was preloaded using link preload but not used/, /status of 422/);
      const chat = new ChatPage(page);
      await createRoom(request, chat.room);
      await page.goto("/chat");
      await page.locator("details.new-room summary").click();
      const form = page.locator("details.new-room form");
      const name = form.locator("input[name=room]");
      await form.locator("input[name=title]").fill("또");
      await name.fill(chat.room);
      await form.getByRole("button").click();
      await expect(form.getByText(ko.chat.room_taken)).toBeVisible();
      await expect(name).toHaveValue(chat.room);
      await name.fill(`${chat.room}-2`);
      await form.getByRole("button").click();
      await expect(page).toHaveURL(`/chat/${chat.room}-2`);
      await expect(page.getByRole("heading", { level: 1, name: "또" })).toBeVisible();
    });
  });
});

test.describe("in English", () => {
  test.use({ locale: "en-GB" });

  test("the home page is in English, and counts use plural forms", async ({ page, request }) => {
    await page.goto("/");
    await expect(page.getByRole("heading", { level: 1, name: en.echo.title })).toBeVisible();
    await expect(page).toHaveTitle(`${en.echo.title} · Duplex`);
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await chat.open();
    await expect(page.locator(".people summary")).toHaveText("1 person here");
    await new ChatPage(page, "lobby").open();
    const entry = page.getByRole("navigation", { name: en.chat.rooms }).getByRole("link", { name: chat.room });
    await new Writer(request).post(chat.room, "one");
    await expect(entry).toContainText("1 unread message");
    await expect(entry).not.toContainText("messages");
    await new Writer(request).post(chat.room, "two");
    await expect(entry).toContainText("2 unread messages");
  });
});
