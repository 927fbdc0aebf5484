package wire

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for message, want := range map[string]string{
		"HELP":                  "HELP|",
		"help":                  "HELP|",
		"TZ LIST":               "TZ LIST [text]|",
		"tz list York":          "TZ LIST [text]|York",
		"TZ SET Europe/Paris":   "TZ SET <zone>|Europe/Paris",
		"SYNC  two spaces":      "SYNC <anything>| two spaces",
		"SYNC ":                 "SYNC <anything>|",
		"ALARM STOP":            "ALARM STOP [name]|",
		"ALARM STOP Tea  time":  "ALARM STOP [name]|Tea  time",
		"alarm Add +5m Tea":     "ALARM ADD <when> <name>|+5m Tea",
		"":                      "error: HELP lists the commands",
		" HELP":                 "error: HELP lists the commands",
		"HELP ":                 "error: unexpected argument",
		"HELP me":               `error: unexpected argument "me": want HELP`,
		"TZ":                    "error: want TZ GET or TZ SET <zone> or TZ LIST [text] or TZ INFO [zone]",
		"TZ  GET":               "error: want TZ GET or",
		"TZ GETS":               "error: want TZ GET or",
		"TZ SET":                "error: missing argument: want TZ SET <zone>",
		"TZ LIST ":              "error: missing argument: want TZ LIST [text]",
		"ALARM STOP ":           "error: missing argument: want ALARM STOP [name]",
		"ſYNC x":                "error: HELP lists the commands",
		strings.Repeat("x", 99): "error: HELP lists the commands",
	} {
		command, text, err := parse(message)
		part, isError := strings.CutPrefix(want, "error: ")
		switch {
		case isError && (err == nil || !strings.Contains(err.Error(), part)):
			t.Errorf("%q: error %v, want one with %q", message, err, part)
		case !isError && (err != nil || command.Usage+"|"+text != want):
			t.Errorf("%q: %v %q %v, want %q", message, command, text, err, want)
		}
	}
}

// FuzzParse holds that a message is a command with its argument, or an error
// of one line, and that no argument is lost or changed.
func FuzzParse(f *testing.F) {
	for _, c := range Commands() {
		f.Add(c.Usage)
		f.Add(strings.ToLower(c.Usage) + " \x00")
	}
	f.Add("TZ SET ../../etc/passwd\n")
	f.Fuzz(func(t *testing.T, message string) {
		command, text, err := parse(message)
		if err != nil {
			if reason := oneLine(err.Error()); strings.ContainsFunc(reason, unicode.IsControl) || len(reason) > 310 {
				t.Errorf("%q: %q", message, reason)
			}
			return
		}
		keywords := strings.Join(command.words, " ")
		if rest := message[len(keywords):]; !strings.EqualFold(message[:len(keywords)], keywords) || rest != "" && rest != " "+text || rest == "" && text != "" {
			t.Errorf("%q is %s with %q", message, keywords, text)
		}
	})
}

func TestOneLine(t *testing.T) {
	long := oneLine(errors.New(strings.Repeat("é", 1000)).Error())
	if len(long) > 310 || !utf8.ValidString(long) {
		t.Errorf("%d bytes", len(long))
	}
	if got := oneLine("a\r\nb"); got != "a  b" {
		t.Errorf("%q", got)
	}
}
