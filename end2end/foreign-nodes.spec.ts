// Programs between the server and the page, and in the browser, put elements into a document, take comments out of it and wrap its
// texts. Such a document is rendered afresh: links, forms and sockets work, and what was typed stays.

import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { Page } from "@playwright/test";
import { ChatPage, makeRoom } from "./support/chat-page";
import { EchoPage } from "./support/echo-page";
import { expect, test as base } from "./support/test";
import { en, ko } from "./support/texts";

const PAGES = ["/", "/about", "/chat", "/arena", "/compare", "/notifications", "/market", "/market/hnb", "/devices", "/status", "/no/such/page"];
const AFRESH = /Duplex: something changed this page/;

type Change = (html: string) => string;

const FOREIGN = '<div class="foreign"><b>foreign</b></div>';
const inBody = (html: string, change: Change): string => {
  const start = html.indexOf("<body");
  const end = html.indexOf("</body>");
  return html.slice(0, start) + change(html.slice(start, end)) + html.slice(end);
};
/** Not in scripts and styles, nor where text is not parsed. */
const inMarkup = (html: string, change: Change): string =>
  html.replace(/(<(script|style|textarea|noscript|title)\b[^]*?<\/\2>)|([^]+?)(?=<(?:script|style|textarea|noscript|title)\b|$)/g, (_, raw, _name, markup) => raw ?? change(markup ?? ""));

const CHANGES: Record<string, Change> = {
  "an element first in the body": (html) => html.replace(/<body[^>]*>/, `$&${FOREIGN}`),
  "an element between head and body": (html) => html.replace("</head>", `</head>${FOREIGN}`),
  "elements around each field": (html) => inBody(html, (body) => body.replace(/<(input|select)\b[^>]*>/g, (field) => (field.includes("hidden") || field.startsWith("<select") ? field : `<i></i>${field}<i></i>`))),
  "no comments": (html) => html.replace(/<!--[^]*?-->|<!>/g, ""),
  "no comments in the head": (html) => html.replace("<!--HEAD-->", ""),
  "translated texts": (html) => inBody(html, (body) => inMarkup(body, (markup) => markup.replace(/>([^<>]*[^<>\s][^<>]*)(?=<)/g, "><font><font>$1</font></font>"))),
};

/** A proxy that changes pages, and nothing else. */
class Altering {
  change: Change = (html) => html;
  /** Pages that were not as they had been sent. */
  changed = 0;

  private constructor(
    private readonly target: URL,
    private readonly server: Server,
  ) {}

