'use strict';

// The controls of the settings.
class Settings {
	constructor(page) {
		this.page = page;
		this.section = document.getElementById('settings');
		this.section.addEventListener('change', e => {
			if (e.target.type !== 'radio') return;
			prefer(e.target.name, e.target.value);
			format.setHours(preferences.hours);
			page.refresh();
		});
		for (const radio of this.section.querySelectorAll('[type=radio]')) {
			radio.checked = preferences[radio.name] === radio.value;
		}

		this.sound = document.getElementById('sound');
		const sound = page.ring.sound;
		sound.onchange = () => this.showSound();
		this.sound.addEventListener('click', () => sound.try());
		document.getElementById('sound-try').addEventListener('click', () => sound.try());
		this.showSound();

		this.notify = document.getElementById('notify');
		this.notify.addEventListener('click', () => {
			const asked = Notification.requestPermission(() => this.showNotify());
			if (asked) asked.then(() => this.showNotify());
		});
		this.showNotify();

		document.getElementById('code-show').addEventListener('click', () => this.showCode());
		document.getElementById('code-form').addEventListener('submit', e => {
			e.preventDefault();
			this.useCode();
		});
	}

	showSound() {
		const state = this.page.ring.sound.state();
		const texts = { armed: 'Sound is ready', unarmed: 'Touch here for sound', none: 'No sound in this browser' };
		this.sound.className = state;
		document.documentElement.classList.toggle('silent', state !== 'armed');
		this.sound.disabled = state === 'none';
		setText(this.sound.lastElementChild, say(texts[state]));
	}

	showNotify() {
		const permission = window.Notification ? Notification.permission : 'none';
		const texts = { granted: 'Notifications are allowed.', denied: 'Notifications are blocked in this browser.' };
		this.notify.hidden = permission !== 'default';
		setText(document.getElementById('notify-state'), texts[permission] ? say(texts[permission]) : '');
	}

	showCode() {
		const code = document.getElementById('code');
		document.getElementById('code-own').hidden = false;
		code.value = this.page.connection.id;
		code.focus();
		code.select();
	}

	async useCode() {
		const other = document.getElementById('code-other');
		const error = document.getElementById('code-error');
		try {
			await this.page.connection.join(other.value.trim());
			other.value = '';
			document.getElementById('code-own').hidden = true;
			setText(error, '');
		} catch (e) {
			setText(error, e.message);
		}
	}
}
