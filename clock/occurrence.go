package clock

import "time"

// afterIn returns the first instant after t, if there is one until limit, at which the rule occurs in the zone, as
// [Zone.Resolve] has it. Occurrences that are one instant, since one of them is in a gap, are one.
func (r *recurrence) afterIn(z *Zone, t, limit instant) (instant, bool) {
	best := limit + 1
	p := z.Period(t.time())
	from := local(t) + local(p.Offset)
	if !p.Start.IsZero() {
		before, start := local(z.at(p.Start.Add(-1)).Offset), local(p.Start.Unix())
		if l, ok := r.after(local(t)+before, start+local(p.Offset)-1); ok { // in the gap before the period
			best = min(best, instant(l-before))
		}
		from = max(from, start+before-1) // what the overlap before it repeats is over
	}
	until := limit + instant(maxOffset/time.Second)
	for l, ok := r.after(from, local(until)); ok; l, ok = r.after(l, local(until)) {
		at := l.in(z)
		if at <= t {
			continue
		}
		best = min(best, at)
		// What comes after a gap can ring before what is in it.
		if shown := at.in(z); shown != l {
			end := localOf(z.Period(at.time()).Start.In(z.location))
			if l, ok := r.after(end-1, shown-1); ok {
				best = min(best, l.in(z))
			}
		}
		break
	}
	return best, best <= limit
}