  static async start(target: string): Promise<Altering> {
    const server = createServer((asked, answer) => altering.pass(asked, answer));
    const altering = new Altering(new URL(target), server);
    server.on("upgrade", (asked, socket, head) => {
      const out = connect(Number(altering.target.port), altering.target.hostname, () => {
        const headers = asked.rawHeaders.flatMap((name, at, all) => (at % 2 ? [] : [`${name}: ${all[at + 1]}\r\n`]));
        out.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
        out.write(head);
        out.pipe(socket).pipe(out);
      });
      for (const end of [out, socket]) end.on("error", () => (out.destroy(), socket.destroy()));
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    return altering;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private pass(asked: IncomingMessage, answer: ServerResponse): void {
    const headers = { ...asked.headers, "accept-encoding": "identity" };
    const out = ask(new URL(asked.url ?? "/", this.target), { method: asked.method, headers }, (from) => {
      const page = from.headers["content-type"]?.startsWith("text/html");
      if (page) delete from.headers["content-length"];
      answer.writeHead(from.statusCode ?? 502, from.headers);
      if (!page) return void from.pipe(answer);
      const chunks: Buffer[] = [];
      from.on("data", (chunk: Buffer) => chunks.push(chunk));
      from.on("end", () => {
        const sent = Buffer.concat(chunks).toString();
        const page = this.change(sent);
        this.changed += page === sent ? 0 : 1;
        answer.end(page);
      });
    });
    out.on("error", () => answer.destroy());
    answer.on("close", () => out.destroy());
    asked.pipe(out);
  }
}

const test = base.extend<{ altering: Altering }>({
  altering: async ({ site }, use) => {
    const proxy = await Altering.start(site);
    await use(proxy);
    proxy.stop();
  },
  baseURL: async ({ altering }, use) => use(altering.url),
});

const alive = (page: Page, part: "early" | "page") =>
  page.waitForFunction((part) => (window as unknown as { duplexPage?: { isAlive(part: string): boolean } }).duplexPage?.isAlive(part), part);

const marked = (page: Page) => page.evaluate(() => "document_of_before" in window);

/** The router follows a link, which it does in a page that is alive. */
async function follow(page: Page): Promise<void> {
  await alive(page, new URL(page.url()).pathname === "/" ? "early" : "page");
  await page.evaluate(() => Object.assign(window, { document_of_before: true }));
  const target = new URL(page.url()).pathname === "/about" ? { name: ko.app.status, path: "/status" } : { name: ko.app.about, path: "/about" };
  await page.getByRole("navigation").getByRole("link", { name: target.name, exact: true }).first().click();
  await expect(page).toHaveURL(target.path);
  await expect(page.locator("#content h1").first()).toBeVisible();
  expect(await marked(page), "the router followed the link").toBe(true);
}

test.beforeEach(({ complaints }) => complaints.allow(AFRESH, /status of 404 .*\/no\/such\/page/));

test("a page as it was sent is hydrated, and not rendered afresh", async ({ page }) => {
  test.slow();
  const told: string[] = [];
  page.on("console", (message) => told.push(message.text()));
  for (const path of PAGES) {
    await page.goto(path);
    const heading = await page.locator("#content h1").first().elementHandle();
    await follow(page);
    expect(heading, path).not.toBeNull();
    expect(told.filter((text) => AFRESH.test(text)), path).toEqual([]);
  }
});

for (const [name, change] of Object.entries(CHANGES)) {
  test(`${name}: every page is alive`, async ({ page, altering }) => {
    test.slow();
    altering.change = change;
    for (const path of PAGES) {
      const told: string[] = [];
      const tell = (message: { text(): string }) => told.push(message.text());
      page.on("console", tell);
      altering.changed = 0;
      await page.goto(path);
      await follow(page);
      expect(told.some((text) => AFRESH.test(text)), `${path}: ${told.join("\n")}`).toBe(altering.changed > 0);
      page.off("console", tell);
    }
  });
}

/** A generator of numbers that are the same in each run. */
function random(seed: number): () => number {
  return () => {
    seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return seed / 2 ** 32;
  };
}

test("elements at any place: every page is alive", async ({ page, altering }) => {
  test.slow();
  const next = random(13);
  altering.change = (html) =>
    inBody(html, (body) => {
      const places = [...body.matchAll(/<(div|p|section|ul|main|header|form|span|button|a|h1|h2|label)\b[^>]*>/g)].map(({ index, 0: tag }) => index + tag.length);
      const place = places[Math.floor(next() * places.length)]!;
      return `${body.slice(0, place)}<s class="foreign"></s>${body.slice(place)}`;
    });
  for (let round = 0; round < 3; round++) {
    for (const path of PAGES) {
      await page.goto(path);
      await follow(page);
    }
  }
});

test("attributes and elements at the body's end change nothing", async ({ page, altering }) => {
  const told: string[] = [];
  page.on("console", (message) => told.push(message.text()));
  altering.change = (html) => html.replace(/<(input|button|a)\b/g, '$& data-foreign="1"').replace("</body>", `${FOREIGN}</body>`);
  for (const path of ["/", "/chat", "/market"]) {
    await page.goto(path);
    await follow(page);
  }
  expect(told.filter((text) => AFRESH.test(text))).toEqual([]);
});

test("the echo's socket opens and answers, once", async ({ page, altering }) => {
  altering.change = CHANGES["elements around each field"]!;
  const echo = new EchoPage(page);
  await page.goto("/");
  await expect(page.locator(".state")).toHaveAttribute("data-state", "open");
  await echo.message.fill("살아 있음");
  await echo.message.press("Enter");
  await page.locator("#journal").evaluate((element) => element.scrollIntoView());
  await expect(echo.row("received", "살아 있음")).toHaveCount(1);
  await follow(page);
});

test("a room sends and receives, and foreign elements stay", async ({ page, request, altering }) => {
  const chat = new ChatPage(page);
  await makeRoom(request, chat.room);
  altering.change = CHANGES["an element first in the body"]!;
  await chat.open();
  await chat.say("다시 그린 페이지");
  await expect(chat.message("다시 그린 페이지")).toHaveCount(1);
  await expect(page.locator("body > .foreign")).toHaveCount(1);
  await expect(page.locator("main")).toHaveCount(1);
});

test("what was typed stays, with the focus and the language", async ({ page, request, altering }) => {
  const chat = new ChatPage(page);
  await makeRoom(request, chat.room);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\/pkg\/duplex\.[^/]*\.wasm$/, async (route) => {
    await released;
    await route.continue();
  });
  altering.change = CHANGES["translated texts"]!;
  await page.goto(`/chat/${chat.room}`, { waitUntil: "commit" });
  await chat.field.fill("미리 쓴 말");
  release();
  await chat.live();
  await expect(chat.field).toHaveValue("미리 쓴 말");
  await expect(chat.field).toBeFocused();
  await chat.field.press("Enter");
  await expect(chat.message("미리 쓴 말")).toHaveCount(1);
});

test("a program that stops leaves the plain page: links and forms work", async ({ page, complaints, altering }) => {
  complaints.allow(/panicked|Duplex: the program of this page has stopped|RuntimeError|hydration error/i);
  const uncaught: Error[] = [];
  const told: string[] = [];
  page.on("pageerror", (error) => uncaught.push(error));
  page.on("console", (message) => told.push(message.text()));
  // Nobody tells the program that the document was changed: it panics.
  await page.addInitScript(() => {
    let own: { isIntact: () => boolean };
    Object.defineProperty(window, "duplexPage", {
      configurable: true,
      get: () => own,
      set: (script) => {
        own = { ...script, isIntact: () => true };
      },
    });
  });
  altering.change = CHANGES["no comments"]!;
  await page.goto("/market");
  await expect.poll(() => told.filter((text) => text.includes("has stopped")).length).toBe(1);
  await page.evaluate(() => Object.assign(window, { document_of_before: true }));
  await page.getByRole("navigation").getByRole("link", { name: ko.app.about, exact: true }).click();
  await expect(page).toHaveURL("/about");
  await expect.poll(() => marked(page), "the browser followed the link").toBe(false);
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  expect(uncaught).toEqual([]);
});
