// The inspector: injected faults are real, the drawer agrees with the server's records, and no event is lost.

import AxeBuilder from "@axe-core/playwright";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { InspectorDrawer, type Exported, type Har } from "./support/inspector";
import { HandshakeRecords } from "./support/handshake-records";
import { test as serverTest } from "./support/server";
import { expect } from "./support/test";
import { fill, ko, texts } from "./support/texts";

interface Fixtures {
  chat: ChatPage;
  drawer: InspectorDrawer;
  writer: Writer;
  records: HandshakeRecords;
}

/** A server with faults enabled, and an open chat room. */
const test = serverTest.extend<Fixtures>({
  chat: async ({ page, request, consoleErrors }, use) => {
    consoleErrors.allow(/WebSocket/, /leptos_ws/, /status of 403/, /ERR_/, /EventSource/, /MIME type/);
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await use(await chat.open());
  },
  drawer: async ({ page, chat }, use) => use(await new InspectorDrawer(page).open()),
  writer: async ({ request }, use) => use(new Writer(request)),
  records: async ({ request }, use) => use(new HandshakeRecords(request)),
});

/** Another client posts messages; the page shows all of them, once and in order. */
async function postAndExpect(chat: ChatPage, writer: Writer, sent: string[], count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    sent.push(`말 ${sent.length}`);
    await writer.post(chat.room, sent.at(-1)!);
  }
  await expectTexts(chat, sent);
}

async function expectTexts(chat: ChatPage, sent: string[]): Promise<void> {
  await expect.poll(() => chat.texts(), { timeout: 60_000 }).toEqual(sent);
}

test("a cut connection is closed on the server, too, and missed events are replayed", async ({ chat, drawer, writer, records }) => {
  const sent: string[] = [];
  await postAndExpect(chat, writer, sent, 2);
  const trace = await drawer.trace();
  const period = await drawer.inject("cut");
  await postAndExpect(chat, writer, sent, 3);
  await records.expectEnded(trace, { by: "network", code: null });
  await expect(period).toContainText("1006");
  await expect(period).toContainText(fill(ko.inspector.step_live, { transport: "WebSocket" }));
  await expect(period).toContainText(`chat/${chat.room}`);
  await chat.expectLive();
  expect(await drawer.trace()).not.toBe(trace);
  expect(await drawer.expectNothingLost()).toBeGreaterThanOrEqual(5);
  await expect(drawer.value("lost")).toHaveText("1");
});

test("a blocked WebSocket falls back to SSE, a blocked SSE to polling", async ({ chat, drawer, writer, records }) => {
  test.setTimeout(120_000);
  const sent: string[] = [];
  const trace = await drawer.trace();
  const first = await drawer.inject("block_websocket", 60);
  await postAndExpect(chat, writer, sent, 2);
  await records.expectEnded(trace, { by: "network" });
  await expect(first).toContainText(fill(ko.inspector.step_live, { transport: "SSE" }), { timeout: 60_000 });
  await drawer.openTab("live");
  await expect(drawer.value("transport")).toHaveText("SSE");
  await postAndExpect(chat, writer, sent, 2);

  const second = await drawer.inject("block_sse", 60);
  await expect(second).toContainText(fill(ko.inspector.step_live, { transport: "long polling" }), { timeout: 60_000 });
  await postAndExpect(chat, writer, sent, 2);
  await drawer.openTab("live");
  await expect(drawer.value("transport")).toHaveText("long polling");
  await chat.send("폴링으로");
  await expectTexts(chat, [...sent, "폴링으로"]);
  await drawer.inject("unblock");
  await expect(drawer.drawer.locator(".inspector-active-faults")).toBeEmpty();
  await drawer.expectNothingLost();
});

test("while offline, no connection is opened and commands wait", async ({ chat, drawer, writer, records }) => {
  const trace = await drawer.trace();
  const period = await drawer.inject("offline", 4);
  await chat.send("터널 안에서");
  await expect(chat.pending).toHaveCount(1);
  await writer.post(chat.room, "밖에서");
  await records.expectEnded(trace, { by: "client", code: 1000 });
  await expect(period).toContainText(ko.inspector.phase_offline);
  await expect(period).toContainText(ko.inspector.step_restored, { timeout: 15_000 });
  await expectTexts(chat, ["밖에서", "터널 안에서"]);
  await expect(chat.pending).toHaveCount(0);
  await drawer.expectNothingLost();
});

test("a delay lengthens the round trip and loses nothing", async ({ chat, drawer, writer }) => {
  const sent: string[] = [];
  await drawer.openTab("faults");
  await drawer.drawer.locator("input[name=delay]").fill("900");
  await drawer.inject("delay", 20);
  await expect(drawer.drawer.locator(".inspector-active-faults")).not.toBeEmpty();
  const start = Date.now();
  await chat.send("늦게 오는 답");
  await expect(chat.message("늦게 오는 답")).toBeVisible();
  expect(Date.now() - start).toBeGreaterThan(850);
  sent.push("늦게 오는 답");
  await postAndExpect(chat, writer, sent, 5);
  await drawer.expectNothingLost();
});

