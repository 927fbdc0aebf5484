package frame

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// clientFrame is a masked frame as a client sends it.
func clientFrame(first byte, payload string) []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	f := AppendHeader(nil, Text, len(payload))
	f[0] = first
	f[1] |= mask
	f = append(f, key[:]...)
	for i := range len(payload) {
		f = append(f, payload[i]^key[i&3])
	}
	return f
}

func frames(all ...[]byte) []byte { return bytes.Join(all, nil) }

// decode gives input to a decoder in steps of a size and tells what it found.
func decode(input []byte, step int) (found []string, err error) {
	var d Decoder
	for len(input) > 0 {
		p := bytes.Clone(input[:min(step, len(input))])
		input = input[len(p):]
		for {
			m, rest, err := d.Next(p)
			if err != nil {
				return found, err
			}
			switch m.Op {
			case 0:
			case Close:
				found = append(found, fmt.Sprintf("close %d %s", m.Status, m.Reason))
			default:
				found = append(found, fmt.Sprintf("%x %s", byte(m.Op), m.Payload))
			}
			if p = rest; len(p) == 0 {
				break
			}
		}
	}
	if d.Pending() {
		found = append(found, "more")
	}
	return found, nil
}

// The cases follow RFC 6455, sections 5.2 to 5.6, 7.4 and 8.1; the first one
// is the example of section 5.7.
func TestDecoder(t *testing.T) {
	long := strings.Repeat("x", MaxMessage)
	unmasked := []byte{0x81, 0x05, 'H', 'e', 'l', 'l', 'o'}
	for name, c := range map[string]struct {
		input  []byte
		found  string
		status int
	}{
		"masked hello":           {[]byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, "1 Hello", 0},
		"empty":                  {clientFrame(0x81, ""), "1 ", 0},
		"two":                    {frames(clientFrame(0x81, "a"), clientFrame(0x81, "b")), "1 a|1 b", 0},
		"125":                    {clientFrame(0x81, long[:125]), "1 " + long[:125], 0},
		"126":                    {clientFrame(0x81, long[:126]), "1 " + long[:126], 0},
		"largest":                {clientFrame(0x81, long), "1 " + long, 0},
		"too large":              {clientFrame(0x81, long+"x"), "", StatusTooBig},
		"64 bits":                {clientFrame(0x81, strings.Repeat("x", 1<<16)), "", StatusTooBig},
		"fragments":              {frames(clientFrame(0x01, "a"), clientFrame(0x00, ""), clientFrame(0x80, "b")), "1 ab", 0},
		"fragments too large":    {frames(clientFrame(0x01, long), clientFrame(0x80, "x")), "", StatusTooBig},
		"empty fragments":        {frames(clientFrame(0x01, ""), clientFrame(0x80, "")), "1 ", 0},
		"ping between":           {frames(clientFrame(0x01, "a"), clientFrame(0x89, "p"), clientFrame(0x80, "b")), "9 p|1 ab", 0},
		"UTF-8 over fragments":   {frames(clientFrame(0x01, "\xe2\x82"), clientFrame(0x80, "\xac")), "1 €", 0},
		"no UTF-8":               {clientFrame(0x81, "\xff\xfe"), "", StatusInvalidPayload},
		"a surrogate":            {clientFrame(0x81, "\xed\xa0\x80"), "", StatusInvalidPayload},
		"cut UTF-8":              {clientFrame(0x81, "\xe2\x82"), "", StatusInvalidPayload},
		"pong":                   {clientFrame(0x8a, "x"), "a x", 0},
		"unmasked":               {unmasked, "", StatusProtocolError},
		"reserved bit 1":         {clientFrame(0xc1, "a"), "", StatusProtocolError},
		"reserved bit 2":         {clientFrame(0xa1, "a"), "", StatusProtocolError},
		"reserved bit 3":         {clientFrame(0x91, "a"), "", StatusProtocolError},
		"opcode 3":               {clientFrame(0x83, "a"), "", StatusProtocolError},
		"opcode b":               {clientFrame(0x8b, "a"), "", StatusProtocolError},
		"binary":                 {clientFrame(0x82, "a"), "", StatusUnsupported},
		"binary fragment":        {clientFrame(0x02, "a"), "", StatusUnsupported},
		"continuation of none":   {clientFrame(0x80, "a"), "", StatusProtocolError},
		"text within text":       {frames(clientFrame(0x01, "a"), clientFrame(0x81, "b")), "", StatusProtocolError},
		"ping fragmented":        {clientFrame(0x09, "a"), "", StatusProtocolError},
		"ping too large":         {clientFrame(0x89, long[:126]), "", StatusProtocolError},
		"length not shortest":    {[]byte{0x81, 0xfe, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 0}, "", StatusProtocolError},
		"length 64 not shortest": {[]byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4}, "", StatusProtocolError},
		"length negative":        {[]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, "", StatusProtocolError},
		"close":                  {clientFrame(0x88, "\x03\xe8bye"), "close 1000 bye", 0},
		"close without status":   {clientFrame(0x88, ""), "close 1005 ", 0},
		"close of one byte":      {clientFrame(0x88, "\x03"), "", StatusProtocolError},
		"close 1005":             {clientFrame(0x88, "\x03\xed"), "", StatusProtocolError},
		"close 999":              {clientFrame(0x88, "\x03\xe7"), "", StatusProtocolError},
		"close 2999":             {clientFrame(0x88, "\x0b\xb7"), "", StatusProtocolError},
		"close 4999":             {clientFrame(0x88, "\x13\x87"), "close 4999 ", 0},
		"close not UTF-8":        {clientFrame(0x88, "\x03\xe8\xff"), "", StatusInvalidPayload},
		"incomplete header":      {clientFrame(0x81, "abc")[:4], "more", 0},
		"incomplete payload":     {clientFrame(0x81, "abc")[:8], "more", 0},
		"incomplete message":     {clientFrame(0x01, "abc"), "more", 0},
	} {
		for _, step := range []int{1, 2, 3, 5, 4096, 1 << 20} {
			found, err := decode(c.input, step)
			if got := strings.Join(found, "|"); c.status == 0 && got != c.found {
				t.Errorf("%s in steps of %d: found %.60q, want %.60q", name, step, got, c.found)
			}
			var violation *Error
			if errors.As(err, &violation); violation == nil && c.status != 0 || violation != nil && violation.Status != c.status {
				t.Errorf("%s in steps of %d: error %v, want status %d", name, step, err, c.status)
			}
		}
	}
}

