// Proxies and browser extensions add elements to a document, remove comments and wrap texts. The app renders such a document again
// instead of hydrating it: links, forms and sockets work, and typed text is kept.

import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { Page } from "@playwright/test";
import { ChatPage, createRoom } from "./support/chat-page";
import { EchoPage } from "./support/echo-page";
import { expect, test as base } from "./support/test";
import { en, ko } from "./support/texts";

const PAGES = ["/", "/about", "/chat", "/arena", "/compare", "/notifications", "/market", "/market/hnb", "/devices", "/status", "/no/such/page"];
const RERENDERED = /Duplex: the document was changed before hydration/;

type Change = (html: string) => string;

const FOREIGN = '<div class="foreign"><b>foreign</b></div>';
const inBody = (html: string, change: Change): string => {
  const start = html.indexOf("<body");
  const end = html.indexOf("</body>");
  return html.slice(0, start) + change(html.slice(start, end)) + html.slice(end);
};
/** Applies the change outside of scripts, styles and raw text elements. */
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

/** A proxy that changes HTML pages and forwards everything else. */
class RewritingProxy {
  change: Change = (html) => html;
  /** Number of changed pages. */
  changed = 0;

  private constructor(
    private readonly target: URL,
    private readonly server: Server,
  ) {}

  static async start(target: string): Promise<RewritingProxy> {
    const server = createServer((incoming, response) => proxy.forward(incoming, response));
    const proxy = new RewritingProxy(new URL(target), server);
    server.on("upgrade", (incoming, socket, head) => {
      const outgoing = connect(Number(proxy.target.port), proxy.target.hostname, () => {
        const headers = incoming.rawHeaders.flatMap((name, at, all) => (at % 2 ? [] : [`${name}: ${all[at + 1]}\r\n`]));
        outgoing.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
        outgoing.write(head);
        outgoing.pipe(socket).pipe(outgoing);
      });
      for (const end of [outgoing, socket]) end.on("error", () => (outgoing.destroy(), socket.destroy()));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private forward(incoming: IncomingMessage, response: ServerResponse): void {
    const headers = { ...incoming.headers, "accept-encoding": "identity" };
    const outgoing = httpRequest(new URL(incoming.url ?? "/", this.target), { method: incoming.method, headers }, (upstream) => {
      const isPage = upstream.headers["content-type"]?.startsWith("text/html");
      if (isPage) delete upstream.headers["content-length"];
      response.writeHead(upstream.statusCode ?? 502, upstream.headers);
      if (!isPage) return void upstream.pipe(response);
      const chunks: Buffer[] = [];
      upstream.on("data", (chunk: Buffer) => chunks.push(chunk));
      upstream.on("end", () => {
        const original = Buffer.concat(chunks).toString();
        const page = this.change(original);
        this.changed += page === original ? 0 : 1;
        response.end(page);
      });
    });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  }
}

const test = base.extend<{ rewritingProxy: RewritingProxy }>({
  rewritingProxy: async ({ site }, use) => {
    const rewritingProxy = await RewritingProxy.start(site);
    await use(rewritingProxy);
    rewritingProxy.stop();
  },
  baseURL: async ({ rewritingProxy }, use) => use(rewritingProxy.url),
});

const waitForHydration = (page: Page, part: "early" | "page") =>
  page.waitForFunction((part) => (window as unknown as { duplexPage?: { isHydrated(part: string): boolean } }).duplexPage?.isHydrated(part), part);

const isSameDocument = (page: Page) => page.evaluate(() => "sameDocument" in window);

/** Follows a link through the router, which proves that the page is hydrated. */
async function followLink(page: Page): Promise<void> {
  await waitForHydration(page, new URL(page.url()).pathname === "/" ? "early" : "page");
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));
  const target = new URL(page.url()).pathname === "/about" ? { name: ko.app.status, path: "/status" } : { name: ko.app.about, path: "/about" };
  await page.getByRole("navigation").getByRole("link", { name: target.name, exact: true }).first().click();
  await expect(page).toHaveURL(target.path);
  await expect(page.locator("#content h1").first()).toBeVisible();
  expect(await isSameDocument(page), "the router followed the link").toBe(true);
}

test.beforeEach(({ consoleErrors }) => consoleErrors.allow(RERENDERED, /status of 404 .*\/no\/such\/page/));

test("an unchanged page is hydrated, and not rendered again", async ({ page }) => {
  test.slow();
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  for (const path of PAGES) {
    await page.goto(path);
    const heading = await page.locator("#content h1").first().elementHandle();
    await followLink(page);
    expect(heading, path).not.toBeNull();
    expect(lines.filter((text) => RERENDERED.test(text)), path).toEqual([]);
  }
});

for (const [name, change] of Object.entries(CHANGES)) {
  test(`${name}: every page works`, async ({ page, rewritingProxy }) => {
    test.slow();
    rewritingProxy.change = change;
    for (const path of PAGES) {
      const lines: string[] = [];
      const onConsole = (message: { text(): string }) => lines.push(message.text());
      page.on("console", onConsole);
      rewritingProxy.changed = 0;
      await page.goto(path);
      await followLink(page);
      expect(lines.some((text) => RERENDERED.test(text)), `${path}: ${lines.join("\n")}`).toBe(rewritingProxy.changed > 0);
      page.off("console", onConsole);
    }
  });
}

/** A pseudo-random generator that gives the same numbers in each run. */
function random(seed: number): () => number {
  return () => {
    seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return seed / 2 ** 32;
  };
}

test("elements at random positions: every page works", async ({ page, rewritingProxy }) => {
  test.slow();
  const next = random(13);
  rewritingProxy.change = (html) =>
    inBody(html, (body) => {
      const positions = [...body.matchAll(/<(div|p|section|ul|main|header|form|span|button|a|h1|h2|label)\b[^>]*>/g)].map(({ index, 0: tag }) => index + tag.length);
      const position = positions[Math.floor(next() * positions.length)]!;
      return `${body.slice(0, position)}<s class="foreign"></s>${body.slice(position)}`;
    });
  for (let round = 0; round < 3; round++) {
    for (const path of PAGES) {
      await page.goto(path);
      await followLink(page);
    }
  }
});

test("attributes and elements at the body's end do not prevent hydration", async ({ page, rewritingProxy }) => {
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  rewritingProxy.change = (html) => html.replace(/<(input|button|a)\b/g, '$& data-foreign="1"').replace("</body>", `${FOREIGN}</body>`);
  for (const path of ["/", "/chat", "/market"]) {
    await page.goto(path);
    await followLink(page);
  }
  expect(lines.filter((text) => RERENDERED.test(text))).toEqual([]);
});

test("the echo's socket opens and echoes once", async ({ page, rewritingProxy }) => {
  rewritingProxy.change = CHANGES["elements around each field"]!;
  const echo = new EchoPage(page);
  await page.goto("/");
  await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "open");
  await echo.message.fill("살아 있음");
  await echo.message.press("Enter");
  await page.locator("#journal").evaluate((element) => element.scrollIntoView());
  await expect(echo.row("received", "살아 있음")).toHaveCount(1);
  await followLink(page);
});

