'use strict';

// The form that adds an alarm. It writes the <when> of the protocol.
class AlarmForm {
	constructor(page) {
		this.page = page;
		this.form = document.getElementById('alarm-form');
		this.section = document.getElementById('new-alarm');
		this.error = document.getElementById('alarm-error');
		this.days = [];
		this.addDays(document.getElementById('alarm-days'));
		this.form.addEventListener('change', () => this.showKind());
		this.form.addEventListener('submit', e => {
			e.preventDefault();
			this.submit();
		});
		this.section.addEventListener('toggle', () => this.showKind());
		this.showKind();
	}

	value(id) {
		return document.getElementById(id).value.trim();
	}

	kind() {
		return this.form.querySelector('[name=kind]:checked').value;
	}

	addDays(parent) {
		for (const day of weekdays()) {
			const label = parent.appendChild(document.createElement('label'));
			const box = label.appendChild(document.createElement('input'));
			box.type = 'checkbox';
			box.value = dayNames[day];
			box.checked = day > 0 && day < 6;
			append(label, 'span', weekdayName(day), '');
			this.days.push(box);
		}
	}

	// Shows the fields of the chosen form of alarm. Those of the others are
	// disabled, so that they need not be valid.
	showKind() {
		const kind = this.kind();
		for (const part of this.form.querySelectorAll('[data-kinds]')) {
			part.hidden = !part.dataset.kinds.split(' ').includes(kind);
			if (part.tagName === 'FIELDSET') part.disabled = part.hidden;
		}
		const date = document.getElementById('alarm-date');
		date.disabled = kind !== 'date';
		date.min = new Date(this.page.zone.local(this.page.time.now())).toISOString().slice(0, 10);
		date.value = date.value || date.min;
		document.getElementById('alarm-name').placeholder = this.freeName();
	}

	// A name that no alarm has.
	freeName() {
		const names = this.page.alarms.list.map(alarm => alarm.name);
		const name = say(this.kind() === 'timer' ? 'Timer' : 'Alarm');
		for (let i = 1; ; i++) {
			const numbered = i === 1 ? name : name + ' ' + i;
			if (!names.includes(numbered)) return numbered;
		}
	}

	when() {
		const time = this.value('alarm-time');
		switch (this.kind()) {
		case 'weekly': {
			const days = this.days.filter(box => box.checked).map(box => box.value);
			if (!days.length) throw new Error(say('Choose at least one day.'));
			return (days.length === 7 ? 'daily' : days.join(',')) + ' ' + time;
		}
		case 'date': return this.value('alarm-date') + 'T' + time;
		case 'timer': return '+' + this.timer();
		case 'rule': return 'RRULE:' + this.value('alarm-rule').replace(/^rrule:/i, '').replace(/ /g, '');
		default: return time;
		}
	}

	// A duration such as 1h30m; the server takes one of each unit, in order.
	timer() {
		const [h, m, s] = ['h', 'm', 's'].map(unit => Number(this.value('timer-' + unit)));
		const seconds = h * 3600 + m * 60 + s;
		if (!seconds) throw new Error(say('Choose a time of at least one second.'));
		return seconds + 's';
	}

	async submit() {
		setText(this.error, '');
		try {
			const name = this.value('alarm-name') || this.freeName();
			await this.page.connection.command('ALARM ADD ' + this.when() + ' ' + name);
			document.getElementById('alarm-name').value = '';
			this.section.open = false;
			this.section.firstElementChild.focus();
		} catch (e) {
			setText(this.error, e.message);
		}
	}
}
