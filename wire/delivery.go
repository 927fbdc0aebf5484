package wire

import (
	"time"

	"github.com/pyws-clock/pyws_clock/wire/frame"
)

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
