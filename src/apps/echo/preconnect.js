{
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const trace = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  window.preconnectedSocket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/socket?trace=${trace}`);
}
