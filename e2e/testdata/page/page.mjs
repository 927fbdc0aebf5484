// The cases of the clock page, each in a browser profile of its own.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test, { after, afterEach } from "node:test";
import {
  accessible, acorn, addAlarm, clear, close, connected, digitsOf, due, end, fits, launch, open, order, ringsSoon, row, screenshot, secureURL, session, text, url,
} from "./browser.mjs";

afterEach(clear);
after(end);

test("first visit", async () => {
  const page = await open();
  await connected(page);
  await text(page, "#digits", /^\d\d:\d\d:\d\d$/);
  await digitsOf(page);
  await text(page, "#date", /^\w+day,? \d+ \w+ \d{4}$/);
  await text(page, "#zone-button", "UTC");
  await text(page, "#no-alarms", "No alarms yet.");
  await text(page, "#sound", "Touch here for sound");
  assert.match(await page.title(), /^\d\d:\d\d UTC$/);
  assert.match(await session(page), /^[A-Za-z0-9_-]{22,64}$/);
  assert.ok(!page.requests.concat(page.socketURL).some((each) => each.includes("session")), "the session's ID is no part of an address");
  assert.equal(await page.getAttribute("#digits", "role"), "timer");
  assert.equal(await page.getAttribute("#digits", "aria-live"), "off");

  await page.click("h1 ~ .told #date"); // any touch
  await text(page, "#sound", "Sound is ready");
  await accessible(page, "first visit");
  await screenshot(page, "first-visit");

  const known = await session(page);
  await page.reload();
  await connected(page);
  assert.equal(await session(page), known);
  await close(page);
});

test("five round trips tell the time, and how exact it is", async () => {
  const page = await open();
  await connected(page);
  assert.equal(page.sent.filter((each) => /^SYNC /.test(each)).length, 5);
  const earliest = Date.now();
  const { now, inexactness } = await page.evaluate(() => ({ now: page.time.now(), inexactness: page.time.inexactness() }));
  const latest = Date.now() + 1; // what it counts are whole milliseconds
  assert.ok(now >= earliest - inexactness && now <= latest + inexactness, `${now} ± ${inexactness} between ${earliest} and ${latest}`);
  const told = await page.innerText("#exactness");
  const [, figure, unit] = /^· exact to ±([\d.]+) (m?s)$/.exec(told);
  assert.ok(figure * (unit === "s" ? 1000 : 1) < 60000, told);
  await close(page);
});

test("the hands are where the server's time is, between ticks too", async () => {
  const page = await open();
  await connected(page);
  const wrong = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const rates = { hour: 1 / 120000, minute: 1 / 10000, second: 0.006 }; // degrees in a millisecond
        const wrong = [], places = new Set();
        const local = () => page.zone.local(page.time.now());
        const draw = page.draw;
        page.draw = function () {
          const before = local() - 30; // a frame may be left out
          draw.call(page);
          const after = local();
          for (const id in rates) {
            const angle = parseFloat(document.getElementById(id).style.transform.slice(7));
            const least = before * rates[id] - 0.001, most = after * rates[id] + 0.001;
            if ((((angle - least) % 360) + 360) % 360 > most - least) wrong.push(`${id} at ${angle}, want ${least % 360} to ${most % 360}`);
          }
          places.add(document.getElementById("second").style.transform);
          if (places.size < 40) return; // more than there are seconds in the time that it takes
          page.draw = draw;
          resolve(wrong);
        };
      }),
  );
  assert.deepEqual(wrong, []);
  await close(page);
});

test("zone change, in all tabs", async () => {
  const page = await open();
  await connected(page);
  await text(page, "#zone-offer", /This device is in Paris\./);
  const other = await open(page.context());
  await connected(other);
  await page.click("#zone-use");
  for (const each of [page, other]) {
    await text(each, "#zone-button", "Paris");
    await text(each, "#zone-offset", /^CES?T, UTC\+0[12]:00$/);
    await text(each, "#zone-change", /^CES?T from \d+ (March|October) \d{4}, 0[23]:00$/);
  }
  assert.equal(await page.isVisible("#zone-offer"), false);

  await page.click("#zone-button");
  await page.fill("#zone-search", "new yo");
  await text(page, "#zone-list", /^New York America/);
  await screenshot(page, "zone-search");
  await accessible(page, "zone search");
  await page.fill("#zone-search", "nowhere at all");
  await text(page, "#zone-count", "No zone has this name.");
  await page.fill("#zone-search", "kolk");
  await page.click("#zone-list li:first-child");
  await text(page, "#zone-offset", "IST, UTC+05:30");
  await text(other, "#zone-button", "Kolkata");
  await digitsOf(page, 5.5 * 3600e3);
  assert.deepEqual(other.faults, []);
  await close(page);
});

