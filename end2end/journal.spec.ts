// The echo page's journal: details, filters, search, pause, clear, export, and its size limit.

import { EchoPage } from "./support/echo-page";
import { expect, test } from "./support/test";
import { GREETING, REPLY_PREFIX, fill, ko } from "./support/texts";

/** Maximum entries of the journal. */
const LIMIT = 10_000;

test("JSON is indented in sent and received messages", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.send('{"이름":"값","목록":[1,2.50]}');
  const pretty = '{\n  "이름": "값",\n  "목록": [\n    1,\n    2.50\n  ]\n}';
  await echo.row("sent", "이름").click();
  await expect(echo.detail.locator("pre")).toHaveText(pretty, { useInnerText: true });
  await echo.row("received", "이름").click();
  await expect(echo.detail.locator("pre")).toHaveText(REPLY_PREFIX + pretty, { useInnerText: true });
});

test("markup is shown as text", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  const markup = `<img src=x onerror="document.title='깨짐'"><b>굵게</b>`;
  await echo.send(markup);
  await echo.row("received", markup).click();
  await expect(echo.detail.locator("pre")).toHaveText(REPLY_PREFIX + markup);
  await expect(echo.journal.locator("img, b")).toHaveCount(0);
});

test("rows are selected with the keyboard", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await expect(echo.row("received")).toHaveCount(1);
  const list = echo.journal.getByRole("listbox");
  await list.focus();
  await list.press("Home");
  await expect(echo.rows.first()).toHaveAttribute("aria-selected", "true");
  await list.press("ArrowDown");
  await list.press("ArrowDown");
  await expect(echo.row("sent")).toHaveAttribute("aria-selected", "true");
  await expect(echo.detail.locator("pre")).toHaveText(GREETING);
  await list.press("End");
  await expect(echo.rows.last()).toHaveAttribute("aria-selected", "true");
});

test("filters and search narrow the rows", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.send("Apple");
  await expect(echo.row("received", "Apple")).toHaveCount(1);
  const kinds = () => echo.rows.locator("[data-kind]").evaluateAll((all) => all.map((kind) => (kind as HTMLElement).dataset.kind));
  await echo.button("journal", ko.echo.show_sent).click();
  await expect.poll(kinds).toEqual(["sent", "sent"]);
  await echo.button("journal", ko.echo.show_received).click();
  await expect.poll(kinds).toEqual(["received", "received"]);
  await echo.button("journal", ko.echo.show_lifecycle).click();
  await expect.poll(kinds).toEqual(["connecting", "open"]);
  await echo.button("journal", ko.echo.show_all).click();
  const search = echo.journal.getByRole("searchbox", { name: ko.echo.search });
  await search.fill("apple");
  await expect.poll(kinds).toEqual(["sent", "received"]);
  await search.fill("없는 말");
  await expect(echo.journal.getByText(ko.echo.journal_no_match)).toBeVisible();
  await search.fill("");
  await expect(echo.rows).toHaveCount(6);
});

test("pausing holds rows back and shows their number", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await expect(echo.row("received")).toHaveCount(1);
  await echo.button("journal", ko.echo.pause).click();
  await echo.send("멈춘 동안");
  await expect(echo.journal.getByText(fill(ko.echo.held_back, { count: 2 }))).toBeVisible();
  await expect(echo.row("sent", "멈춘 동안")).toHaveCount(0);
  await echo.button("journal", ko.echo.resume).click();
  await expect(echo.row("received", "멈춘 동안")).toHaveCount(1);
});

test("clearing removes all rows, and the page continues", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await expect(echo.row("received")).toHaveCount(1);
  await echo.button("journal", ko.echo.clear).click();
  await expect(echo.rows).toHaveCount(0);
  await expect(echo.journal.getByText(ko.echo.journal_empty)).toBeVisible();
  await expect(echo.journal.getByText(fill(ko.echo.entries, { count: 0 }), { exact: true })).toBeVisible();
  await echo.send("다시");
  await expect(echo.rows).toHaveCount(2);
});

