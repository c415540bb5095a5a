// A room of 500 messages keeps the browser's main thread free: no task is long enough to delay the visitor's input.

import type { APIRequestContext, Page } from "@playwright/test";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { longestTask, referenceTask } from "./support/tasks";
import { expect, test } from "./support/test";

const MESSAGES = 500;
/** Messages that one person may post at once. */
const BURST = 10;
/** The largest share of the reference task. */
const LIMIT = 0.75;
/** While the visitor scrolls, one frame may render rows twice: for the scroll event, and to fill the margin. */
const SCROLL_LIMIT = 1.5;

test.setTimeout(120_000);

/** Posts messages of ordinary length, with links, from several people. */
async function fill(request: APIRequestContext, room: string): Promise<void> {
  for (let number = 0; number < MESSAGES; ) {
    const writer = new Writer(request);
    for (let post = 0; post < BURST; post++) await writer.post(room, text(number++));
  }
}

function text(number: number): string {
  const link = number % 10 === 0 ? ` https://example.com/${number}` : "";
  return `말 ${number}. ${"회의 전에 the draft 를 읽어 주세요 ".repeat(1 + (number % 5))}${link}`;
}

async function newRoom(page: Page, request: APIRequestContext): Promise<ChatPage> {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  await fill(request, chat.room);
  return chat;
}

const expectHydrated = (page: Page) =>
  page.waitForFunction(() => (window as unknown as { duplexInput: { hydrated?: boolean } }).duplexInput.hydrated);

/** Looks at one row only: a search through all of them would be a task of the page, too. */
async function expectNewest(chat: ChatPage): Promise<void> {
  await expect(chat.messages.last()).toContainText(`말 ${MESSAGES - 1}.`, { timeout: 30_000 });
  await expect(chat.messages.last()).toBeInViewport();
}

/** Compares the longest task of `act` with the reference task of the same page. */
async function expectShortTasks(page: Page, act: () => Promise<void>, limit = LIMIT): Promise<void> {
  const longest = await longestTask(page, act);
  const reference = await referenceTask(page);
  test.info().annotations.push({ type: "longest task", description: `${longest.toFixed(0)} ms of CPU; the reference: ${reference.toFixed(0)} ms` });
  expect(longest / reference).toBeLessThan(limit);
}

test("the first visit has no long task", async ({ page, request }) => {
  const chat = await newRoom(page, request);
  await expectShortTasks(page, async () => {
    await chat.open();
    await expectHydrated(page);
  });
  await expect(chat.messages).toHaveCount(100);
});

test("opening the room from another one has no long task", async ({ page, request }) => {
  const chat = await newRoom(page, request);
  await new ChatPage(page, "lobby").open();
  await expectHydrated(page);
  await expectShortTasks(page, async () => {
    await page.locator(`a.room-link[href="${chat.path}"]`).click();
    await expectNewest(chat);
    await chat.expectLive();
  });
});

test("scrolling to the oldest message and back has no long task", async ({ page, request }) => {
  const chat = await newRoom(page, request);
  await chat.open();
  await expectHydrated(page);
  await page.getByRole("log").hover();
  await expectShortTasks(page, async () => {
    const wheelUp = async () => {
      await page.mouse.wheel(0, -4000);
      return page.locator(".history-start").count();
    };
    await expect.poll(wheelUp, { timeout: 30_000 }).toBe(1);
    await page.locator(".jump-to-end").click();
    await expectNewest(chat);
  }, SCROLL_LIMIT);
});

test("catching up on 500 messages after an outage has no long task", async ({ page, context, request, consoleErrors }) => {
  consoleErrors.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  await chat.open();
  await expectHydrated(page);
  await context.setOffline(true);
  await fill(request, chat.room);
  await expectShortTasks(page, async () => {
    await context.setOffline(false);
    await expectNewest(chat);
  });
});