test("alarms in every form", async () => {
  const page = await open();
  await connected(page);
  await page.click("#zone-use");
  await text(page, "#zone-button", "Paris");
  await addAlarm(page, "once", { "alarm-time": "07:15", "alarm-name": "Train" });
  await text(page, row("Train"), /07:15 Train\s+Once in /);
  await addAlarm(page, "weekly", { "alarm-time": "07:00", "alarm-name": "Wake up" });
  await text(page, row("Wake up"), /07:00 Wake up\s+Mon–Fri \w/);
  await addAlarm(page, "date", { "alarm-date": "2096-12-24", "alarm-time": "18:00", "alarm-name": "Christmas Eve" });
  await text(page, row("Christmas Eve"), /18:00 Christmas Eve\s+Monday,? 24 December 2096/);
  await addAlarm(page, "timer", { "timer-h": "0", "timer-m": "25", "timer-s": "0", "alarm-name": "Bread" });
  await text(page, row("Bread"), /Bread\s+.* in \d+\smin/);
  await addAlarm(page, "rule", { "alarm-name": "Water the plants" });
  await text(page, row("Water the plants"), /09:00 Water the plants\s+FREQ=MONTHLY/);
  await addAlarm(page, "timer", { "timer-m": "40" });
  await text(page, row("Timer"), /Timer\s+.* in /);
  const times = await page.$$eval(".alarm", (rows) => rows.map((row) => Date.parse(row.alarm.next)));
  assert.deepEqual(times, times.slice().sort((a, b) => a - b));
  await text(page, "#next", new RegExp(`^Next: .* ${await page.innerText(".alarm:first-child .alarm-name")}$`));
  assert.ok((await page.$$("#marks circle")).length >= 2);
  await screenshot(page, "alarms");

  // what is wrong is told where it was done
  await addAlarm(page, "once", { "alarm-name": "Train" });
  await text(page, "#alarm-error", /already/);
  await addAlarm(page, "timer", { "timer-m": "0" });
  await text(page, "#alarm-error", "Choose a time of at least one second.");
  await addAlarm(page, "rule", { "alarm-rule": "FREQ=NEVER", "alarm-name": "Never" });
  await text(page, "#alarm-error", /FREQ/);
  await accessible(page, "alarms");

  await page.click(`${row("Train")} .switch input`, { force: true });
  await text(page, row("Train"), /Once off/);
  await page.click(`${row("Train")} .switch input`, { force: true });
  await text(page, row("Train"), /Once in /);
  await page.click(`${row("Train")} .alarm-delete`);
  await page.click(`${row("Train")} .alarm-keep`);
  await page.click(`${row("Train")} .alarm-delete`);
  await page.click(`${row("Train")} .alarm-delete-now`);
  await page.waitForSelector(row("Train"), { state: "detached" });
  await close(page);
});