test("a chat room works, and foreign elements are kept", async ({ page, request, rewritingProxy }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  rewritingProxy.change = CHANGES["an element first in the body"]!;
  await chat.open();
  await chat.send("다시 그린 페이지");
  await expect(chat.message("다시 그린 페이지")).toHaveCount(1);
  await expect(page.locator("body > .foreign")).toHaveCount(1);
  await expect(page.locator("main")).toHaveCount(1);
});

test("typed text and the focus are kept", async ({ page, request, rewritingProxy }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\/pkg\/duplex\.[^/]*\.wasm$/, async (route) => {
    await released;
    await route.continue();
  });
  rewritingProxy.change = CHANGES["translated texts"]!;
  await page.goto(`/chat/${chat.room}`, { waitUntil: "commit" });
  await chat.field.fill("미리 쓴 말");
  release();
  await chat.expectLive();
  await expect(chat.field).toHaveValue("미리 쓴 말");
  await expect(chat.field).toBeFocused();
  await chat.field.press("Enter");
  await expect(chat.message("미리 쓴 말")).toHaveCount(1);
});

test("if the app panics, links and forms work as without scripts", async ({ page, consoleErrors, rewritingProxy }) => {
  consoleErrors.allow(/panicked|Duplex: the app has stopped|RuntimeError|hydration error/i);
  const uncaught: Error[] = [];
  const lines: string[] = [];
  page.on("pageerror", (error) => uncaught.push(error));
  page.on("console", (message) => lines.push(message.text()));
  // Hides the change from the app, so that hydration panics.
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
  rewritingProxy.change = CHANGES["no comments"]!;
  await page.goto("/market");
  await expect.poll(() => lines.filter((text) => text.includes("has stopped")).length).toBe(1);
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));
  await page.getByRole("navigation").getByRole("link", { name: ko.app.about, exact: true }).click();
  await expect(page).toHaveURL("/about");
  await expect.poll(() => isSameDocument(page), "the browser followed the link").toBe(false);
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  expect(uncaught).toEqual([]);
});
