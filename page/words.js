'use strict';

// What the page says, in English and, in this order, German, French, Spanish.
const languages = ['de', 'fr', 'es'];
const words = {
	'Clock': ['Uhr', 'Horloge', 'Reloj'],
	'Full screen': ['Vollbild', 'Plein écran', 'Pantalla completa'],
	'Time zone': ['Zeitzone', 'Fuseau horaire', 'Zona horaria'],
	'{} from {}': ['{} ab {}', '{} à partir du {}', '{} a partir del {}'],
	'exact to {}': ['genau auf {}', 'exact à {} près', 'exacto a {}'],
	'Connecting…': ['Verbindung wird hergestellt …', 'Connexion…', 'Conectando…'],
	'Connected': ['Verbunden', 'Connecté', 'Conectado'],
	'Connection lost, the clock goes on by itself': ['Verbindung verloren, die Uhr geht allein weiter', 'Connexion perdue, l’horloge continue seule', 'Conexión perdida, el reloj sigue por sí solo'],
	'No connection, this is the time of this device': ['Keine Verbindung, das ist die Zeit dieses Geräts', 'Pas de connexion, c’est l’heure de cet appareil', 'Sin conexión, es la hora de este dispositivo'],
	'next attempt in {}': ['nächster Versuch in {}', 'nouvel essai dans {}', 'próximo intento en {}'],
	'Try now': ['Jetzt versuchen', 'Essayer maintenant', 'Intentar ahora'],
	'Not connected.': ['Nicht verbunden.', 'Pas de connexion.', 'Sin conexión.'],
	'Sound is ready': ['Ton ist bereit', 'Le son est prêt', 'El sonido está listo'],
	'Touch here for sound': ['Für Ton hier tippen', 'Touchez ici pour le son', 'Toque aquí para el sonido'],
	'No sound in this browser': ['Kein Ton in diesem Browser', 'Pas de son dans ce navigateur', 'Sin sonido en este navegador'],
	'Next: {}': ['Als Nächstes: {}', 'Prochaine : {}', 'Siguiente: {}'],
	'Missed: {}': ['Verpasst: {}', 'Manquée : {}', 'Perdida: {}'],
	'Alarms': ['Wecker', 'Alarmes', 'Alarmas'],
	'No alarms yet.': ['Noch keine Wecker.', 'Pas encore d’alarme.', 'Aún no hay alarmas.'],
	'New alarm': ['Neuer Wecker', 'Nouvelle alarme', 'Nueva alarma'],
	'When': ['Wann', 'Quand', 'Cuándo'],
	'Once': ['Einmal', 'Une fois', 'Una vez'],
	'Weekly': ['Wöchentlich', 'Hebdo', 'Semanal'],
	'Date': ['Datum', 'Date', 'Fecha'],
	'Timer': ['Timer', 'Minuteur', 'Temporizador'],
	'Rule': ['Regel', 'Règle', 'Regla'],
	'Time': ['Uhrzeit', 'Heure', 'Hora'],
	'Days': ['Tage', 'Jours', 'Días'],
	'Hours': ['Stunden', 'Heures', 'Horas'],
	'Minutes': ['Minuten', 'Minutes', 'Minutos'],
	'Seconds': ['Sekunden', 'Secondes', 'Segundos'],
	'Recurrence rule (RFC 5545)': ['Wiederholungsregel (RFC 5545)', 'Règle de récurrence (RFC 5545)', 'Regla de repetición (RFC 5545)'],
	'Name': ['Name', 'Nom', 'Nombre'],
	'Alarm': ['Wecker', 'Alarme', 'Alarma'],
	'Add': ['Hinzufügen', 'Ajouter', 'Añadir'],
	'Choose at least one day.': ['Wähle mindestens einen Tag.', 'Choisissez au moins un jour.', 'Elija al menos un día.'],
	'Choose a time of at least one second.': ['Wähle mindestens eine Sekunde.', 'Choisissez au moins une seconde.', 'Elija al menos un segundo.'],
	'Every day': ['Jeden Tag', 'Tous les jours', 'Todos los días'],
	'in {}': ['in {}', 'dans {}', 'en {}'],
	'off': ['aus', 'désactivée', 'apagada'],
	'ringing': ['klingelt', 'sonne', 'suena'],
	'snoozed until {}': ['schlummert bis {}', 'en pause jusqu’à {}', 'pospuesta hasta {}'],
	'Switch {} on or off': ['{} ein- oder ausschalten', 'Activer ou désactiver {}', 'Encender o apagar {}'],
	'Delete {}': ['{} löschen', 'Supprimer {}', 'Borrar {}'],
	'Delete': ['Löschen', 'Supprimer', 'Borrar'],
	'Keep': ['Behalten', 'Garder', 'Conservar'],
	'Dismiss': ['Gesehen', 'Vu', 'Visto'],
	'End snooze': ['Schlummern beenden', 'Ne plus rappeler', 'No volver a sonar'],
	'Stop': ['Aus', 'Arrêter', 'Parar'],
	'Snooze {}': ['Noch {}', 'Encore {}', '{} más'],
	'This device is in {}.': ['Dieses Gerät ist in {}.', 'Cet appareil est à {}.', 'Este dispositivo está en {}.'],
	'Keep {}': ['Bei {} bleiben', 'Garder {}', 'Mantener {}'],
	'Use this zone': ['Diese Zone verwenden', 'Utiliser ce fuseau', 'Usar esta zona'],
	'Search for a city': ['Stadt suchen', 'Chercher une ville', 'Buscar una ciudad'],
	'No zone has this name.': ['Keine Zone heißt so.', 'Aucun fuseau ne porte ce nom.', 'Ninguna zona se llama así.'],
	'{} zones': ['{} Zonen', '{} fuseaux', '{} zonas'],
	'Settings': ['Einstellungen', 'Réglages', 'Ajustes'],
	'Face': ['Zifferblatt', 'Cadran', 'Esfera'],
	'Both': ['Beides', 'Les deux', 'Ambas'],
	'Analogue': ['Analog', 'Analogique', 'Analógica'],
	'Digital': ['Digital', 'Numérique', 'Digital'],
	'Colours': ['Farben', 'Couleurs', 'Colores'],
	'Automatic': ['Automatisch', 'Automatique', 'Automático'],
	'Light': ['Hell', 'Clair', 'Claro'],
	'Dark': ['Dunkel', 'Sombre', 'Oscuro'],
	'Hours of the day': ['Stunden des Tages', 'Heures du jour', 'Horas del día'],
	'12 hours': ['12 Stunden', '12 heures', '12 horas'],
	'24 hours': ['24 Stunden', '24 heures', '24 horas'],
	'Snooze for': ['Schlummern für', 'Rappel après', 'Posponer'],
	'Try the sound': ['Ton probieren', 'Essayer le son', 'Probar el sonido'],
	'Allow notifications': ['Benachrichtigungen erlauben', 'Autoriser les notifications', 'Permitir notificaciones'],
	'Notifications are allowed.': ['Benachrichtigungen sind erlaubt.', 'Les notifications sont autorisées.', 'Las notificaciones están permitidas.'],
	'Notifications are blocked in this browser.': ['Benachrichtigungen sind in diesem Browser blockiert.', 'Les notifications sont bloquées dans ce navigateur.', 'Las notificaciones están bloqueadas en este navegador.'],
	'Another device': ['Anderes Gerät', 'Autre appareil', 'Otro dispositivo'],
	'The code of this clock opens it on another device. Whoever has it can set your alarms.': ['Der Code dieser Uhr öffnet sie auf einem anderen Gerät. Wer ihn hat, kann deine Wecker stellen.', 'Le code de cette horloge l’ouvre sur un autre appareil. Qui l’a peut régler vos alarmes.', 'El código de este reloj lo abre en otro dispositivo. Quien lo tenga puede cambiar sus alarmas.'],
	'Show the code': ['Code zeigen', 'Afficher le code', 'Mostrar el código'],
	'Code of this clock': ['Code dieser Uhr', 'Code de cette horloge', 'Código de este reloj'],
	'Code of another device': ['Code eines anderen Geräts', 'Code d’un autre appareil', 'Código de otro dispositivo'],
	'Use this code': ['Diesen Code verwenden', 'Utiliser ce code', 'Usar este código'],
	'No session has this code.': ['Dieser Code gilt nicht.', 'Ce code n’est pas valable.', 'Este código no es válido.'],
	'This clock needs JavaScript.': ['Diese Uhr braucht JavaScript.', 'Cette horloge a besoin de JavaScript.', 'Este reloj necesita JavaScript.'],
};

const language = languages.indexOf((navigator.language || '').slice(0, 2).toLowerCase());

// A text in the browser's language, with values in place of {}.
function say(text, ...values) {
	const translated = language >= 0 && words[text] ? words[text][language] : text;
	return translated.replace(/\{\}/g, () => values.shift());
}

// Translates what is in the document.
function translate(root) {
	const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const text = walker.currentNode.data.trim();
		if (words[text]) walker.currentNode.data = say(text);
	}
	for (const element of root.querySelectorAll('[aria-label]')) {
		element.setAttribute('aria-label', say(element.getAttribute('aria-label')));
	}
}

document.documentElement.lang = language >= 0 ? languages[language] : 'en';
translate(document);
for (const template of document.querySelectorAll('template')) translate(template.content);
