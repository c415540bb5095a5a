// The chat: two visitors exchange messages over every transport, and no message is lost or duplicated across failures.

import type { BrowserContext, Page } from "@playwright/test";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { Server } from "./support/server";
import { expect, test as base } from "./support/test";
import { fill, ko } from "./support/texts";

/** Each test creates its own room. */
const test = base.extend<{ chat: ChatPage }>({
  chat: async ({ page, request }, use) => {
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await use(chat);
  },
});

async function openSecondVisitor(page: Page, chat: ChatPage): Promise<ChatPage> {
  const context = await page.context().browser()!.newContext({ locale: "ko-KR", baseURL: new URL(page.url()).origin });
  return new ChatPage(await context.newPage(), chat.room).open();
}

test("two browsers exchange messages", async ({ chat, page }) => {
  await chat.open();
  const other = await openSecondVisitor(page, chat);
  await chat.send("안녕하세요, 거기 누구 있나요?");
  await expect(other.message("안녕하세요, 거기 누구 있나요?")).toHaveAttribute("data-own", "false");
  await expect(chat.message("안녕하세요, 거기 누구 있나요?")).toHaveAttribute("data-own", "true");
  await other.send("네, https://example.com 에 있어요");
  await expect(chat.message("네,").getByRole("link")).toHaveAttribute("href", "https://example.com");
  expect(await chat.texts()).toEqual(await other.texts());
  await expect(chat.page.locator(".people summary")).toHaveText(fill(ko.chat.people_here, { count: 2 }));
  await other.page.context().close();
  await expect(chat.page.locator(".people summary")).toHaveText(fill(ko.chat.people_here, { count: 1 }), { timeout: 45_000 });
});

test("the typing indicator is shown", async ({ chat, page }) => {
  await chat.open();
  const other = await openSecondVisitor(page, chat);
  await other.field.pressSequentially("음");
  await expect(page.getByText(/입력하고 있습니다/)).toBeVisible();
  await other.field.press("Enter");
  await expect(chat.message("음")).toBeVisible();
  await other.page.context().close();
});

test("editing, reacting to and deleting a message reaches the other visitor", async ({ chat, page }) => {
  await chat.open();
  const other = await openSecondVisitor(page, chat);
  await chat.send("처음 말");
  const open = (side: ChatPage) => side.messages.first().locator(".menu-button").click();
  const choose = (item: string) => chat.messages.first().locator(`[data-action=${item}]`).click();
  await open(chat);
  await choose("edit");
  const field = chat.messages.first().getByRole("textbox");
  await field.fill("고친 말");
  await field.press("Enter");
  await expect(other.message("고친 말")).toContainText(ko.chat.edited);
  await open(other);
  await other.messages.first().locator(".menu-emoji").first().click();
  await expect(chat.messages.first().locator(".reaction")).toContainText("1");
  await open(chat);
  await choose("delete");
  await choose("delete");
  await expect(other.messages.first()).toContainText(ko.chat.deleted);
  await other.page.context().close();
});

test("a created room is listed with its number of unread messages", async ({ chat, page, request, consoleErrors }) => {
  // The page of the missing room responds 404.
  consoleErrors.allow(/status of 404/);
  // Unread messages count from the first visit on.
  await chat.open();
  await new ChatPage(page, "lobby").open();
  const entry = page.getByRole("navigation", { name: ko.chat.rooms }).getByRole("link", { name: chat.room });
  await new Writer(request).post(chat.room, "하나");
  await new Writer(request).post(chat.room, "둘");
  await expect(entry.locator(".badge")).toHaveText("2");
  await entry.click();
  await expect(chat.message("둘")).toBeVisible();
  await expect(entry.locator(".badge")).toBeEmpty();
  await page.goto("/chat/nobody-made-this");
  await expect(page.getByRole("heading", { name: ko.chat.no_room })).toBeVisible();
});

test("a message sent offline waits and arrives once when the network is back", async ({ chat, page, context, consoleErrors }) => {
  consoleErrors.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  await chat.open();
  const other = await openSecondVisitor(page, chat);
  await context.setOffline(true);
  await chat.send("터널 안에서");
  await expect(chat.pending).toHaveCount(1);
  await other.send("밖에서");
  await context.setOffline(false);
  await expect(other.message("터널 안에서")).toHaveCount(1, { timeout: 30_000 });
  await expect(chat.message("밖에서")).toHaveCount(1);
  await expect(chat.pending).toHaveCount(0);
  expect(await chat.texts()).toEqual(await other.texts());
  await other.page.context().close();
});

test("a hundred messages of ten visitors arrive in order", async ({ chat, request }) => {
  await chat.open();
  const sent: string[] = [];
  for (let person = 0; person < 10; person++) {
    const writer = new Writer(request);
    for (let number = 0; number < 10; number++) sent.push(`${person}.${number}`), await writer.post(chat.room, `${person}.${number}`);
  }
  await expect(chat.message("9.9")).toBeVisible();
  expect(await chat.texts()).toEqual(sent);
});