test("an alarm rings, is snoozed, and stopped, in two tabs and on another device", async () => {
  const page = await open({ permissions: ["notifications"] });
  await connected(page);
  const tab = await open(page.context());
  const device = await open();
  await connected(tab);
  await connected(device);
  assert.equal(await session(tab), await session(page));
  await page.evaluate(() => {
    window.notified = [];
    const Real = Notification;
    window.Notification = class extends Real {
      constructor(title, options) {
        super(title, options);
        window.notified.push(title);
      }
    };
  });

  await page.click("#settings summary");
  await text(page, "#notify-state", "Notifications are allowed.");
  assert.equal(await page.isVisible("#notify"), false);
  await page.click("#code-show");
  const code = await page.inputValue("#code");
  await device.click("#settings summary");
  await device.fill("#code-other", "made-up");
  await device.click("#code-form [type=submit]");
  await text(device, "#code-error", "No session has this code.");
  await device.fill("#code-other", code);
  await device.click("#code-form [type=submit]");
  await device.waitForFunction((code) => page.connection.id === code && page.connection.open, code);
  await screenshot(page, "settings");
  await accessible(page, "settings");
  const all = [page, tab, device];

  await ringsSoon(page, "Tea");
  for (const each of all) {
    await text(each, "#ring-names", "Tea");
    await text(each, row("Tea"), /ringing/);
    assert.match(await each.title(), /🔔 Tea/);
    assert.equal(await each.textContent("[role=alert]#announcement"), "Tea: ringing");
    assert.ok(await each.evaluate(() => document.documentElement.classList.contains("ringing")));
  }
  await page.waitForFunction(() => page.ring.sound.context.state === "running" && page.ring.sound.source);
  assert.deepEqual(await page.evaluate(() => window.notified), ["Tea"]);
  await accessible(page, "ringing");
  await screenshot(page, "ringing");

  await page.click("#ring-snooze");
  assert.ok(await page.evaluate(() => !page.ring.sound.source));
  for (const each of all) {
    await text(each, row("Tea"), /snoozed until .*\d\d:\d\d/);
    assert.equal(await each.isVisible("#ring"), false);
  }
  await device.click(`${row("Tea")} .alarm-stop`);
  for (const each of all) await text(each, row("Tea"), /off/);

  await ringsSoon(tab, "Coffee");
  for (const each of all) await text(each, "#ring-names", "Coffee");
  await device.click("#ring-stop");
  for (const each of all) {
    await text(each, row("Coffee"), /off/);
    assert.equal(await each.isVisible("#ring"), false);
    assert.doesNotMatch(await each.title(), /Coffee/);
    assert.deepEqual(each.faults, []);
  }
  await device.context().close();
  await close(page);
});

test("the server stops and starts: known alarms ring, and what was done is kept", async () => {
  const page = await open();
  await connected(page);
  const known = await session(page);
  for (let seconds = 4; ; seconds *= 2) {
    for (const name of ["Tea", "Nap"]) {
      await ringsSoon(page, name, seconds);
      await page.waitForSelector(row(name));
    }
    const rings = Math.min(await due(page, "Tea"), await due(page, "Nap"));
    page.offline = true;
    await order("stop");
    if (Date.now() < rings) break;
    await order("start"); // the machine was too slow: once more, with more time
    await connected(page);
    await page.evaluate(() => Promise.all(["Tea", "Nap"].map((name) => page.connection.command(`ALARM DEL ${name}`))));
  }
  await text(page, "#state", "Connection lost, the clock goes on by itself");
  await text(page, "#attempt", /next attempt in \d+\ss/);
  await digitsOf(page);
  await text(page, "#ring-names", /Tea · Nap|Nap · Tea/);
  await page.click(`${row("Tea")} .alarm-stop`);
  await page.click(`${row("Nap")} .alarm-snooze`);
  await text(page, row("Tea"), /Tea\s+Once$/);
  await text(page, row("Nap"), /snoozed until .*\d\d:\d\d\s+End snooze$/);
  assert.equal(await page.isVisible("#ring"), false);
  await accessible(page, "connection lost");
  await screenshot(page, "connection-lost");

  await order("start");
  await page.click("#retry", { timeout: 1000 }).catch(() => {}); // or it was quicker itself
  await text(page, "#state", "Connected");
  page.offline = false;
  assert.equal(await session(page), known);
  await page.waitForFunction(() => page.alarms.list.every((alarm) => !alarm.ringing && !alarm.missed));
  assert.equal(await page.isVisible("#ring"), false);
  await close(page);
});

test("an alarm that nobody heard is shown as missed", async () => {
  const page = await open({}, "/short"); // where alarms ring for a second
  await connected(page);
  for (let seconds = 2; ; seconds *= 2) {
    await ringsSoon(page, "Tea", seconds);
    await page.waitForSelector(row("Tea"));
    const rings = await due(page, "Tea");
    await page.goto("about:blank");
    await order("alone"); // a connection ends when the server hears of it
    if (Date.now() < rings) {
      await page.waitForTimeout(rings + 1000 - Date.now());
      break;
    }
    await page.goto(`${url}/short`); // the machine was too slow: once more, with more time
    await connected(page);
    await page.evaluate(() => page.connection.command("ALARM DEL Tea"));
  }
  await page.goto(`${url}/short`);
  await text(page, row("Tea"), /Missed: .*\d\d:\d\d/);
  await text(page, "#next", "Missed: Tea");
  await screenshot(page, "missed");
  await accessible(page, "missed");
  await page.click(`${row("Tea")} .alarm-stop`);
  await text(page, row("Tea"), /off/);
  await page.waitForSelector("#next", { state: "hidden" });
  await close(page);
});

