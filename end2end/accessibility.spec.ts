// Accessibility of every page in both languages and colour schemes: axe, keyboard focus, and no horizontal scrolling.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { ArenaPage } from "./support/arena-page";
import { ChatPage, createRoom } from "./support/chat-page";
import { StatusPage } from "./support/status-page";
import { DevicesPage } from "./support/devices-page";
import { ComparePage } from "./support/compare-page";
import { EchoPage } from "./support/echo-page";
import { NotificationsPage } from "./support/notifications-page";
import { MarketPage } from "./support/market-page";
import { expect, test } from "./support/test";
import { ko, texts } from "./support/texts";
import { expectVitalsLive } from "./support/vitals";

const PAGES = [
  { path: "/", status: 200 },
  { path: "/about", status: 200 },
  { path: "/status", status: 200 },
  { path: "/chat", status: 200 },
  { path: "/arena", status: 200 },
  { path: "/compare", status: 200 },
  { path: "/notifications", status: 200 },
  { path: "/market", status: 200 },
  { path: "/market/hnb", status: 200 },
  { path: "/devices", status: 200 },
  { path: "/no/such/page", status: 404 },
];

/** Opens the page and waits until it is hydrated and connected, and shows data. */
async function visit(page: Page, path: string): Promise<number> {
  // The operator's page shows data only after signing in.
  if (path === "/status") await new StatusPage(page).openAs(process.env.DUPLEX_TOKEN ?? "");
  const response = await page.goto(path);
  await expectVitalsLive(page);
  if (path === "/") await new EchoPage(page).revealLazyCards();
  await page.evaluate(() => scrollTo(0, 0));
  if (path === "/") {
    await expect(page.locator('[data-kind="received"]')).toHaveCount(1);
    await expect(page.locator('[data-key="version"]')).toBeVisible();
  }
  if (path === "/notifications") await new NotificationsPage(page).expectLive();
  if (path.startsWith("/market")) await new MarketPage(page).expectLive();
  if (path === "/devices") await new DevicesPage(page).expectLive();
  if (path === "/chat") await new ChatPage(page, "lobby").expectLive();
  if (path === "/status") await new StatusPage(page).expectLive();
  if (path === "/arena") await new ArenaPage(page).expectLive();
  return response!.status();
}

async function violations(page: Page): Promise<unknown[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html }) => html) }));
}

const tooWide = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test.beforeEach(({ consoleErrors }) => consoleErrors.allow(/status of 404 .*\/no\/such\/page/));

for (const language of ["ko", "en"] as const) {
  for (const colorScheme of ["light", "dark"] as const) {
    test.describe(`${language}, ${colorScheme}`, () => {
      test.use({ locale: language, colorScheme });

      for (const { path, status } of PAGES) {
        test(`${path} is accessible`, async ({ page }) => {
          expect(await visit(page, path)).toBe(status);
          await expect(page.locator("html")).toHaveAttribute("lang", language);
          expect(await violations(page)).toEqual([]);
        });
      }

      test("the chat is accessible in all states", async ({ page, request }) => {
        const chat = new ChatPage(page);
        await createRoom(request, chat.room);
        await chat.open();
        await chat.send("https://example.com 👍");
        const message = chat.messages.first();
        await message.locator(".menu-button").click();
        await message.locator(".menu-emoji").first().click();
        await expect(message.locator(".reaction")).toBeVisible();
        await message.locator(".menu-button").click();
        await message.locator("[data-action=reply]").click();
        await chat.send("답장");
        await expect(chat.message("답장").locator(".quote")).toBeVisible();
        await page.locator(".people summary").click();
        await message.locator(".menu-button").click();
        expect(await violations(page)).toEqual([]);
      });

      test("the comparison is accessible with its results", async ({ page }) => {
        const compare = await new ComparePage(page, texts[language]).open();
        await compare.set("count", 10);
        await compare.run();
        await compare.copy("copy_csv");
        expect(await violations(page)).toEqual([]);
      });

      test("the echo page is accessible in all states", async ({ page }) => {
        const echo = await new EchoPage(page, texts[language]).open();
        await echo.send('{"a":1}');
        await echo.row("received", '"a"').click();
        await echo.sendHex("xyz");
        await echo.disconnect(2000);
        await echo.disconnect(4000, "이유");
        await expect(echo.handshakeValue("ended")).toContainText("4000");
        expect(await violations(page)).toEqual([]);
      });
    });
  }

  test.describe(`${language}, phone`, () => {
    test.use({ locale: language, viewport: { width: 360, height: 740 } });

    for (const { path } of PAGES) {
      test(`${path} does not scroll sideways`, async ({ page }) => {
        await visit(page, path);
        expect(await tooWide(page)).toBeLessThanOrEqual(0);
      });
    }

    test("the comparison does not scroll sideways with its results", async ({ page }) => {
      const compare = await new ComparePage(page, texts[language]).open();
      await compare.set("count", 10);
      await compare.run();
      await compare.copy("copy_markdown");
      expect(await tooWide(page)).toBeLessThanOrEqual(0);
    });

    test("the echo page does not scroll sideways with long messages", async ({ page }) => {
      const echo = await new EchoPage(page, texts[language]).open();
      await echo.send("가나다라".repeat(300));
      await echo.row("received", "가나다라").click();
      await echo.sendHex("q");
      await echo.disconnect(4000, "이".repeat(40));
      await expect(echo.handshakeValue("ended")).toContainText("4000");
      expect(await tooWide(page)).toBeLessThanOrEqual(0);
    });
  });
}

