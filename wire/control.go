package wire

import (
	"time"

	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// maxControls is how many pings, and pongs that answer none, a client may send
// in a second. One that pings each second, and catches up after a minute
// without a network, stays below.
const maxControls = 100

// ping answers a ping of the client.
func (c *conn) ping(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.allowControl() {
		c.send(frame.Append(nil, frame.Pong, payload))
	}
}

// pong notes that a ping was answered. The server's pings carry nothing, so
// that a pong which does is unasked, a sign of life that the protocol allows;
// RFC 6455, section 5.5.3.
func (c *conn) pong(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unanswered > 0 && len(payload) == 0 {
		c.unanswered = 0
		return
	}
	c.allowControl()
}

// allowControl reports whether the client may send one more control frame
// unasked, and closes the connection if it may not.
func (c *conn) allowControl() bool {
	if second := uint32(c.hub.elapsed() / time.Second); second != c.controlSecond {
		c.controlSecond, c.controls = second, 0
	}
	if c.controls++; c.controls > maxControls {
		c.closeLocked(endControls)
		return false
	}
	return true
}
