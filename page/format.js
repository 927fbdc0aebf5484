'use strict';

// Times and dates in the browser's language. A local time is what the wall
// clocks of the session's zone show, in milliseconds since 1970 as if they were
// UTC: so a browser with old zone data shows it right, too.
const locale = Intl.DateTimeFormat(navigator.language).resolvedOptions().locale;

const localFormat = options => new Intl.DateTimeFormat(navigator.language, Object.assign({ timeZone: 'UTC' }, options));

const format = {
	longDate: localFormat({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }),
	date: localFormat({ day: 'numeric', month: 'long', year: 'numeric' }),
	day: localFormat({ weekday: 'long', day: 'numeric', month: 'long' }),
	weekday: localFormat({ weekday: 'short' }),
	weekdayName: localFormat({ weekday: 'long' }),

	// Makes those that depend on the preference of 12 or 24 hours.
	setHours(hours) {
		const cycle = hours === '12' ? { hourCycle: 'h12' } : hours === '24' ? { hourCycle: 'h23' } : {};
		const twelve = localFormat(Object.assign({ hour: 'numeric' }, cycle)).resolvedOptions().hour12;
		const shared = Object.assign({ hour: twelve ? 'numeric' : '2-digit', minute: '2-digit' }, cycle);
		this.minutes = localFormat(shared);
		this.seconds = localFormat(Object.assign({ second: '2-digit' }, shared));
	},

	// 07:30, or 07:30:15 where there are seconds.
	time(local) {
		return (local % 60000 ? this.seconds : this.minutes).format(local);
	},

	// "Monday, 07:30" within a week, else with the date.
	dayAndTime(local, now) {
		const days = Math.floor(local / 86400000) - Math.floor(now / 86400000);
		const day = days === 0 ? '' : Math.abs(days) < 7 ? this.weekdayName.format(local) : this.day.format(local);
		return (day && day + ', ') + this.time(local);
	},

	// "7 h 20 min", in symbols that all languages share. Seconds count below ten minutes.
	duration(ms) {
		const s = Math.max(0, Math.ceil(ms / 1000));
		const minutes = s < 600 ? Math.floor(s / 60) : Math.ceil(s / 60);
		const parts = [
			[Math.floor(minutes / 1440), 'd'],
			[Math.floor(minutes / 60) % 24, 'h'],
			[minutes < 1440 ? minutes % 60 : 0, 'min'],
			[s < 600 ? s % 60 : 0, 's'],
		];
		return parts.filter(part => part[0]).map(part => part.join('\u00a0')).join(' ') || '0\u00a0s';
	},

	// The day that weeks begin with; 0 is Sunday. ISO's Monday where the
	// browser does not tell.
	firstWeekday() {
		try {
			const l = new Intl.Locale(navigator.language);
			return (l.getWeekInfo ? l.getWeekInfo() : l.weekInfo).firstDay % 7;
		} catch (e) {
			return 1;
		}
	},
};
format.setHours(preferences.hours);
