// The operator's moderation controls: visible only to operators, effective for all visitors.

import type { Browser, Page } from "@playwright/test";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { Server, test } from "./support/server";
import { StatusPage } from "./support/status-page";
import { expect } from "./support/test";
import { ko } from "./support/texts";

const TOKEN = "a-token-for-the-tests";

const startServer = () => Server.start(0, undefined, { host: "0.0.0.0", args: ["--token", TOKEN] });

async function visitor(browser: Browser, server: Server, room: string): Promise<ChatPage> {
  const context = await browser.newContext({ locale: "ko-KR", baseURL: server.url });
  return new ChatPage(await context.newPage(), room).open();
}

/** Signs in as operator and opens the room. */
async function operator(page: Page, server: Server, room: string): Promise<ChatPage> {
  const status = await new StatusPage(page).open(server.url);
  await status.signIn(TOKEN);
  await status.expectLive();
  const chat = new ChatPage(page, room);
  await page.goto(`${server.url}${chat.path}`);
  await chat.expectLive();
  return chat;
}

test.beforeEach(({ consoleErrors }) => consoleErrors.allow(/WebSocket Closed/, /ERR_/, /40[134]/));

test("an operator deletes a visitor's message by keyboard", async ({ page, browser, request }) => {
  const server = await startServer();
  await createRoom(request, "room", server.url);
  const other = await visitor(browser, server, "room");
  await other.send("지울 말");
  await expect(other.message("지울 말")).toBeVisible();
  await expect(other.page.locator("[data-action=delete-room], [data-action=ban-person]")).toHaveCount(0);
  const chat = await operator(page, server, "room");
  await chat.message("지울 말").locator(".menu-button").focus();
  await page.keyboard.press("Enter");
  const remove = chat.messages.first().locator("[data-action=delete]");
  await remove.focus();
  await page.keyboard.press("Enter");
  await expect(remove).toHaveText(ko.chat.really_delete);
  await page.keyboard.press("Enter");
  await expect(other.messages.first()).toContainText(ko.chat.deleted);
  await expect(other.message("지울 말")).toHaveCount(0);
  await server.stop();
});

test("an unfinished reason survives scrolling and is cleared once sent", async ({ page, browser, request }) => {
  test.slow();
  const server = await startServer();
  await createRoom(request, "room", server.url);
  const other = await visitor(browser, server, "room");
  await other.send("막을 말");
  const chat = await operator(page, server, "room");
  const id = (await chat.message("막을 말").getAttribute("id"))!;
  const row = page.locator(`#${id}`);
  await row.locator(".menu-button").click();
  await row.locator("[data-action=ban-person]").click();
  await row.locator("select[name=length]").selectOption("week");
  const reason = row.locator("input[name=reason]");
  await reason.fill("반쯤 쓴 사유");
  for (let number = 0; number < 320; number++) {
    await new Writer(request, server.url).post("room", `줄 ${number}.`);
  }
  await expect(chat.message("줄 319.")).toHaveCount(1);
  const log = page.getByRole("log");
  await log.evaluate((log) => (log.scrollTop = 0));
  await expect(row, "the row is not in the document").toHaveCount(0);
  await expect(async () => {
    await log.evaluate((log) => (log.scrollTop = -log.scrollHeight));
    await expect(reason).toHaveValue("반쯤 쓴 사유", { timeout: 500 });
  }).toPass({ timeout: 20_000 });
  await expect(row.locator("select[name=length]")).toHaveValue("week");
  await row.locator(".menu-form button[type=submit]").click();
  await expect(row.locator(".menu")).toHaveCount(0);
  await row.locator(".menu-button").click();
  await row.locator("[data-action=ban-person]").click();
  await expect(reason).toHaveValue("");
  await server.stop();
});

test("a visitor gets no moderation controls", async ({ browser, request }) => {
  const server = await startServer();
  await createRoom(request, "room", server.url);
  const one = await visitor(browser, server, "room");
  const two = await visitor(browser, server, "room");
  await two.send("남의 말");
  await one.message("남의 말").locator(".menu-button").click();
  for (const action of ["delete", "ban-person", "rename-person"]) {
    await expect(one.page.locator(`[data-action=${action}]`)).toHaveCount(0);
  }
  await expect(one.page.locator("[data-action=delete-room]")).toHaveCount(0);
  await server.stop();
});

test("an operator renames and bans a visitor, and lifts the ban", async ({ page, browser, request }) => {
  const server = await startServer();
  await createRoom(request, "room", server.url);
  const other = await visitor(browser, server, "room");
  await other.send("안녕");
  const chat = await operator(page, server, "room");
  const row = chat.message("안녕");
  await row.locator(".menu-button").click();
  await row.locator("[data-action=rename-person]").click();
  await row.locator("[name=new-name]").fill("바른 이름");
  await row.getByRole("button", { name: ko.moderation.rename_now, exact: true }).click();
  await expect(other.page.locator(".name-form summary")).toContainText("바른 이름");
  await row.locator(".menu-button").click();
  await row.locator("[data-action=ban-person]").click();
  await row.locator("[name=reason]").fill("도배");
  await row.getByRole("button", { name: ko.moderation.ban_now, exact: true }).click();
  await expect(other.sessionStatus).toContainText(ko.link.banned);
  await other.page.reload();
  await expect(other.page.locator("h1")).toHaveText(ko.moderation.banned_title);
  await expect(other.page.locator("main")).toContainText("도배");
  const status = await new StatusPage(page).open(server.url);
  await status.expectLive();
  const unban = page.locator("[data-action=unban]");
  await unban.click();
  await expect(unban).toHaveText(ko.moderation.really_unban);
  await unban.click();
  await expect(unban).toHaveCount(0);
  await other.open();
  await server.stop();
});

test("deleting a room removes it for everyone in it", async ({ page, browser, request }) => {
  const server = await startServer();
  await createRoom(request, "room", server.url);
  const other = await visitor(browser, server, "room");
  await other.send("방 안의 말");
  await operator(page, server, "room");
  const remove = page.locator("[data-action=delete-room]");
  await remove.click();
  await expect(remove).toHaveText(ko.moderation.really_delete_room);
  await remove.click();
  await expect(other.page.getByRole("heading", { name: ko.chat.room_gone })).toBeVisible();
  await other.page.reload();
  await expect(other.page.getByRole("heading", { name: ko.chat.room_gone })).toBeVisible();
  await expect(other.page.locator("body")).not.toContainText("방 안의 말");
  await server.stop();
});

test("a reserved name is rejected, and the former name stays", async ({ browser, request }) => {
  const server = await startServer();
  await createRoom(request, "room", server.url);
  const chat = await visitor(browser, server, "room");
  const rename = async (name: string) => {
    await chat.page.locator(".name-form summary").click();
    await chat.page.locator(".name-form input").fill(name);
    await chat.page.locator(".name-form input").press("Enter");
  };
  await rename("민지");
  await expect(chat.page.locator(".name-form summary")).toContainText("민지");
  await rename("운영자");
  await expect(chat.page.getByRole("alert").filter({ hasText: ko.names.name_reserved })).toBeVisible();
  await expect(chat.page.locator(".name-form summary")).toContainText("민지");
  await chat.page.reload();
  await expect(chat.page.locator(".name-form summary")).toContainText("민지");
  await server.stop();
});
