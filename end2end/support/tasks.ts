// The tasks of a page's main thread, from Chromium's trace. CPU time, not wall time: other processes of the machine do not count.

import type { Page } from "@playwright/test";

const MARK = "measured";

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** CPU time in microseconds. */
  tdur?: number;
}

/** The CPU time in milliseconds of the longest task while `act` runs. */
export async function longestTask(page: Page, act: () => Promise<void>): Promise<number> {
  const browser = page.context().browser()!;
  await browser.startTracing(page, { categories: ["toplevel", "blink.user_timing"] });
  await act();
  // Tells the page's process from those of other pages.
  await page.evaluate((mark) => void performance.mark(mark), MARK);
  const { traceEvents: events } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const marked = events.find(({ name }) => name === MARK);
  const isOfPage = ({ pid, tid }: TraceEvent) => pid === marked?.pid && tid === marked.tid;
  const tasks = events.filter((event) => event.ph === "X" && event.name.endsWith("RunTask") && isOfPage(event));
  return Math.max(...tasks.map(({ tdur }) => tdur ?? 0)) / 1000;
}

/** The CPU time in milliseconds of a fixed computation, the least of five: about 100 on a core of 2024. */
export async function referenceTask(page: Page): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) times.push(await longestTask(page, () => page.evaluate(compute)));
  return Math.min(...times);
}

function compute(): void {
  let hash = 1;
  for (let step = 0; step < 1e8; step++) hash = (Math.imul(hash, 1103515245) + 12345) | 0;
  document.body.dataset.hash = String(hash);
}
