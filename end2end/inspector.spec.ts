// The inspector: each fault is really made, what the drawer says of it is what the server saw, and nothing is lost.

import AxeBuilder from "@axe-core/playwright";
import { ChatPage, Writer, makeRoom } from "./support/chat-page";
import { InspectorDrawer, type Exported, type Har } from "./support/inspector";
import { Records } from "./support/records";
import { test as served } from "./support/server";
import { expect } from "./support/test";
import { fill, ko, texts } from "./support/texts";

interface Fixtures {
  chat: ChatPage;
  drawer: InspectorDrawer;
  writer: Writer;
  records: Records;
}

/** A server of the spec's own, which allows faults; a room, open in the chat. */
const test = served.extend<Fixtures>({
  chat: async ({ page, request, complaints }, use) => {
    complaints.allow(/WebSocket/, /leptos_ws/, /status of 403/, /ERR_/, /EventSource/, /MIME type/);
    const chat = new ChatPage(page);
    await makeRoom(request, chat.room);
    await use(await chat.open());
  },
  drawer: async ({ page, chat }, use) => use(await new InspectorDrawer(page).open()),
  writer: async ({ request }, use) => use(new Writer(request)),
  records: async ({ request }, use) => use(new Records(request)),
});

/** Somebody writes some; the page shows all of it, once and in order. */
async function talk(chat: ChatPage, writer: Writer, said: string[], count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    said.push(`말 ${said.length}`);
    await writer.post(chat.room, said.at(-1)!);
  }
  await all(chat, said);
}

async function all(chat: ChatPage, said: string[]): Promise<void> {
  await expect.poll(() => chat.texts(), { timeout: 60_000 }).toEqual(said);
}

test("a cut socket is cut for the server too, and what was said meanwhile is replayed", async ({ chat, drawer, writer, records }) => {
  const said: string[] = [];
  await talk(chat, writer, said, 2);
  const trace = await drawer.trace();
  const chapter = await drawer.make("cut");
  await talk(chat, writer, said, 3);
  await records.ended(trace, { by: "network", code: null });
  await expect(chapter).toContainText("1006");
  await expect(chapter).toContainText(fill(ko.inspector.step_live, { transport: "WebSocket" }));
  await expect(chapter).toContainText(`chat/${chat.room}`);
  await chat.live();
  expect(await drawer.trace()).not.toBe(trace);
  expect(await drawer.nothingIsLost()).toBeGreaterThanOrEqual(5);
  await expect(drawer.fact("lost")).toHaveText("1");
});

test("a blocked WebSocket leads down to SSE, a blocked SSE to polling", async ({ chat, drawer, writer, records }) => {
  test.setTimeout(120_000);
  const said: string[] = [];
  const trace = await drawer.trace();
  const first = await drawer.make("block_websocket", 60);
  await talk(chat, writer, said, 2);
  await records.ended(trace, { by: "network" });
  await expect(first).toContainText(fill(ko.inspector.step_live, { transport: "SSE" }), { timeout: 60_000 });
  await drawer.show("live");
  await expect(drawer.fact("transport")).toHaveText("SSE");
  await talk(chat, writer, said, 2);

  const second = await drawer.make("block_sse", 60);
  await expect(second).toContainText(fill(ko.inspector.step_live, { transport: "long polling" }), { timeout: 60_000 });
  await talk(chat, writer, said, 2);
  await drawer.show("live");
  await expect(drawer.fact("transport")).toHaveText("long polling");
  await chat.say("폴링으로");
  await all(chat, [...said, "폴링으로"]);
  await drawer.make("unblock");
  await expect(drawer.drawer.locator(".inspector-standing")).toBeEmpty();
  await drawer.nothingIsLost();
});

test("offline nothing is opened, and what is said waits", async ({ chat, drawer, writer, records }) => {
  const trace = await drawer.trace();
  const chapter = await drawer.make("offline", 4);
  await chat.say("터널 안에서");
  await expect(chat.pending).toHaveCount(1);
  await writer.post(chat.room, "밖에서");
  await records.ended(trace, { by: "client", code: 1000 });
  await expect(chapter).toContainText(ko.inspector.phase_offline);
  await expect(chapter).toContainText(ko.inspector.step_restored, { timeout: 15_000 });
  await all(chat, ["밖에서", "터널 안에서"]);
  await expect(chat.pending).toHaveCount(0);
  await drawer.nothingIsLost();
});

test("a delay makes the round trip longer and loses nothing", async ({ chat, drawer, writer }) => {
  const said: string[] = [];
  await drawer.show("faults");
  await drawer.drawer.locator("input[name=delay]").fill("900");
  await drawer.make("delay", 20);
  await expect(drawer.drawer.locator(".inspector-standing")).not.toBeEmpty();
  const asked = Date.now();
  await chat.say("늦게 오는 답");
  await expect(chat.message("늦게 오는 답")).toBeVisible();
  expect(Date.now() - asked).toBeGreaterThan(850);
  said.push("늦게 오는 답");
  await talk(chat, writer, said, 5);
  await drawer.nothingIsLost();
});

