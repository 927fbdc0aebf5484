'use strict';

// What rings: a sound, a notification, the title, the face, and the two large
// buttons.
class Ring {
	constructor(page) {
		this.page = page;
		this.names = [];
		this.sound = new Sound();
		this.section = document.getElementById('ring');
		this.heading = document.getElementById('ring-names');
		this.snooze = document.getElementById('ring-snooze');
		this.notifications = new Map();
		this.snooze.addEventListener('click', () => this.end(preferences.snooze * 60000));
		document.getElementById('ring-stop').addEventListener('click', () => this.end(0));
	}

	end(snooze) {
		for (const name of this.names.slice()) this.page.end(name, snooze);
	}

	// Rings the named alarms, and no others.
	show(names) {
		if (names.join('\n') === this.names.join('\n')) return;
		const begun = names.filter(name => !this.names.includes(name));
		this.names = names;

		const ringing = names.length > 0;
		const text = names.join(' · ');
		document.documentElement.classList.toggle('ringing', ringing);
		this.section.hidden = !ringing;
		setText(this.heading, text);
		setText(this.snooze, say('Snooze {}', format.duration(preferences.snooze * 60000)));
		setText(document.getElementById('announcement'), ringing ? text + ': ' + say('ringing') : '');
		this.sound.ring(ringing);
		for (const name of begun) this.notify(name);
		for (const [name, notification] of this.notifications) {
			if (names.includes(name)) continue;
			notification.close();
			this.notifications.delete(name);
		}
		// With the keyboard alone the way to the buttons is short; what
		// somebody is busy with keeps the focus.
		if (begun.length && document.activeElement === document.body) this.snooze.focus();
	}

	notify(name) {
		if (!window.Notification || Notification.permission !== 'granted') return;
		try {
			const notification = new Notification(name, { body: document.title, tag: 'pyws_clock ' + name, icon: '?icon.svg', requireInteraction: true });
			notification.onclick = () => window.focus();
			this.notifications.set(name, notification);
		} catch (e) { /* Chrome on Android wants a service worker for them */ }
	}
}

// The sound of a ring: two strokes of a bell every two seconds, louder and
// louder for half a minute. Browsers keep silent until the page was touched.
class Sound {
	constructor() {
		this.Context = window.AudioContext || window.webkitAudioContext;
		this.onchange = () => {};
		for (const event of ['pointerdown', 'touchend', 'keydown', 'click']) {
			addEventListener(event, () => this.arm(), true);
		}
	}

	// "armed", "unarmed", or "none" where the browser has no WebAudio.
	state() {
		if (!this.Context) return 'none';
		return this.context && this.context.state === 'running' ? 'armed' : 'unarmed';
	}

	arm() {
		if (!this.Context || this.state() === 'armed') return;
		if (!this.context) {
			this.context = new this.Context();
			this.context.onstatechange = () => this.onchange();
			this.bell = this.strike();
		}
		this.context.resume();
	}

	strike() {
		const rate = this.context.sampleRate;
		const buffer = this.context.createBuffer(1, 2 * rate, rate);
		const samples = buffer.getChannelData(0);
		for (const [start, pitch] of [[0, 659.26], [0.35, 880]]) {
			for (let i = Math.floor(start * rate); i < samples.length; i++) {
				const t = i / rate - start;
				const rise = Math.min(1, t / 0.004), fade = Math.min(1, (2 - start - t) / 0.05);
				for (const [partial, loudness, decay] of [[1, 0.5, 3], [2.01, 0.2, 5], [3.98, 0.1, 9]]) {
					samples[i] += rise * fade * loudness * Math.exp(-decay * t) * Math.sin(2 * Math.PI * pitch * partial * t) / 2;
				}
			}
		}
		return buffer;
	}

	ring(on) {
		if (this.source) this.silence();
		if (!on) return;
		this.arm(); // where it needs no touch
		if (!this.context) return;
		const now = this.context.currentTime;
		this.gain = this.context.createGain();
		this.gain.gain.setValueAtTime(0.15, now);
		this.gain.gain.linearRampToValueAtTime(1, now + 30);
		this.gain.connect(this.context.destination);
		this.source = this.context.createBufferSource();
		this.source.buffer = this.bell;
		this.source.loop = true;
		this.source.connect(this.gain);
		this.source.start();
	}

	silence() {
		this.source.stop();
		this.gain.disconnect();
		this.source = null;
	}

	// Strikes once.
	try() {
		this.arm();
		if (!this.context) return;
		const source = this.context.createBufferSource();
		source.buffer = this.bell;
		source.connect(this.context.destination);
		source.start();
	}
}
