package frame

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxMessage is the largest message in bytes that a [Decoder] takes, over all
// of its fragments.
const MaxMessage = 4096

// Message is a text message, or a control frame, of the client.
type Message struct {
	// Op is Text, Close, Ping or Pong; zero where more bytes are needed.
	Op Opcode

	// Payload is valid until the next call of Next. It may alias the bytes
	// given to Next.
	Payload []byte

	// Status and Reason are those of a close frame.
	Status int
	Reason string
}

// Decoder finds the messages in the bytes of a client. The zero value is
// ready. It keeps memory only while a frame or a message is incomplete, and
// never more than a message and a control frame.
type Decoder struct {
	header [14]byte // as far as it has come
	have   uint8    // bytes in header

	inPayload bool
	op        Opcode // of the frame, as it is on the wire
	final     bool
	key       [4]byte
	at        int // bytes of the payload that have come
	length    int

	inMessage bool   // fragments came, the last is still missing
	message   []byte // what came of the message before this frame, and of this frame
	control   []byte // what came of a control frame
}

// Next takes bytes from p, which it may change, up to the end of the first
// message or control frame. It returns what it found and the bytes that are
// left; a Message with Op zero means that all were taken and more are needed.
//
// Text is checked to be UTF-8. An error is an [*Error] and final: the caller
// closes with its status. Frames that are masked, in order, and within
// [MaxMessage] are all that it accepts; there are no extensions.
func (d *Decoder) Next(p []byte) (m Message, rest []byte, err error) {
	for {
		if !d.inPayload {
			var done bool
			p, done, err = d.readHeader(p)
			if err != nil || !done {
				return Message{}, nil, err
			}
		}
		part := p[:min(len(p), d.length-d.at)]
		p = p[len(part):]
		d.unmask(part)
		if d.at < d.length {
			d.keep(part)
			return Message{}, nil, nil
		}
		m, err = d.endFrame(part)
		if err != nil || m.Op != 0 {
			return m, p, err
		}
	}
}

// Pending reports whether a frame or a message is incomplete.
func (d *Decoder) Pending() bool { return d.have > 0 || d.inMessage }

// readHeader collects a header and checks it as far as the frame alone and
// the order of frames tell.
func (d *Decoder) readHeader(p []byte) (rest []byte, done bool, err error) {
	for {
		need := d.headerLength()
		n := copy(d.header[d.have:need], p)
		d.have += uint8(n)
		p = p[n:]
		if int(d.have) < need {
			return p, false, nil
		}
		if need == 2 {
			// The first two bytes tell all but the length.
			if err := d.checkStart(); err != nil {
				return p, false, err
			}
		}
		if d.headerLength() == need {
			break
		}
	}
	if err := d.setLength(); err != nil {
		return p, false, err
	}
	copy(d.key[:], d.header[d.have-4:d.have])
	d.inPayload, d.at = true, 0
	return p, true, nil
}

// headerLength is the length of the header in bytes, as far as it is known.
func (d *Decoder) headerLength() int {
	if d.have < 2 {
		return 2
	}
	switch d.header[1] &^ mask {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

func (d *Decoder) checkStart() error {
	first, second := d.header[0], d.header[1]
	d.op, d.final = Opcode(first&0xF), first&fin != 0
	length := second &^ mask
	switch {
	case first&rsv != 0:
		return violation("reserved bits are set")
	case second&mask == 0:
		return violation("the frame is not masked")
	}
	switch d.op {
	case Text, Binary:
		if d.inMessage {
			return violation("a new message begins within a fragmented one")
		}
		if d.op == Binary {
			return &Error{StatusUnsupported, "binary messages are not understood, send text"}
		}
	case Continuation:
		if !d.inMessage {
			return violation("a continuation without a message")
		}
	case Close, Ping, Pong:
		if !d.final {
			return violation("a control frame is fragmented")
		}
		if length > MaxControl {
			return violation("a control frame is over %d bytes", MaxControl)
		}
	default:
		return violation("opcode %#x is not defined", byte(d.op))
	}
	return nil
}

func (d *Decoder) setLength() error {
	var length uint64
	switch n := d.header[1] &^ mask; n {
	case 126:
		length = uint64(binary.BigEndian.Uint16(d.header[2:]))
		if length < 126 {
			return violation("the length %d is not in its shortest form", length)
		}
	case 127:
		length = binary.BigEndian.Uint64(d.header[2:])
		if length <= 0xFFFF || length>>63 != 0 {
			return violation("the length %d is not in its shortest form", length)
		}
	default:
		length = uint64(n)
	}
	if !d.op.control() && length > uint64(MaxMessage-len(d.message)) {
		return &Error{StatusTooBig, "the message is over 4096 bytes"}
	}
	d.length = int(length)
	return nil
}

// unmask removes the mask of a part of the payload in place; RFC 6455,
// section 5.3.
func (d *Decoder) unmask(part []byte) {
	for i := range part {
		part[i] ^= d.key[(d.at+i)&3]
	}
	d.at += len(part)
}

// keep copies a part of a frame that is not complete.
func (d *Decoder) keep(part []byte) {
	if d.op.control() {
		d.control = append(d.control, part...)
	} else {
		d.message = append(d.message, part...)
	}
}

// endFrame ends the frame whose last part is given, and its message where it
// is the last fragment.
func (d *Decoder) endFrame(part []byte) (Message, error) {
	d.inPayload, d.have = false, 0
	if d.op.control() {
		payload := part
		if len(d.control) > 0 {
			payload = append(d.control, part...)
			d.control = nil
		}
		if d.op == Close {
			return endClose(payload)
		}
		return Message{Op: d.op, Payload: payload}, nil
	}
	if !d.final {
		d.inMessage = true
		d.message = append(d.message, part...)
		return Message{}, nil
	}
	payload := part
	if len(d.message) > 0 {
		payload = append(d.message, part...)
	}
	d.inMessage, d.message = false, nil
	if !utf8.Valid(payload) {
		return Message{}, &Error{StatusInvalidPayload, "the text is not UTF-8"}
	}
	return Message{Op: Text, Payload: payload}, nil
}

func endClose(payload []byte) (Message, error) {
	if len(payload) == 0 {
		return Message{Op: Close, Status: StatusNoStatus}, nil
	}
	if len(payload) == 1 {
		return Message{}, violation("a close frame of one byte")
	}
	status, reason := int(binary.BigEndian.Uint16(payload)), payload[2:]
	if !validStatus(status) {
		return Message{}, violation("the status %d may not be sent", status)
	}
	if !utf8.Valid(reason) {
		return Message{}, &Error{StatusInvalidPayload, "the reason of the close frame is not UTF-8"}
	}
	return Message{Op: Close, Payload: payload, Status: status, Reason: string(reason)}, nil
}

// validStatus reports whether a client may send status; RFC 6455, section
// 7.4, and the IANA registry, in which 1012 to 1014 came later.
func validStatus(status int) bool {
	switch {
	case status >= 1000 && status <= 1003, status >= 1007 && status <= 1014:
		return true
	default:
		return status >= 3000 && status <= 4999
	}
}
