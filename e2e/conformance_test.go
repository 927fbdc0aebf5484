package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// frameOf is a client's frame with a mask of its own.
func frameOf(first byte, payload string) string {
	frame := []byte(masked(first, payload))
	mask := frame[len(frame)-len(payload)-4:]
	copy(mask, "\x37\xfa\x21\x3d")
	for i := range len(payload) {
		mask[4+i] ^= mask[i%4]
	}
	return string(frame)
}

// answers reads up to the end of the connection: what SYNC gave back, pongs,
// and close frames.
func (r *raw) answers() (all []string) {
	r.t.Helper()
	for {
		opcode, payload, err := r.next()
		if err != nil {
			if err != io.EOF {
				all = append(all, err.Error())
			}
			return all
		}
		text := string(payload)
		switch {
		case opcode == 0x88 && len(payload) == 0:
			all = append(all, "close 1005")
		case opcode == 0x88:
			all = append(all, fmt.Sprint("close ", binary.BigEndian.Uint16(payload)))
		case opcode == 0x8a:
			all = append(all, "pong "+text)
		case opcode == 0x81 && strings.HasPrefix(text, "OK:"):
			var sync struct{ Client string }
			if err := json.Unmarshal(payload[3:], &sync); err != nil {
				r.t.Error(err)
			}
			all = append(all, sync.Client)
		case opcode == 0x81 && strings.HasPrefix(text, "ERR:"):
			all = append(all, "ERR")
		case opcode != 0x81 && opcode != 0x89:
			r.t.Errorf("a frame begins with %x", opcode)
		}
	}
}

