package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/time/rate"
)

// Command is one command of the protocol, as HELP tells it.
type Command struct {
	// Usage is the command with its arguments.
	Usage string `json:"command"`
	// Summary says in one line what it does.
	Summary string `json:"summary"`

	words []string // the keywords at its beginning
	takes arity
	run   func(c *conn, r request) (details any, err error)
}

// arity says what may follow the keywords.
type arity int

const (
	takesNothing arity = iota
	mayTakeText
	takesText
)

// request is a command as it was read.
type request struct {
	text     string    // after the keywords
	received time.Time // when it was read
}

// Name is the command's keywords.
func (c *Command) Name() string { return strings.Join(c.words, " ") }

// Commands returns all commands of the protocol. Parsing, HELP, the command
// line and the documentation come from this list.
func Commands() []Command { return commands }

// Set by init, as HELP refers to the list that it is in.
var commands []Command

func init() {
	commands = []Command{
		{Usage: "HELP", Summary: "list the commands", run: help},
		{Usage: "TIME", Summary: "tell the time now, with microseconds", run: timeNow},
		{Usage: "TZ GET", Summary: "tell the session's time zone", run: zoneGet},
		{Usage: "TZ SET <zone>", Summary: "set the session's time zone, such as Europe/Paris", run: zoneSet},
		{Usage: "TZ LIST [text]", Summary: "list the time zones whose names contain the text", run: zoneList},
		{Usage: "TZ INFO [zone]", Summary: "tell a zone's abbreviation, offset and next transition", run: zoneInfo},
		{Usage: "ALARM ADD <when> <name>", Summary: "add an alarm, such as: daily 07:30 Wake up", run: alarmAdd},
		{Usage: "ALARM LIST", Summary: "list the alarms, those that ring next first", run: alarmList},
		{Usage: "ALARM DEL <name>", Summary: "delete an alarm", run: alarmDelete},
		{Usage: "ALARM ON <name>", Summary: "switch an alarm on", run: alarmOn},
		{Usage: "ALARM OFF <name>", Summary: "switch an alarm off, and end its ringing", run: alarmOff},
		{Usage: "ALARM STOP [name]", Summary: "end the ringing of an alarm, or of all", run: alarmStop},
		{Usage: "ALARM SNOOZE <duration> [name]", Summary: "put a ringing alarm, or all of them, off for a while, such as 10m", run: alarmSnooze},
		{Usage: "ALARM WATCH", Summary: "list the alarms now, and again after every change", run: alarmWatch},
		{Usage: "SYNC <anything>", Summary: "tell when the command was read and answered, to set a clock by", run: synchronise},
		{Usage: "SESSION DEL", Summary: "delete the session, and close its connections", run: sessionDelete},
	}
	for i := range commands {
		commands[i].readUsage()
	}
}

// readUsage takes the keywords and the arity from the usage.
func (c *Command) readUsage() {
	keywords, arguments, _ := strings.Cut(c.Usage, " <")
	if arguments != "" {
		c.takes = takesText
	} else if keywords, arguments, _ = strings.Cut(c.Usage, " ["); arguments != "" {
		c.takes = mayTakeText
	}
	c.words = strings.Split(keywords, " ")
}

// parse finds the command that a message is, and what follows its keywords.
func parse(message string) (*Command, string, error) {
	word, _, _ := strings.Cut(message, " ")
	known := false
	for i := range commands {
		c := &commands[i]
		known = known || sameKeyword(word, c.words[0])
		text, ok := cutKeywords(message, c.words)
		if !ok {
			continue
		}
		switch {
		case text == "" && c.takes == takesText, text == " " && c.takes == mayTakeText:
			return nil, "", fmt.Errorf("missing argument: want %s", c.Usage)
		case text != "" && c.takes == takesNothing:
			return nil, "", fmt.Errorf("unexpected argument %.64q: want %s", text[1:], c.Usage)
		case text != "":
			text = text[1:]
		}
		return c, text, nil
	}
	if known {
		return nil, "", fmt.Errorf("unknown command %.64q: want %s", message, strings.Join(usages(word), " or "))
	}
	return nil, "", fmt.Errorf("unknown command %.64q: HELP lists the commands", message)
}

// cutKeywords removes the keywords, in any case, from the beginning of a
// message. What is left is empty or begins with the space before an argument.
func cutKeywords(message string, words []string) (rest string, ok bool) {
	for i, word := range words {
		if i > 0 {
			if message == "" {
				return "", false
			}
			message = message[1:]
		}
		end := strings.IndexByte(message, ' ')
		if end < 0 {
			end = len(message)
		}
		if !sameKeyword(message[:end], word) {
			return "", false
		}
		message = message[end:]
	}
	return message, true
}

// sameKeyword reports whether a word is a keyword in any case. Letters beyond
// ASCII that Unicode folds to it, as the long s, are longer.
func sameKeyword(word, keyword string) bool {
	return len(word) == len(keyword) && strings.EqualFold(word, keyword)
}

// usages are those of the commands that begin with a word.
func usages(word string) []string {
	var all []string
	for _, c := range commands {
		if sameKeyword(word, c.words[0]) {
			all = append(all, c.Usage)
		}
	}
	return all
}

// ErrTooFast is the error of a command beyond [Config.CommandRate].
var ErrTooFast = errors.New("too many commands")

// command deals with one command and sends its result.
func (c *conn) command(message string) {
	r := request{received: c.hub.now()}
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()

	name, details, err := c.dispatch(message, r)
	c.hub.config.Load().Observer.CommandDone(name, err)
	result := appendResult(nil, details, err)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	if c.ended {
		c.send(result)
		c.closeLocked(endDeleted)
		return
	}
	c.send(c.appendDue(result))
	c.tellWatch()
}

// dispatch runs a command and returns what metrics call it.
func (c *conn) dispatch(message string, r request) (name string, details any, err error) {
	c.commands++
	command, text, err := parse(message)
	if command != nil {
		name = command.Name()
	} else {
		name = UnknownCommand
	}
	if !c.allow() {
		return name, nil, fmt.Errorf("%w: at most %d a second", ErrTooFast, c.hub.config.Load().CommandRate)
	}
	if err != nil {
		return name, nil, err
	}
	r.text = text
	details, err = command.run(c, r)
	return name, details, err
}

// allow reports whether one more command or request is within the rate.
func (c *conn) allow() bool {
	n := c.hub.config.Load().CommandRate
	if c.limiter == nil || c.limiter.Limit() != rate.Limit(n) {
		burst := 2 * n
		if c.role == TimeSource {
			burst = max(burst, timeBurst)
		}
		c.limiter = rate.NewLimiter(rate.Limit(n), burst)
	}
	return c.limiter.Allow()
}

// appendResult appends the message that answers a command.
func appendResult(dst []byte, details any, err error) []byte {
	if err != nil {
		return appendText(dst, "ERR:", oneLine(err.Error()))
	}
	text, ok := details.(string)
	if !ok {
		if text, err = encode(details); err != nil {
			return appendResult(dst, nil, err)
		}
	}
	return appendText(dst, "OK:", text)
}

// encode is JSON as the protocol has it, in which < is <.
func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// oneLine cuts what a client sent back to it to a line of bounded length.
func oneLine(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func help(*conn, request) (any, error) { return commands, nil }

// sessionDelete ends all connections of the session, this one after its result.
func sessionDelete(c *conn, _ request) (any, error) {
	return "", c.session.Delete(context.Background())
}
