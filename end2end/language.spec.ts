// The language: negotiated by Accept-Language, then chosen by the visitor.

import { EchoPage } from "./support/echo-page";
import { expect, test } from "./support/test";
import { en, ko, texts, type Language } from "./support/texts";

const LOCALES: Record<Language, string> = { ko: "ko-KR", en: "en-US" };

for (const language of ["ko", "en"] as const) {
  test.describe(`a browser in ${language}`, () => {
    test.use({ locale: LOCALES[language] });

    test("gets its language in the server's HTML and after hydration", async ({ page }) => {
      const labels = texts[language];
      const response = await page.goto("/");
      const html = await response!.text();
      expect(html).toContain(`<html lang="${language}"`);
      expect(html).toContain(labels.echo.state_connecting);
      const echo = new EchoPage(page, labels);
      await echo.expectState("open");
      await expect(page.locator("html")).toHaveAttribute("lang", language);
      await expect(page.getByText(labels.echo.lede)).toBeVisible();
      await expect(page).toHaveTitle(`${labels.echo.title} · Duplex`);
      await expect(page.getByRole("heading", { level: 1, name: labels.echo.title })).toBeVisible();
      await echo.navigate("about");
      await expect(page.getByRole("heading", { level: 1, name: labels.about.title })).toBeVisible();
      await expect(page).toHaveTitle(`${labels.about.title} · Duplex`);
    });
  });
}

for (const [header, language] of [
  ["fr,en;q=0.8,ko;q=0.3", "en"],
  ["fr, en;q=0.8, ko;q=0.3", "en"],
  ["en;q=0.2, ko;q=0.9", "ko"],
  ["en-GB", "en"],
  ["ko", "ko"],
  ["fr", "en"],
  ["*", "ko"],
  ["de-DE,de;q=0.9,*;q=0.5", "en"],
] as const) {
  test(`Accept-Language: ${header} gets ${language}`, async ({ request }) => {
    const response = await request.get("/about", { headers: { "accept-language": header } });
    const html = await response.text();
    expect(html).toContain(`<html lang="${language}"`);
    expect(html).toContain(texts[language].about.title);
  });
}

test("choosing a language changes the page at once and is remembered", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  const english = new EchoPage(page, en);
  await expect(page.getByText(en.echo.lede)).toBeVisible();
  await expect(english.card("journal")).toBeVisible();
  await expect(english.rows.filter({ hasText: en.echo.kind_received })).toHaveCount(1);
  await expect(page.getByText(ko.echo.lede)).toHaveCount(0);
  // The socket stays open.
  await expect(echo.page.locator('[data-kind="open"]')).toHaveCount(1);

  const reloaded = await page.reload();
  expect(await reloaded!.text()).toContain('<html lang="en"');
  await english.expectState("open");
  await english.navigate("about");
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  await page.goto("/about");
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  await expect(page.getByRole("button", { name: "English" })).toHaveAttribute("aria-pressed", "true");

  await page.getByRole("button", { name: "한국어" }).click();
  await expect(page.locator("html")).toHaveAttribute("lang", "ko");
  await expect(page.getByRole("heading", { level: 1, name: ko.about.title })).toBeVisible();
});

test("the not-found page is available in both languages", async ({ request }) => {
  for (const language of ["ko", "en"] as const) {
    const response = await request.get("/no/such/page", { headers: { accept: "text/html", "accept-language": language } });
    expect(response.status()).toBe(404);
    expect(await response.text()).toContain(texts[language].app.not_found);
  }
});
