'use strict';

// The session's time zone. A local time is what its wall clocks show, in
// milliseconds since 1970 as if they were UTC.
class Zone {
	constructor() {
		this.name = '';
		this.abbreviation = '';
		this.offset = -new Date().getTimezoneOffset() * 60000; // until the server tells
		this.next = Infinity; // the next transition, in Unix time
		this.nextAbbreviation = '';
		this.known = false;
	}

	// Takes the answer to TZ INFO.
	set(info) {
		this.known = true;
		this.name = info.zone;
		this.abbreviation = info.abbreviation;
		this.offset = parseOffset(info.offset);
		this.next = info.next_transition ? Date.parse(info.next_transition) : Infinity;
		this.nextAbbreviation = info.next_abbreviation || '';
	}

	// Takes a time message, whose end is the offset in force.
	tick(time) {
		this.offset = parseOffset(time.slice(-6));
	}

	// The offset at an instant: as the server told it up to the next
	// transition, from there as the browser knows it.
	offsetAt(instant) {
		if (instant < this.next) return this.offset;
		return browserOffset(this.name, instant, this.offset);
	}

	local(instant) {
		return instant + this.offsetAt(instant);
	}

	// The instant of a local time. Of two it is the first; in a gap it counts
	// from before the gap (RFC 5545, section 3.3.5).
	instant(local) {
		const before = local - this.offsetAt(local - 86400000);
		if (this.local(before) === local) return before;
		const after = local - this.offsetAt(local + 86400000);
		return this.local(after) === local ? after : before;
	}
}

function parseOffset(text) {
	const [hours, minutes] = text.slice(1).split(':').map(Number);
	return (text[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60000;
}

const zoneFormats = {};

// The offset of a zone as the browser knows it, or another value where it does
// not know the zone.
function browserOffset(name, instant, otherwise) {
	try {
		const format = zoneFormats[name] = zoneFormats[name] || new Intl.DateTimeFormat('en-US', {
			timeZone: name, hour12: false, year: 'numeric', month: 'numeric', day: 'numeric',
			hour: 'numeric', minute: 'numeric', second: 'numeric',
		});
		const is = {};
		for (const part of format.formatToParts(instant)) is[part.type] = Number(part.value);
		const local = Date.UTC(is.year, is.month - 1, is.day, is.hour % 24, is.minute, is.second);
		return local - Math.floor(instant / 1000) * 1000;
	} catch (e) {
		return otherwise;
	}
}

// The browser's own zone, such as Europe/Paris.
function browserZone() {
	return Intl.DateTimeFormat().resolvedOptions().timeZone || '';
}

function offsetText(offset) {
	const minutes = Math.abs(offset) / 60000;
	const two = n => String(Math.floor(n)).padStart(2, '0');
	return 'UTC' + (offset < 0 ? '−' : '+') + two(minutes / 60) + ':' + two(minutes % 60);
}
