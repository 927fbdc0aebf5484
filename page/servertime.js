'use strict';

// What the server's clock shows, in milliseconds since 1970, estimated from
// round trips as the Network Time Protocol does it (RFC 5905, section 8).
class ServerTime {
	constructor() {
		this.offset = Date.now() - performance.now(); // of the server's clock from performance.now()
		this.error = Infinity;   // of offset when it was measured; Infinity: this device's clock is all there is
		this.measured = 0;       // when, as performance.now()
		this.shown = this.offset; // follows offset without jumps
		this.looked = performance.now();
		this.apart = this.offset; // of Date.now() from performance.now(), to see that the device slept
	}

	// The shortest of some round trips counts: {sent, back} as performance.now(),
	// {received, answered} as the server's clock.
	measure(trips) {
		for (const trip of trips) trip.took = (trip.back - trip.sent) - (trip.answered - trip.received);
		const best = trips.reduce((a, b) => b.took < a.took ? b : a);
		const offset = ((best.received - best.sent) + (best.answered - best.back)) / 2;
		const error = best.took / 2 + ServerTime.resolution;
		const known = this.uncertainty();
		if (error > known && Math.abs(offset - this.offset) <= error + known) return; // what is known is better
		if (this.error === Infinity) this.shown = offset;
		this.offset = offset;
		this.error = error;
		this.measured = performance.now();
	}

	// How far the estimate may be off, in milliseconds. It grows with time, as
	// this device's clock drifts.
	uncertainty() {
		return this.error + (performance.now() - this.measured) * ServerTime.drift;
	}

	// How far what is shown may be off.
	inexactness() {
		return this.uncertainty() + Math.abs(this.offset - this.shown);
	}

	// The server's time. It never runs backwards for a small correction: it
	// runs a tenth faster or slower until it is right. It jumps by more than a
	// second only.
	now() {
		const now = performance.now();
		const missing = this.offset - this.shown;
		const most = (now - this.looked) / 10;
		this.looked = now;
		if (Math.abs(missing) > 1000) this.shown = this.offset;
		else this.shown += Math.max(-most, Math.min(most, missing));
		return now + this.shown;
	}

	// Reports whether the device slept since the last call. Sleep stops
	// performance.now() in most browsers, while Date.now() goes on; so it may
	// be a clock that was set, too, and the time is to be measured again.
	slept() {
		const apart = Date.now() - performance.now();
		const gap = apart - this.apart;
		this.apart = apart;
		if (gap < 1000) return false;
		this.offset += gap;
		this.error += 1000;
		return true;
	}
}

ServerTime.resolution = 0.2; // of performance.now() in most browsers, in ms, and a little more
ServerTime.drift = 50e-6;    // of a device's clock, without anybody correcting it
