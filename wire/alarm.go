package wire

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
)

// appendRings appends the messages that say which alarms ring.
func appendRings(dst []byte, names []string, single bool) []byte {
	if len(names) == 0 {
		return dst
	}
	if !single {
		list, err := encode(names)
		if err != nil {
			return dst
		}
		return appendText(dst, "ALRM:", list)
	}
	for _, name := range names {
		dst = appendText(dst, "ALRM:", name)
	}
	return dst
}

// watch is what ALARM WATCH asked for. It is guarded by conn.mu.
type watch struct {
	on      bool
	due     bool   // the list may differ from the one that was told last
	telling bool   // a goroutine is at it
	told    uint64 // hash of the list that was told last
}

var watchSeed = maphash.MakeSeed()

// tellWatch sends the list of alarms if a change of it is still to be told, as
// soon as nothing else has to go before it.
func (c *conn) tellWatch() {
	w := &c.watch
	if !w.due || w.telling || c.busy || c.blocked || c.state != open {
		return
	}
	w.due, w.telling = false, true
	go c.sendWatch()
}

func (c *conn) sendWatch() {
	s := c.session.State()
	list, err := encode(s.Alarms.List(c.at(s)))

	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch.telling = false
	if err != nil {
		return
	}
	if c.busy || c.blocked {
		c.watch.due = true
		return
	}
	if hash := maphash.String(watchSeed, list); hash != c.watch.told {
		c.watch.told = hash
		c.send(appendText(nil, "ALARMS:", list))
	}
	c.tellWatch()
}

func alarmWatch(c *conn, r request) (any, error) {
	list, err := alarmList(c, r)
	if err != nil {
		return nil, err
	}
	text, err := encode(list)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch.on = true
	c.watch.told = maphash.String(watchSeed, text)
	return text, nil
}

func alarmList(c *conn, _ request) (any, error) {
	s := c.session.State()
	return s.Alarms.List(c.at(s)), nil
}

// ErrTooManyAlarms is the error of an alarm beyond the policy's MaxAlarms.
var ErrTooManyAlarms = errors.New("the session has too many alarms")

func alarmAdd(c *conn, r request) (any, error) {
	var added clock.AlarmStatus
	err := c.changeAlarms(func(l clock.Alarms, at clock.At) (changed clock.Alarms, err error) {
		if most := c.hub.config.Load().Policy.MaxAlarms; len(l) >= most {
			return nil, fmt.Errorf("%w: it has %d, want at most %d; ALARM DEL makes room", ErrTooManyAlarms, len(l), most)
		}
		changed, added, err = l.Add(at, r.text)
		return changed, err
	})
	return added, err
}

func alarmDelete(c *conn, r request) (any, error) {
	return "", c.changeAlarms(func(l clock.Alarms, _ clock.At) (clock.Alarms, error) {
		return l.Delete(r.text)
	})
}

func alarmOn(c *conn, r request) (any, error) {
	return c.switchAlarm(func(l clock.Alarms, at clock.At) (clock.Alarms, clock.AlarmStatus, error) {
		return l.On(at, r.text)
	})
}

func alarmOff(c *conn, r request) (any, error) {
	return c.switchAlarm(func(l clock.Alarms, at clock.At) (clock.Alarms, clock.AlarmStatus, error) {
		return l.Off(at, r.text)
	})
}

func (c *conn) switchAlarm(change func(clock.Alarms, clock.At) (clock.Alarms, clock.AlarmStatus, error)) (any, error) {
	var status clock.AlarmStatus
	err := c.changeAlarms(func(l clock.Alarms, at clock.At) (changed clock.Alarms, err error) {
		changed, status, err = change(l, at)
		return changed, err
	})
	return status, err
}

func alarmStop(c *conn, r request) (any, error) {
	return c.quietAlarms(func(l clock.Alarms, at clock.At) (clock.Alarms, []string, error) {
		return l.Stop(at, r.text)
	})
}

func alarmSnooze(c *conn, r request) (any, error) {
	return c.quietAlarms(func(l clock.Alarms, at clock.At) (clock.Alarms, []string, error) {
		return l.Snooze(at, r.text)
	})
}

func (c *conn) quietAlarms(change func(clock.Alarms, clock.At) (clock.Alarms, []string, error)) (any, error) {
	var names []string
	err := c.changeAlarms(func(l clock.Alarms, at clock.At) (changed clock.Alarms, err error) {
		changed, names, err = change(l, at)
		return changed, err
	})
	if names == nil {
		names = []string{}
	}
	return names, err
}

// changeAlarms makes a change of the session's alarms durable.
func (c *conn) changeAlarms(change func(clock.Alarms, clock.At) (clock.Alarms, error)) error {
	return c.session.Update(context.Background(), func(s *session.State) error {
		changed, err := change(s.Alarms, c.at(s))
		if err == nil {
			s.Alarms = changed
		}
		return err
	})
}
