package wire

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/wire/frame"
	"github.com/pyws-clock/pyws_clock/wire/link"
)

const (
	// stuckFor is how long a connection may take for what it was sent.
	stuckFor = 10 * time.Second

	// closeFor is how long a client may take to answer a close frame.
	closeFor = 2 * time.Second
)

type connState uint8

const (
	opening connState = iota // the first message is still to come; a time source awaits none
	open
	closing // a close frame is sent, or on its way
	closed
)

// conn is one connection. Its methods for the link ([link.Owner]) are called
// on the goroutine that reads, those for the session ([session.Listener]) on
// whichever changes it, and tick by the hub.
type conn struct {
	hub       *Hub
	link      link.Link
	admission *Admission
	role      Role
	halves    bool // each side of the link ends by itself
	done      func()
	index     int // in hub.conns, guarded by hub.mu
	id        uint64
	began     time.Duration // since the hub began

	decoder  frame.Decoder // of the goroutine that reads, as are the next two
	failed   bool          // the decoder has, and finds no more messages
	limiter  *rate.Limiter // nil until the first command
	commands int

	mu      sync.Mutex
	state   connState
	parted  bool // the client has sent a close frame
	session *session.Session
	feed    *feed
	shown   sign  // that the last TZN message told
	retell  bool  // the zone was set: tell it even if the sign is the same
	second  int64 // the last one that was told, Unix time

	rings []byte // messages that follow each time message, rendered

	busy    bool // a command is being dealt with: nothing else may be sent
	due     bool // a tick waits for its result, or for room
	ended   bool // the session was deleted: close after the result
	watch   watch
	blocked bool          // nothing goes out for now
	since   time.Duration // when that began, as hub.elapsed
	out     []byte        // what is to go out once something does
	room    chan struct{} // closed when out is empty again; nil while nobody waits

	pingAt        time.Duration // when the next ping is due
	unanswered    uint8         // pings since the last pong
	controls      uint8         // pings and unasked pongs of the client in controlSecond
	controlSecond uint32        // since the hub began

	timer  *time.Timer // for the first message, then for the end
	ending ending      // how it ends, once that is known
}

// lastID is the ID of the newest connection in this process.
var lastID atomic.Uint64

func newConn(h *Hub, a *Admission, role Role, rwc io.ReadWriteCloser, done func()) *conn {
	c := &conn{hub: h, admission: a, role: role, done: done, id: lastID.Add(1), began: h.elapsed()}
	c.halves = link.HalfCloses(rwc)
	c.link = link.New(rwc, c)
	return c
}

func (c *conn) start(early []byte) {
	cfg := c.hub.config.Load()
	c.mu.Lock()
	switch {
	case c.state != opening: // the hub is drained
	case c.role == TimeSource:
		c.state = open
		c.pingAt = c.began + cfg.PingInterval/2
	default:
		c.timer = time.AfterFunc(cfg.HelloTimeout, c.helloTimeout)
	}
	c.mu.Unlock()
	c.link.Start(early)
}

func (c *conn) helloTimeout() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == opening {
		c.closeLocked(endHello)
	}
}

// Receive is called by the link with what the client sent.
func (c *conn) Receive(p []byte) {
	for len(p) > 0 && !c.failed {
		reading := c.reading()
		m, rest, err := c.decoder.Next(p)
		if err != nil {
			c.failed = true
			var violation *frame.Error
			errors.As(err, &violation)
			c.close(endViolation(violation))
			return
		}
		if m.Op == frame.Close {
			c.receiveClose(m.Status)
		} else if reading {
			c.receive(m)
		}
		p = rest
	}
}

