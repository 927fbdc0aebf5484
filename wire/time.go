package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
)

func timeNow(c *conn, _ request) (any, error) {
	return c.hub.now().In(c.session.State().Zone.Location()).Format(Precision(6).layout()), nil
}

func zoneGet(c *conn, _ request) (any, error) {
	return c.session.State().Zone.Name(), nil
}

func zoneSet(c *conn, r request) (any, error) {
	zone, err := c.zones().Zone(r.text)
	if err != nil {
		return nil, err
	}
	err = c.session.Update(context.Background(), func(s *session.State) error {
		s.Alarms = s.Alarms.Rezone(c.at(s), zone)
		s.Zone = zone
		s.ZoneSet++
		return nil
	})
	return zone.Name(), err
}

func zoneList(c *conn, r request) (any, error) {
	return c.zones().Names(r.text), nil
}

func zoneInfo(c *conn, r request) (any, error) {
	zone := c.session.State().Zone
	if r.text != "" {
		var err error
		if zone, err = c.zones().Zone(r.text); err != nil {
			return nil, err
		}
	}
	now := c.hub.now()
	period := zone.Period(now)
	info := struct {
		Zone             string     `json:"zone"`
		Abbreviation     string     `json:"abbreviation"`
		Offset           string     `json:"offset"`
		DST              bool       `json:"dst"`
		NextTransition   *time.Time `json:"next_transition"`
		NextAbbreviation *string    `json:"next_abbreviation"`
	}{
		Zone:         zone.Name(),
		Abbreviation: period.Abbreviation,
		Offset:       now.In(zone.Location()).Format("-07:00"),
		DST:          period.DST,
	}
	if !period.End.IsZero() {
		transition, next := period.End.UTC(), zone.Period(period.End)
		info.NextTransition, info.NextAbbreviation = &transition, &next.Abbreviation
	}
	return info, nil
}

func (c *conn) zones() *clock.Zones { return c.hub.config.Load().Sessions.Zones() }

// at is the present, as the alarms of a session see it.
func (c *conn) at(s *session.State) clock.At {
	return clock.At{Now: c.hub.now(), Zone: s.Zone, Ring: c.hub.config.Load().Policy.Ring}
}

// instant is Unix time in milliseconds with three decimals.
type instant time.Time

func (t instant) MarshalJSON() ([]byte, error) {
	us := time.Time(t).UnixMicro()
	return fmt.Appendf(nil, "%d.%03d", us/1000, us%1000), nil
}

// present is the instant at which it is encoded.
type present func() time.Time

func (now present) MarshalJSON() ([]byte, error) { return instant(now()).MarshalJSON() }

// maxSync is the longest text in bytes that SYNC gives back.
const maxSync = 64

func synchronise(c *conn, r request) (any, error) {
	if len(r.text) > maxSync {
		return nil, fmt.Errorf("a text of %d bytes: want at most %d", len(r.text), maxSync)
	}
	return struct {
		Client   string  `json:"client"`
		Received instant `json:"received"`
		Sent     present `json:"sent"`
	}{r.text, instant(r.received), c.hub.now}, nil
}
