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

	pingAt     time.Duration // when the next ping is due
	unanswered uint8         // pings since the last pong

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
		c.mu.Lock()
		defer c.mu.Unlock()
		c.send(frame.Append(nil, frame.Pong, m.Payload))
	case frame.Pong:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.unanswered = 0
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

// send sends frames, in order, whenever there is room for them.
func (c *conn) send(frames []byte) {
	if c.state >= closing {
		return
	}
	if c.blocked {
		c.out = append(c.out, frames...)
		return
	}
	if n := c.sendNow(frames); c.blocked {
		c.out = append(c.out, frames[n:]...)
	}
}

// sendNow sends what goes out at once and returns how much that was. Where it
// is not all, the connection is blocked.
func (c *conn) sendNow(p []byte) int {
	n, err := c.link.Send(p)
	c.took(p, n, err)
	return n
}

// took notes what the link took of p.
func (c *conn) took(p []byte, n int, err error) {
	if err != nil {
		c.dropLocked(endLost(err))
	} else if n < len(p) {
		c.blocked, c.since = true, c.hub.elapsed()
	}
}

// Ready is called by the link when there is room again.
func (c *conn) Ready() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == closed {
		return
	}
	since := c.since
	c.blocked = false
	if len(c.out) > 0 {
		n := c.sendNow(c.out)
		if c.out = c.out[n:]; n == 0 {
			c.since = since
		}
	}
	if c.blocked || c.state == closed {
		return
	}
	c.out = nil
	if c.state == closing {
		c.endSide()
		return
	}
	c.wake()
	if !c.busy {
		if late := c.appendDue(nil); len(late) > 0 {
			c.send(late)
		}
	}
	c.tellWatch()
}

// wake lets the goroutine that reads go on.
func (c *conn) wake() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// deliver tells the connection the second that a courier brings. Where the
// courier's batch takes it, the connection stays locked until the batch is
// flushed.
func (c *conn) deliver(k *courier) {
	c.mu.Lock()
	if c.role == TimeSource {
		c.keepAlive(k.tick)
		c.mu.Unlock()
		return
	}
	if !c.ready(k) {
		c.mu.Unlock()
		return
	}
	f := c.feed
	if f.second != k.tick.second || f.sign != c.shown || c.retell || len(c.rings) > 0 || k.tick.elapsed >= c.pingAt {
		k.count(c.sendOwn(k))
	} else if k.batch.Add(c.link, f.time) {
		k.waiting = append(k.waiting, c)
		return
	} else {
		n, err := c.link.Send(f.time)
		k.count(c.tookTick(k.tick.second, f.time, n, err))
	}
	c.mu.Unlock()
}

// ready reports whether the connection can be told a second now.
func (c *conn) ready(k *courier) bool {
	t := k.tick
	if c.state != open || !due(t.second, c.second) {
		return false
	}
	c.due = false
	if !c.alive(t, 2) {
		return false
	}
	if c.blocked {
		k.count(false)
		c.due = true
		return false
	}
	if c.busy {
		c.due = true
		c.hub.hold(c)
		return false
	}
	return true
}

// alive reports whether the client still reads, and answers one of so many
// pings. It drops the connection where the client does not.
func (c *conn) alive(t *tick, pings uint8) bool {
	switch {
	case t.elapsed >= c.pingAt && c.unanswered >= pings:
		c.dropLocked(endNoPong)
	case c.blocked && t.elapsed-c.since > stuckFor:
		c.dropLocked(endStuck)
	default:
		return true
	}
	return false
}

// tookTick notes how much of the messages of a second went out. Where it is
// nothing, the client misses it, but for what it can be told in time.
func (c *conn) tookTick(second int64, messages []byte, n int, err error) bool {
	c.took(messages, n, err)
	if n == 0 {
		c.due = true
		return false
	}
	c.second = second
	c.out = append(c.out, messages[n:]...)
	return true
}

// sendOwn sends a tick that is not the same for everybody in the zone.
func (c *conn) sendOwn(k *courier) bool {
	var told told
	k.scratch, told = c.appendOwn(k.scratch[:0], k.tick)
	n, err := c.link.Send(k.scratch)
	if !c.tookTick(k.tick.second, k.scratch, n, err) {
		return false
	}
	c.note(told)
	return true
}

// told is what a tick told, for when it went out.
type told struct {
	tick *tick
	sign sign
	ping bool
}

func (c *conn) note(told told) {
	c.second = told.tick.second
	c.shown, c.retell = told.sign, false
	if told.ping {
		c.unanswered++
		// To the tick that is nearest to the next interval.
		c.pingAt = told.tick.elapsed + told.tick.cfg.PingInterval - time.Second/2
	}
}

// appendOwn appends the messages of a tick: the zone if it is to be told, the
// time, the alarms that ring, and a ping if one is due.
func (c *conn) appendOwn(dst []byte, t *tick) ([]byte, told) {
	told := told{tick: t, sign: c.feed.signAt(t.now), ping: t.elapsed >= c.pingAt}
	if c.retell || c.shown != told.sign {
		dst = appendTZN(dst, told.sign)
	}
	dst = c.feed.appendTime(dst, t.now, t.cfg.Precision)
	dst = append(dst, c.rings...)
	if told.ping {
		dst = frame.AppendHeader(dst, frame.Ping, 0)
	}
	return dst, told
}

// sendHeld sends the tick that waits, if one still does.
func (c *conn) sendHeld() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.appendDue(nil); len(held) > 0 {
		c.send(held)
	}
}

// appendDue appends the tick that waits, if one does: as it is now, not as it
// was when it fell due.
func (c *conn) appendDue(dst []byte) []byte {
	if !c.due {
		return dst
	}
	c.due = false
	now := c.hub.now()
	if c.state != open || !due(now.Unix(), c.second) {
		return dst
	}
	dst, told := c.appendOwn(dst, &tick{now, now.Unix(), c.hub.elapsed(), c.hub.config.Load()})
	c.note(told)
	return dst
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
