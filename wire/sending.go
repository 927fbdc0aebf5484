package wire

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
