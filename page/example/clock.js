const show = (id, text) => document.getElementById(id).textContent = text;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
let socket, silence, failures = 0;

function connect() {
	socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/');
	socket.onopen = () => socket.send(localStorage.getItem('clock session') || ''); // who has the ID has the session
	socket.onmessage = e => receive(e.data);
	socket.onclose = () => setTimeout(connect, Math.min(60, 2 ** failures++) * 1000 * (0.5 + Math.random() / 2));
}

function receive(message) {
	clearTimeout(silence);
	silence = setTimeout(() => socket.close(), 30000); // the server speaks each second
	const [, kind, text] = /^(?:([A-Z]+):)?(.*)$/s.exec(message);
	if (kind === 'SESSION') return begin(text);
	if (kind === 'ALRM') return show('ringing', JSON.parse(text).join(', '));
	if (!kind) return show('time', text.slice(11, 19)), show('ringing', ''); // what rings is told after each time
	if (kind === 'OK' && /^\w/.test(text) && text !== zone) socket.send('TZ SET ' + zone); // it was another one
	if (kind !== 'TZN') show('result', message);
}

function begin(id) {
	localStorage.setItem('clock session', id);
	failures = 0;
	socket.send('TZ GET');
}

document.getElementById('tea').onclick = () => socket.send('ALARM ADD +3s Tea ' + new Date().toISOString());
document.getElementById('stop').onclick = () => socket.send('ALARM STOP');
connect();
