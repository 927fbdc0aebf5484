// A client by npm's ws: prints nothing if all holds.
import assert from "node:assert";
import { createRequire } from "node:module";
const WebSocket = createRequire(process.cwd() + "/")("ws");

const url = process.argv[2];

function connect(first, receive) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url);
    const messages = [];
    ws.on("open", () => ws.send(first));
    ws.on("message", (data) => {
      messages.push(String(data));
      try {
        receive(ws, messages);
      } catch (error) {
        reject(error);
      }
    });
    ws.on("close", (code) => resolve({ code, messages }));
    ws.on("error", reject);
  });
}

const first = await connect("", (ws, messages) => {
  if (messages.length === 3) ws.send("TZ SET Asia/Tokyo");
  if (messages.includes("TZN:JST")) ws.close(1000);
});
assert.match(first.messages[0], /^SESSION:[A-Za-z0-9_-]{22,64}$/);
assert.equal(first.messages[1], "TZN:UTC");
assert.match(first.messages[2], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
assert.ok(first.messages.includes("OK:Asia/Tokyo"), first.messages.join("\n"));
assert.equal(first.code, 1000);

const id = first.messages[0].slice("SESSION:".length);
const again = await connect(id, (ws, messages) => {
  if (messages.length === 3) ws.send("x".repeat(5000));
});
assert.equal(again.messages[0], first.messages[0]);
assert.equal(again.messages[1], "TZN:JST");
assert.equal(again.code, 1009);
