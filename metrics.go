package pywsclock

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/wire"
)

// metrics are those of the process. Each configuration has a registry of its
// own, in which they are registered: so they survive reloads.
var metrics = newMetricSet()

// The reasons for which handshakes are refused.
const (
	refusedOrigin     = "origin"      // the page of another site
	refusedFull       = "full"        // max_connections, or the clock is going
	refusedClientFull = "client_full" // max_connections_per_client
	refusedHandshake  = "handshake"   // what RFC 6455 does not allow
)

var (
	refusals        = []string{refusedOrigin, refusedFull, refusedClientFull, refusedHandshake}
	commandResults  = []string{"ok", "error", "command_rate", "max_alarms", "store"}
	storeOperations = []string{"secret", "load", "save", "delete", "keys"}
	storeResults    = []string{"ok", "not_found", "conflict", "damaged", "error"}

	latenessBuckets  = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}
	operationBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// metricSet holds the series of all handlers and stores that there are. Every
// value of a label is known beforehand, but for the names of these.
type metricSet struct {
	connections *prometheus.GaugeVec
	opened      *prometheus.CounterVec
	closed      *prometheus.CounterVec
	refused     *prometheus.CounterVec
	ticks       *prometheus.CounterVec
	skipped     *prometheus.CounterVec
	lost        *prometheus.CounterVec
	lateness    *prometheus.HistogramVec
	commands    *prometheus.CounterVec
	rang        *prometheus.CounterVec
	missed      *prometheus.CounterVec
	operations  *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	sessions    *prometheus.Desc
	zoneData    *prometheus.Desc

	mu    sync.Mutex
	users map[owner]int
}

// owner is a handler or a store, by which its series are found.
type owner struct{ label, name string }

func (o owner) labels() prometheus.Labels { return prometheus.Labels{o.label: o.name} }

func newMetricSet() *metricSet {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "caddy", Subsystem: "pyws_clock", Name: name, Help: help}
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		o := opts(name, help)
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: o.Namespace, Subsystem: o.Subsystem, Name: name, Help: help, Buckets: buckets,
		}, labels)
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		o := opts(name, help)
		return prometheus.NewDesc(prometheus.BuildFQName(o.Namespace, o.Subsystem, name), help, labels, nil)
	}
	return &metricSet{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("connections", "Connections that are open.")), []string{"handler"}),
		opened:      counter("connections_opened_total", "Connections that were opened.", "handler"),
		closed:      counter("connections_closed_total", "Connections that have ended, by outcome.", "handler", "outcome"),
		refused:     counter("handshakes_refused_total", "Handshakes that were refused, by reason.", "handler", "reason"),
		ticks:       counter("ticks_sent_total", "Seconds that connections were told.", "handler"),
		skipped:     counter("ticks_skipped_total", "Seconds that connections missed since they did not keep up.", "handler"),
		lost: counter("seconds_missed_total",
			"Seconds of which no connection was told: the process did not run, or the clock was set forward.", "handler"),
		lateness: histogram("tick_lateness_seconds", "Time from the start of a second until a batch of connections was told it.",
			latenessBuckets, "handler"),
		commands:   counter("commands_total", "Commands, by result.", "handler", "command", "result"),
		rang:       counter("alarms_rung_total", "Alarms that began to ring for somebody.", "store"),
		missed:     counter("alarms_missed_total", "Alarms that rang with nobody there.", "store"),
		operations: counter("store_operations_total", "Operations of the session store, by result.", "store", "operation", "result"),
		durations: histogram("store_operation_duration_seconds", "Durations of the operations of the session store.",
			operationBuckets, "store", "operation"),
		sessions: desc("sessions", "Sessions in memory.", "store"),
		zoneData: desc("zone_data_info", "The release of the IANA time zone database in use, and where it is from.", "version", "source"),
		users:    make(map[owner]int),
	}
}

// register registers the metrics with a configuration, unless they are already.
func (m *metricSet) register(r prometheus.Registerer) error {
	err := r.Register(m)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		return nil
	}
	return err
}

// vectors are all metrics that belong to an owner.
func (m *metricSet) vectors() []vector {
	return []vector{
		m.connections, m.opened, m.closed, m.refused, m.ticks, m.skipped, m.lost, m.lateness, m.commands,
		m.rang, m.missed, m.operations, m.durations,
	}
}

type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

// Describe implements [prometheus.Collector].
func (m *metricSet) Describe(descs chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(descs)
	}
	descs <- m.sessions
	descs <- m.zoneData
}

// Collect implements [prometheus.Collector].
func (m *metricSet) Collect(values chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(values)
	}
	all := allTables()
	for identity, table := range all {
		values <- prometheus.MustNewConstMetric(m.sessions, prometheus.GaugeValue, float64(table.Len()), identity)
	}
	if len(all) > 0 {
		z := zones()
		values <- prometheus.MustNewConstMetric(m.zoneData, prometheus.GaugeValue, 1, z.Version(), z.Source())
	}
}

// use keeps the series of an owner until as many calls of leave.
func (m *metricSet) use(o owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users[o]++
}

// leave removes the series of an owner that nobody uses any more. What is
// counted later is not seen.
func (m *metricSet) leave(o owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users[o]--; m.users[o] > 0 {
		return
	}
	delete(m.users, o)
	for _, v := range m.vectors() {
		v.DeletePartialMatch(o.labels())
	}
}