test("a reload of the configuration goes unnoticed", async () => {
  const page = await open();
  await connected(page);
  await page.evaluate(() => {
    window.lost = 0;
    const lose = page.connection.lose;
    page.connection.lose = function () {
      window.lost++;
      lose.call(this);
    };
    window.ticks = [];
    const ticked = page.ticked;
    page.ticked = function (time) {
      window.ticks.push(Date.parse(time));
      ticked.call(this, time);
    };
  });
  await order("reload");
  const ticks = (await page.evaluate(() => window.ticks)).length;
  await page.waitForFunction((n) => window.ticks.length > n + 2, ticks);
  const seen = await page.evaluate(() => [window.lost, ...window.ticks]);
  assert.equal(seen[0], 0);
  for (let i = 2; i < seen.length; i++) {
    const seconds = (seen[i] - seen[i - 1]) / 1000; // a machine without time to spare may miss one
    assert.ok(seconds >= 1 && Number.isInteger(seconds), `${seen}`);
  }
  await ringsSoon(page, "After");
  await text(page, "#ring-names", "After");
  await close(page);
});

test("a device that slept shows the time at once", async () => {
  const page = await open();
  await connected(page);
  const { jumped, took } = await page.evaluate(() => {
    const start = performance.now(), before = page.time.now(), now = Date.now;
    Date.now = () => now() + 3600000; // performance.now() stood while it slept
    page.beat();
    return { jumped: page.time.now() - before, took: performance.now() - start };
  });
  assert.ok(jumped >= 3600000 && jumped - 3600000 <= 1.2 * took + 1, `${jumped} ms in ${took} ms`);
  await page.waitForFunction(() => Math.abs(page.time.offset + performance.timeOrigin - 3600000) > 1800000); // the server knows better
  await digitsOf(page);
  await close(page);
});

test("a tab that stood still shows the time at once, over the connection that it had", async () => {
  const page = await open();
  await connected(page);
  await page.evaluate(() => (window.first = page.connection.socket));
  const devtools = await page.context().newCDPSession(page);
  const paused = new Promise((resolve) => devtools.on("Debugger.paused", resolve));
  await devtools.send("Debugger.enable");
  await devtools.send("Debugger.pause");
  await paused;
  await page.waitForTimeout(12000); // longer than a silence that means a lost connection
  await devtools.send("Debugger.resume");
  await devtools.send("Debugger.disable");
  await digitsOf(page);
  await text(page, "#state", "Connected");
  assert.ok(await page.evaluate(() => page.connection.socket === window.first));
  await close(page);
});

test("a ring without a touch before says that it has no sound yet", async () => {
  const page = await open();
  // To the browser all that the tests do is done by a hand: hold back the sound until a pointer comes.
  await page.addInitScript(() => {
    let touched = false;
    addEventListener("pointerdown", () => (touched = true), true);
    window.AudioContext = class extends AudioContext {
      constructor() {
        super();
        this.suspend();
      }
      resume() {
        return touched ? super.resume() : new Promise(() => {});
      }
    };
  });
  await page.reload();
  await connected(page);
  await page.evaluate(() => page.connection.command("ALARM ADD +1s Tea"));
  await text(page, "#ring-names", "Tea");
  await page.waitForSelector("#sound.unarmed", { state: "visible" });
  await text(page, "#sound", "Touch here for sound");
  await screenshot(page, "ringing-silent");
  await page.click("h1 ~ .told #date");
  await page.waitForFunction(() => page.ring.sound.state() === "armed" && page.ring.sound.source);
  await page.click("#ring-stop");
  await close(page);
});

