// Checks local ports. `port.mjs free` prints a free port; `port.mjs check HOST:PORT` fails with a one-line message if a server could
// not listen there.

import { createServer } from "node:net";

const [command, address = ""] = process.argv.slice(2);
const [, host, port] = command === "free" ? [, "127.0.0.1", "0"] : (/^\[?([^\]]*)\]?:(\d+)$/.exec(address) ?? []);

if (port === undefined) {
  fail(`${address}: not an address such as 127.0.0.1:3000`);
} else {
  const server = createServer();
  server.once("error", (error) => {
    fail(error.code === "EADDRINUSE" ? `port ${port} is in use: choose another with ADDR=${host}:…` : `${address}: ${error.message}`);
  });
  server.listen({ host, port: Number(port), exclusive: true }, () => {
    if (command === "free") console.log(server.address().port);
    server.close();
  });
}

function fail(reason) {
  console.error(`duplex: ${reason}`);
  process.exitCode = 1;
}
