// Behind a proxy that blocks WebSocket, and holds answers back until they end or cuts the long ones, nothing is lost.

import { ChatPage, Writer, makeRoom } from "./support/chat-page";
import { Proxy } from "./support/proxy";
import { expect, test } from "./support/test";
import { ko } from "./support/texts";

for (const { name, habits, word } of [
  { name: "one that cuts what takes longer than 8 s", habits: { cut: 8_000, buffers: false }, word: ko.link.sse },
  { name: "one that hands on whole answers alone, and cuts after 30 s", habits: { cut: 30_000, buffers: true }, word: ko.link.poll },
]) {
  test(name, async ({ browser, baseURL, request, complaints }) => {
    test.slow();
    complaints.allow(/WebSocket/, /leptos_ws/, /ERR_/, /Failed to load resource/);
    const proxy = await Proxy.start(baseURL!, habits);
    const context = await browser.newContext({ locale: "ko-KR", baseURL: proxy.url });
    const chat = new ChatPage(await context.newPage());
    await makeRoom(request, chat.room);
    await chat.page.goto(chat.path);
    await expect(chat.link).toContainText(word, { timeout: 60_000 });
    const said: string[] = [];
    const writer = new Writer(request);
    for (let number = 0; number < 8; number++) {
      await writer.post(chat.room, `밖에서 ${number}`);
      await expect(chat.message(`밖에서 ${number}`)).toHaveCount(1, { timeout: 15_000 });
      await chat.say(`안에서 ${number}`);
      await expect(chat.message(`안에서 ${number}`)).toHaveCount(1, { timeout: 15_000 });
      said.push(`밖에서 ${number}`, `안에서 ${number}`);
      // Between the first few an answer is cut, where answers are: a stream, or later a poll.
      const cuts = proxy.cuts;
      if (!habits.buffers && number < 4) await expect.poll(() => proxy.cuts, { timeout: 20_000 }).toBeGreaterThan(cuts);
    }
    expect(await chat.texts()).toEqual(said);
    expect(proxy.upgrades).toBeGreaterThan(0);
    await context.close();
    await proxy.stop();
  });
}
