// The echo and the broadcast of Bun's own server, which is built on uWebSockets, as in its documentation: a room is a topic that its
// members subscribe to. With DEFLATE=1 it compresses the room's messages for members that negotiate it, by default without context takeover.
// SIGUSR2 collects garbage: the memory rows then exclude garbage that is not freed yet.

const deflate = Boolean(process.env.DEFLATE);

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request, server) {
    const { pathname } = new URL(request.url);
    if (!["/api/echo", "/api/room"].includes(pathname)) return new Response("ok");
    if (!server.upgrade(request, { data: { room: pathname === "/api/room" } })) return new Response("no upgrade", { status: 400 });
  },
  websocket: {
    perMessageDeflate: deflate,
    open(ws) {
      if (ws.data.room) ws.subscribe("room");
    },
    message(ws, message) {
      if (ws.data.room) ws.publish("room", message, deflate);
      else ws.send(message);
    },
  },
});

process.on("SIGUSR2", () => Bun.gc(true));
