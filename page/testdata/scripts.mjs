// Tests what the page reckons: the scripts as they are, in a world whose time
// goes on only when told.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const HOUR = 3600e3, DAY = 24 * HOUR;

// World loads scripts, and has what they ask of a browser.
class World {
  constructor(scripts, names) {
    this.wall = Date.UTC(2026, 10, 22, 16); // the device's clock
    this.run = 1000; // how long it has been awake
    this.timers = [];
    this.random = 0.5;
    this.storage = new Map();
    this.sockets = [];
    const world = this;
    class WorldDate extends Date {
      constructor(...args) {
        super(...(args.length ? args : [world.wall]));
      }
      static now() {
        return world.wall;
      }
    }
    const globals = {
      Date: WorldDate,
      Intl,
      Math: Object.create(Math, { random: { value: () => this.random } }),
      performance: { now: () => this.run },
      location: { pathname: "/" },
      navigator: { language: "en-GB" },
      localStorage: {
        getItem: (key) => this.storage.get(key) ?? null,
        setItem: (key, value) => this.storage.set(key, String(value)),
      },
      document: { documentElement: { setAttribute() {} } },
      addEventListener: (type, listener) => (this.listeners[type] = listener),
      setTimeout: (call, wait) => {
        this.timers.push({ call, at: this.run + wait });
        return this.timers[this.timers.length - 1];
      },
      clearTimeout: (timer) => (this.timers = this.timers.filter((t) => t !== timer)),
      WebSocket: class {
        constructor(url) {
          Object.assign(this, { url, sent: [], closed: false });
          world.sockets.push(this);
        }
        send(text) {
          this.sent.push(text);
        }
        close() {
          this.closed = true;
        }
      },
      say: (text) => text,
    };
    this.listeners = {};
    const code = scripts.map((name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8")).join("\n");
    vm.createContext(globals);
    Object.assign(this, vm.runInContext(`${code}\n;({ ${names} })`, globals));
  }

  // Lets time pass, and timers go off.
  pass(ms) {
    const end = this.run + ms;
    for (;;) {
      const next = this.timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      this.wall += (next ? next.at : end) - this.run;
      this.run = next ? next.at : end;
      if (!next) return;
      this.timers.splice(this.timers.indexOf(next), 1);
      next.call();
    }
  }

  get socket() {
    return this.sockets[this.sockets.length - 1];
  }
}

// Numbers from 0 to 1 that are the same each time.
function* numbers(seed) {
  for (let x = seed; ; ) {
    x = (x * 48271) % 2147483647;
    yield x / 2147483647;
  }
}

test("the server's time is as near as it says, however late messages are", () => {
  const random = numbers(7);
  for (let run = 0; run < 300; run++) {
    const world = new World(["servertime.js"], "ServerTime");
    const time = new world.ServerTime();
    const ahead = (random.next().value - 0.5) * 10 * DAY;
    const server = () => world.run + ahead;
    for (let round = 0; round < 5; round++) {
      const trips = [];
      for (let i = 0; i < 5; i++) {
        const delay = () => (random.next().value < 0.3 ? 2000 : 30) * random.next().value;
        const trip = { sent: world.run };
        world.pass(delay());
        trip.received = server();
        world.pass(random.next().value);
        trip.answered = server();
        world.pass(delay());
        trip.back = world.run;
        trips.push(trip);
      }
      time.measure(trips);
      const took = Math.min(...trips.map((t) => t.back - t.sent));
      assert.ok(time.uncertainty() <= took / 2 + 1, `${time.uncertainty()} after round trips of ${took} ms`);
      assert.ok(Math.abs(world.run + time.offset - server()) <= time.uncertainty());
      assert.ok(Math.abs(time.now() - server()) <= time.inexactness());
      world.pass(60000 * random.next().value);
    }
  }
});

test("a better estimate is kept, until it is old", () => {
  const world = new World(["servertime.js"], "ServerTime");
  const time = new world.ServerTime();
  const trip = (took, off) => [{ sent: world.run - took, back: world.run, received: world.run - took / 2 + off, answered: world.run - took / 2 + off }];
  time.measure(trip(4, 0));
  time.measure(trip(100, 30));
  assert.equal(Math.round(time.offset), 0);
  world.pass(HOUR);
  time.measure(trip(100, 30));
  assert.equal(Math.round(time.offset), 30);
  time.measure(trip(400, 5000)); // the server's clock was set: no estimate of before can hold
  assert.equal(Math.round(time.offset), 5000);
});

test("small corrections neither jump nor run backwards, large ones are made at once", () => {
  const world = new World(["servertime.js"], "ServerTime");
  const time = new world.ServerTime();
  const set = (offset) => time.measure([{ sent: world.run, back: world.run, received: world.run + offset, answered: world.run + offset }]);
  set(0);
  time.now();
  for (const offset of [300, -500, 0]) {
    set(offset);
    for (let last = time.now(), i = 0; i < 700; i++) {
      world.pass(16);
      const now = time.now();
      assert.ok(now - last > 14 && now - last < 18, `a frame of 16 ms took ${now - last} ms`);
      last = now;
    }
    assert.ok(Math.abs(time.now() - world.run - offset) < 0.001);
  }
  set(HOUR);
  assert.ok(Math.abs(time.now() - world.run - HOUR) < 0.001);
});

test("sleep is seen, and made up for", () => {
  const world = new World(["servertime.js"], "ServerTime");
  const time = new world.ServerTime();
  time.measure([{ sent: 1000, back: 1000, received: world.wall, answered: world.wall }]);
  assert.equal(time.slept(), false);
  world.pass(1000);
  assert.equal(time.slept(), false);
  world.wall += HOUR; // asleep, performance.now() stands
  assert.equal(time.slept(), true);
  assert.equal(time.now(), world.wall);
  assert.ok(time.uncertainty() >= 1000);
  assert.equal(time.slept(), false);
  world.wall -= HOUR; // the device's clock is set back: that is no sleep
  assert.equal(time.slept(), false);
});

const owner = () => {
  const calls = [];
  const note = (name) => (value) => calls.push(value === undefined ? name : [name, value]);
  return { calls, opened: note("opened"), ticked: note("ticked"), zoneChanged: note("zoneChanged"), alarmsChanged: note("alarmsChanged"), lost: note("lost") };
};

function connect(world, calls = owner()) {
  const connection = new world.Connection("ws://clock/", calls);
  return connection;
}

const connectionScripts = [["preferences.js", "connection.js"], "Connection, remembered"];

test("the opening, commands and their results in order", async () => {
  const world = new World(...connectionScripts);
  const calls = owner();
  const connection = connect(world, calls);
  await assert.rejects(connection.command("TZ GET"), /Not connected/);
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, [""]);
  for (const message of ["SESSION:abc", "TZN:CET", "2026-11-22T17:00:00+01:00"]) world.socket.onmessage({ data: message });
  assert.equal(JSON.stringify(calls.calls), '["opened","zoneChanged",["ticked","2026-11-22T17:00:00+01:00"]]');
  assert.equal(world.storage.get("pyws_clock / session"), "abc");

  const results = [connection.command("A"), connection.command("B"), connection.send("C")];
  assert.deepEqual(world.socket.sent.slice(1), ["A"]);
  world.pass(5);
  for (const message of ["OK:a:b", "TZN:CET", "ERR:it is wrong", 'ALARMS:[{"name":"x"}]']) world.socket.onmessage({ data: message });
  assert.equal(await results[0], "a:b");
  await assert.rejects(results[1], /it is wrong/);
  assert.deepEqual(world.socket.sent.slice(1), ["A", "B", "C"]);
  world.socket.onmessage({ data: "ERR:too many commands: at most 1 a second" });
  world.pass(1000);
  assert.deepEqual(world.socket.sent.slice(1), ["A", "B", "C", "C"]);
  world.pass(7);
  world.socket.onmessage({ data: "OK:" });
  const { details, sent, back } = await results[2];
  assert.deepEqual([details, back - sent], ["", 7]);

  const open = connection.command("D");
  world.socket.onclose();
  await assert.rejects(open, /Not connected/);
  assert.equal(calls.calls[calls.calls.length - 1], "lost");
});

test("waits grow, differ, and have an end", () => {
  for (const random of [0, 0.5, 0.999]) {
    const world = new World(...connectionScripts);
    world.random = random;
    const connection = connect(world);
    const waits = [];
    for (let i = 0; i < 15; i++) {
      world.socket.onclose();
      waits.push(connection.retryAt - world.run);
      world.pass(waits[i] - 1);
      assert.equal(world.sockets.length, i + 1);
      world.pass(1);
      assert.equal(world.sockets.length, i + 2);
    }
    assert.ok(waits.every((wait, i) => i === 0 || wait > waits[i - 1] - 1) && waits[0] > 499 && waits[0] < 2001);
    assert.ok(Math.abs(waits[14] - 60000 * (0.25 + 0.75 * random)) < 1, `${waits}`);
  }
});

test("a connection that says nothing is dead, a page that slept hears first", () => {
  const world = new World(...connectionScripts);
  const connection = connect(world);
  const second = () => {
    world.pass(1000);
    connection.check();
  };
  world.socket.onmessage({ data: "SESSION:abc" });
  for (let i = 0; i < 9; i++) second();
  world.pass(600000); // no timers while the page is frozen
  for (let i = 0; i < 9; i++) second();
  assert.ok(connection.open);
  for (let i = 0; i < 5; i++) second();
  assert.ok(!connection.open && world.sockets[0].closed);
  world.listeners.online();
  assert.equal(world.sockets.length, 2);
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, ["abc"]);
});

