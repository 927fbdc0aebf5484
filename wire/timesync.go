package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// Role is what a connection is for.
type Role uint8

const (
	// Clock tells the time every second, and takes commands.
	Clock Role = iota

	// TimeSource answers requests of the time protocol that the web clocks of
	// the Physikalisch-Technische Bundesanstalt speak, and tells nothing
	// unasked.
	TimeSource
)

// TimeSubprotocol is the WebSocket subprotocol by which a client asks for a
// connection that is a [TimeSource].
const TimeSubprotocol = "time"

// timeBurst is how many requests for the time are allowed at once, whatever
// [Config.CommandRate] is.
const timeBurst = 10

// A leap indicator as in NTP; RFC 5905, section 7.3.
type leapIndicator uint8

const (
	leapNone leapIndicator = iota
	leapSecondInserted
	leapSecondDeleted
	leapUnknown // the clock is not synchronised
)

// maxDispersion is the error from which on NTP holds a clock for not
// synchronised: MAXDISP of RFC 5905, appendix A.1.1. Nothing better can be
// said of a clock that is not.
const maxDispersion = 16 * time.Second

// milliseconds are marshalled as a number of them.
type milliseconds time.Duration

func (d milliseconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(d)/float64(time.Millisecond), 'f', -1, 64), nil
}

// timeAnswer answers a request for the time.
type timeAnswer struct {
	Client      json.RawMessage `json:"c"` // as the client wrote it
	Server      present         `json:"s"`
	Uncertainty milliseconds    `json:"e"`
	Leap        leapIndicator   `json:"l"`
}

// tellTime answers one request for the time.
func (c *conn) tellTime(request []byte) {
	c.commands++
	if !c.allow() {
		c.close(endTooFast)
		return
	}
	number, err := clientTime(request)
	if err != nil {
		c.close(endNoRequest)
		return
	}
	maxError, leap := discipline()
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, err := encode(timeAnswer{number, c.hub.now, milliseconds(maxError), leap})
	if err != nil {
		c.dropLocked(endLost(err))
		return
	}
	c.send(appendText(nil, "", answer))
}

// clientTime is the client's clock in a request, as it was written.
func clientTime(request []byte) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(request, &members); err != nil {
		return nil, err
	}
	number := members["c"]
	if len(members) != 1 || len(number) == 0 || number[0] != '-' && (number[0] < '0' || number[0] > '9') {
		return nil, fmt.Errorf("%q: want an object whose one member c is a number", request)
	}
	return number, nil
}

// keepAlive does for a time source what a tick does for a clock besides
// telling the time. There are two pings in each ping interval, since nothing
// else is sent: QUIC ends a connection that is silent for 30 seconds.
func (c *conn) keepAlive(t *tick) {
	if c.state != open || !c.alive(t, 4) || c.blocked || t.elapsed < c.pingAt {
		return
	}
	c.unanswered++
	c.pingAt = t.elapsed + t.cfg.PingInterval/2 - time.Second/2
	c.send(frame.AppendHeader(nil, frame.Ping, 0))
}
