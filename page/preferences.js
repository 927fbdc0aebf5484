'use strict';

// What this browser remembers of this clock. Where it may not store anything,
// it remembers as long as the page is open.
const remembered = {
	prefix: 'pyws_clock ' + location.pathname + ' ',
	unstored: {},

	get(key) {
		try {
			const value = localStorage.getItem(this.prefix + key);
			if (value !== null) return value;
		} catch (e) { /* storage is denied */ }
		return this.unstored[key] || '';
	},

	set(key, value) {
		this.unstored[key] = value;
		try {
			localStorage.setItem(this.prefix + key, value);
		} catch (e) { /* storage is denied, or full */ }
	},
};

// The preferences and their defaults. The style sheet reads them as attributes
// of the document: this script runs before anything is shown.
const preferences = { face: 'both', theme: 'auto', hours: 'auto', snooze: '10', wall: 'no' };

function prefer(key, value) {
	preferences[key] = value;
	remembered.set(key, value);
	document.documentElement.setAttribute('data-' + key, value);
}

for (const key of Object.keys(preferences)) {
	preferences[key] = remembered.get(key) || preferences[key];
	document.documentElement.setAttribute('data-' + key, preferences[key]);
}