test("keyboard alone", async () => {
  const page = await open();
  await connected(page);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const to = async (selector) => {
    for (let i = 0; i < 60; i++) {
      if (await page.locator(selector).evaluateAll((found) => found.includes(document.activeElement))) {
        const visible = await page.evaluate(() => {
          const e = document.activeElement, style = getComputedStyle(e.type === "checkbox" || e.type === "radio" ? e.nextElementSibling : e);
          return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        });
        assert.ok(visible, `the focus on ${selector} is visible`);
        return;
      }
      await press("Tab");
    }
    assert.fail(`Tab does not lead to ${selector}`);
  };

  await to("#zone-button");
  await press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "zone-search");
  await page.keyboard.type("tokyo");
  await text(page, "#zone-list", /^Tokyo Asia/);
  await press("ArrowDown");
  assert.equal(await page.getAttribute("#zone-search", "aria-activedescendant"), "zone-Asia/Tokyo");
  await press("Enter");
  await text(page, "#zone-offset", "JST, UTC+09:00");
  await page.waitForFunction(() => document.activeElement.id === "zone-button");

  await to("#new-alarm summary");
  await press("Enter");
  await to("[name=kind]");
  await press("ArrowRight", "ArrowRight", "ArrowRight"); // timer
  await to("#timer-m");
  await page.keyboard.type("0");
  await to("#timer-s");
  await page.keyboard.type("2");
  await to("#alarm-name");
  await page.keyboard.type("Tea");
  await press("Enter");
  await text(page, "#ring-names", "Tea");
  assert.ok(await page.evaluate(() => document.activeElement.matches("#new-alarm summary"))); // nothing takes the focus from who is busy
  await to("#ring-snooze");
  await press("Enter");
  await text(page, row("Tea"), /snoozed until/);
  await to(`${row("Tea")} .alarm-stop`);
  await press("Enter");
  await text(page, row("Tea"), /off/);

  await page.evaluate(() => {
    document.activeElement.blur();
    return page.connection.command("ALARM ADD +1s Nap");
  });
  await text(page, "#ring-names", "Nap");
  await page.waitForFunction(() => document.activeElement.id === "ring-snooze");
  await press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "ring-stop");
  await press("Space");
  await text(page, row("Nap"), /off/);
  await page.evaluate(() => page.connection.command("ALARM DEL Nap"));
  await page.waitForSelector(row("Nap"), { state: "detached" });

  await to("#new-alarm summary");
  await press("Enter");
  await to("[name=kind]");
  await press("ArrowLeft", "ArrowLeft"); // weekly
  await to("#alarm-time");
  await page.keyboard.type("0630");
  await to("#alarm-days input");
  await press("Space"); // no longer on the first of its days
  await to("#alarm-name");
  await page.keyboard.type("Work");
  await press("Enter");
  await text(page, row("Work"), /06:30 Work\s+Tue–Fri /);
  await to(`${row("Work")} .switch input`);
  await press("Space");
  await text(page, row("Work"), /off/);
  await to(`${row("Work")} .alarm-delete`);
  await press("Enter");
  await to(`${row("Work")} .alarm-delete-now`);
  await press("Enter");
  await page.waitForSelector(row("Work"), { state: "detached" });

  await to(".switch input");
  await press("Space"); // the time has passed: the server refuses, and says so
  await text(page, "#alarms-error", /\w/);
  await to(".alarm-delete");
  await press("Enter");
  await to(".alarm-delete-now");
  await press("Enter");
  await text(page, "#no-alarms", "No alarms yet.");

  await to("#settings summary");
  await press("Enter");
  await to("[name=theme]");
  await press("ArrowLeft"); // from the first to the last: dark
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  await to("#code-show");
  await press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "code");

  await to("#full");
  await press("Enter");
  await page.waitForFunction(() => document.documentElement.dataset.wall === "yes");
  await press("Escape");
  await page.waitForFunction(() => document.documentElement.dataset.wall === "no");
  await close(page);
});