test("a page that slept before it was checked first hears first", () => {
  const world = new World(...connectionScripts);
  const connection = connect(world);
  world.socket.onmessage({ data: "SESSION:abc" });
  world.pass(600000);
  connection.check();
  assert.ok(connection.open);
});

test("tabs that open at once share the session of the first", () => {
  const world = new World(...connectionScripts);
  connect(world);
  world.socket.onopen();
  world.remembered.set("session", "first"); // by another tab
  world.socket.onmessage({ data: "SESSION:second" });
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, ["first"]);
  world.socket.onmessage({ data: "SESSION:first" });
  assert.equal(world.storage.get("pyws_clock / session"), "first");
  world.listeners.storage({ key: "pyws_clock / session", newValue: "first" });
  assert.equal(world.sockets.length, 2);
});

test("an ID that the server refuses is replaced; a code that it refuses is not taken", async () => {
  const world = new World(...connectionScripts);
  world.storage.set("pyws_clock / session", "expired");
  const connection = connect(world);
  world.socket.onmessage({ data: "SESSION:fresh" });
  assert.equal(world.storage.get("pyws_clock / session"), "fresh");
  const joined = connection.join("other");
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, ["other"]);
  world.socket.onmessage({ data: "SESSION:unwanted" });
  await assert.rejects(joined, /No session/);
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, ["fresh"]);
  world.socket.onmessage({ data: "SESSION:fresh" });
  const again = connection.join("other");
  world.socket.onmessage({ data: "SESSION:other" });
  await again;
  assert.equal(world.storage.get("pyws_clock / session"), "other");
});

