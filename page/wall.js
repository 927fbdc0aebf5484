'use strict';

// The clock alone on the whole screen, awake. Where the browser has no full
// screen, it fills the page.
class Wall {
	constructor() {
		this.button = document.getElementById('full');
		this.button.addEventListener('click', () => this.set(preferences.wall !== 'yes'));
		for (const event of ['fullscreenchange', 'webkitfullscreenchange']) {
			document.addEventListener(event, () => { if (!this.fills()) this.set(false); });
		}
		for (const event of ['pointermove', 'pointerdown', 'touchstart', 'keydown', 'focusin']) {
			addEventListener(event, () => this.stir(), { passive: true });
		}
		addEventListener('keydown', e => { if (e.key === 'Escape') this.set(false); });
		document.addEventListener('visibilitychange', () => this.keepAwake());
		this.show();
	}

	fills() {
		return document.fullscreenElement || document.webkitFullscreenElement;
	}

	set(on) {
		if (on === (preferences.wall === 'yes')) return;
		prefer('wall', on ? 'yes' : 'no');
		const root = document.documentElement;
		const change = on ? root.requestFullscreen || root.webkitRequestFullscreen : document.exitFullscreen || document.webkitExitFullscreen;
		if (change && (on || this.fills())) {
			const changed = change.call(on ? root : document);
			if (changed) changed.catch(() => { /* it fills the page alone */ });
		}
		this.show();
	}

	show() {
		this.button.setAttribute('aria-pressed', String(preferences.wall === 'yes'));
		this.stir();
		this.keepAwake();
	}

	// Shows the controls, and hides them after some seconds without a move.
	stir() {
		document.documentElement.classList.remove('still');
		clearTimeout(this.timer);
		this.timer = setTimeout(() => document.documentElement.classList.add('still'), 4000);
	}

	async keepAwake() {
		if (!navigator.wakeLock) return;
		if (preferences.wall !== 'yes') {
			if (this.lock) this.lock.release();
			this.lock = null;
			return;
		}
		try {
			this.lock = await navigator.wakeLock.request('screen');
		} catch (e) { /* not now: the page is hidden, or the battery low */ }
	}
}
