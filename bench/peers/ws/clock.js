// The clock on npm ws. Usage: clock.js <port>
const { randomBytes } = require('crypto');
const { WebSocketServer } = require('ws');

const open = new Set();
const seconds = (ms) => new Date(ms).toISOString().slice(0, 19) + '+00:00';
// node's clock has milliseconds
const micros = (ms) => new Date(ms).toISOString().slice(0, 23) + '000+00:00';

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
server.on('connection', (ws) => {
  ws.once('message', () => {
    ws.send('SESSION:' + randomBytes(24).toString('base64url'));
    ws.send('TZN:UTC');
    tick(); // the others' new second before this one's, so that it does not come twice
    ws.send(seconds(Date.now()));
    open.add(ws);
    ws.on('message', (text) => {
      const time = text.toString().toUpperCase() === 'TIME';
      ws.send(time ? 'OK:' + micros(Date.now()) : 'ERR:unknown command');
    });
  });
  ws.on('close', () => open.delete(ws));
  ws.on('error', () => ws.terminate());
});

let last = 0;
// sends the second, unless it went out already
function tick() {
  const now = Date.now();
  const second = Math.floor(now / 1000);
  if (second === last) return;
  last = second;
  const text = seconds(now);
  for (const ws of open) ws.send(text);
}

function run() {
  tick();
  setTimeout(run, 1000 - (Date.now() % 1000));
}
run();
