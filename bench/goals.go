//go:build linux

package main

import (
	"fmt"
	"math"
)

// goal is what our server must reach, and what it aims at.
type goal struct {
	must, aim float64
	least     bool // the figure is to be at least so much; else at most
}

func (g goal) String() string {
	if math.IsInf(g.must, 1) {
		return fmt.Sprintf("measured | ≤ %g", g.aim)
	}
	sign := "≤"
	if g.least {
		sign = "≥"
	}
	if g.aim == 0 {
		return fmt.Sprintf("%s %g | ", sign, g.must)
	}
	return fmt.Sprintf("%s %g | %s %g", sign, g.must, sign, g.aim)
}

func (g goal) reached(v float64) string {
	keeps := func(limit float64) bool { return g.least && v >= limit || !g.least && v <= limit }
	switch {
	case g.aim != 0 && keeps(g.aim):
		return "aim"
	case keeps(g.must):
		return "must"
	default:
		return "no"
	}
}

// printGoals prints what was to be reached, and what was.
func (b *bench) printGoals() {
	fmt.Printf("\n### Goals\n\nRatios are of medians, in brackets those of the rounds.\n\n")
	fmt.Printf("| figure | must | aim | measured | reached |\n|---|---|---|---|---|\n")
	for _, s := range b.ticks {
		ratioRow("server CPU per tick against the C program, "+s.title, goal{must: 1.25, aim: 0.9}, s.ratio(cpuPerTick, ours, "c"))
	}
	for _, s := range b.ticks {
		if s.turns[0].load.connections == 10000 {
			ratioRow("server CPU per tick against Python's shape, "+s.title, goal{must: 0.25, aim: 0.17}, s.ratio(cpuPerTick, ours, "python"))
		}
	}
	for _, s := range b.ticks {
		valueRow("resident memory per idle connection over plain HTTP, KB, "+s.title, goal{must: 13, aim: 5}, s.values(ours, rssPerConnection))
	}
	if b.tls != nil {
		mine := b.tls.turns[0].name
		label := "resident memory per idle connection over TLS, KB"
		valueRow(label, goal{must: math.Inf(1), aim: 16}, b.tls.values(mine, rssPerConnection))
		ratioRow(label+", against reverse_proxy in front of npm ws", goal{must: 0.5}, b.tls.ratio(rssPerConnection, mine, "proxy+ws+tls"))
	}
	for _, s := range b.ticks {
		ratioRow("lateness p99 against the C program, "+s.title, goal{must: 1.2, aim: 1}, s.ratio(lateP99, ours, "c"))
	}
	if b.ran > 0 {
		reached := "aim"
		if b.wrong > 0 {
			reached = "no"
		}
		fmt.Printf("| ticks missed or doubled, in all %d runs | 0 | 0 | %d | %s |\n", b.ran, b.wrong, reached)
	}
	for _, s := range b.ticks {
		ratioRow("connections accepted per second against the C program, "+s.title, goal{must: 0.5, aim: 0.8, least: true}, s.ratio(accepted, ours, "c"))
	}
	for _, s := range b.ticks {
		if s.turns[0].load.commands > 0 {
			ratioRow("command round trip p99 against gws, a command each second on 10 % of "+s.title, goal{must: 1, aim: 0.5}, s.ratio(roundTripP99, ours, "gws"))
		}
	}
	if s := b.stalled; s != nil {
		fmt.Printf("| clients that stop reading | cost no other a tick, are dropped, memory bounded and returned | | %s | |\n", s)
	}
	if b.spread != nil {
		ratioRow(fmt.Sprintf("server CPU of %s in %d zones and three precisions against one zone", b.spread.title, b.zones),
			goal{must: 1.2, aim: 1.05}, b.spread.ratio(cpuPerTick, manyZones, oneZone))
	}
}

func ratioRow(label string, g goal, r ratio) {
	reached := ""
	if len(r.rounds) > 0 {
		reached = g.reached(r.medians)
	}
	fmt.Printf("| %s | %v | %v | %s |\n", label, g, r, reached)
}

func valueRow(label string, g goal, v []float64) {
	if len(v) == 0 {
		fmt.Printf("| %s | %v | not measured | |\n", label, g)
		return
	}
	fmt.Printf("| %s | %v | %.1f | %s |\n", label, g, median(v), g.reached(median(v)))
}
