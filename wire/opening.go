package wire

import (
	"context"

	"go.uber.org/zap"
)

// hello answers the first message: the session, the zone, and the time.
func (c *conn) hello(id string) {
	cfg := c.hub.config.Load()
	c.mu.Lock()
	if c.state == opening {
		c.stopTimer() // it was for the first message
	}
	c.mu.Unlock()
	s, err := cfg.Sessions.Open(context.Background(), id, c, c.hub.policy)
	if err != nil {
		// A new ID would make the client forget the one that it has.
		cfg.Logger.Debug("session not opened", zap.Uint64("connection", c.id), zap.Error(err))
		c.close(endStore)
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	if c.state != opening {
		return
	}
	c.takeState(s.State())
	now := c.hub.now()
	c.pingAt = c.hub.elapsed() + cfg.PingInterval
	c.second = now.Unix()
	c.shown = c.feed.signAt(now)
	p := appendText(nil, "SESSION:", s.ID())
	p = appendTZN(p, c.shown)
	p = c.feed.appendTime(p, now, cfg.Precision)
	p = append(p, c.rings...)
	c.send(p)
	if c.state == opening {
		c.state = open
	}
	if c.ended {
		c.closeLocked(endDeleted)
	}
	if c.hub.config.Load().Sessions != cfg.Sessions {
		c.closeLocked(endMoved)
	}
	cfg.Logger.Debug("connection opened", zap.Uint64("connection", c.id), zap.String("zone", s.State().Zone.Name()))
}