test("dark, and light by choice", async () => {
  const page = await open({ colorScheme: "dark" });
  await connected(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number));
  assert.ok((await ground()).every((c) => c < 64));
  await ringsSoon(page, "Tea", 3);
  await page.click("#new-alarm summary");
  await page.click("#zone-section summary");
  await page.click("#settings summary");
  await text(page, "#zone-list", /Abidjan/);
  await accessible(page, "dark");
  await text(page, "#ring-names", "Tea");
  await accessible(page, "dark, ringing");
  await page.click("#ring-stop");
  await page.check("[name=theme][value=light]", { force: true });
  assert.ok((await ground()).every((c) => c > 192));
  await page.reload();
  assert.ok((await ground()).every((c) => c > 192));
  await close(page);
});

test("12 and 24 hours, and the browser's language", async () => {
  const page = await open({ locale: "en-US" });
  await connected(page);
  await text(page, "#digits", /^\d{1,2}:\d\d:\d\d\s[AP]M$/);
  await page.click("#settings summary");
  await page.check("[name=hours][value='24']", { force: true });
  await text(page, "#digits", /^\d\d:\d\d:\d\d$/);
  await close(page);
  const months = { "de-DE": /^\w+, \d+\. [\wä]+ \d{4}$/, "fr-FR": /^\w+ \d+ [\wéû]+ \d{4}$/, "es-ES": /^[\wáé]+, \d+ de \w+ de \d{4}$/ };
  const alarms = { "de-DE": "Wecker", "fr-FR": "Alarmes", "es-ES": "Alarmas" };
  for (const locale of Object.keys(months)) {
    const page = await open({ locale });
    await page.waitForSelector(".ready", { state: "attached" });
    await text(page, "#date", months[locale]);
    await text(page, "#alarms-heading", alarms[locale]);
    assert.equal(await page.getAttribute("html", "lang"), locale.slice(0, 2));
    await close(page);
  }
});