test("the exported file has every entry", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.sendHex("00ff");
  await expect(echo.row("received", "00 ff")).toHaveCount(1);
  await echo.button("journal", ko.echo.show_sent).click();
  const { journal } = await echo.exportJournal();
  expect(journal.dropped).toEqual({ entries: 0, bytes: 0 });
  expect(journal.entries.map(({ id, kind }) => [id, kind])).toEqual([
    [1, "connecting"],
    [2, "open"],
    [3, "sent"],
    [4, "received"],
    [5, "sent"],
    [6, "received"],
  ]);
  expect(journal.entries.map(({ content }) => content.text ?? content.binary ?? content.note)).toEqual([
    "/api/socket",
    expect.stringMatching(/^permessage-deflate/),
    GREETING,
    REPLY_PREFIX + GREETING,
    "00ff",
    "00ff",
  ]);
  expect(journal.entries[5]?.round_trip).toBeGreaterThanOrEqual(0);
  const size = Buffer.byteLength(GREETING);
  expect(journal.entries[2]).toMatchObject({ size, wire: size + 6, round_trip: null });
});

test("a thousand messages sent at once return in order", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await echo.greet.uncheck();
  await echo.button("journal", ko.echo.clear).click();
  await echo.message.evaluate((box: HTMLTextAreaElement) => {
    for (let number = 0; number < 1000; number++) {
      box.value = `#${number}`;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      box.form?.requestSubmit();
    }
  });
  await expect(echo.journal.getByText(fill(ko.echo.entries, { count: "2,000" }), { exact: true })).toBeVisible();
  await expect(echo.roundTripValue("count")).toHaveText("1,001");
  const { journal } = await echo.exportJournal();
  const textsOf = (kind: string) => journal.entries.filter((entry) => entry.kind === kind).map(({ content }) => content.text);
  const numbers = Array.from({ length: 1000 }, (_, number) => `#${number}`);
  expect(textsOf("sent")).toEqual(numbers);
  expect(textsOf("received")).toEqual(numbers.map((text) => REPLY_PREFIX + text));
});

test("above its limit the journal drops the oldest entries, shows their number, and stays responsive", async ({ page, foreignServer }) => {
  const flood = LIMIT + 500;
  const server = await foreignServer((socket) => {
    for (let number = 1; number <= flood; number++) socket.send(`message ${number}`);
  });
  const echo = await new EchoPage(page).open();
  await echo.greet.uncheck();
  await echo.disconnect();
  await echo.expectState("closed");
  await echo.button("journal", ko.echo.clear).click();
  await echo.connect(server.address);
  // Slow: each message is also a console line, which the browser reports to the test.
  await expect(echo.row("received", `message ${flood}`)).toHaveCount(1, { timeout: 20_000 });

  const { journal } = await echo.exportJournal();
  expect(journal.entries).toHaveLength(LIMIT);
  expect(journal.entries.at(-1)?.content.text).toBe(`message ${flood}`);
  // 500 messages and the two entries of the opening.
  expect(journal.dropped.entries).toBe(502);
  const size = `${journal.dropped.bytes.toLocaleString("en")} B`;
  const counts = [fill(ko.echo.entries, { count: "10,000" }), fill(ko.echo.dropped, { count: 502, size })].join(" · ");
  await expect(echo.journal.getByText(counts, { exact: true })).toBeVisible();

  const { rows, slowest } = await echo.journal.getByRole("listbox").evaluate(scrollThrough);
  expect(rows, "rows in the document").toBeLessThan(60);
  expect(slowest, "milliseconds of the slowest frame while scrolling").toBeLessThan(500);
  await expect(echo.row("received", "message 501")).toHaveCount(1);

  await echo.journal.getByRole("searchbox").fill(`message ${flood}`);
  await expect(echo.rows).toHaveCount(1);
});

/** Scrolls from the end to the beginning in a hundred frames; returns the maximum number of rows and the longest frame time. */
async function scrollThrough(list: Element): Promise<{ rows: number; slowest: number }> {
  let rows = 0;
  let slowest = 0;
  let before = await new Promise(requestAnimationFrame);
  for (let step = 100; step >= 0; step--) {
    list.scrollTop = (list.scrollHeight * step) / 100;
    const now = await new Promise(requestAnimationFrame);
    slowest = Math.max(slowest, now - before);
    rows = Math.max(rows, list.querySelectorAll('[role="option"]').length);
    before = now;
  }
  return { rows, slowest };
}
