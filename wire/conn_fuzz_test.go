package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// expect is what a connection answers to the bytes of a client, by a reading
// of RFC 6455 that has nothing in common with the one that is tested: the
// results, pongs and the close frame, in order. Bytes that end the connection
// end the list.
func expect(input []byte, role Role) (answers []string) {
	var message []byte
	messages, inMessage := 0, false
	closed := func(status int) []string { return append(answers, fmt.Sprint("close ", status)) }
	for {
		if len(input) < 2 {
			break
		}
		final, op, length, header := input[0]&0x80 != 0, input[0]&0x0f, uint64(input[1]&0x7f), 2
		control := op&8 != 0
		switch {
		case input[0]&0x70 != 0, input[1]&0x80 == 0, op > 2 && op < 8 || op > 10, control && (!final || length > 125),
			op == 0 && !inMessage, op == 1 && inMessage, op == 2 && inMessage:
			return closed(1002)
		case op == 2:
			return closed(1003)
		case length == 126:
			header = 4
		case length == 127:
			header = 10
		}
		if len(input) < header+4 {
			break
		}
		if header == 4 {
			length = uint64(binary.BigEndian.Uint16(input[2:]))
		} else if header == 10 {
			length = binary.BigEndian.Uint64(input[2:])
		}
		if header == 4 && length < 126 || header == 10 && (length < 1<<16 || length >= 1<<63) {
			return closed(1002)
		}
		if !control && length+uint64(len(message)) > 4096 {
			return closed(1009)
		}
		if uint64(len(input)) < uint64(header)+4+length {
			break
		}
		mask, payload := input[header:header+4], slices.Clone(input[header+4:header+4+int(length)])
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		input = input[header+4+int(length):]
		switch op {
		case 9:
			answers = append(answers, fmt.Sprintf("pong %q", payload))
			continue
		case 10:
			continue
		case 8:
			switch {
			case len(payload) == 0:
				return closed(1005)
			case len(payload) == 1:
				return closed(1002)
			}
			status := int(binary.BigEndian.Uint16(payload))
			if status < 1000 || status > 1014 && status < 3000 || status >= 5000 || status >= 1004 && status <= 1006 {
				return closed(1002)
			}
			if !utf8.Valid(payload[2:]) {
				return closed(1007)
			}
			return closed(status)
		}
		if message, inMessage = append(message, payload...), !final; inMessage {
			continue
		}
		if !utf8.Valid(message) {
			return closed(1007)
		}
		text := string(message)
		message = nil
		switch messages++; {
		case role == TimeSource:
			if _, err := clientTime([]byte(text)); err != nil {
				return closed(1008)
			}
			answers = append(answers, "time")
		case messages > 1:
			command, _, err := parse(text)
			if err != nil {
				answers = append(answers, "ERR")
				continue
			}
			answers = append(answers, "result")
			if command.Name() == "SESSION DEL" {
				return closed(1000)
			}
		}
	}
	if role == Clock && messages == 0 {
		return closed(1008) // no first message in time
	}
	return answers // it is dropped since it sends no pongs
}

