const show = (id, text) => document.getElementById(id).textContent = text;
let socket, failures = 0;

function connect() {
	socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/');
	socket.onopen = () => socket.send(localStorage.getItem('clock session') || ''); // who has the ID has the session
	socket.onmessage = e => receive(e.data);
	socket.onclose = () => setTimeout(connect, Math.min(60, 2 ** failures++) * 1000 * (0.5 + Math.random() / 2));
}

function receive(message) {
	if (/^\d{4}-/.test(message)) { // each second
		show('ringing', ''); // alarms that ring are told anew each second
		return show('time', message.slice(11, 19));
	}
	const [, kind, text] = /^(\w+):(.*)$/s.exec(message);
	if (kind === 'SESSION') {
		localStorage.setItem('clock session', text);
		failures = 0;
		socket.send('TZ SET ' + Intl.DateTimeFormat().resolvedOptions().timeZone);
	} else if (kind === 'ALRM') {
		show('ringing', JSON.parse(text).join(', '));
	} else if (kind === 'OK' || kind === 'ERR') { // of the commands, in their order
		show('result', message);
	}
}

document.getElementById('tea').onclick = () => socket.send('ALARM ADD +3s Tea ' + new Date().toISOString());
document.getElementById('stop').onclick = () => socket.send('ALARM STOP');
connect();