for (const [name, options] of Object.entries({
  "phone of 320 px": { viewport: { width: 320, height: 568 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
  "phone of 320 px, German, dark": { viewport: { width: 320, height: 568 }, locale: "de-DE", colorScheme: "dark", hasTouch: true },
  "phone on its side": { viewport: { width: 667, height: 375 }, isMobile: true, hasTouch: true },
  "tablet upright": { viewport: { width: 768, height: 1024 }, hasTouch: true },
  "tablet on its side": { viewport: { width: 1024, height: 768 }, hasTouch: true, colorScheme: "dark" },
  "wall of 1920 px": { viewport: { width: 1920, height: 1080 }, colorScheme: "dark" },
})) {
  test(name, async () => {
    const page = await open(options);
    const file = name.replace(/,? /g, "-");
    await page.waitForFunction(() => page.zone.known && page.time.error < Infinity);
    await page.evaluate(async () => {
      await page.connection.command("TZ SET America/Argentina/ComodRivadavia");
      await page.connection.command("ALARM ADD mon-wed,fri-sat 07:30 Wake up, but not too early if it is raining, or is it?");
      await page.connection.command("ALARM ADD +25m " + "W".repeat(64));
    });
    await text(page, "#zone-button", "ComodRivadavia");
    await page.waitForSelector(".alarm:nth-child(2)");
    await fits(page, "with alarms");
    await screenshot(page, file);
    await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
    await page.waitForSelector("#zone-list li");
    for (const kind of ["weekly", "date", "timer", "rule"]) {
      await page.check(`[name=kind][value=${kind}]`, { force: true });
      await fits(page, kind);
    }
    await screenshot(page, `${file}-open`, { fullPage: true });
    await page.evaluate(() => page.connection.command("ALARM ADD +1s Tea"));
    await page.waitForSelector("#ring:not([hidden])");
    await fits(page, "ringing");
    for (const id of ["ring-snooze", "ring-stop"]) {
      const box = await (await page.$(`#${id}`)).boundingBox();
      assert.ok(box.height >= 44 && box.width >= 120, `${id} is large: ${JSON.stringify(box)}`);
    }
    if (name.startsWith("phone of 320")) await accessible(page, name);
    await screenshot(page, `${file}-ringing`);
    await close(page);
  });
}

test("the wall: full screen, both faces, and only what one looks at", async () => {
  const page = await open({ viewport: { width: 1920, height: 1080 }, colorScheme: "dark" });
  await connected(page);
  await page.click("#full");
  await page.waitForFunction(() => document.fullscreenElement);
  assert.equal(await page.isVisible("#panel"), false);
  const size = () => page.evaluate(() => document.getElementById("face").getBoundingClientRect().height);
  assert.ok((await size()) > 600);
  await fits(page, "wall");
  await accessible(page, "wall");
  await screenshot(page, "wall-both");
  for (const face of ["digital", "analogue"]) {
    await page.evaluate((face) => {
      prefer("face", face);
      page.refresh();
    }, face);
    await fits(page, face);
    await accessible(page, face);
    await screenshot(page, `wall-${face}`);
  }
  await page.click("#full");
  await page.waitForFunction(() => !document.fullscreenElement && document.documentElement.dataset.wall === "no");
  assert.equal(await page.isVisible("#panel"), true);
  await close(page);
});

test("the wall on small screens, and with large text", async () => {
  const large = await launch("--blink-settings=defaultFontSize=32");
  for (const options of [
    { viewport: { width: 320, height: 568 } },
    { viewport: { width: 667, height: 375 }, locale: "en-US" },
    { viewport: { width: 1280, height: 800 }, locale: "es-ES" },
    { viewport: { width: 1280, height: 800 }, browser: large },
  ]) {
    const state = JSON.stringify([options.viewport, options.locale]);
    const page = await open(options);
    await page.waitForSelector(".ready", { state: "attached" });
    await page.click("#full");
    await page.evaluate(() => {
      prefer("hours", "12");
      format.setHours("12");
    });
    await page.evaluate(() => page.connection.command("ALARM ADD daily 07:30 Wake up"));
    await page.waitForSelector("#next", { state: "visible" });
    await fits(page, `wall ${state}`);
    await page.evaluate(() => page.connection.command("ALARM ADD +1s Tea"));
    await page.waitForSelector("#ring-stop", { state: "visible" });
    await fits(page, `wall, ringing ${state}`);
    await accessible(page, `wall, ringing ${state}`);
    const ring = await (await page.$("#ring")).boundingBox(), digits = await (await page.$("#digits")).boundingBox();
    assert.ok(digits.y >= 0 && digits.y + digits.height <= ring.y, `the digits are seen while it rings, ${state}`);
    await screenshot(page, `wall-${options.viewport.width}-${options.browser ? "large-" : ""}ringing`);
    await close(page);
  }
});

test("the pictures of the README", async () => {
  const page = await open({ colorScheme: "light" });
  await connected(page);
  await page.click("#zone-use");
  await text(page, "#zone-button", "Paris");
  await page.evaluate(async () => {
    const year = new Date(Date.now() + 8 * 86400000).getFullYear();
    for (const alarm of ["mon-fri 07:00 Wake up", "daily 22:30 Read", "+25m Bread in the oven", "sat,sun 09:30 Market", `${year}-12-24T18:00 Christmas Eve`]) {
      await page.connection.command(`ALARM ADD ${alarm}`);
    }
    await page.connection.command("ALARM OFF Market");
  });
  await text(page, row("Market"), /off/);
  await page.click("#date"); // any touch
  await text(page, "#sound", "Sound is ready");
  await fits(page, "the README's page");
  await screenshot(page, "page");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.click("#full");
  await page.waitForFunction(() => document.fullscreenElement && getComputedStyle(document.getElementById("full")).opacity === "0"); // where nobody moves
  await fits(page, "the README's wall");
  await screenshot(page, "wall");
  await close(page);
});

test("over HTTP/2, page and socket", async () => {
  const page = await open({ ignoreHTTPSErrors: true }, "/", secureURL);
  const devtools = await page.context().newCDPSession(page);
  const shaken = new Promise((resolve) => devtools.on("Network.webSocketHandshakeResponseReceived", resolve));
  await devtools.send("Network.enable");
  await page.reload();
  await connected(page);
  assert.equal(await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol), "h2");
  assert.equal((await shaken).response.status, 200); // of an extended CONNECT; it is 101 in HTTP/1.1
  await digitsOf(page);
  await close(page);
});

test("less motion: no second hand, and nothing that moves", async () => {
  const page = await open({ reducedMotion: "reduce" });
  await connected(page);
  assert.equal(await page.isVisible("#second"), false);
  const digits = await page.innerText("#digits");
  await page.waitForFunction((before) => document.getElementById("digits").innerText !== before, digits);
  await ringsSoon(page, "Tea");
  await text(page, "#ring-names", "Tea");
  assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
  await close(page);
});

test("text at 200 %", async () => {
  const browser = await launch("--blink-settings=defaultFontSize=32");
  for (const width of [1280, 640]) {
    const page = await open({ browser, viewport: { width, height: 900 } });
    await connected(page);
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).fontSize), "32px");
    await page.evaluate(async () => {
      await page.connection.command("ALARM ADD daily 07:30 Wake up");
      await page.connection.command("ALARM ADD +2s Tea");
      document.querySelectorAll("details").forEach((d) => (d.open = true));
    });
    await page.waitForSelector(".alarm:nth-child(2)");
    await fits(page, `200 % at ${width} px`);
    await screenshot(page, `200-percent-${width}`, { fullPage: true });
    await text(page, "#ring-names", "Tea");
    await fits(page, `200 % at ${width} px, ringing`);
    await screenshot(page, `200-percent-${width}-ringing`);
    await close(page);
  }
});

