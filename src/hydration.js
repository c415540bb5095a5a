// Hydration's script half, called by `src/ui/page_script.rs`. Builds on `page.js`, which keeps input before hydration.
// - Replays the kept text and presses, each once.
// - Checks whether the document is the one that the server sent. If not, the app renders it again instead of hydrating it.
{
  const RAW = new Set(["script", "style", "textarea", "title", "noscript", "template", "iframe"]);
  const FRAME = ".skip-link, .frame-header, #content, aside.session-status, .frame-footer, .inspector";
  const RENDER_MS = 10_000;
  const page = window.duplexInput;
  const { FIELDS, fields, presses, isPending, log, fieldState, pressKey, stop } = page;
  let saved = null;

  // Sets a field's kept value and state, and fires the events that typing fires.
  const restoreField = (field, { value, checked, open, files, start, end, changed }) => {
    if (field.localName === "details") return void (field.open = open);
    const fire = (type) => field.dispatchEvent(new Event(type, { bubbles: true }));
    if (field.type === "checkbox" || field.type === "radio") {
      field.checked = !checked;
      return checked || field.type === "checkbox" ? field.click() : fire("change");
    }
    if (field.type === "file") {
      if (field.files !== files) field.files = files;
      return files.length > 0 && fire("change");
    }
    if (field.value !== value) {
      field.value = value;
      if (start != null && field === document.activeElement) field.setSelectionRange(start, end);
    }
    fire("input");
    if (changed || field.localName === "select") fire("change");
  };
  const replayPress = ({ replay }) => (found) => {
    found.removeAttribute?.("aria-busy");
    replay(found);
  };
  // Replays the kept input of hydrated elements: the fields, then the presses.
  const replayInput = () => {
    const due = [];
    for (const [field, state] of fields) if (!isPending(field)) due.push([field, (found) => restoreField(found, state)]), fields.delete(field);
    for (const [key, press] of presses) if (!isPending(press.element)) due.push([press.element, replayPress(press)]), presses.delete(key);
    retry(() => {
      while (due.length > 0) {
        const found = counterpart(due[0][0]);
        if (!found) return false;
        due.shift()[1](found);
      }
      return true;
    });
  };
  // Calls `attempt` until it succeeds: rendering inserts the elements in several steps.
  const retry = (attempt) => {
    if (attempt()) return;
    const observer = new MutationObserver(() => setTimeout(() => attempt() && observer.disconnect()));
    observer.observe(document.body, { childList: true, subtree: true });
    setTimeout(() => observer.disconnect(), RENDER_MS);
  };

  // Finds the counterpart of an element in the document that was rendered again: by its identity, and its index among the elements
  // with the same one.
  const identityOf = (element) =>
    [element.id, element.name, element.type, element.value?.length < 20 && element.localName === "button" ? element.value : "", element.closest("form")?.className, element.closest("[id]")?.id].join("\n");
  const withIdentity = (localName, identity) => [...document.querySelectorAll(localName)].filter((element) => identityOf(element) === identity);
  const remembered = new Map();
  const counterpart = (element) => {
    if (element.isConnected || element === document) return element;
    const { identity, index } = remembered.get(element) ?? {};
    return withIdentity(element.localName, identity)[index];
  };
  const remember = (element) => {
    const identity = identityOf(element);
    remembered.set(element, { identity, index: withIdentity(element.localName, identity).indexOf(element) });
  };

  // The shape of sibling nodes: their count and hash, as `src/server/document_shape.rs` computes them.
  const shape = (first, limit, skipped) => {
    let hash = 0x811c9dc5, count = 0;
    const add = (text) => {
      for (const character of `${text};`) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    };
    const visit = (node) => {
      for (; node && count < limit; node = node.nextSibling) {
        count += 1;
        add(node.nodeType === 1 ? node.localName.toLowerCase() : node.nodeType === 8 ? "!" : "");
        if (node !== skipped && !RAW.has(node.localName)) visit(node.firstChild);
      }
    };
    visit(first);
    return `${count}.${(hash >>> 0).toString(16)}`;
  };
  // Describes how a part of the document differs from the one that the server sent; empty if it does not.
  const difference = (part) => {
    const sent = [...document.querySelectorAll("meta[name=duplex-shape]")].at(-1)?.content.split(" ") ?? [];
    const island = document.getElementById("early");
    const marker = [...document.head.childNodes].find((node) => node.nodeType === 8 && node.data === "HEAD");
    const first = { head: marker?.nextSibling, body: document.body.firstChild, early: island?.firstChild }[part];
    const expected = sent.find((one) => one.startsWith(part))?.slice(part.length);
    const found = shape(first, parseInt(expected) || 0, island);
    return expected === found ? "" : `its ${part === "early" ? "island" : part} has the shape ${found} instead of ${expected}`;
  };

  const clear = () => {
    const island = document.getElementById("early");
    // The click of a press in progress would come after the element is removed.
    if (page.pointerTarget) presses.set(pressKey(page.pointerTarget), { element: page.pointerTarget, replay: (found) => found.click() });
    saved = { x: scrollX, y: scrollY, focus: document.activeElement, islandNodes: page.islandHydrated && island ? [...island.childNodes] : [] };
    for (const element of [...fields.keys(), ...[...presses.values()].map(({ element }) => element), saved.focus]) remember(element);
    document.body.style.minHeight = `${document.documentElement.scrollHeight}px`;
    for (const node of [...document.body.childNodes]) {
      const foreign = node.nodeType === 1 && node.localName !== "script" && !node.matches(FRAME) && !node.querySelector(FRAME);
      if (!foreign) node.remove();
    }
    for (const meta of document.head.querySelectorAll("meta[name=description]")) meta.remove();
  };
  const restore = () => {
    const { x, y, focus, islandNodes } = saved;
    document.getElementById("early")?.append(...islandNodes);
    setTimeout(() => (document.body.style.minHeight = ""), RENDER_MS);
    retry(() => {
      const found = counterpart(focus);
      const ready = document.querySelector("#content > *") !== null;
      if (!found || !ready) return false;
      document.body.style.minHeight = "";
      if (focus !== document.body) found.focus({ preventScroll: true });
      scrollTo(x, y);
      return true;
    });
  };

  window.duplexPage = {
    // Whether `part` may be hydrated: "early", which is the island, or "page".
    isIntact(part) {
      page.started = true;
      for (const field of document.querySelectorAll(FIELDS)) {
        const { value, defaultValue, checked, defaultChecked } = field;
        const isCheckable = field.type === "checkbox" || field.type === "radio";
        const changed = field.localName === "select" ? [...field.options].some((one) => one.defaultSelected && !one.selected) : isCheckable ? checked !== defaultChecked : value !== defaultValue;
        if (changed && field.type !== "file" && isPending(field) && !fields.has(field)) fields.set(field, fieldState(field));
      }
      const reason = part === "early" ? difference("early") : difference("head") || difference("body");
      if (reason) log("warn", `the document was changed before hydration: ${reason}. The app renders it again.`);
      return !reason;
    },
    clear: (part) => (part === "early" ? document.getElementById("early").replaceChildren() : clear()),
    restore: (part) => part === "page" && restore(),
    markHydrated(part) {
      if (part === "early") page.islandHydrated = true;
      else page.hydrated = true;
      replayInput();
      // Presses that are still kept load the rest of the page.
      if (presses.size > 0) document.dispatchEvent(new Event("duplex-press-kept"));
    },
    isHydrated: (part) => Boolean(page.hydrated || (part === "early" && page.islandHydrated)),
    stop,
  };
}