// reading waits until what was sent so far has gone out, so that a client
// that does not read its results cannot make the server keep more of them. It
// reports whether the connection still takes messages.
func (c *conn) reading() bool {
	c.mu.Lock()
	for c.state < closing && len(c.out) > 0 {
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		<-room
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	return c.state < closing
}

func (c *conn) receive(m frame.Message) {
	switch m.Op {
	case frame.Text:
		switch {
		case c.role == TimeSource:
			c.tellTime(m.Payload)
		case c.session == nil:
			c.hello(string(m.Payload))
		default:
			c.command(string(m.Payload))
		}
	case frame.Ping:
		c.ping(m.Payload)
	case frame.Pong:
		c.pong(m.Payload)
	}
}

// receiveClose deals with a close frame, which may be the answer to one.
func (c *conn) receiveClose(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parted = true
	if c.state == closing && !c.halves {
		c.endSide()
	}
	c.closeLocked(endClient(status))
}

// Ended is called by the link when nothing more will come.
func (c *conn) Ended(err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("the client ended the connection without a close frame")
	}
	c.drop(endLost(err))

	if c.session != nil {
		c.session.Leave(c)
	}
	if c.feed != nil {
		c.hub.feeds.leave(c.feed)
	}
	lasted := c.hub.elapsed() - c.began
	cfg := c.hub.config.Load()
	cfg.Observer.ConnectionClosed(c.ending.outcome, lasted)
	cfg.Logger.Debug("connection closed",
		zap.Uint64("connection", c.id),
		zap.String("outcome", c.ending.outcome),
		zap.String("reason", c.ending.reason),
		zap.Int("status", c.ending.status),
		zap.Duration("duration", lasted),
		zap.Int("commands", c.commands))
	c.hub.remove(c)
	if c.done != nil {
		c.done()
	}
}

// close sends a close frame and ends the connection once the client has
// answered it, or after a while.
func (c *conn) close(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(e)
}

func (c *conn) closeLocked(e ending) {
	if c.state >= closing {
		return
	}
	c.send(frame.AppendClose(nil, e.status, e.reason))
	if c.state >= closing { // sending failed
		return
	}
	c.state, c.ending = closing, e
	c.stopTimer()
	c.timer = time.AfterFunc(closeFor, func() { c.link.Close() })
	c.endSide()
	c.wake()
}

// endSide ends the server's side after the close frame. Half-closed, the
// connection still takes what the client has under way: input that nobody reads
// would reset it, and with it the close frame would be lost. Where the sides
// end only together, the client is to have sent its own close frame.
func (c *conn) endSide() {
	if !c.blocked && (c.halves || c.parted) {
		c.link.CloseWrite()
	}
}

// drop ends the connection at once.
func (c *conn) drop(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(e)
}

func (c *conn) dropLocked(e ending) {
	if c.state == closed {
		return
	}
	if c.state != closing {
		c.ending = e
	}
	c.state = closed
	c.out = nil
	c.stopTimer()
	c.wake()
	c.link.Close()
}

func (c *conn) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// SessionChanged is called by the session at each change.
func (c *conn) SessionChanged(before, after *session.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return
	}
	c.takeState(after)
	if before.ZoneSet != after.ZoneSet {
		c.retell = true
	}
	c.watch.due = c.watch.on
	c.tellWatch()
}

// takeState makes the connection show a state of its session.
func (c *conn) takeState(s *session.State) {
	if c.feed == nil || c.feed.zone != s.Zone {
		if c.feed != nil {
			c.hub.feeds.leave(c.feed)
		}
		c.feed = c.hub.feeds.use(s.Zone)
	}
	c.rings = appendRings(nil, s.Ringing, c.hub.config.Load().SingleAlarms)
}

// adopt makes the connection follow a new configuration.
func (c *conn) adopt(before, after *Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != open || c.session == nil:
	case before.Sessions != after.Sessions:
		c.closeLocked(endMoved)
	case before.SingleAlarms != after.SingleAlarms:
		c.takeState(c.session.State())
	}
}

// SessionDeleted is called by the session at its end.
func (c *conn) SessionDeleted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if !c.busy {
		c.closeLocked(endDeleted)
	}
}
