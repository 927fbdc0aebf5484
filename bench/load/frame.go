//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// Opcodes of RFC 6455, section 11.8.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// frame returns a finished, masked client frame; the payload has at most 125 bytes.
func frame(opcode byte, payload []byte) []byte {
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d} // fixed: only the cost of unmasking matters here
	f := append([]byte{0x80 | opcode, 0x80 | byte(len(payload))}, mask[:]...)
	for i, b := range payload {
		f = append(f, b^mask[i%4])
	}
	return f
}

// nextFrame reads the server's frame at the start of data; size is 0 if it is not all there yet.
func nextFrame(data []byte) (opcode byte, payload []byte, size int, err error) {
	if len(data) < 2 {
		return 0, nil, 0, nil
	}
	if data[0]&0xf0 != 0x80 || data[1]&0x80 != 0 {
		return 0, nil, 0, fmt.Errorf("frame starts with % x, want one that is final and unmasked", data[:2])
	}
	head, n := 2, int(data[1])
	switch {
	case n == 127:
		return 0, nil, 0, fmt.Errorf("frame of 64 KiB or more")
	case n == 126 && len(data) < 4:
		return 0, nil, 0, nil
	case n == 126:
		head, n = 4, int(binary.BigEndian.Uint16(data[2:]))
	}
	if len(data) < head+n {
		return 0, nil, 0, nil
	}
	return data[0] & 15, data[head : head+n], head + n, nil
}

// parseTime returns the Unix second of a time message such as 2026-11-22T17:05:01.123+01:00.
func parseTime(text []byte) (second int64, ok bool) {
	const layout = "dddd-dd-ddTdd:dd:dd"
	if len(text) < len(layout) || !matches(text[:len(layout)], layout) {
		return 0, false
	}
	zone := text[len(layout):]
	if bytes.HasPrefix(zone, []byte(".")) {
		i := bytes.IndexAny(zone, "+-")
		if i != 4 && i != 7 || !matches(zone[:i], ".dddddd"[:i]) {
			return 0, false
		}
		zone = zone[i:]
	}
	if !matches(zone, "+dd:dd") && !matches(zone, "-dd:dd") {
		return 0, false
	}
	t := time.Date(digits(text[:4]), time.Month(digits(text[5:7])), digits(text[8:10]),
		digits(text[11:13]), digits(text[14:16]), digits(text[17:19]), 0, time.UTC)
	offset := int64(digits(zone[1:3])*3600 + digits(zone[4:6])*60)
	if zone[0] == '-' {
		offset = -offset
	}
	return t.Unix() - offset, true
}

// matches says whether text has the layout's characters, with a digit where it has d.
func matches(text []byte, layout string) bool {
	if len(text) != len(layout) {
		return false
	}
	for i, c := range text {
		digit := '0' <= c && c <= '9'
		if layout[i] == 'd' && !digit || layout[i] != 'd' && c != layout[i] {
			return false
		}
	}
	return true
}

func digits(text []byte) int {
	n := 0
	for _, c := range text {
		n = n*10 + int(c-'0')
	}
	return n
}
