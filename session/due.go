package session

import (
	"container/heap"
	"sync"
	"time"
)

// appointment is when a session has to be looked at.
type appointment struct {
	at    int64 // Unix time in milliseconds
	place int   // in the heap, from 1; 0: no appointment
}

// due orders the sessions by their appointments, so that a second costs nothing for those that have none in it.
type due struct {
	mu   sync.Mutex
	heap appointments
}

// set moves the appointment of a session. The zero time cancels it.
func (d *due) set(s *Session, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch a := &s.due; {
	case at.IsZero() && a.place > 0:
		heap.Remove(&d.heap, a.place-1)
	case at.IsZero():
	case a.place > 0:
		a.at = at.UnixMilli()
		heap.Fix(&d.heap, a.place-1)
	default:
		a.at = at.UnixMilli()
		heap.Push(&d.heap, s)
	}
}

// take cancels all appointments up to now, and returns the sessions that had them.
func (d *due) take(now time.Time) (sessions []*Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.heap) > 0 && d.heap[0].due.at <= now.UnixMilli() {
		sessions = append(sessions, heap.Pop(&d.heap).(*Session))
	}
	return sessions
}

// appointments implements [heap.Interface].
type appointments []*Session

func (h appointments) Len() int           { return len(h) }
func (h appointments) Less(i, j int) bool { return h[i].due.at < h[j].due.at }

func (h appointments) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].due.place, h[j].due.place = i+1, j+1
}

func (h *appointments) Push(s any) {
	*h = append(*h, s.(*Session))
	s.(*Session).due.place = len(*h)
}

func (h *appointments) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.due.place = 0
	return s
}