test("any path, and another clock of its own", async () => {
  for (const path of ["/narrow", "/deep/down/", "/deep/down/the/stairs", "/?from=bookmark"]) {
    const page = await open({}, path);
    await connected(page);
    assert.equal(new URL(page.socketURL).pathname, path.replace(/\?.*/, ""));
    await close(page);
  }
});

test("storage that is denied", async () => {
  const page = await open();
  await page.addInitScript(() => {
    Object.defineProperty(window, "localStorage", {
      get() {
        throw new DOMException("denied", "SecurityError");
      },
    });
  });
  await page.reload();
  await connected(page);
  const known = await session(page);
  await page.evaluate(() => page.connection.restart());
  await page.waitForFunction(() => page.connection.open);
  assert.equal(await session(page), known);
  await close(page);
});

test("a second visit loads nothing anew", async () => {
  const page = await open();
  await connected(page);
  const answers = [];
  page.on("response", (response) => answers.push(response));
  await page.reload();
  await connected(page);
  const sizes = await Promise.all(answers.map(async (answer) => (await answer.request().sizes()).responseBodySize));
  assert.ok(sizes.length > 10);
  assert.deepEqual(sizes.filter((size) => size > 0), []);
  await close(page);
});

test("the example for client authors, through a restart", async () => {
  const page = await open({}, "/example/clock.html");
  const id = () => page.evaluate(() => localStorage.getItem("clock session"));
  await text(page, "#time", /^\d\d:\d\d:\d\d$/);
  await text(page, "#result", "OK:Europe/Paris");
  const known = await id();
  await page.click("#tea");
  await text(page, "#result", /^OK:\{"name":"Tea /);
  await text(page, "#ringing", /^Tea /);

  page.offline = true;
  await page.evaluate(() => (window.first = socket));
  await order("stop");
  await order("start");
  await page.waitForFunction(() => socket !== window.first && failures === 0);
  page.offline = false;
  assert.equal(await id(), known);
  await text(page, "#ringing", /^Tea /);
  assert.equal(page.sent.filter((each) => each === "TZ SET Europe/Paris").length, 1, "a zone that is set is not set again");
  await page.click("#stop");
  await text(page, "#ringing", /^$/);
  await close(page);
});

test("the README's example of the time protocol", async () => {
  const page = await open();
  await connected(page);
  const [, script] = /```js\n(.*?)```/s.exec(readFileSync(process.env.README, "utf8"));
  assert.ok(script.includes("wss://clock.example.com"));
  const told = page.waitForEvent("console");
  await page.evaluate(script.replace("wss://clock.example.com", url.replace("http", "ws")));
  const [, ahead, atMost] = /^The server's clock is (-?[\d.]+) ms ahead, give or take ([\d.]+) ms\.$/.exec((await told).text());
  assert.ok(Math.abs(ahead) <= Number(atMost) + 0.1, `${ahead} ± ${atMost}`);
  await close(page);
});

test("the scripts are such that browsers of 2019 read them", () => {
  const dir = process.env.SCRIPTS;
  for (const name of readdirSync(dir).filter((name) => name.endsWith(".js"))) {
    acorn.parse(readFileSync(`${dir}/${name}`, "utf8"), { ecmaVersion: 2018 });
  }
});
