//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pyws-clock/pyws_clock/bench/internal/result"
)

// Names of the turns of the part zones.
const (
	oneZone   = ours + ", one zone"
	manyZones = ours + ", many zones"
)

// figure is what a sample says about a server.
type figure struct {
	label  string
	format string
	of     func(sample) float64
}

var (
	cpuPerTick = figure{"server CPU per tick, µs", "%.2f", func(s sample) float64 {
		return float64(s.cpu.Nanoseconds()) / 1000 / float64(s.Idle.Ticks)
	}}
	rssPerConnection = figure{"resident memory per connection, KB", "%.1f", func(s sample) float64 {
		return float64(s.after-s.before) / float64(s.Connections)
	}}
	lateP50      = figure{"lateness p50, ms", "%.1f", func(s sample) float64 { return s.Idle.LateP50 }}
	lateP99      = figure{"lateness p99, ms", "%.1f", func(s sample) float64 { return s.Idle.LateP99 }}
	lateMax      = figure{"lateness max, ms", "%.1f", func(s sample) float64 { return s.Idle.LateMax }}
	accepted     = figure{"connections accepted per second", "%.0f", func(s sample) float64 { return float64(s.Connections) / s.OpenSeconds }}
	roundTripP50 = figure{"command round trip p50, ms", "%.2f", func(s sample) float64 { return s.RoundTripP50 }}
	roundTripP99 = figure{"command round trip p99, ms", "%.2f", func(s sample) float64 { return s.RoundTripP99 }}
	clientCPU    = figure{"load client's own CPU per tick, µs", "%.2f", func(s sample) float64 {
		return s.Idle.ClientCPU * 1000 / float64(s.Idle.Ticks)
	}}
)

// String is a sample on one line.
func (s sample) String() string {
	var line []string
	for _, f := range []figure{cpuPerTick, rssPerConnection, lateP99, accepted} {
		line = append(line, f.label+" "+fmt.Sprintf(f.format, f.of(s)))
	}
	if s.Answered > 0 {
		line = append(line, fmt.Sprintf("%d of %d commands answered, "+roundTripP99.label+" "+roundTripP99.format, s.Answered, s.Sent, s.RoundTripP99))
	}
	return strings.Join(append(line, fmt.Sprintf("missed %d, doubled %d", s.missed(), s.doubled())), ", ")
}

func (s sample) missed() int  { return s.Idle.Missed + s.Commands.Missed }
func (s sample) doubled() int { return s.Idle.Doubled + s.Commands.Doubled }

// print writes the series as a table in Markdown: a figure in each row, a server in each column.
func (s *series) print() {
	fmt.Printf("\n### %s, medians (least to most)\n\n", s.title)
	s.row("figure", func(t turn) string { return t.name })
	fmt.Printf("|%s\n", strings.Repeat("---|", len(s.turns)+1))
	figures := []figure{cpuPerTick, rssPerConnection, lateP50, lateP99, lateMax, accepted, clientCPU}
	if s.turns[0].load.commands > 0 {
		figures = append(figures, roundTripP50, roundTripP99)
	}
	for _, f := range figures {
		s.row(f.label, func(t turn) string {
			v := s.values(t.name, f)
			return fmt.Sprintf(f.format+" ("+f.format+" to "+f.format+")", median(v), slices.Min(v), slices.Max(v))
		})
	}
	s.row("ticks missed, doubled, out of order, early; received", func(t turn) string {
		return s.counts(t.name, func(found sample) []result.Counts { return []result.Counts{found.Idle, found.Commands} })
	})
	s.row("the same before, while connections were opened", func(t turn) string {
		return s.counts(t.name, func(found sample) []result.Counts { return []result.Counts{found.Opening} })
	})
	s.row("server processes", func(t turn) string {
		return fmt.Sprint(s.samples[t.name][0].processes)
	})
	to := s.turns[0].name
	for _, f := range []figure{cpuPerTick, lateP99, accepted} {
		s.row(f.label+", against "+to, func(t turn) string { return s.ratio(f, t.name, to).String() })
	}
}

// counts adds up phases of all rounds.
func (s *series) counts(name string, of func(sample) []result.Counts) string {
	var all result.Counts
	for _, found := range s.samples[name] {
		for _, c := range of(found) {
			all.Add(c)
		}
	}
	return fmt.Sprintf("%d, %d, %d, %d; %d", all.Missed, all.Doubled, all.Disorder, all.Early, all.Ticks)
}

func (s *series) row(label string, cell func(turn) string) {
	cells := []string{label}
	for _, t := range s.turns {
		cells = append(cells, cell(t))
	}
	fmt.Printf("| %s |\n", strings.Join(cells, " | "))
}

// values are a server's of each round.
func (s *series) values(name string, f figure) []float64 {
	var v []float64
	for _, found := range s.samples[name] {
		v = append(v, f.of(found))
	}
	return v
}

// ratio is how one server's figure stands to another's.
type ratio struct {
	medians float64   // the ratio of the medians
	rounds  []float64 // the ratio in each round
}

// ratio is empty if one of the two was not measured.
func (s *series) ratio(f figure, of, to string) (r ratio) {
	a, b := s.values(of, f), s.values(to, f)
	if len(a) == 0 || len(b) == 0 {
		return r
	}
	r.medians = median(a) / median(b)
	for i := range a {
		r.rounds = append(r.rounds, a[i]/b[i])
	}
	return r
}

func (r ratio) String() string {
	if len(r.rounds) == 0 {
		return "not measured"
	}
	text := strings.Trim(fmt.Sprintf("%.2f", r.rounds), "[]")
	return fmt.Sprintf("%.2f (%s)", r.medians, text)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