test("a slow reader catches up, or is disconnected with 4000 and resumes", async ({ chat, drawer, writer, records }) => {
  test.setTimeout(120_000);
  const sent: string[] = [];
  await drawer.inject("slow", 4);
  await postAndExpect(chat, writer, sent, 5);
  const trace = await drawer.trace();
  const period = await drawer.inject("slow", 60);
  await postAndExpect(chat, writer, sent, 3);
  await records.expectEnded(trace, { by: "server", code: 4000 });
  await expect(period).toContainText("4000");
  await drawer.expectNothingLost();
});

test("a drained session reconnects after the given delay", async ({ chat, drawer, writer, records }) => {
  const sent: string[] = [];
  const trace = await drawer.trace();
  const period = await drawer.inject("drain");
  await postAndExpect(chat, writer, sent, 3);
  await records.expectEnded(trace, { by: "server", code: 1012 });
  await expect(period).toContainText("1012");
  await expect(period).toContainText(ko.inspector.step_closing.split(":")[0]!);
  await drawer.expectNothingLost();
});

test("the drawer's counts match the server and the exported files", async ({ chat, drawer, writer, records, page }) => {
  const sent: string[] = [];
  await postAndExpect(chat, writer, sent, 4);
  const events = await drawer.expectNothingLost();
  const row = drawer.topic(`chat/${chat.room}`);
  await expect(row.locator('[data-key="lag"]')).toHaveText("0");
  await expect(row.locator('[data-key="cursor"]')).toHaveText(String(await row.locator('[data-key="head"]').textContent()));

  const session = (await drawer.value("session").textContent()) ?? "";
  const handshake = await records.handshake(await drawer.trace());
  expect(handshake).toMatchObject({ status: 101, ended: null, subprotocol: "duplex.v2.postcard" });
  const known = await page.evaluate(async (name) => (await fetch(`/api/faults?session=${name}`)).json(), session);
  expect(known).toMatchObject({ on: true, known: true });

  const json = await drawer.save<Exported>("json");
  expect(json.session).toBe(session);
  expect(json.told).toMatchObject({ gaps: 0, duplicates: 0 });
  // Typing events may still arrive meanwhile.
  expect(json.told.events).toBeGreaterThanOrEqual(events);
  expect(await drawer.expectNothingLost()).toBeGreaterThanOrEqual(json.told.events);
  const frames = json.frames.filter(({ content }) => (content?.event as { topic?: string })?.topic === `chat/${chat.room}`);
  for (const text of sent) expect(frames.filter((frame) => JSON.stringify(frame).includes(`"${text}"`))).toHaveLength(1);

  const har = await drawer.save<Har>("har");
  const socket = har.log.entries.find((entry) => entry._webSocketMessages);
  expect(socket?.request.url).toMatch(/^ws:.*\/api\/session$/);
  expect(socket?.response.status).toBe(101);
  const received = json.frames.filter((frame) => frame.direction === "received" && frame.carrier === "socket");
  expect(socket?._webSocketMessages?.filter((message) => message.type === "receive").length).toBeGreaterThanOrEqual(received.length);
});

test("a frame is decoded byte by byte, and the handshake shows its headers", async ({ chat, drawer, writer }) => {
  await postAndExpect(chat, writer, [], 1);
  await drawer.openTab("frames");
  const event = drawer.drawer.locator(".inspector-frames button", { hasText: `event chat/${chat.room}` }).first();
  await event.click();
  await expect(drawer.value("json")).toContainText("말 0");
  await expect(drawer.drawer.locator(".inspector-definitions dt").first()).toHaveText("10000010");
  await drawer.openTab("how");
  await expect(drawer.value("version")).toHaveText("HTTP/1.1");
  await expect(drawer.drawer.locator("dt", { hasText: "sec-websocket-accept" }).first()).toBeVisible();
});

test("the drawer stays open through navigation and closes with Escape", async ({ chat, drawer, page }) => {
  await page.getByRole("navigation", { name: ko.app.navigation }).getByRole("link", { name: ko.app.about, exact: true }).click();
  await expect(drawer.drawer).toBeVisible();
  await expect(page).toHaveURL(/\/about$/);
  await drawer.drawer.getByRole("heading", { name: ko.inspector.title }).focus();
  await page.keyboard.press("Escape");
  await expect(drawer.drawer).toBeHidden();
  await expect(drawer.button).toBeFocused();
  await page.keyboard.press("Alt+i");
  await expect(drawer.drawer).toBeVisible();
  await expect(chat.sessionStatus).toBeAttached();
});

for (const language of ["ko", "en"] as const) {
  for (const colorScheme of ["light", "dark"] as const) {
    test.describe(`${language}, ${colorScheme}`, () => {
      test.use({ locale: language, colorScheme });

      test("every tab is accessible, also on a phone", async ({ page, request }) => {
        const chat = new ChatPage(page);
        await createRoom(request, chat.room);
        await chat.open();
        await chat.send("안녕");
        const drawer = await new InspectorDrawer(page, texts[language]).open();
        for (const width of [1280, 360]) {
          await page.setViewportSize({ width, height: 740 });
          for (const tab of ["live", "frames", "faults", "how"] as const) {
            await drawer.openTab(tab);
            if (tab === "frames") {
              const selected = drawer.drawer.locator('.inspector-frames button[aria-pressed="true"]');
              if ((await selected.count()) === 0) await drawer.drawer.locator(".inspector-frames button").first().click();
            }
            const { violations } = await new AxeBuilder({ page }).analyze();
            expect(violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }))).toEqual([]);
            const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
            expect(tooWide).toBe(0);
          }
        }
      });
    });
  }
}
