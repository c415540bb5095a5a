// The test of specs that need a server of their own: for what must not run beside other tests, and for what kills it.

import { Server } from "./process";
import { test as base } from "./test";

export { Server };

/** Each worker has a server that nobody else talks to: its counts are this spec's own. */
export const test = base.extend<object, { server: Server }>({
  server: [
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ server }, use) => use(server.url),
});
