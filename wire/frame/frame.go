// Package frame is the server's side of the WebSocket framing of RFC 6455,
// section 5: a [Decoder] that takes a client's bytes as they come, and
// functions that append finished frames to a buffer.
//
// Neither reads nor writes anything itself. A connection that says nothing
// therefore costs no buffer and no goroutine, and one rendered frame can go
// out to any number of connections.
package frame

import (
	"encoding/binary"
	"fmt"
)

// Opcode says what a frame carries; RFC 6455, section 5.2.
type Opcode byte

// The opcodes of RFC 6455, section 11.8.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

func (o Opcode) control() bool { return o&0x8 != 0 }

// The status codes with which this service closes connections; RFC 6455,
// section 7.4.1, and the IANA registry "WebSocket Close Code Number".
const (
	StatusNormal          = 1000
	StatusGoingAway       = 1001
	StatusProtocolError   = 1002
	StatusUnsupported     = 1003
	StatusNoStatus        = 1005 // never sent: the close frame had none
	StatusInvalidPayload  = 1007
	StatusPolicyViolation = 1008
	StatusTooBig          = 1009
	StatusInternalError   = 1011
	StatusServiceRestart  = 1012
	StatusTryAgainLater   = 1013
)

// MaxControl is the largest payload of a control frame in bytes; RFC 6455,
// section 5.5.
const MaxControl = 125

const (
	fin  = 0x80
	rsv  = 0x70
	mask = 0x80
)

// Append appends an unfragmented, unmasked frame, as a server sends it.
func Append(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendHeader appends the header of an unfragmented, unmasked frame with a
// payload of n bytes, which the caller appends.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	dst = append(dst, fin|byte(op))
	switch {
	case n <= MaxControl:
		return append(dst, byte(n))
	case n <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}

// AppendClose appends a close frame. [StatusNoStatus] stands for none; a
// reason that does not fit is cut.
func AppendClose(dst []byte, status int, reason string) []byte {
	if status == StatusNoStatus {
		return AppendHeader(dst, Close, 0)
	}
	reason = reason[:min(len(reason), MaxControl-2)]
	dst = AppendHeader(dst, Close, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(status))
	return append(dst, reason...)
}

// Error is a violation by the client, with the status that answers it.
type Error struct {
	Status int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("%s (status %d)", e.Reason, e.Status) }

func violation(format string, args ...any) error {
	return &Error{StatusProtocolError, fmt.Sprintf(format, args...)}
}
