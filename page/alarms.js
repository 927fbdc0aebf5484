'use strict';

// The session's alarms: the list as the server last told it, and what this
// page does with it while it is on its own. Then it rings the alarms that it
// knows, and keeps what was stopped or snoozed until the server can be told.
class Alarms {
	constructor(zone) {
		this.zone = zone;
		this.list = [];
		this.began = new Map(); // name: since when the server says that it rings
		this.ended = new Map(); // name: {at, snoozed, told}: when it was ended here, until when (0: for good), and whether the server was told
	}

	set(list, now) {
		const began = new Map(), ended = new Map();
		for (const alarm of list) {
			const end = this.ended.get(alarm.name);
			if (alarm.ringing) began.set(alarm.name, this.began.get(alarm.name) || now);
			if (end && (alarm.ringing || end.snoozed || !end.told)) ended.set(alarm.name, end);
		}
		this.list = list;
		this.began = began;
		this.ended = ended;
	}

	// The names of those that ring now.
	ringing(now, connected) {
		return this.list.filter(alarm => this.rings(alarm, now, connected)).map(alarm => alarm.name);
	}

	rings(alarm, now, connected) {
		const end = this.ended.get(alarm.name) || { at: 0, snoozed: 0 };
		if (end.snoozed && end.snoozed <= now && now < end.snoozed + Alarms.ring) return true;
		const due = connected ? alarm.ringing && this.began.get(alarm.name) : this.lastDue(alarm, now);
		return due > end.at && (connected || now < due + Alarms.ring);
	}

	// The newest instant up to now at which an alarm began to ring.
	lastDue(alarm, now) {
		let due = this.began.get(alarm.name) || 0;
		for (const text of [alarm.next, alarm.snoozed_until]) {
			const instant = text ? Date.parse(text) : 0;
			if (instant <= now) due = Math.max(due, instant);
		}
		const next = alarm.next ? Date.parse(alarm.next) : Infinity;
		if (next < now && alarm.enabled) due = Math.max(due, this.lastOnDays(alarm, now));
		return due;
	}

	// The newest occurrence of an alarm on days of the week, in a long time
	// without a server; 0 if it is no such alarm.
	lastOnDays(alarm, now) {
		const when = parseWhen(alarm.when);
		if (!when.days) return 0;
		const today = Math.floor(this.zone.local(now) / 86400000) * 86400000;
		for (let day = today; day > today - 8 * 86400000; day -= 86400000) {
			const instant = this.zone.instant(day + when.time);
			if (when.days.includes(new Date(day).getUTCDay()) && instant <= now) return instant;
		}
		return 0;
	}

	// Ends the ringing of an alarm here, at once: for good, or until an instant.
	end(name, now, snoozed) {
		this.ended.set(name, { at: now, snoozed, told: false });
	}

	// Until when an alarm is snoozed: as the server says, or as it was done here
	// and the server does not know yet; 0 if it is not.
	snoozedUntil(alarm, now) {
		const { snoozed } = this.ended.get(alarm.name) || { snoozed: 0 };
		return snoozed > now ? snoozed : alarm.snoozed_until ? Date.parse(alarm.snoozed_until) : 0;
	}

	// Tells the server what was ended here.
	tell(connection, now) {
		for (const [name, end] of this.ended) {
			if (end.told) continue;
			end.told = true;
			this.tellEnd(connection, name, end, now).catch(() => {
				end.told = connection.open; // the server refused it, or never got it
			});
		}
	}

	async tellEnd(connection, name, end, now) {
		const left = Math.ceil((end.snoozed - now) / 1000);
		if (left > 0) {
			const names = JSON.parse(await connection.command('ALARM SNOOZE ' + left + 's ' + name));
			if (names.length) {
				end.snoozed = 0;
				return;
			}
		}
		// To the server it was missed: that mark goes, and a snooze is kept here.
		await connection.command('ALARM STOP ' + name);
	}
}

Alarms.ring = 60000; // how long an alarm rings without a server; a server's own default

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

// Reads the forms of an alarm's time that name a time of day:
// {time: ms since midnight, days: [0 to 6] of those that repeat}.
function parseWhen(when) {
	const match = /^(?:([a-z,-]+) )?(\d\d?):(\d\d)(?::(\d\d))?$/i.exec(when);
	if (!match) return {};
	const time = (match[2] * 3600 + match[3] * 60 + Number(match[4] || 0)) * 1000;
	return match[1] ? { time, days: parseDays(match[1].toLowerCase()) } : { time };
}

// Reads daily, mon-fri, or sat,sun.
function parseDays(text) {
	if (text === 'daily') return [0, 1, 2, 3, 4, 5, 6];
	const days = [];
	for (const part of text.split(',')) {
		const [first, last] = part.split('-').map(name => dayNames.indexOf(name));
		for (let day = first; ; day = (day + 1) % 7) {
			days.push(day);
			if (last === undefined || day === last || days.length > 7) break;
		}
	}
	return days;
}
