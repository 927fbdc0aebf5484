'use strict';

// The analogue and the digital face.
class Face {
	constructor() {
		this.face = document.getElementById('face');
		this.marks = document.getElementById('marks');
		this.digits = document.getElementById('digits');
		this.date = document.getElementById('date');
		this.hands = ['hour', 'minute', 'second'].map(id => document.getElementById(id));
		this.calm = matchMedia('(prefers-reduced-motion: reduce)');
		this.drawDial(document.getElementById('dial'));
	}

	drawDial(dial) {
		for (let i = 0; i < 60; i++) {
			const hour = i % 5 === 0;
			dial.appendChild(svg('line', {
				class: hour ? 'tick hour' : 'tick', transform: 'rotate(' + i * 6 + ')', y1: -95, y2: hour ? -87 : -91.5,
			}));
		}
		for (let hour = 1; hour <= 12; hour++) {
			const angle = hour * Math.PI / 6;
			dial.appendChild(svg('text', { x: 72 * Math.sin(angle), y: -72 * Math.cos(angle) })).textContent = hour;
		}
	}

	// Marks on the rim when alarms ring within the next twelve hours.
	mark(locals) {
		const marked = locals.join();
		if (marked === this.marked) return;
		this.marked = marked;
		this.marks.textContent = '';
		for (const local of locals) {
			this.marks.appendChild(svg('circle', { cy: -82.5, r: 2.4, transform: 'rotate(' + (local / 120000) % 360 + ')' }));
		}
	}

	// Whether the second hand sweeps, so that each frame is to be drawn.
	sweeps() {
		return !this.calm.matches && preferences.face !== 'digital';
	}

	draw(local) {
		if (Math.abs(local - this.drawn) < 30) return; // half of the usual frames look as smooth
		this.drawn = local;
		if (preferences.face !== 'digital') {
			this.turn(0, local / 120000);
			this.turn(1, local / 10000);
			if (!this.calm.matches) this.turn(2, local * 6 / 1000);
		}
		const second = Math.floor(local / 1000);
		if (second === this.second && format.seconds === this.format) return;
		this.second = second;
		this.format = format.seconds;
		this.drawDigits(second * 1000);
		setText(this.date, format.longDate.format(local));
	}

	turn(hand, angle) {
		this.hands[hand].style.transform = 'rotate(' + (angle % 360).toFixed(3) + 'deg)';
	}

	drawDigits(local) {
		const parts = format.seconds.formatToParts(local);
		while (this.digits.childNodes.length > parts.length) this.digits.removeChild(this.digits.lastChild);
		parts.forEach((part, i) => {
			const span = this.digits.childNodes[i] || this.digits.appendChild(document.createElement('span'));
			const type = part.type === 'literal' && i + 1 < parts.length ? parts[i + 1].type : part.type; // as what it leads to
			if (span.className !== type) span.className = type;
			setText(span, part.value);
		});
	}
}

function svg(name, attributes) {
	const element = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (const key of Object.keys(attributes)) element.setAttribute(key, attributes[key]);
	return element;
}

// Changes a text only where it differs: the layout stays as it is.
function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
