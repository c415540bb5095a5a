// The vitals strip at the end of the page.

import { expect, type Page } from "@playwright/test";

/** Scrolls the strip into view until it is live. It starts when visible, and content that loads above may push it out of view. */
export async function expectVitalsLive(page: Page, timeout = 30_000): Promise<void> {
  const strip = page.locator("aside.vitals");
  await expect(async () => {
    await strip.scrollIntoViewIfNeeded();
    await expect(strip).toHaveAttribute("data-liveness", "live", { timeout: 1000 });
  }).toPass({ timeout });
}