test("a chosen colour scheme overrides the system's, is remembered, and is accessible", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await visit(page, "/");
  const background = () => page.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
  const light = await background();
  await page.getByRole("button", { name: ko.app.colour_dark, exact: true }).click();
  await expect.poll(background).not.toBe(light);
  expect(await violations(page)).toEqual([]);
  const reloaded = await page.reload();
  expect(await reloaded!.text()).toContain('data-theme="dark"');
  await expect.poll(background).not.toBe(light);
  await page.getByRole("button", { name: ko.app.colour_auto, exact: true }).click();
  await expect.poll(background).toBe(light);
});

for (const { path } of PAGES) {
  test(`${path} is reachable by keyboard and shows the focus`, async ({ page }) => {
    await visit(page, path);
    const reachable = await page.evaluate(watchFocus);
    expect(reachable.length).toBeGreaterThan(5);
    for (let presses = 0; presses < reachable.length + 20; presses++) await page.keyboard.press("Tab");
    const { reached, unmarked, hidden } = await page.evaluate(() => window.focusSeen);
    expect(reachable.filter((name) => !reached.includes(name)), "not reached").toEqual([]);
    expect(unmarked, "focused without an outline").toEqual([]);
    expect(hidden, "focused behind the footer").toEqual([]);
  });

  test(`${path} has a skip link to its content`, async ({ page }) => {
    await visit(page, path);
    await page.keyboard.press("Tab");
    const skip = page.getByRole("link", { name: ko.app.skip });
    await expect(skip).toBeFocused();
    await expect(skip).toBeInViewport();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("main")).toBeFocused();
    await page.keyboard.press("Tab");
    await expect(page.getByRole("main").locator(":focus")).toHaveCount(1);
  });
}

interface FocusSeen {
  reached: string[];
  unmarked: string[];
  hidden: string[];
}

declare global {
  interface Window {
    focusSeen: FocusSeen;
  }
}

/** Returns the elements that the Tab key should reach, and records from now on those that it does reach. */
function watchFocus(): string[] {
  const seen: FocusSeen = { reached: [], unmarked: [], hidden: [] };
  window.focusSeen = seen;
  const selector = "a[href], button, input, textarea, select, summary, [tabindex='0']";
  const all = [...document.querySelectorAll<HTMLElement>(selector)].filter(
    (element) => element.tabIndex >= 0 && !element.matches(":disabled") && element.checkVisibility({ visibilityProperty: true }),
  );
  const names = new Map(all.map((element, at) => [element, `${at}: ${(element.cloneNode() as HTMLElement).outerHTML}`]));
  const marked = (element: Element | null) => element !== null && getComputedStyle(element).outlineStyle !== "none";
  document.addEventListener("focusin", ({ target }) => {
    const element = target as HTMLElement;
    const name = names.get(element);
    if (name === undefined) return;
    seen.reached.push(name);
    // A file input is invisible on top of its label.
    if (!marked(element) && !marked(element.closest("label"))) seen.unmarked.push(name);
    // The page scrolls to the focused element after this event.
    requestAnimationFrame(() => {
      const footer = document.querySelector("footer");
      const covered = footer && !footer.contains(element) && element.getBoundingClientRect().top >= footer.getBoundingClientRect().top;
      if (covered && document.activeElement === element) seen.hidden.push(name);
    });
  });
  return [...names.values()];
}