var timeFormat = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$`)

// read finds the messages in what a connection sent, and in them the results,
// pongs and the close frame; all of it has to be as the protocol has it.
func read(output []byte, role Role) (answers []string, err error) {
	for messages := 0; len(output) > 0; {
		if len(output) < 2 {
			return nil, fmt.Errorf("half a header %x", output)
		}
		first, n, header := output[0], int(output[1]), 2
		if n == 126 && len(output) >= 4 {
			n, header = int(binary.BigEndian.Uint16(output[2:])), 4
			if n < 126 {
				return nil, fmt.Errorf("the length %d is not in its shortest form", n)
			}
		}
		if n > 1<<16 || len(output) < header+n {
			return nil, fmt.Errorf("half a frame %.20x", output)
		}
		payload := output[header : header+n]
		output = output[header+n:]
		if first&0x8 != 0 && n > 125 {
			return nil, fmt.Errorf("a control frame of %d bytes", n)
		}
		text := string(payload)
		switch first {
		case 0x88:
			status := 1005
			if n > 0 {
				status = int(binary.BigEndian.Uint16(payload))
			}
			if len(output) > 0 || n == 1 || n > 0 && !utf8.Valid(payload[2:]) {
				return nil, fmt.Errorf("close frame %q, and then %q", payload, output)
			}
			return append(answers, fmt.Sprint("close ", status)), nil
		case 0x89:
			if n > 0 {
				return nil, fmt.Errorf("ping with %q", payload)
			}
		case 0x8a:
			answers = append(answers, fmt.Sprintf("pong %q", payload))
		case 0x81:
			if !utf8.ValidString(text) {
				return nil, fmt.Errorf("%q is not UTF-8", text)
			}
			answer, err := readText(text, role, messages)
			if err != nil {
				return nil, err
			}
			if answer != "" {
				answers = append(answers, answer)
			}
			messages++
		default:
			return nil, fmt.Errorf("a frame begins with %x", first)
		}
	}
	return answers, nil
}

// readText checks a text message, of which so many came before, and returns
// what it answers; "" if it came unasked.
func readText(text string, role Role, before int) (answer string, err error) {
	kind, _, _ := strings.Cut(text, ":")
	switch {
	case role == TimeSource:
		var t struct {
			C, S, E json.Number
			L       int
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		return "time", d.Decode(&t)
	case before < 2:
		if want := []string{"SESSION", "TZN"}[before]; kind != want {
			return "", fmt.Errorf("message %d is %q, want %s", before, text, want)
		}
		return "", nil
	case before == 2 && !timeFormat.MatchString(text):
		return "", fmt.Errorf("message %d is %q, want the time", before, text)
	case timeFormat.MatchString(text), kind == "TZN":
		return "", nil
	case kind == "ALRM", kind == "ALARMS":
		var list []any
		return "", json.Unmarshal([]byte(text[len(kind)+1:]), &list)
	case kind == "OK":
		return "result", nil
	case kind == "ERR":
		return "ERR", nil
	}
	return "", fmt.Errorf("message %d is %q", before, text)
}

// endings counts how connections end.
type endings struct {
	nobody
	outcomes chan string
}

func (e *endings) ConnectionClosed(outcome string, _ time.Duration) { e.outcomes <- outcome }

// FuzzConnection gives a connection any bytes, in parts of any size, with a
// second beginning between them: what it answers is what RFC 6455 and the
// protocol have it answer, however the bytes come; and it ends.
func FuzzConnection(f *testing.F) {
	text := func(text string) string { return string(clientFrame(0x81, text)) }
	for _, c := range Commands() {
		usage := strings.NewReplacer("[", "", "]", "", "<zone>", "Asia/Tokyo", "<when>", "12:00:01", "<duration>", "1m").Replace(c.Usage)
		f.Add([]byte(text("")+text(usage)+text(strings.ToLower(usage)+" x")+text("ALARM WATCH")), []byte{3, 0, 40}, false)
	}
	for _, input := range []string{
		"",
		text("") + text("ALARM ADD +1s \u202eTea") + text("SESSION DEL") + text("TIME"),
		text("x") + string(clientFrame(0x01, "TZ ")) + string(clientFrame(0x89, "are you there?")) + string(clientFrame(0x80, "GET")),
		text("") + string(clientFrame(0x01, "\xe2\x82")) + string(clientFrame(0x80, "\xac")),
		text("") + string(clientFrame(0x01, "TZ SET \xe2")) + string(clientFrame(0x80, "")),
		text("") + string(clientFrame(0x88, "\x0f\xa1bye")) + text("TIME"),
		text("") + strings.Repeat(string(clientFrame(0x8a, "")), 90),
		text("") + strings.Repeat(text("TZ LIST"), 40),
		text("") + text(strings.Repeat("x", 4096)) + text(strings.Repeat("x", 4097)),
		"\x81\xff\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00",
		string(clientFrame(0x82, "x")),
	} {
		f.Add([]byte(input), []byte{}, false)
		f.Add([]byte(input), []byte{1, 0, 1, 5, 0, 2, 1, 1, 200, 3}, false)
	}
	f.Add([]byte(text(`{"c":1}`)+text(`{"c": 2.50 }`)+text(`{"c":"3"}`)), []byte{0, 9, 0}, true)

	f.Fuzz(func(t *testing.T, input, steps []byte, asTimeSource bool) {
		if bytes.Count(input, []byte{0x89})+bytes.Count(input, []byte{0x8a}) > 90 || len(input) > 1<<14 {
			t.Skip("a flood of control frames is another test's")
		}
		role := Clock
		if asTimeSource {
			role = TimeSource
		}
		inWorld(t, "2026-03-29T00:59:58.6Z", "Europe/Paris", func(t *testing.T, w *world) {
			quick, ended := *w.cfg, &endings{outcomes: make(chan string, 2)}
			quick.HelloTimeout, quick.PingInterval, quick.CommandRate, quick.Observer = 3*time.Second, 2*time.Second, 1e6, ended
			w.hub.Push(&quick)
			output := w.converse(role, input, steps)
			time.Sleep(15 * time.Second)
			if outcome := <-ended.outcomes; !slices.Contains(Outcomes(), outcome) || len(ended.outcomes) > 0 {
				t.Errorf("it ended as %s, and %d times more", outcome, len(ended.outcomes))
			}
			got, err := read(<-output, role)
			if err != nil {
				t.Error(err)
			}
			want := expect(input, role)
			for i := range min(len(got), len(want)) {
				if want[i] == "result" && got[i] == "ERR" { // of a command that cannot be carried out
					want[i] = "ERR"
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("answered %q, want %q", got, want)
			}
		})
	})
}

// converse opens a connection, and sends it the input in parts of these sizes,
// in which each of the first two that are 0 stands for a wait. It returns what
// came back until its end.
func (w *world) converse(role Role, input, steps []byte) <-chan []byte {
	w.t.Helper()
	a, err := w.hub.Admit(netip.Addr{})
	if err != nil {
		w.t.Fatal(err)
	}
	server, client := net.Pipe()
	output := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(client)
		output <- all
	}()
	early := min(len(input), len(steps))
	w.hub.Serve(a, role, server, bytes.Clone(input[:early]), nil)
	input = input[early:]
	waits := 0
	for _, step := range steps {
		if step == 0 && waits < 2 {
			time.Sleep(700 * time.Millisecond)
			waits++
		}
		n := min(int(step), len(input))
		if _, err := client.Write(input[:n]); err != nil {
			return output
		}
		input = input[n:]
	}
	_, _ = client.Write(input) // the connection may have ended
	synctest.Wait()
	return output
}

// clientFrame is a masked frame as a client sends it.
func clientFrame(first byte, payload string) []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	f := frame.AppendHeader(nil, frame.Text, len(payload))
	f[0] = first
	f[1] |= 0x80
	f = append(f, key[:]...)
	for i := range len(payload) {
		f = append(f, payload[i]^key[i&3])
	}
	return f
}
