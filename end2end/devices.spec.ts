// The devices: live values, alarms and orders, which survive a killed server.

import { DevicesPage, Sensor } from "./support/devices-page";
import { Server, test as base } from "./support/server";
import { expect } from "./support/test";
import { fill, ko } from "./support/texts";

/** Each test has its own device. */
const test = base.extend<{ sensor: Sensor; devices: DevicesPage }>({
  sensor: async ({ request, server }, use) => {
    const sensor = new Sensor(request, server.url, server.data);
    await sensor.report([{ metric: "temperature", value: 20, unit: "°C" }], { name: `오븐 ${sensor.id}`, place: "1동", every: 3600 });
    await use(sensor);
  },
  devices: async ({ page }, use) => use(new DevicesPage(page)),
});

test("the server's machine is a device by default", async ({ devices }) => {
  await devices.open();
  const host = devices.page.locator('.device[data-device^="host-"]');
  await expect(host).toHaveAttribute("data-health", "online");
  await expect(host.locator(".gauge-number").first()).toHaveText(/\d/);
  await host.getByRole("link").click();
  await expect(devices.value("cpu").locator(".value-number")).toHaveText(/%$/);
  await devices.order("identify");
  await expect(devices.page.locator(".order").first()).toHaveAttribute("data-outcome", "acknowledged");
});

test("a value is shown in two browsers as soon as it is measured", async ({ devices, sensor, browser, server }) => {
  await devices.open();
  const other = await new DevicesPage(await (await browser.newContext({ locale: "ko-KR", baseURL: server.url })).newPage()).open(sensor.path);
  await sensor.temperature(23.5);
  await expect(devices.tile(sensor.id).locator(".gauge-number")).toHaveText("23.5 °C");
  await expect(other.value("temperature").locator(".value-number")).toHaveText("23.5 °C");
  // Late and invalid values do not replace the current one, and are counted.
  await sensor.temperature(5, Date.now() - 600_000);
  await sensor.temperature("NaN");
  await expect(other.page.locator('[data-key="refused"]')).toHaveText("1");
  await expect(other.page.locator('[data-key="late"]')).toHaveText("1");
  await expect(other.page.locator(".rejections li")).toContainText(ko.devices.not_a_number);
  await expect(other.value("temperature").locator(".value-number")).toHaveText("23.5 °C");
  await other.page.context().close();
});

for (const width of [320, 390]) {
  test(`no number wraps on a phone of ${width} pixels`, async ({ page, devices, sensor }) => {
    await page.setViewportSize({ width, height: 700 });
    const values = [-999_999_999_999.123, 123_456.789012345, 0.000_012_345_678_9, -23.5];
    await sensor.report(values.map((value, at) => ({ metric: `m${at}`, value, unit: "kWh" })));
    // The numbers that span more than one line.
    const wrapped = (selector: string) =>
      page.locator(selector).evaluateAll((elements) =>
        elements.flatMap((element) => {
          const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
          const found: string[] = [];
          for (let node = walk.nextNode(); node; node = walk.nextNode()) {
            for (const { index, 0: number } of node.textContent!.matchAll(/[-\d.,]*\d/g)) {
              const range = document.createRange();
              range.setStart(node, index);
              range.setEnd(node, index + number.length);
              if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) found.push(number);
            }
          }
          return found;
        }),
      );
    await devices.open();
    await expect(devices.tile(sensor.id).locator(".gauge")).toHaveCount(4);
    expect(await wrapped(".gauge-number")).toEqual([]);
    await devices.open(sensor.path);
    await expect(devices.value("m3")).toBeVisible();
    expect(await wrapped(".value-number")).toEqual([]);
    const overflow = await devices.value("m0").locator(".value-number").evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
    expect(overflow, "the longest number of usual size fits").toBe(0);
  });
}

test("devices are filtered by health and by name", async ({ devices, sensor }) => {
  await devices.open();
  await devices.search.fill(sensor.id);
  await expect(devices.tiles).toHaveCount(1);
  await devices.filter("online").click();
  await expect(devices.tiles).toHaveCount(1);
  await devices.filter("offline").click();
  await expect(devices.tiles).toHaveCount(0);
  await expect(devices.page.locator(".devices-empty")).toHaveText(ko.devices.none_found);
});

test("an alarm is raised, acknowledged and cleared", async ({ devices, sensor }) => {
  await devices.open(sensor.path);
  await devices.setThreshold("40", "30");
  await expect(devices.page.locator(".threshold [role=alert]")).toHaveText(ko.devices.bad_threshold);
  await devices.setThreshold("", "30", "2");
  await sensor.temperature(31);
  const alarm = devices.page.locator(".alarm").first();
  await expect(alarm).toHaveAttribute("data-state", "active");
  await expect(devices.value("temperature")).toHaveAttribute("data-alarm", "true");
  await alarm.getByRole("button", { name: ko.devices.acknowledge }).click();
  await expect(alarm.getByRole("button")).toHaveCount(0);
  await sensor.temperature(29);
  await expect(devices.value("temperature").locator(".value-number")).toHaveText("29 °C");
  await expect(alarm).toHaveAttribute("data-state", "active");
  await sensor.temperature(25);
  await expect(alarm).toHaveAttribute("data-state", "cleared");
});

