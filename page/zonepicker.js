'use strict';

// The search for a time zone: a combobox with a list, as the ARIA Authoring
// Practices describe it.
class ZonePicker {
	constructor(zone, connection, now) {
		this.zone = zone;
		this.connection = connection;
		this.now = now;
		this.section = document.getElementById('zone-section');
		this.search = document.getElementById('zone-search');
		this.list = document.getElementById('zone-list');
		this.count = document.getElementById('zone-count');
		this.error = document.getElementById('zone-error');
		this.offer = document.getElementById('zone-offer');
		this.names = [];
		this.active = -1;

		this.section.addEventListener('toggle', () => this.section.open && this.load());
		this.search.addEventListener('input', () => this.find());
		this.search.addEventListener('keydown', e => this.key(e));
		this.list.addEventListener('click', e => {
			const option = e.target.closest('[role=option]');
			if (option) this.choose(option.dataset.zone);
		});
		document.getElementById('zone-use').addEventListener('click', () => this.choose(browserZone()));
		document.getElementById('zone-keep').addEventListener('click', () => this.chosen());
	}

	// Opens the section and leads there.
	show() {
		this.section.open = true;
		this.search.focus();
		this.section.scrollIntoView({ block: 'nearest' });
	}

	async load() {
		if (this.names.length) return this.find();
		try {
			this.names = JSON.parse(await this.connection.command('TZ LIST'));
			setText(this.error, '');
			this.find();
		} catch (e) {
			setText(this.error, e.message);
		}
	}

	// Lists the zones that contain each word of the search, those first of
	// which a part begins with its first word.
	find() {
		const query = this.search.value.toLowerCase().trim().replace(/ /g, '_');
		const parts = query.split(/[_/]+/).filter(Boolean);
		const own = browserZone();
		const rank = name => !query ? name !== own : !('/' + name.toLowerCase()).replace(/_/g, '/').includes('/' + parts[0]);
		const found = this.names.filter(name => parts.every(part => name.toLowerCase().includes(part)));
		found.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));

		this.list.textContent = '';
		this.activate(-1);
		for (const name of found.slice(0, 60)) this.list.appendChild(this.option(name));
		this.search.setAttribute('aria-expanded', String(found.length > 0));
		setText(this.count, found.length > 1 ? say('{} zones', found.length) : this.names.length && !found.length ? say('No zone has this name.') : '');
	}

	option(name) {
		const option = document.createElement('li');
		option.id = 'zone-' + name;
		option.setAttribute('role', 'option');
		option.setAttribute('aria-selected', 'false');
		option.dataset.zone = name;
		const slash = name.lastIndexOf('/') + 1;
		append(option, 'span', zoneCity(name), 'city');
		append(option, 'span', ' ' + name.slice(0, Math.max(0, slash - 1)).replace(/_/g, ' '), 'soft');
		const offset = browserOffset(name, this.now(), null);
		append(option, 'span', offset === null ? '' : ' ' + offsetText(offset), 'soft offset');
		if (name === this.zone.name) option.classList.add('current');
		return option;
	}

	key(e) {
		const last = this.list.children.length - 1;
		const moves = {
			ArrowDown: Math.min(this.active + 1, last),
			ArrowUp: Math.max(this.active - 1, 0),
			PageDown: Math.min(this.active + 5, last),
			PageUp: Math.max(this.active - 5, 0),
		};
		if (e.key in moves) this.activate(moves[e.key]);
		else if (e.key === 'Enter' && last >= 0) this.choose(this.list.children[Math.max(this.active, 0)].dataset.zone);
		else if (e.key === 'Escape' && this.search.value) this.search.value = '', this.find();
		else return;
		e.preventDefault();
	}

	activate(index) {
		const before = this.list.children[this.active];
		if (before) before.setAttribute('aria-selected', 'false');
		this.active = index;
		const option = this.list.children[index];
		if (!option) return this.search.removeAttribute('aria-activedescendant');
		option.setAttribute('aria-selected', 'true');
		this.search.setAttribute('aria-activedescendant', option.id);
		option.scrollIntoView({ block: 'nearest' });
	}

	async choose(name) {
		try {
			await this.connection.command('TZ SET ' + name);
			setText(this.error, '');
			this.search.value = '';
			this.section.open = false;
			this.chosen();
		} catch (e) {
			setText(this.error, e.message);
			this.section.open = true;
		}
	}

	chosen() {
		remembered.set('zone chosen', 'yes');
		this.suggest();
		document.getElementById('zone-button').focus();
	}

	// Offers the device's zone where nobody chose one here, and the session's
	// has another offset, now or in half a year.
	suggest() {
		const own = browserZone(), zone = this.zone, now = this.now();
		const alike = t => browserOffset(own, t, null) === browserOffset(zone.name, t, null);
		this.offer.hidden = !own || !zone.known || remembered.get('zone chosen') === 'yes' || alike(now) && alike(now + 182 * 86400000);
		setText(this.offer.firstElementChild, say('This device is in {}.', zoneCity(own)));
		setText(document.getElementById('zone-keep'), say('Keep {}', zoneCity(zone.name)));
	}
}

// "New York" of America/New_York.
function zoneCity(name) {
	return name.slice(name.lastIndexOf('/') + 1).replace(/_/g, ' ');
}

function append(parent, name, text, className) {
	const element = parent.appendChild(document.createElement(name));
	element.textContent = text;
	element.className = className;
	return element;
}