test("storage that is denied", () => {
  const world = new World(...connectionScripts);
  world.storage.get = world.storage.set = () => {
    throw new Error("denied");
  };
  connect(world);
  world.socket.onmessage({ data: "SESSION:abc" });
  world.socket.onclose();
  world.pass(5000);
  world.socket.onopen();
  assert.deepEqual(world.socket.sent, ["abc"]);
});

const alarmScripts = [["preferences.js", "format.js", "zone.js", "alarms.js", "alarmlist.js"], "Alarms, Zone, parseWhen, describeDays, describeWhen, format"];

const paris = { zone: "Europe/Paris", abbreviation: "CET", offset: "+01:00", dst: false, next_transition: "2027-03-28T01:00:00Z", next_abbreviation: "CEST" };

function alarmsIn(info, ...list) {
  const world = new World(...alarmScripts);
  const zone = new world.Zone();
  zone.set(info);
  const alarms = new world.Alarms(zone);
  const blank = { when: "07:30", next: null, enabled: true, ringing: false, snoozed_until: null, missed: null };
  const set = (list, now) => alarms.set(list.map((alarm) => ({ ...blank, ...alarm })), now);
  set(list, 1);
  return { world, zone, alarms, set };
}

test("local times around transitions", () => {
  const { zone } = alarmsIn(paris);
  const spring = Date.parse("2027-03-28T01:00:00Z");
  assert.equal(zone.local(spring - 1), spring - 1 + HOUR);
  assert.equal(zone.local(spring), spring + 2 * HOUR);
  assert.equal(zone.instant(Date.parse("2027-03-28T02:30:00Z")), Date.parse("2027-03-28T01:30:00Z")); // a gap: 03:30
  assert.equal(zone.instant(Date.parse("2027-10-31T02:30:00Z")), Date.parse("2027-10-31T00:30:00Z")); // the first of two
  assert.equal(zone.instant(Date.parse("2027-07-01T12:00:00Z")), Date.parse("2027-07-01T10:00:00Z"));
  zone.set({ ...paris, zone: "Mars/Olympus" });
  assert.equal(zone.local(spring), spring + HOUR); // unknown to the browser: it goes on as it was
  zone.tick("2027-03-28T03:00:00-03:30");
  assert.equal(zone.offset, -3.5 * HOUR);
});