test("numbers are parsed in local notation, with a preview", async ({ devices, sensor }) => {
  await devices.open(sensor.path);
  const form = devices.page.locator(".threshold");
  await form.locator("input[name=high]").fill("30,5");
  await expect(form.locator(".parsed-hint:not(:empty)")).toHaveText(fill(ko.number.read_as, { number: "30.5" }));
  await devices.setThreshold("−1.234,5", "30,5", "0,5");
  await expect(form.locator("input[name=high]")).toHaveValue("30.5");
  await expect(form.locator("input[name=low]")).toHaveValue("-1234.5");
  await devices.setThreshold("", "1,2,3");
  await expect(form.locator("[role=alert]")).toHaveText(ko.number.wrong);
  await devices.page.reload();
  await expect(form.locator("input[name=high]")).toHaveValue("30.5");
  await expect(form.locator("input[name=low]")).toHaveValue("-1234.5");
});

test("small values keep their digits, and an invalid value is listed with its reason", async ({ devices, sensor }) => {
  await sensor.report([
    { metric: "leak", value: 1.23e-7 },
    { metric: "energy", value: 123456789.123 },
    { metric: "broken", value: "NaN" },
    { metric: "late", value: 1, at: 5.5 },
  ]);
  await devices.open(sensor.path);
  await expect(devices.value("leak").locator(".value-number")).toHaveText("1.23e-7");
  await expect(devices.value("energy").locator(".value-number")).toHaveText("123456789.123");
  await devices.value("leak").click();
  await expect(devices.page.locator(".history-readout")).toContainText("1.23e-7");
  await expect(devices.page.locator(".rejections")).toContainText(ko.devices.not_a_number);
  await expect(devices.page.locator(".rejections")).toContainText(ko.devices.bad_time);
  await expect(devices.value("broken")).toHaveCount(0);
});

test("the history is operated by keyboard", async ({ devices, sensor }) => {
  for (const minutes of [50, 40, 30, 20, 10]) await sensor.temperature(minutes, Date.now() - minutes * 60_000);
  await devices.open(sensor.path);
  const history = devices.page.locator(".history");
  await expect(history.locator(".chart-line")).toHaveAttribute("d", /^M/);
  await history.focus();
  await history.press("Home");
  await expect(devices.page.locator(".history-readout")).toContainText("50 °C");
  await history.press("+");
  await expect(devices.page.locator('[data-zoom="reset"]')).toBeEnabled();
  await history.press("Escape");
  await expect(devices.page.locator('[data-zoom="reset"]')).toBeDisabled();
  await devices.page.locator('[data-range="24"]').click();
  await expect(devices.page.locator('[data-range="24"]')).toHaveAttribute("aria-pressed", "true");
});

test("a visitor's browser is a device that only they control", async ({ devices, browser, server }) => {
  await devices.open();
  await devices.page.getByRole("button", { name: ko.devices.browser_start }).click();
  const own = devices.page.locator('.device[data-device^="browser-"]');
  await expect(own.first()).toHaveAttribute("data-health", "online", { timeout: 20_000 });
  const path = await own.first().getByRole("link").getAttribute("href");
  const context = await browser.newContext({ locale: "ko-KR", baseURL: server.url });
  const other = await new DevicesPage(await context.newPage()).open(path!);
  await expect(other.page.locator(".device-sign-in-note")).toContainText(ko.devices.operators_only);
  await expect(other.page.locator(".order-form")).toHaveCount(0);
  await context.close();
});

test("without JavaScript the pages show values and accept thresholds and orders", async ({ browser, sensor, server }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "ko-KR", baseURL: server.url });
  const page = await context.newPage();
  const devices = new DevicesPage(page);
  await page.goto("/devices");
  await expect(devices.tile(sensor.id)).toBeVisible();
  await devices.tile(sensor.id).getByRole("link").click();
  await expect(devices.value("temperature").locator(".value-number")).toHaveText("20 °C");
  await devices.setThreshold("", "10");
  await expect(page.locator(".alarm")).toHaveAttribute("data-state", "active");
  await devices.order("identify");
  await expect(page.locator(".order")).toHaveAttribute("data-outcome", "sent");
  await devices.order("identify", "{");
  await expect(page.locator(".devices-problem")).toContainText("JSON");
  await context.close();
});

base("the page resumes after a server restart", async ({ browser, request }) => {
  let server = await Server.start();
  // A context without the fixture: the connection errors of a stopped server do not fail the test.
  const context = await browser.newContext({ locale: "ko-KR", baseURL: server.url });
  const sensor = new Sensor(request, server.url, server.data);
  await sensor.temperature(20);
  const devices = await new DevicesPage(await context.newPage()).open(sensor.path);
  await server.stop("SIGKILL");
  await expect(devices.status).toHaveAttribute("data-status", "waiting");
  server = await Server.start(server.port, server.data);
  await devices.expectLive();
  await sensor.temperature(21);
  await expect(devices.value("temperature").locator(".value-number")).toHaveText("21 °C");
  await context.close();
  await server.stop();
});
