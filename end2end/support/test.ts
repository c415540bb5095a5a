// The test that every spec uses: Korean unless it says otherwise, and no page may complain.

import { expect, test as base, type BrowserContext } from "@playwright/test";
import { Foreign, type Greet } from "./foreign";
import { Server } from "./process";

/** What browsers complained of: console errors and warnings, uncaught errors, violations of the page's policy. */
export class Complaints {
  private readonly heard: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** A test that breaks something on purpose names what the browser will say of it. */
  allow(...patterns: RegExp[]): void {
    this.allowed.push(...patterns);
  }

  get all(): string[] {
    return this.heard.filter((text) => !this.allowed.some((pattern) => pattern.test(text)));
  }

  async listenTo(context: BrowserContext): Promise<void> {
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) || message.text().includes("panicked")) {
        this.heard.push(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on("weberror", (error) => this.heard.push(`uncaught: ${error.error()}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy violated: ${event.effectiveDirective} by ${event.blockedURI}`);
      });
    });
  }
}

interface Fixtures {
  complaints: Complaints;
  /** Starts a server of another's, which ends with the test. */
  foreign: (greet?: Greet) => Promise<Foreign>;
}

interface WorkerFixtures {
  /**
   * The address of this worker's server: specs compare counts of the whole server. The first worker has the one that serves at
   * DUPLEX_URL, each other one starts its own with the same settings.
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
  complaints: [
    async ({ context }, use) => {
      const complaints = new Complaints();
      await complaints.listenTo(context);
      await use(complaints);
      expect(complaints.all).toEqual([]);
    },
    { auto: true },
  ],
  foreign: async ({}, use) => {
    const started: Foreign[] = [];
    await use(async (greet = () => {}) => {
      const server = await Foreign.start(greet);
      started.push(server);
      return server;
    });
    await Promise.all(started.map((server) => server.stop()));
  },
});

export { expect };