test("a slow reader gets everything when it reads again, or is cut off with 4000 and comes back", async ({ chat, drawer, writer, records }) => {
  test.setTimeout(120_000);
  const said: string[] = [];
  await drawer.make("slow", 4);
  await talk(chat, writer, said, 5);
  const trace = await drawer.trace();
  const chapter = await drawer.make("slow", 60);
  await talk(chat, writer, said, 3);
  await records.ended(trace, { by: "server", code: 4000 });
  await expect(chapter).toContainText("4000");
  await drawer.nothingIsLost();
});

test("a drained session comes back when it was told to", async ({ chat, drawer, writer, records }) => {
  const said: string[] = [];
  const trace = await drawer.trace();
  const chapter = await drawer.make("drain");
  await talk(chat, writer, said, 3);
  await records.ended(trace, { by: "server", code: 1012 });
  await expect(chapter).toContainText("1012");
  await expect(chapter).toContainText(ko.inspector.step_closing.split(":")[0]!);
  await drawer.nothingIsLost();
});

test("the figures are those of the server, and of the files", async ({ chat, drawer, writer, records, page }) => {
  const said: string[] = [];
  await talk(chat, writer, said, 4);
  const told = await drawer.nothingIsLost();
  const row = drawer.topic(`chat/${chat.room}`);
  await expect(row.locator('[data-fact="lag"]')).toHaveText("0");
  await expect(row.locator('[data-fact="cursor"]')).toHaveText(String(await row.locator('[data-fact="head"]').textContent()));

  const session = (await drawer.fact("session").textContent()) ?? "";
  const handshake = await records.handshake(await drawer.trace());
  expect(handshake).toMatchObject({ status: 101, ended: null, subprotocol: "duplex.v2.postcard" });
  const known = await page.evaluate(async (name) => (await fetch(`/api/faults?session=${name}`)).json(), session);
  expect(known).toMatchObject({ on: true, known: true });

  const json = await drawer.save<Exported>("json");
  expect(json.session).toBe(session);
  expect(json.told).toMatchObject({ gaps: 0, duplicates: 0 });
  // Who writes is still heard of meanwhile.
  expect(json.told.events).toBeGreaterThanOrEqual(told);
  expect(await drawer.nothingIsLost()).toBeGreaterThanOrEqual(json.told.events);
  const events = json.frames.filter(({ content }) => (content?.event as { topic?: string })?.topic === `chat/${chat.room}`);
  for (const text of said) expect(events.filter((event) => JSON.stringify(event).includes(`"${text}"`))).toHaveLength(1);

  const har = await drawer.save<Har>("har");
  const socket = har.log.entries.find((entry) => entry._webSocketMessages);
  expect(socket?.request.url).toMatch(/^ws:.*\/api\/session$/);
  expect(socket?.response.status).toBe(101);
  const received = json.frames.filter((frame) => frame.direction === "received" && frame.carrier === "socket");
  expect(socket?._webSocketMessages?.filter((message) => message.type === "receive").length).toBeGreaterThanOrEqual(received.length);
});

test("a frame is shown byte by byte, and the handshake with its headers", async ({ chat, drawer, writer }) => {
  await talk(chat, writer, [], 1);
  await drawer.show("frames");
  const event = drawer.drawer.locator(".inspector-frames button", { hasText: `event chat/${chat.room}` }).first();
  await event.click();
  await expect(drawer.fact("json")).toContainText("말 0");
  await expect(drawer.drawer.locator(".inspector-header dt").first()).toHaveText("10000010");
  await drawer.show("how");
  await expect(drawer.fact("version")).toHaveText("HTTP/1.1");
  await expect(drawer.drawer.locator("dt", { hasText: "sec-websocket-accept" }).first()).toBeVisible();
});

test("it is there on every page, stays through navigation, and goes with Escape", async ({ chat, drawer, page }) => {
  await page.getByRole("navigation", { name: ko.app.navigation }).getByRole("link", { name: ko.app.about, exact: true }).click();
  await expect(drawer.drawer).toBeVisible();
  await expect(page).toHaveURL(/\/about$/);
  await drawer.drawer.getByRole("heading", { name: ko.inspector.title }).focus();
  await page.keyboard.press("Escape");
  await expect(drawer.drawer).toBeHidden();
  await expect(drawer.button).toBeFocused();
  await page.keyboard.press("Alt+i");
  await expect(drawer.drawer).toBeVisible();
  await expect(chat.link).toBeAttached();
});

for (const language of ["ko", "en"] as const) {
  for (const colorScheme of ["light", "dark"] as const) {
    test.describe(`${language}, ${colorScheme}`, () => {
      test.use({ locale: language, colorScheme });

      test("every part is accessible, on a phone too", async ({ page, request }) => {
        const chat = new ChatPage(page);
        await makeRoom(request, chat.room);
        await chat.open();
        await chat.say("안녕");
        const drawer = await new InspectorDrawer(page, texts[language]).open();
        for (const width of [1280, 360]) {
          await page.setViewportSize({ width, height: 740 });
          for (const part of ["live", "frames", "faults", "how"] as const) {
            await drawer.show(part);
            if (part === "frames") {
              const chosen = drawer.drawer.locator('.inspector-frames button[aria-pressed="true"]');
              if ((await chosen.count()) === 0) await drawer.drawer.locator(".inspector-frames button").first().click();
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