// The requirements of RFC 6455, sections 5 and 7, on a server, by their
// sections. Each case is sent at once, and a byte at a time.
func TestRFC6455(t *testing.T) {
	srv := start(t, site{options: "command_rate 1000"})
	const bye = "\x03\xe8" // 1000
	text, closes := func(s string) string { return frameOf(0x81, "SYNC "+s) }, frameOf(0x88, bye)
	ping := strings.Repeat("p", 125)
	long := strings.Repeat("x", 4096)
	type exchange struct {
		section, name, bytes string
		want                 []string
	}
	cases := []exchange{
		{"5.1", "unmasked text", "\x81\x01x", []string{"close 1002"}},
		{"5.1", "unmasked ping", "\x89\x00", []string{"close 1002"}},
		{"5.1", "unmasked close", "\x88\x02" + bye, []string{"close 1002"}},
		{"5.2", "length in 7 bits", text("a") + closes, []string{"a", "close 1000"}},
		{"5.2", "length in 16 bits", frameOf(0x81, long) + closes, []string{"ERR", "close 1000"}},
		{"5.2", "length in 16 bits, not shortest", "\x81\xfe\x00\x01\x00\x00\x00\x00x", []string{"close 1002"}},
		{"5.2", "length in 64 bits, not shortest", "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x7e\x00\x00\x00\x00", []string{"close 1002"}},
		{"5.2", "length in 64 bits, too big", "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", []string{"close 1009"}},
		{"5.2", "length in 64 bits, the first bit set", "\x81\xff\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00", []string{"close 1002"}},
		{"5.4", "two fragments", frameOf(0x01, "SYNC ") + frameOf(0x80, "ab") + closes, []string{"ab", "close 1000"}},
		{"5.4", "empty fragments", frameOf(0x01, "") + frameOf(0x00, "SYNC a") + frameOf(0x00, "") + frameOf(0x80, "") + closes, []string{"a", "close 1000"}},
		{"5.4", "control frames between", frameOf(0x01, "SYNC ") + frameOf(0x89, "1") + frameOf(0x00, "a") + frameOf(0x8a, "2") + frameOf(0x89, "3") + frameOf(0x80, "b") + closes,
			[]string{"pong 1", "pong 3", "ab", "close 1000"}},
		{"5.4", "close between", frameOf(0x01, "SYNC ") + closes, []string{"close 1000"}},
		{"5.4", "no beginning", frameOf(0x80, "SYNC a"), []string{"close 1002"}},
		{"5.4", "no beginning, not the last", frameOf(0x00, "SYNC a"), []string{"close 1002"}},
		{"5.4", "a second beginning", frameOf(0x01, "SYNC ") + text("b"), []string{"close 1002"}},
		{"5.4", "after the last", frameOf(0x01, "SYNC ") + frameOf(0x80, "a") + frameOf(0x80, "b"), []string{"a", "close 1002"}},
		{"5.4", "too big over all", frameOf(0x01, long[:4000]) + frameOf(0x00, long[:96]) + frameOf(0x80, "x"), []string{"close 1009"}},
		{"5.5", "control frames may not be fragmented", frameOf(0x09, "a") + frameOf(0x80, "b"), []string{"close 1002"}},
		{"5.5", "close may not be fragmented", frameOf(0x08, bye), []string{"close 1002"}},
		{"5.5", "control frame of 126 bytes", frameOf(0x89, ping+"x"), []string{"close 1002"}},
		{"5.5.1", "what follows a close frame is ignored", closes + text("a") + frameOf(0x89, "b") + frameOf(0x82, "c"), []string{"close 1000"}},
		{"5.5.1", "a second close frame", closes + frameOf(0x88, "\x0f\xa1"), []string{"close 1000"}},
		{"5.5.2", "pings are answered", frameOf(0x89, "") + frameOf(0x89, "a") + frameOf(0x89, ping) + frameOf(0x89, "\x00\xff\xfe") + closes,
			[]string{"pong ", "pong a", "pong " + ping, "pong \x00\xff\xfe", "close 1000"}},
		{"5.5.3", "unasked pongs are not", frameOf(0x8a, "") + frameOf(0x8a, "a") + closes, []string{"close 1000"}},
		{"5.6", "text of all kinds", text("κόσμε") + text("\u0000\u007f\u0080") + text("\uffff\U0010ffff") + closes, []string{"κόσμε", "\u0000\u007f\u0080", "\uffff\U0010ffff", "close 1000"}},
		{"5.6", "a character over fragments", frameOf(0x01, "SYNC \xf0\x9f") + frameOf(0x00, "\x98") + frameOf(0x80, "\x80") + closes, []string{"😀", "close 1000"}},
		{"5.6", "binary", frameOf(0x82, "x"), []string{"close 1003"}},
		{"7.1.5", "close without a status", frameOf(0x88, ""), []string{"close 1005"}},
		{"7.1.6", "a reason that is not UTF-8", frameOf(0x88, bye+"\xce\xba\xff"), []string{"close 1007"}},
		{"7.1.6", "the longest reason", frameOf(0x88, bye+ping[:123]), []string{"close 1000"}},
		{"7.4", "half a status", frameOf(0x88, "\x03"), []string{"close 1002"}},
	}
	for bit := byte(0x40); bit >= 0x10; bit >>= 1 {
		for _, opcode := range []byte{0x0, 0x1, 0x8, 0x9} {
			cases = append(cases, exchange{"5.2", fmt.Sprintf("reserved bit %x with opcode %x", bit, opcode), frameOf(0x80|bit|opcode, bye), []string{"close 1002"}})
		}
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		cases = append(cases, exchange{"5.2", fmt.Sprintf("reserved opcode %x", opcode), text("a") + frameOf(0x80|opcode, ""), []string{"a", "close 1002"}})
	}
	for _, bad := range []string{
		"\x80", "\xbf", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"\xfe", "\xff", "\xce", "\xe1\xbd", "\xf0\x9f\x98", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64",
	} {
		cases = append(cases,
			exchange{"8.1", fmt.Sprintf("no UTF-8: %x", bad), text(bad), []string{"close 1007"}},
			exchange{"8.1", fmt.Sprintf("no UTF-8 over fragments: %x", bad), frameOf(0x01, "SYNC "+bad[:1]) + frameOf(0x80, bad[1:]), []string{"close 1007"}})
	}
	for status, allowed := range map[int]bool{
		0: false, 1: false, 999: false, 1000: true, 1001: true, 1002: true, 1003: true, 1004: false, 1005: false, 1006: false, 1007: true, 1011: true,
		1014: true, 1015: false, 1016: false, 2000: false, 2999: false, 3000: true, 3999: true, 4000: true, 4999: true, 5000: false, 65535: false,
	} {
		want := 1002
		if allowed {
			want = status
		}
		frame := frameOf(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(status))))
		cases = append(cases, exchange{"7.4", fmt.Sprint("status ", status), frame, []string{fmt.Sprint("close ", want)}})
	}
	for _, c := range cases {
		for _, apart := range []bool{false, true} {
			if apart && len(c.bytes) > 1000 {
				continue
			}
			r := srv.raw()
			r.write(frameOf(0x81, ""))
			for rest := []byte(c.bytes); len(rest) > 0; {
				n := len(rest)
				if apart {
					n = 1
				}
				if _, err := r.conn.Write(rest[:n]); err != nil {
					break // the connection has ended
				}
				rest = rest[n:]
			}
			if got := r.answers(); !slices.Equal(got, c.want) {
				t.Errorf("section %s, %s (apart: %t): %.200q, want %.200q", c.section, c.name, apart, got, c.want)
			}
			r.conn.Close()
		}
	}
	t.Logf("%d cases", len(cases))
}
