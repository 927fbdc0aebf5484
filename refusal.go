package pywsclock

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// noteRefusal counts and logs that a handshake was refused.
func (h *Handler) noteRefusal(reason string, err error) {
	h.shared.metrics.refused[reason].Inc()
	h.config.Logger.Debug("handshake refused", zap.String("reason", reason), zap.Error(err))
}

// noteCrowd does so where there are too many connections, which is for the
// administrator to know: once a minute, however many come.
func (h *Handler) noteCrowd(reason string, client netip.Addr, err error) {
	h.noteRefusal(reason, err)
	if n := h.shared.crowds.add(reason, time.Now()); n > 0 {
		h.config.Logger.Warn("clients are turned away",
			zap.String("reason", reason), zap.Int("handshakes", n), zap.Stringer("last_client", client), zap.Error(err))
	}
}

// hangUp ends the connection of HTTP/1.1 with the answer: kept alive, it would
// take a descriptor for minutes, for nothing.
func hangUp(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

const crowdInterval = time.Minute

// crowds count refused handshakes by their reason, for the log.
type crowds struct {
	mu       sync.Mutex
	byReason map[string]*crowd
}

type crowd struct {
	logged time.Time
	count  int // since then
}

// add counts one more, and returns the count if it is time to log it, or else 0.
func (cs *crowds) add(reason string, now time.Time) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.byReason == nil {
		cs.byReason = make(map[string]*crowd)
	}
	c := cs.byReason[reason]
	if c == nil {
		c = new(crowd)
		cs.byReason[reason] = c
	}
	c.count++
	if !c.logged.IsZero() && now.Sub(c.logged) < crowdInterval {
		return 0
	}
	n := c.count
	*c = crowd{logged: now}
	return n
}