test("without a server a known alarm rings for a minute", () => {
  const at = Date.parse("2026-11-23T06:30:00Z");
  const { alarms } = alarmsIn(paris, { name: "Tea", next: "2026-11-23T07:30:00+01:00" }, { name: "Nap", snoozed_until: "2026-11-23T07:30:10+01:00", next: "2026-11-24T07:30:00+01:00" });
  const ringing = (s, connected = false) => [...alarms.ringing(at + s * 1000, connected)];
  assert.deepEqual([-1, 0, 10, 59, 60, 69, 70].map((s) => ringing(s).join()), ["", "Tea", "Tea,Nap", "Tea,Nap", "Nap", "Nap", ""]);
  assert.deepEqual(ringing(5, true), []); // with a server it is the server that says so
  alarms.end("Tea", at + 20000, 0);
  assert.deepEqual(ringing(20), ["Nap"]);
  alarms.end("Nap", at + 30000, at + 330000);
  assert.deepEqual([30, 329, 330].map((s) => alarms.snoozedUntil(alarms.list[1], at + s * 1000) - at), [330000, 330000, 10000]);
  assert.equal(alarms.snoozedUntil(alarms.list[0], at + 30000), 0);
  assert.deepEqual([30, 69, 329, 330, 389, 390].map((s) => ringing(s).join()), ["", "", "", "Nap", "Nap", ""]);
  assert.deepEqual(ringing(86400), ["Nap"]); // the next day it rings again
});

test("what rang when the connection was lost rings on", () => {
  const { alarms, set } = alarmsIn(paris);
  set([{ name: "Tea", ringing: true }], 1000);
  set([{ name: "Tea", ringing: true }], 31000);
  assert.deepEqual([...alarms.ringing(40000, true)], ["Tea"]);
  assert.deepEqual([...alarms.ringing(60999, false)], ["Tea"]);
  assert.deepEqual([...alarms.ringing(61000, false)], []);
});

test("days of the week without a server for long", () => {
  const { alarms } = alarmsIn(paris, { name: "Work", when: "mon-fri 07:30:15", next: "2026-11-23T07:30:15+01:00" }, { name: "Off", when: "daily 07:00", enabled: false });
  const rings = (local) => alarms.ringing(Date.parse(local), false).join();
  for (const day of ["23", "24", "27", "30"]) {
    assert.equal(rings(`2026-11-${day}T07:30:15+01:00`), "Work", day);
    assert.equal(rings(`2026-11-${day}T07:31:15+01:00`), "", day);
    assert.equal(rings(`2026-11-${day}T07:30:14+01:00`), "", day);
  }
  assert.equal(rings("2026-11-28T07:30:15+01:00"), "");
  assert.equal(rings("2026-11-20T07:30:15+01:00"), ""); // before it was known
  assert.equal(rings("2027-03-29T07:30:15+02:00"), "Work"); // in summer time
});

