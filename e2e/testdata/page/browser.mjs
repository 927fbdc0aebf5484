// What the cases need: the browser, the server that obeys, and a watch over
// what a page must never do.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import { createInterface } from "node:readline";

const require = createRequire(process.env.PACKAGES);
const { chromium } = require("playwright-core");
export const acorn = require("acorn");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const url = process.env.CLOCK;
export const secureURL = process.env.SECURE_CLOCK;

// How long a case waits for what should happen. Nothing is asserted of how
// much faster it does.
const patience = 60000;

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const browsers = [];

export async function launch(...more) {
  const browser = await chromium.launch({ executablePath: process.env.BROWSER, args: args.concat(more) });
  browsers.push(browser);
  return browser;
}

const browser = await launch();

const answers = new Socket({ fd: 4 });
const lines = createInterface({ input: answers })[Symbol.asyncIterator]();

// Orders what server.obey knows, and waits until it is done.
export async function order(what) {
  writeSync(3, what + "\n");
  assert.equal((await lines.next()).value, "done");
}

// Ends what a case left open, when it failed.
export async function clear() {
  for (const each of browsers) for (const context of each.contexts()) await context.close();
}

export async function end() {
  for (const each of browsers) await each.close();
  answers.destroy();
}

// Opens the clock in a browser of its own, or in another tab of one. What must
// not happen is noted in page.faults.
export async function open(options = {}, path = "/", origin = url) {
  const { host } = new URL(origin);
  const context = options.pages
    ? options
    : await (options.browser || browser).newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "Europe/Paris", ...options, browser: undefined });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.faults = [];
  page.requests = [];
  page.sent = []; // over WebSockets
  page.on("console", (message) => {
    // Chromium reports each connection that is refused.
    const expected = page.offline && /ERR_CONNECTION_REFUSED|WebSocket connection to/.test(message.text());
    if (message.type() === "error" && !expected) page.faults.push(message.text());
  });
  page.on("pageerror", (error) => page.faults.push(String(error.stack)));
  page.on("request", (request) => {
    page.requests.push(request.url());
    if (new URL(request.url()).host !== host && request.url() !== "about:blank") page.faults.push(`request to ${request.url()}`);
  });
  page.on("websocket", (socket) => {
    page.socketURL = socket.url();
    socket.on("framesent", ({ payload }) => page.sent.push(payload));
    if (new URL(socket.url()).host !== host) page.faults.push(`connection to ${socket.url()}`);
  });
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
  });
  await page.goto(origin + path);
  return page;
}

export async function connected(page) {
  try {
    await page.waitForSelector(".ready:not(.lost)", { state: "attached" });
  } catch (e) {
    const { open, failures, commands, heard } = await page.evaluate(() => page.connection);
    assert.fail(`not connected: ${JSON.stringify({ open, failures, commands, heard, faults: page.faults })}`);
  }
  await text(page, "#exactness", /^· exact to ±\d/);
}

// Ends a case: nothing that must not happen has happened.
export async function close(page) {
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

// Waits until the text of an element is as wanted.
export async function text(page, selector, want) {
  const matches = (is) => (want instanceof RegExp ? want.test(is) : is === want);
  let is;
  for (const end = Date.now() + patience; Date.now() < end; ) {
    const elements = page.locator(selector);
    is = (await elements.count()) ? await elements.first().evaluate((e) => e.innerText) : null;
    if (is !== null && matches(is)) return;
    await page.waitForTimeout(50);
  }
  assert.fail(`${selector} is ${JSON.stringify(is)}, want ${want}`);
}

// Reads the digits when they have just changed: they are those of a moment
// between two readings of this machine's clock, which is the server's too.
export async function digitsOf(page, offset = 0) {
  const earliest = Date.now();
  const before = await page.innerText("#digits");
  await page.waitForFunction((before) => document.getElementById("digits").innerText !== before, before);
  const shown = await page.innerText("#digits");
  const inexact = await page.evaluate(() => page.time.inexactness());
  const day = 86400000, first = earliest + offset - 1000 - inexact, last = Date.now() + offset + inexact;
  const since = (((Date.parse(`1970-01-01T${shown}Z`) - first) % day) + day) % day;
  assert.ok(since <= last - first, `${shown} between ${new Date(first).toISOString()} and ${new Date(last).toISOString()}`);
}

// Finds what axe-core finds to hinder people.
export async function accessible(page, state) {
  await page.waitForFunction(() => !document.getAnimations().some((each) => each instanceof CSSTransition)); // faded in
  await page.evaluate(`{ let module, exports; ${axe} }`);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const found = violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html} ${n.failureSummary}`));
  assert.deepEqual(found, [], `axe-core, ${state}`);
}

// The page is not wider than its window.
export async function fits(page, state) {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const found = [...document.querySelectorAll("body *")].filter((e) => {
      const box = e.getBoundingClientRect();
      return box.width > 1 && box.right > width + 0.5 && !e.closest(".hand");
    });
    return found.map((e) => `${e.tagName}#${e.id}.${e.getAttribute("class")}`).concat(document.documentElement.scrollWidth > width ? ["the document"] : []);
  });
  assert.deepEqual(wide, [], `too wide, ${state}`);
}

export async function screenshot(page, name, options = {}) {
  const dir = process.env.PYWS_CLOCK_SCREENSHOTS;
  if (!dir) return;
  mkdirSync(dir, { recursive: true });
  await page.waitForTimeout(700); // for what fades in
  await page.screenshot({ path: `${dir}/${name}.png`, ...options });
}

// Adds an alarm by the form.
export async function addAlarm(page, kind, fields) {
  if (!(await page.evaluate(() => document.getElementById("new-alarm").open))) await page.click("#new-alarm summary");
  await page.check(`[name=kind][value=${kind}]`);
  for (const [id, value] of Object.entries(fields)) await page.fill(`#${id}`, value);
  await page.click("#alarm-form [type=submit]");
  await page.waitForFunction(() => !document.getElementById("new-alarm").open || document.getElementById("alarm-error").innerText);
}

export async function ringsSoon(page, name, seconds = 2) {
  await addAlarm(page, "timer", { "timer-h": "0", "timer-m": "0", "timer-s": String(seconds), "alarm-name": name });
}

// When an alarm rings next.
export const due = (page, name) => page.evaluate((name) => Date.parse(page.alarms.list.find((alarm) => alarm.name === name).next), name);

export const row = (name) => `.alarm:has(.alarm-name:text-is(${JSON.stringify(name)}))`;

export const session = (page) => page.evaluate(() => page.connection.id);
