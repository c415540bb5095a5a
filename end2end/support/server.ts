// The test fixture with a server for one worker, for specs that kill the server or compare its counts.

import { Server } from "./process";
import { test as base } from "./test";

export { Server };

/** Each worker starts a server that no other spec uses. */
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
