package pywsclock

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/wire"
)

// gather gives the values of all series, as name{values of the labels}.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make([]string, len(m.GetLabel()))
			for i, l := range m.GetLabel() {
				labels[i] = l.GetValue()
			}
			name := fmt.Sprintf("%s{%s}", strings.TrimPrefix(f.GetName(), "caddy_pyws_clock_"), strings.Join(labels, ","))
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func registry(t *testing.T, m *metricSet) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	for range 2 { // as two handlers do
		if err := m.register(r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestMetricNames(t *testing.T) {
	m := newMetricSet()
	m.handler("kitchen")
	m.store("files")
	families, err := registry(t, m).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// All that there is to tell has a series, from the beginning.
func TestMetricsCount(t *testing.T) {
	m := newMetricSet()
	r := registry(t, m)
	h, s := m.handler("kitchen"), m.store("files")
	before := gather(t, r)

	h.ConnectionOpened()
	h.Ticked(60, 4, time.Millisecond)
	h.Ticked(0, 64, time.Millisecond)
	h.SecondsMissed(5)
	for _, outcome := range wire.Outcomes() {
		h.ConnectionOpened()
		h.ConnectionClosed(outcome, time.Second)
	}
	for _, reason := range refusals {
		h.refused[reason].Inc()
	}
	results := map[string]error{
		"ok":           nil,
		"error":        errors.New("unknown time zone"),
		"command_rate": fmt.Errorf("%w: at most 20 a second", wire.ErrTooFast),
		"max_alarms":   fmt.Errorf("%w: it has 100", wire.ErrTooManyAlarms),
		"store":        fmt.Errorf("failed: %w", session.ErrUnavailable),
	}
	names := []string{wire.UnknownCommand}
	for _, c := range wire.Commands() {
		names = append(names, c.Name())
	}
	for _, name := range names {
		for _, err := range results {
			h.CommandDone(name, err)
		}
	}
	for _, operation := range storeOperations {
		for _, err := range []error{nil, session.ErrDeleted, session.ErrConflict, session.ErrDamaged, errors.New("disk full")} {
			s.StoreOperation(operation, time.Millisecond, err)
		}
	}
	s.AlarmsRang(2)
	s.AlarmsMissed(3)

	after := gather(t, r)
	if len(after) != len(before) {
		t.Errorf("%d series, and %d when nothing was counted yet", len(after), len(before))
	}
	particular := map[string]float64{
		"connections_opened_total{kitchen}":    float64(1 + len(wire.Outcomes())),
		"ticks_sent_total{kitchen}":            60,
		"ticks_skipped_total{kitchen}":         68,
		"seconds_missed_total{kitchen}":        5,
		"alarms_rung_total{files}":             2,
		"alarms_missed_total{files}":           3,
		"connections{kitchen}":                 1,
		"commands_total{ALARM ADD,kitchen,ok}": 1,
	}
	for series, got := range after {
		want, ok := particular[series]
		switch {
		case ok:
		case strings.HasPrefix(series, "store_operation_duration_seconds"):
			want = float64(len(storeResults))
		default:
			want = 1
		}
		if got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	for series := range particular {
		if _, ok := after[series]; !ok {
			t.Errorf("no series %s", series)
		}
	}
}

// A new configuration's registry has the values of the old one.
func TestMetricsSurviveReload(t *testing.T) {
	m := newMetricSet()
	h := m.handler("kitchen")
	h.ConnectionOpened()
	old := gather(t, registry(t, m))
	if fresh := gather(t, registry(t, m)); fresh["connections{kitchen}"] != 1 || len(fresh) != len(old) {
		t.Errorf("%v, want %v", fresh, old)
	}
}

func TestSeriesOfAGoneHandlerAreRemoved(t *testing.T) {
	m := newMetricSet()
	r := registry(t, m)
	other := m.handler("hall")
	left := len(gather(t, r))

	draining := m.handler("kitchen")
	draining.ConnectionOpened()
	again := m.handler("kitchen") // it is back before the last connection has ended
	draining.leave()
	if got := gather(t, r)["connections{kitchen}"]; got != 1 {
		t.Errorf("%v connections, want the 1 that was opened", got)
	}
	again.leave()
	draining.ConnectionClosed("stopped", time.Second)
	again.CommandDone("TIME", nil)
	if got := gather(t, r); len(got) != left {
		t.Errorf("left are %v", got)
	}
	other.leave()
	m.store("files").leave()
	if got := gather(t, r); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

// What nobody has heard of does no harm.
func TestUnknownValuesAreNoSeries(t *testing.T) {
	m := newMetricSet()
	r := registry(t, m)
	h, s := m.handler("kitchen"), m.store("files")
	before := len(gather(t, r))
	h.ConnectionClosed("new", time.Second)
	h.CommandDone("NEW", nil)
	s.StoreOperation("new", time.Second, nil)
	if got := gather(t, r); len(got) != before {
		t.Errorf("there are %d series, want %d", len(got), before)
	}
}

func BenchmarkMetrics(b *testing.B) {
	h := newMetricSet().handler("kitchen")
	b.Run("ticks of 64 connections", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Ticked(64, 0, 200*time.Microsecond)
		}
	})
	b.Run("command", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.CommandDone("ALARM ADD", nil)
		}
	})
}
