'use strict';

// The list of alarms and its controls.
class AlarmList {
	constructor(page) {
		this.page = page;
		this.list = document.getElementById('alarms');
		this.none = document.getElementById('no-alarms');
		this.error = document.getElementById('alarms-error');
		this.template = document.getElementById('alarm').content.firstElementChild;
		this.rows = new Map(); // by the alarm's name
	}

	show(alarms) {
		const focused = document.activeElement;
		const names = new Set(alarms.map(alarm => alarm.name));
		for (const [name, row] of this.rows) {
			if (names.has(name)) continue;
			if (row.contains(focused)) document.querySelector('#new-alarm summary').focus();
			this.list.removeChild(row);
			this.rows.delete(name);
		}
		alarms.forEach((alarm, i) => {
			const row = this.rows.get(alarm.name) || this.add(alarm.name);
			if (this.list.children[i] !== row) this.list.insertBefore(row, this.list.children[i] || null);
			row.alarm = alarm;
		});
		if (document.body.contains(focused) && focused !== document.activeElement) focused.focus();
		this.none.hidden = alarms.length > 0;
		this.refresh();
	}

	add(name) {
		const row = document.importNode(this.template, true);
		const part = selector => row.querySelector(selector);
		row.parts = {};
		for (const key of ['time', 'name', 'when', 'state', 'delete', 'snooze', 'stop', 'delete-now', 'keep']) {
			row.parts[key] = part('.alarm-' + key);
		}
		row.toggle = part('input');
		row.toggle.setAttribute('aria-label', say('Switch {} on or off', name));
		row.parts.delete.setAttribute('aria-label', say('Delete {}', name));
		row.parts.name.textContent = name;

		row.toggle.addEventListener('change', async () => {
			const done = await this.command((row.toggle.checked ? 'ALARM ON ' : 'ALARM OFF ') + name);
			if (!done) row.toggle.checked = row.alarm.enabled;
		});
		row.parts.stop.addEventListener('click', () => this.page.end(name, 0));
		row.parts.snooze.addEventListener('click', () => this.page.end(name, preferences.snooze * 60000));
		row.parts.delete.addEventListener('click', () => this.ask(row, true));
		row.parts.keep.addEventListener('click', () => this.ask(row, false));
		row.parts['delete-now'].addEventListener('click', () => this.command('ALARM DEL ' + name));
		this.rows.set(name, row);
		return row;
	}

	// Asks whether the alarm is really to be deleted.
	ask(row, asked) {
		row.asked = asked;
		this.refreshRow(row);
		(asked ? row.parts.keep : row.parts.delete).focus();
	}

	async command(text) {
		try {
			await this.page.connection.command(text);
			setText(this.error, '');
			return true;
		} catch (e) {
			setText(this.error, e.message);
			return false;
		}
	}

	refresh() {
		for (const row of this.rows.values()) this.refreshRow(row);
	}

	refreshRow(row) {
		const { alarm, parts } = row, page = this.page;
		const now = page.time.now(), local = page.zone.local(now);
		const ringing = page.ringing.includes(alarm.name);
		const due = dueLocal(alarm);
		const snoozed = page.alarms.snoozedUntil(alarm, now);
		const when = describeWhen(alarm.when, local, page.zone);

		row.className = 'alarm' + (ringing ? ' ringing' : '') + (alarm.enabled ? '' : ' off');
		row.toggle.checked = alarm.enabled;
		setText(parts.time, due === null ? when.time : format.time(due));
		setText(parts.when, when.text);
		const state = ringing ? say('ringing') :
			snoozed ? say('snoozed until {}', format.dayAndTime(page.zone.local(snoozed), local)) :
			alarm.missed ? say('Missed: {}', format.dayAndTime(localOf(alarm.missed), local)) :
			due === null ? say('off') : this.waiting(due, alarm, now);
		setText(parts.state, state);
		parts.state.classList.toggle('urgent', ringing || !!alarm.missed);

		setText(parts.stop, ringing ? say('Stop') : snoozed ? say('End snooze') : say('Dismiss'));
		setText(parts.snooze, say('Snooze {}', format.duration(preferences.snooze * 60000)));
		parts.stop.hidden = row.asked || !ringing && !snoozed && !alarm.missed;
		parts.snooze.hidden = row.asked || !ringing;
		parts['delete-now'].hidden = parts.keep.hidden = !row.asked;
	}

	// "in 7 h", or the day where that is more than a day away. Nothing is said
	// of what has passed without a server that could tell the next time.
	waiting(due, alarm, now) {
		const left = Date.parse(alarm.next) - now;
		if (!(left > -1000)) return '';
		if (left < 86400000) return say('in {}', format.duration(left));
		return /^\d{4}-/.test(alarm.when) ? '' : format.day.format(due);
	}
}

// The local time of a time of the protocol, which has its offset at its end.
function localOf(text) {
	return Date.parse(text.slice(0, 19) + 'Z');
}

// The local time at which an alarm rings next, or null.
function dueLocal(alarm) {
	const text = [alarm.snoozed_until, alarm.next].filter(Boolean).sort((a, b) => Date.parse(a) - Date.parse(b))[0];
	return text ? localOf(text) : null;
}

// Tells in words when an alarm rings: {time, text}.
function describeWhen(text, now, zone) {
	const when = parseWhen(text);
	if (when.days) return { time: format.time(when.time), text: describeDays(when.days) };
	if ('time' in when) return { time: format.time(when.time), text: say('Once') };
	const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(Z|[+-]\d\d:\d\d)?$/i.exec(text);
	if (!match) return { time: '', text: text.replace(/^rrule:/i, '') };
	const [, day, minutes, seconds, offset] = match;
	const date = Date.parse(day + 'T' + minutes + (seconds || ':00') + (offset || 'Z').toUpperCase());
	const local = offset ? zone.local(date) : date;
	const today = Math.floor(local / 86400000) === Math.floor(now / 86400000);
	return { time: format.time(local), text: today ? say('Once') : format.longDate.format(local) };
}

// "Mon–Fri, Sun", in the order of the locale's week.
function describeDays(days) {
	if (new Set(days).size === 7) return say('Every day');
	const runs = [];
	weekdays().forEach((day, i) => {
		const run = runs[runs.length - 1];
		if (!days.includes(day)) return;
		if (run && run.end === i - 1) run.end = i, run.days.push(day);
		else runs.push({ end: i, days: [day] });
	});
	return runs.map(run => {
		const names = run.days.map(weekdayName);
		return names.length < 3 ? names.join(', ') : names[0] + '–' + names[names.length - 1];
	}).join(', ');
}

// The days of the week in the locale's order; 0 is Sunday.
function weekdays() {
	const first = format.firstWeekday();
	return [0, 1, 2, 3, 4, 5, 6].map(i => (first + i) % 7);
}

function weekdayName(day) {
	return format.weekday.format(Date.UTC(2024, 0, 7 + day));
}