// An idle connection must not keep memory of messages that are over.
func TestDecoderKeepsNothing(t *testing.T) {
	var d Decoder
	for _, part := range [][]byte{clientFrame(0x01, "some"), clientFrame(0x89, "ping")[:7], clientFrame(0x89, "ping")[7:], clientFrame(0x80, "text")} {
		for p := part; len(p) > 0; {
			var err error
			if _, p, err = d.Next(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d.message != nil || d.control != nil || d.Pending() {
		t.Errorf("keeps %d and %d bytes", cap(d.message), cap(d.control))
	}
}

func TestAppendClose(t *testing.T) {
	for _, c := range []struct {
		status int
		reason string
		want   string
	}{
		{StatusNormal, "bye", "\x88\x05\x03\xe8bye"},
		{StatusNoStatus, "ignored", "\x88\x00"},
		{StatusGoingAway, strings.Repeat("x", 200), "\x88\x7d\x03\xe9" + strings.Repeat("x", 123)},
	} {
		if got := AppendClose(nil, c.status, c.reason); string(got) != c.want {
			t.Errorf("status %d: %q, want %q", c.status, got, c.want)
		}
	}
}

// FuzzDecoder holds what is found against how the bytes arrive: it must not
// matter, and the limits must hold.
func FuzzDecoder(f *testing.F) {
	f.Add(clientFrame(0x81, "TIME"), 3)
	f.Add(frames(clientFrame(0x01, "a"), clientFrame(0x89, "p"), clientFrame(0x80, "b")), 1)
	f.Add(clientFrame(0x88, "\x03\xe8bye"), 2)
	f.Add(clientFrame(0x81, strings.Repeat("x", 300)), 100)
	f.Fuzz(func(t *testing.T, input []byte, step int) {
		whole, err := decode(input, len(input)+1)
		parts, err2 := decode(input, max(1, step&0xff))
		if fmt.Sprint(whole, err) != fmt.Sprint(parts, err2) {
			t.Errorf("at once %q, %v; in parts %q, %v", whole, err, parts, err2)
		}
		for _, m := range whole {
			if len(m) > MaxMessage+2 {
				t.Errorf("a message of %d bytes", len(m)-2)
			}
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	input := clientFrame(0x81, "TIME")
	p := make([]byte, len(input))
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		copy(p, input)
		if m, _, err := d.Next(p); err != nil || m.Op != Text {
			b.Fatal(m, err)
		}
	}
}