// handlerMetrics are the series of one handler. They were looked up before, so
// that counting costs next to nothing.
type handlerMetrics struct {
	set         *metricSet
	owner       owner
	connections prometheus.Gauge
	opened      prometheus.Counter
	closed      map[string]prometheus.Counter // by outcome
	refused     map[string]prometheus.Counter // by reason
	ticks       prometheus.Counter
	skipped     prometheus.Counter
	lost        prometheus.Counter
	lateness    prometheus.Observer
	commands    map[[2]string]prometheus.Counter // by name and result
}

// handler returns the series of a handler, which are there until leave.
func (m *metricSet) handler(name string) *handlerMetrics {
	o := owner{"handler", name}
	m.use(o)
	h := &handlerMetrics{
		set:         m,
		owner:       o,
		connections: m.connections.WithLabelValues(name),
		opened:      m.opened.WithLabelValues(name),
		closed:      make(map[string]prometheus.Counter),
		refused:     make(map[string]prometheus.Counter),
		ticks:       m.ticks.WithLabelValues(name),
		skipped:     m.skipped.WithLabelValues(name),
		lost:        m.lost.WithLabelValues(name),
		lateness:    m.lateness.WithLabelValues(name),
		commands:    make(map[[2]string]prometheus.Counter),
	}
	for _, outcome := range wire.Outcomes() {
		h.closed[outcome] = m.closed.WithLabelValues(name, outcome)
	}
	for _, reason := range refusals {
		h.refused[reason] = m.refused.WithLabelValues(name, reason)
	}
	for _, result := range commandResults {
		h.commands[[2]string{wire.UnknownCommand, result}] = m.commands.WithLabelValues(name, wire.UnknownCommand, result)
		for _, c := range wire.Commands() {
			h.commands[[2]string{c.Name(), result}] = m.commands.WithLabelValues(name, c.Name(), result)
		}
	}
	return h
}

func (h *handlerMetrics) leave() { h.set.leave(h.owner) }

// ConnectionOpened implements [wire.Observer].
func (h *handlerMetrics) ConnectionOpened() {
	h.opened.Inc()
	h.connections.Inc()
}

// ConnectionClosed implements [wire.Observer].
func (h *handlerMetrics) ConnectionClosed(outcome string, _ time.Duration) {
	increment(h.closed, outcome)
	h.connections.Dec()
}

// Ticked implements [wire.Observer].
func (h *handlerMetrics) Ticked(sent, skipped int, late time.Duration) {
	h.ticks.Add(float64(sent))
	h.skipped.Add(float64(skipped))
	if sent > 0 {
		h.lateness.Observe(late.Seconds())
	}
}

// SecondsMissed implements [wire.Observer].
func (h *handlerMetrics) SecondsMissed(n int) { h.lost.Add(float64(n)) }

// CommandDone implements [wire.Observer].
func (h *handlerMetrics) CommandDone(name string, err error) {
	increment(h.commands, [2]string{name, commandResult(err)})
}

// increment counts, unless the label has a value that was not known beforehand.
func increment[K comparable](counters map[K]prometheus.Counter, key K) {
	if c, ok := counters[key]; ok {
		c.Inc()
	}
}

func commandResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, wire.ErrTooFast):
		return "command_rate"
	case errors.Is(err, wire.ErrTooManyAlarms):
		return "max_alarms"
	case errors.Is(err, session.ErrUnavailable):
		return "store"
	}
	return "error"
}

// storeMetrics are the series of one store.
type storeMetrics struct {
	set        *metricSet
	owner      owner
	rang       prometheus.Counter
	missed     prometheus.Counter
	operations map[[2]string]prometheus.Counter // by operation and result
	durations  map[string]prometheus.Observer   // by operation
}

// store returns the series of a store, which are there until leave.
func (m *metricSet) store(identity string) *storeMetrics {
	o := owner{"store", identity}
	m.use(o)
	s := &storeMetrics{
		set:        m,
		owner:      o,
		rang:       m.rang.WithLabelValues(identity),
		missed:     m.missed.WithLabelValues(identity),
		operations: make(map[[2]string]prometheus.Counter),
		durations:  make(map[string]prometheus.Observer),
	}
	for _, operation := range storeOperations {
		s.durations[operation] = m.durations.WithLabelValues(identity, operation)
		for _, result := range storeResults {
			s.operations[[2]string{operation, result}] = m.operations.WithLabelValues(identity, operation, result)
		}
	}
	return s
}

func (s *storeMetrics) leave() { s.set.leave(s.owner) }

// StoreOperation implements [session.Observer].
func (s *storeMetrics) StoreOperation(name string, took time.Duration, err error) {
	increment(s.operations, [2]string{name, storeResult(err)})
	if duration, ok := s.durations[name]; ok {
		duration.Observe(took.Seconds())
	}
}

func storeResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, session.ErrNotFound):
		return "not_found"
	case errors.Is(err, session.ErrConflict):
		return "conflict"
	case errors.Is(err, session.ErrDamaged):
		return "damaged"
	}
	return "error"
}

// AlarmsRang implements [session.Observer].
func (s *storeMetrics) AlarmsRang(n int) { s.rang.Add(float64(n)) }

// AlarmsMissed implements [session.Observer].
func (s *storeMetrics) AlarmsMissed(n int) { s.missed.Add(float64(n)) }

// Interface guards
var (
	_ prometheus.Collector = (*metricSet)(nil)
	_ wire.Observer        = (*handlerMetrics)(nil)
	_ session.Observer     = (*storeMetrics)(nil)
)