test("what was ended is told, once, and rings anew the next time", async () => {
  const { alarms, set } = alarmsIn(paris, { name: "Tea", ringing: true });
  const sent = [];
  const answers = { "ALARM SNOOZE 300s Tea": '["Tea"]', "ALARM STOP Tea": '["Tea"]' };
  const connection = { open: true, command: async (text) => (sent.push(text), answers[text]) };
  const rings = (now) => alarms.ringing(now, true).join();
  const told = () => new Promise(setImmediate);

  alarms.end("Tea", 1000, 0);
  assert.equal(rings(1001), "");
  alarms.tell(connection, 1000);
  alarms.tell(connection, 1000);
  await told();
  assert.deepEqual(sent, ["ALARM STOP Tea"]);
  set([{ name: "Tea", ringing: true }], 1100); // another alarm changed meanwhile
  assert.equal(rings(1101), "");
  set([{ name: "Tea", ringing: false }], 1200);
  set([{ name: "Tea", ringing: true }], 90000);
  assert.equal(rings(90000), "Tea");

  alarms.end("Tea", 91000, 391000);
  alarms.tell(connection, 91000);
  await told();
  assert.deepEqual(sent.slice(1), ["ALARM SNOOZE 300s Tea"]);
  set([{ name: "Tea", snoozed_until: "2026-11-23T07:30:10+01:00" }], 91200);
  assert.equal(rings(391000), ""); // that is up to the server now
});

test("what was ended without a server is told later", async () => {
  const { alarms, set } = alarmsIn(paris, { name: "Tea", next: "2026-11-23T07:30:00+01:00" });
  const at = Date.parse("2026-11-23T06:30:00Z");
  const sent = [];
  const refusing = { open: false, command: async () => Promise.reject(new Error("Not connected.")) };
  const connection = { open: true, command: async (text) => (sent.push(text), "[]") };
  alarms.end("Tea", at + 1000, at + 301000);
  alarms.tell(refusing, at + 1000);
  await new Promise(setImmediate);
  alarms.tell(connection, at + 101000);
  await new Promise(setImmediate);
  // The server rang for nobody: it takes no snooze, so the mark goes and the snooze is kept here.
  assert.deepEqual(sent, ["ALARM SNOOZE 200s Tea", "ALARM STOP Tea"]);
  set([{ name: "Tea" }], at + 102000);
  assert.equal(alarms.ringing(at + 301000, true).join(), "Tea");
  assert.equal(alarms.ringing(at + 361000, true).join(), "");
});

test("an alarm may have any name", () => {
  const { alarms } = alarmsIn(paris, { name: "__proto__" }, { name: "constructor" });
  assert.deepEqual([...alarms.ringing(1, true)], []);
  alarms.set([{ name: "__proto__", ringing: true }], 1);
  assert.deepEqual([...alarms.ringing(1, true)], ["__proto__"]);
  alarms.end("__proto__", 2, 0);
  assert.deepEqual([...alarms.ringing(3, true)], []);
});

test("alarms in words", () => {
  const { world, zone } = alarmsIn(paris);
  const now = Date.parse("2026-11-22T17:05:00Z");
  for (const [when, time, text] of [
    ["07:30", "07:30", "Once"],
    ["07:30:15", "07:30:15", "Once"],
    ["daily 07:30", "07:30", "Every day"],
    ["MON-FRI 07:30", "07:30", "Mon–Fri"],
    ["sat,sun 09:00", "09:00", "Sat, Sun"],
    ["fri-mon,wed 09:00", "09:00", "Mon, Wed, Fri–Sun"],
    ["2026-12-24T18:00", "18:00", "Thursday 24 December 2026"],
    ["2026-12-24 18:00:30", "18:00:30", "Thursday 24 December 2026"],
    ["2026-12-24T18:00:00Z", "19:00", "Thursday 24 December 2026"],
    ["2026-12-24T23:30+00:00", "00:30", "Friday 25 December 2026"],
    ["2026-11-22T18:00:00+01:00", "18:00", "Once"],
    ["RRULE:FREQ=DAILY", "", "FREQ=DAILY"],
    ["something new", "", "something new"],
  ]) {
    const told = world.describeWhen(when, now, zone);
    assert.deepEqual([told.time, told.text.replace(/,(?= \d)/, "")], [time, text], when);
  }
  assert.deepEqual([999, 59001, 60000, 599000, 600000, 7 * HOUR + 20 * 60000 - 1, 2 * DAY + HOUR].map((ms) => world.format.duration(ms).replace(/\u00a0/g, " ")),
    ["1 s", "1 min", "1 min", "9 min 59 s", "10 min", "7 h 20 min", "2 d 1 h"]);
});
