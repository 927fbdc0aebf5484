'use strict';

// The page: brings the server's time, the zone and the alarms to the face, the
// list and the ring.
class Page {
	constructor() {
		this.time = new ServerTime();
		this.zone = new Zone();
		this.alarms = new Alarms(this.zone);
		this.ringing = [];
		this.face = new Face();
		this.ring = new Ring(this);
		this.list = new AlarmList(this);
		this.form = new AlarmForm(this);
		this.wall = new Wall();
		this.settings = new Settings(this);
		this.connection = new Connection(location.origin.replace(/^http/, 'ws') + location.pathname, this);
		this.picker = new ZonePicker(this.zone, this.connection, () => this.time.now());
		this.synchronised = -Infinity; // when last, as performance.now()

		document.getElementById('date').lang = locale;
		document.getElementById('digits').lang = locale;
		document.getElementById('retry').addEventListener('click', () => this.connection.retry());
		document.getElementById('zone-button').addEventListener('click', () => {
			this.wall.set(false);
			this.picker.show();
		});
		document.addEventListener('visibilitychange', () => {
			if (document.hidden) return;
			this.beat();
			this.draw();
		});
		this.keepBeat();
		this.draw();
	}

	// The connection calls these.

	opened() {
		this.alarms.tell(this.connection, this.time.now());
		this.connection.command('ALARM WATCH').then(list => this.alarmsChanged(JSON.parse(list)), ignore);
		this.synchronise();
		this.showState();
	}

	ticked(time) {
		this.zone.tick(time);
		// A message may be late, but never early: the clock is not behind it.
		if (Date.parse(time) > this.time.now() + 1000) this.synchronise();
	}

	zoneChanged() {
		this.connection.command('TZ INFO').then(info => {
			this.zone.set(JSON.parse(info));
			this.picker.suggest();
			this.refresh();
			document.documentElement.classList.add('ready');
		}, ignore);
	}

	alarmsChanged(list) {
		this.alarms.set(list, this.time.now());
		this.list.show(list);
		this.refresh();
	}

	lost() {
		document.documentElement.classList.add('ready');
		this.refresh();
	}

	// Takes the shortest of five round trips, as time protocols do.
	async synchronise() {
		if (this.synchronising) return;
		this.synchronising = true;
		this.synchronised = performance.now();
		const trips = [];
		try {
			for (let i = 0; i < 5; i++) {
				const result = await this.connection.send('SYNC ' + i);
				const { received, sent } = JSON.parse(result.details);
				trips.push({ sent: result.sent, back: result.back, received, answered: sent });
			}
		} catch (e) { /* those that came back count */ }
		this.synchronising = false;
		if (trips.length) this.time.measure(trips);
		this.refresh();
	}

	// Ends the ringing of an alarm, or puts it off, and tells the server now or
	// once it is there again.
	end(name, snooze) {
		const now = this.time.now();
		this.alarms.end(name, now, snooze && now + snooze);
		if (this.connection.open) this.alarms.tell(this.connection, now);
		this.refresh();
	}

	// A worker's timer, as those of hidden pages are slowed down.
	keepBeat() {
		const plain = () => setInterval(() => this.beat(), 1000);
		try {
			const worker = new Worker('?heartbeat.js');
			worker.onmessage = () => this.beat();
			worker.onerror = plain;
		} catch (e) {
			plain();
		}
	}

	// Each second, also while the page is hidden.
	beat() {
		const slept = this.time.slept();
		this.connection.check();
		if (this.connection.open && (slept || performance.now() - this.synchronised > 60000)) this.synchronise();
		if (slept) this.connection.retry();
		this.refresh();
	}

	// Draws the face: each frame where the second hand sweeps, else each second.
	draw() {
		clearTimeout(this.drawTimer);
		cancelAnimationFrame(this.frame);
		const now = this.time.now();
		this.face.draw(this.zone.local(now));
		const again = () => { this.frame = requestAnimationFrame(() => this.draw()); };
		if (this.face.sweeps()) again();
		else this.drawTimer = setTimeout(again, 1000 - now % 1000);
	}

	// Brings all that is not the face up to date.
	refresh() {
		const now = this.time.now(), local = this.zone.local(now);
		this.ringing = this.alarms.ringing(now, this.connection.open);
		this.ring.show(this.ringing);
		this.list.refresh();
		this.showZone();
		this.showNext(now, local);
		this.showState();
		const title = this.ringing.length ? '🔔 ' + this.ringing.join(' · ') : format.minutes.format(local) + ' ' + zoneCity(this.zone.name);
		if (document.title !== title) document.title = title;
	}

	showZone() {
		const zone = this.zone;
		if (!zone.known) return;
		const button = document.getElementById('zone-button');
		setText(button, zoneCity(zone.name));
		button.setAttribute('aria-label', say('Time zone') + ': ' + zoneCity(zone.name) + ', ' + zone.name);
		const abbreviation = /^[A-Z]/.test(zone.abbreviation) ? zone.abbreviation + ', ' : ''; // others are offsets
		setText(document.getElementById('zone-offset'), zone.name === 'UTC' ? '' : abbreviation + offsetText(zone.offset));
		const next = zone.next + zone.offset;
		setText(document.getElementById('zone-change'), zone.next === Infinity ? '' :
			say('{} from {}', zone.nextAbbreviation, format.date.format(next) + ', ' + format.time(next)));
	}

	// The alarm that rings next, and those that were missed.
	showNext(now, local) {
		const missed = this.alarms.list.filter(alarm => alarm.missed).map(alarm => say('Missed: {}', alarm.name));
		const waiting = this.alarms.list.map(alarm => ({ alarm, due: dueLocal(alarm) })).filter(each => each.due > local);
		this.face.mark(waiting.map(each => each.due).filter(due => due - local < 43200000));
		const first = waiting[0];
		const next = first ? [say('Next: {}', format.dayAndTime(first.due, local) + ' ' + first.alarm.name)] : [];
		const line = document.getElementById('next');
		line.hidden = !missed.length && !next.length;
		line.classList.toggle('urgent', missed.length > 0);
		setText(line, missed.concat(next).join(' · '));
	}

	showState() {
		const open = this.connection.open, measured = this.time.error < Infinity;
		const text = open ? measured ? 'Connected' : 'Connecting…' :
			measured ? 'Connection lost, the clock goes on by itself' :
				this.connection.failures ? 'No connection, this is the time of this device' : 'Connecting…';
		document.documentElement.classList.toggle('lost', !open && this.connection.failures > 0);
		setText(document.getElementById('state'), say(text));
		setText(document.getElementById('exactness'), measured ? '· ' + say('exact to {}', '±' + roughly(this.time.inexactness())) : '');
		const wait = this.connection.retryAt - performance.now();
		setText(document.getElementById('attempt'), wait > 0 ? '· ' + say('next attempt in {}', format.duration(wait)) : '');
		document.getElementById('retry').hidden = wait <= 0;
	}
}

// A calm figure: 1, 2, 5, 10 … ms, rounded up.
function roughly(ms) {
	let step = 1;
	for (let i = 0; step < ms; i++) step *= i % 3 === 1 ? 2.5 : 2;
	return step < 1000 ? step + ' ms' : step / 1000 + ' s';
}

function ignore() { /* the connection is lost; it comes back */ }

const page = new Page();
