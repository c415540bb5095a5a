// The base test of all specs: the locale is Korean by default, and console errors fail the test.

import { expect, test as base, type BrowserContext } from "@playwright/test";
import { ForeignServer, type OnConnection } from "./foreign-server";
import { Server } from "./process";

/** Console errors and warnings, uncaught errors, and violations of the content security policy. */
export class ConsoleErrors {
  private readonly errors: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** Ignores errors that match a pattern, for tests that cause them on purpose. */
  allow(...patterns: RegExp[]): void {
    this.allowed.push(...patterns);
  }

  get all(): string[] {
    return this.errors.filter((text) => !this.allowed.some((pattern) => pattern.test(text)));
  }

  async attach(context: BrowserContext): Promise<void> {
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) || message.text().includes("panicked")) {
        this.errors.push(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on("weberror", (error) => this.errors.push(`uncaught: ${error.error()}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy violated: ${event.effectiveDirective} by ${event.blockedURI}`);
      });
    });
  }
}

interface Fixtures {
  consoleErrors: ConsoleErrors;
  /** Starts a third-party server, which stops with the test. */
  foreignServer: (onConnection?: OnConnection) => Promise<ForeignServer>;
}

interface WorkerFixtures {
  /**
   * The URL of this worker's server, which is not shared because specs compare its counts. The first worker uses the server at
   * DUPLEX_URL; each other one starts its own with the same settings.
   */
  site: string;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  site: [
    async ({}, use, { parallelIndex }) => {
      if (parallelIndex === 0) return use(process.env.DUPLEX_URL ?? "http://127.0.0.1:3000");
      const server = await Server.start(0, undefined, { env: process.env });
      await use(server.url);
      await server.stop();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ site }, use) => use(site),
  locale: "ko-KR",
  consoleErrors: [
    async ({ context }, use) => {
      const consoleErrors = new ConsoleErrors();
      await consoleErrors.attach(context);
      await use(consoleErrors);
      expect(consoleErrors.all).toEqual([]);
    },
    { auto: true },
  ],
  foreignServer: async ({}, use) => {
    const started: ForeignServer[] = [];
    await use(async (onConnection = () => {}) => {
      const server = await ForeignServer.start(onConnection);
      started.push(server);
      return server;
    });
    await Promise.all(started.map((server) => server.stop()));
  },
});

export { expect };
