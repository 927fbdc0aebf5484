//go:build linux

package main

import (
	"bytes"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-22T17:05:01+01:00":        "2026-11-22T16:05:01Z",
		"2026-11-22T17:05:01.123+00:00":    "2026-11-22T17:05:01Z",
		"2026-02-28T23:59:59.999999-03:30": "2026-03-01T03:29:59Z",
		"2026-11-22T17:05:01Z":             "",
		"2026-11-22T17:05:01":              "",
		"2026-11-22T17:05:01.12+01:00":     "",
		"2026-11-22T17:05:01.123":          "",
		"2026-11-22 17:05:01+01:00":        "",
		"2026-11-22T17:05:01+01:00 ":       "",
		"TZN:CET":                          "",
		"":                                 "",
	} {
		second, ok := parseTime([]byte(text))
		got := ""
		if ok {
			got = time.Unix(second, 0).UTC().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("parseTime(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestNextFrame(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 300)
	for _, data := range [][]byte{
		append([]byte{0x81, 5}, "hello"...),
		append([]byte{0x81, 126, 1, 44}, long...),
	} {
		for n := range data {
			if _, _, size, err := nextFrame(data[:n]); size != 0 || err != nil {
				t.Fatalf("%d of %d bytes: size %d, error %v, want none", n, len(data), size, err)
			}
		}
		opcode, payload, size, err := nextFrame(append(data, 0x81))
		if opcode != opText || size != len(data) || !bytes.HasSuffix(data, payload) || err != nil {
			t.Errorf("got opcode %d, %d bytes of payload, size %d, error %v", opcode, len(payload), size, err)
		}
	}
	for _, bad := range [][]byte{{0x01, 5}, {0xc1, 5}, {0x81, 0x85}, {0x81, 127}} {
		if _, _, _, err := nextFrame(bad); err == nil {
			t.Errorf("frame % x: no error", bad)
		}
	}
}

func TestFrame(t *testing.T) {
	f := frame(opPong, []byte("ping's payload"))
	for i := range f[6:] {
		f[6+i] ^= f[2+i%4]
	}
	if f[0] != 0x8a || f[1] != 0x80|14 || string(f[6:]) != "ping's payload" {
		t.Errorf("got % x", f)
	}
}