test("a new message does not change the rows of other messages", async ({ chat, page, request }) => {
  const writer = new Writer(request);
  for (let number = 0; number < 9; number++) await writer.post(chat.room, `앞 ${number}`);
  await chat.open();
  await page.evaluate(() => {
    const old = new Set(document.querySelectorAll("article.message"));
    const touched: string[] = [];
    Object.assign(window, { touched });
    new MutationObserver((records) => {
      for (const record of records) {
        const element = record.target instanceof Element ? record.target : record.target.parentElement;
        const row = element?.closest("article.message");
        if (row && old.has(row)) touched.push(row.textContent ?? "");
        for (const removed of record.removedNodes) if (old.has(removed as Element)) touched.push("removed");
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  await new Writer(request).post(chat.room, "새 말");
  await expect(chat.message("새 말")).toBeVisible();
  expect(await page.evaluate(() => (window as unknown as { touched: string[] }).touched)).toEqual([]);
});

test("scrolling up loads history, and an own message scrolls to the end", async ({ chat, page, request }) => {
  // More messages than the document holds at once.
  const count = 500;
  for (let number = 0; number < count; ) {
    const writer = new Writer(request);
    for (let post = 0; post < 10; post++) await writer.post(chat.room, `말 ${number++}.`);
  }
  await chat.open();
  await expect(chat.message(`말 ${count - 1}.`)).toBeVisible();
  await expect(chat.message("말 0.")).toHaveCount(0);
  await page.getByRole("log").hover();
  await expect
    .poll(
      async () => {
        await page.mouse.wheel(0, -4000);
        return chat.message("말 0.").count();
      },
      { timeout: 20_000 },
    )
    .toBe(1);
  await expect(page.getByText(ko.chat.beginning)).toBeAttached();
  expect(await chat.messages.count()).toBeLessThanOrEqual(300);
  await chat.send("끝에서");
  await expect(chat.message("끝에서")).toBeInViewport();
});

test("without scripts the page shows the last messages, and a form posts", async ({ browser, baseURL, chat, request }) => {
  await new Writer(request).post(chat.room, "스크립트 없이도");
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "ko-KR", baseURL });
  const page = await context.newPage();
  const plain = new ChatPage(page, chat.room);
  await page.goto(plain.path);
  await expect(plain.message("스크립트 없이도")).toBeVisible();
  await page.locator(".composer").getByLabel(ko.chat.your_name).fill("민지");
  await plain.field.fill("그럼요");
  await page.getByRole("button", { name: ko.chat.send }).click();
  await expect(plain.message("그럼요")).toContainText("민지");
  await plain.field.fill("x".repeat(4001));
  await page.getByRole("button", { name: ko.chat.send }).click();
  await expect(page.getByRole("alert").filter({ hasText: "4" }).first()).toBeVisible();
  await expect(plain.field).toHaveValue("x".repeat(4001));
  await context.close();
});

const blockSocket = (context: BrowserContext) => context.routeWebSocket(/\/api\/session/, () => {});
const blockStream = (context: BrowserContext) => context.route(/\/api\/session\/events/, () => {});

for (const { name, block, label } of [
  { name: "WebSocket is blocked: server-sent events take over", block: [blockSocket], label: ko.link.sse },
  { name: "server-sent events are blocked, too: polling takes over", block: [blockSocket, blockStream], label: ko.link.poll },
]) {
  test(name, async ({ chat, page, context, request }) => {
    for (const one of block) await one(context);
    await page.goto(chat.path);
    await expect(chat.sessionStatus).toContainText(label, { timeout: 40_000 });
    const other = await openSecondVisitor(page, chat);
    for (let number = 0; number < 5; number++) {
      await chat.send(`막힌 쪽 ${number}`);
      await other.send(`열린 쪽 ${number}`);
    }
    for (const side of [chat, other]) {
      await expect(side.message("막힌 쪽")).toHaveCount(5, { timeout: 30_000 });
      await expect(side.message("열린 쪽")).toHaveCount(5, { timeout: 30_000 });
    }
    expect(await chat.texts()).toEqual(await other.texts());
    await other.page.context().close();
  });
}

test.describe("on a server that is killed", () => {
  base("the draft is kept, and a message sent meanwhile arrives once", async ({ browser, consoleErrors }) => {
    consoleErrors.allow(/.*/);
    let server = await Server.start();
    const context = await browser.newContext({ locale: "ko-KR", baseURL: server.url });
    const chat = await new ChatPage(await context.newPage(), "lobby").open();
    await chat.send("죽기 전에");
    await expect(chat.message("죽기 전에")).toHaveCount(1);
    await chat.field.fill("쓰다 만");
    await server.stop("SIGKILL");
    await expect(chat.status).not.toHaveAttribute("data-status", "live");
    await expect(chat.field).toHaveValue("쓰다 만");
    await chat.field.pressSequentially(" 글");
    await chat.field.press("Enter");
    await expect(chat.pending).toContainText("쓰다 만 글");
    server = await Server.start(server.port, server.data);
    await chat.expectLive();
    await expect(chat.message("쓰다 만 글")).toHaveCount(1);
    await expect(chat.pending).toHaveCount(0);
    await chat.page.reload();
    expect(await chat.texts()).toEqual(["죽기 전에", "쓰다 만 글"]);
    await context.close();
    await server.stop();
  });
});
