'use strict';

// A connection to the clock: the opening, commands and their results, and
// coming back when it is lost. It is given an object whose methods it calls:
//
//	opened()             the session is open
//	ticked(time)         the time, each second
//	zoneChanged()        the zone, or its abbreviation or offset, is another now
//	alarmsChanged(list)  so are the alarms (after ALARM WATCH)
//	lost()               the connection is lost, or could not be made; retryAt tells when it is tried again
class Connection {
	constructor(url, owner) {
		this.url = url;
		this.owner = owner;
		this.open = false;    // the session is open
		this.commands = [];   // those without a result; the first one was sent
		this.failures = 0;    // since a connection last stood
		this.retryAt = 0;     // as performance.now()
		this.checked = performance.now(); // when last
		this.joining = null;  // see join
		addEventListener('storage', e => this.stored(e));
		addEventListener('online', () => this.retry());
		this.connect();
	}

	connect() {
		clearTimeout(this.timer);
		this.retryAt = 0;
		this.heard = performance.now();
		this.id = this.joining ? this.joining.id : remembered.get('session');
		const socket = this.socket = new WebSocket(this.url);
		socket.onopen = () => socket.send(this.id);
		socket.onmessage = e => { if (socket === this.socket) this.receive(e.data); };
		socket.onclose = () => { if (socket === this.socket) this.lose(); };
	}

	receive(message) {
		this.heard = performance.now();
		if (/^\d{4}-/.test(message)) return this.owner.ticked(message);
		const colon = message.indexOf(':');
		const text = message.slice(colon + 1);
		switch (message.slice(0, colon)) {
		case 'SESSION': return this.begin(text);
		case 'TZN': return this.owner.zoneChanged();
		case 'ALARMS': return this.owner.alarmsChanged(JSON.parse(text));
		case 'OK': return this.settle(text, null);
		case 'ERR': return this.settle(null, text);
		}
	}

	// The session's ID is a secret: it is kept in the browser, and never part
	// of an address.
	begin(id) {
		const kept = remembered.get('session');
		if (this.joining) {
			const joining = this.joining;
			this.joining = null;
			if (id !== joining.id) {
				joining.reject(new Error(say('No session has this code.')));
				return this.restart();
			}
			joining.resolve();
		} else if (kept && kept !== this.id) { // another tab was quicker
			return this.restart();
		}
		remembered.set('session', id);
		this.id = id;
		this.open = true;
		this.openedAt = performance.now();
		this.owner.opened();
	}

	// Sends a command. The result is a promise of its details.
	command(text) {
		return this.send(text).then(result => result.details);
	}

	// Sends a command, and tells also when it was sent and its result came.
	// Commands wait for each other, so that a result is that of the first one.
	send(text) {
		return new Promise((resolve, reject) => {
			if (!this.open) return reject(new Error(say('Not connected.')));
			this.commands.push({ text, resolve, reject });
			if (this.commands.length === 1) this.sendNext();
		});
	}

	sendNext() {
		const command = this.commands[0];
		if (!command || !this.open) return;
		command.sent = performance.now();
		this.socket.send(command.text);
	}

	settle(details, error) {
		const back = performance.now();
		if (error !== null && error.startsWith('too many commands')) {
			const socket = this.socket;
			setTimeout(() => { if (socket === this.socket) this.sendNext(); }, 1000);
			return;
		}
		const command = this.commands.shift();
		if (error !== null) command.reject(new Error(error));
		else command.resolve({ details, sent: command.sent, back });
		this.sendNext();
	}

	lose() {
		this.drop();
		// Waits grow up to a minute, and differ from client to client: after a
		// restart of the server not all come at once.
		const longest = Math.min(60000, 2000 * Math.pow(1.7, this.failures++));
		const wait = longest * (0.25 + 0.75 * Math.random());
		this.retryAt = performance.now() + wait;
		this.timer = setTimeout(() => this.connect(), wait);
		this.owner.lost();
	}

	drop() {
		const socket = this.socket;
		this.socket = null;
		this.open = false;
		if (socket) socket.close();
		for (const command of this.commands.splice(0)) command.reject(new Error(say('Not connected.')));
	}

	restart() {
		this.drop();
		this.connect();
	}

	retry() {
		if (!this.socket) this.connect();
	}

	// To be called each second. The server speaks each second: where it is
	// silent for ten, the connection is dead, whatever the browser believes.
	check() {
		const now = performance.now();
		const silent = now - this.heard > 10000;
		const late = now - this.checked > 5000; // this page slept: hear what waits first
		this.checked = now;
		if (late) this.heard = now;
		else if (this.socket && silent) this.lose();
		if (this.open && now - this.openedAt > 10000) this.failures = 0;
	}

	// Takes over the session of another device.
	join(id) {
		return new Promise((resolve, reject) => {
			this.joining = { id, resolve, reject };
			this.restart();
		});
	}

	stored(e) {
		if (e.key === remembered.prefix + 'session' && e.newValue && e.newValue !== this.id) this.restart();
	}
}
