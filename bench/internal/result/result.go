// Package result is what the load client tells the benchmark.
package result

// Result is the JSON line that a run of the load client ends with. Times are in
// milliseconds unless their name says otherwise.
type Result struct {
	Connections int     `json:"connections"`
	OpenSeconds float64 `json:"open_seconds"` // from the first connect to the last connection's first time message

	Opening  Counts `json:"opening"`  // until the measurement begins
	Idle     Counts `json:"idle"`     // the seconds in which the clients only listen
	Commands Counts `json:"commands"` // the seconds after these, in which some send commands

	Sent         int     `json:"commands_sent"`
	Answered     int     `json:"commands_answered"`
	RoundTripP50 float64 `json:"round_trip_p50_ms"`
	RoundTripP99 float64 `json:"round_trip_p99_ms"`

	Stopped     int     `json:"stopped"` // clients that stopped reading
	Closed      int     `json:"closed"`  // connections that the server ended, of those that read
	FirstClosed string  `json:"first_closed,omitempty"`
	Stall       float64 `json:"stall_ms"` // the longest that the load client was kept from its work
}

// Counts is what the connections received in one phase of a run.
type Counts struct {
	Ticks     int     `json:"ticks"`
	Missed    int     `json:"missed"`
	Doubled   int     `json:"doubled"`
	Disorder  int     `json:"out_of_order"`
	Early     int     `json:"early"` // before their second began
	LateP50   float64 `json:"late_p50_ms,omitempty"`
	LateP99   float64 `json:"late_p99_ms,omitempty"`
	LateMax   float64 `json:"late_max_ms,omitempty"`
	ClientCPU float64 `json:"client_cpu_ms,omitempty"` // of the load client
}

// Wrong is how many seconds were not received exactly once, in order and on time.
func (c Counts) Wrong() int { return c.Missed + c.Doubled + c.Disorder + c.Early }

// Add takes in the result of another load client of the same run: numbers are added
// up, and of each time the worse one stays.
func (r *Result) Add(o Result) {
	r.Connections += o.Connections
	r.OpenSeconds = max(r.OpenSeconds, o.OpenSeconds)
	r.Opening.Add(o.Opening)
	r.Idle.Add(o.Idle)
	r.Commands.Add(o.Commands)
	r.Sent += o.Sent
	r.Answered += o.Answered
	r.RoundTripP50 = max(r.RoundTripP50, o.RoundTripP50)
	r.RoundTripP99 = max(r.RoundTripP99, o.RoundTripP99)
	r.Stopped += o.Stopped
	r.Closed += o.Closed
	r.Stall = max(r.Stall, o.Stall)
	if r.FirstClosed == "" {
		r.FirstClosed = o.FirstClosed
	}
}

// Add takes in counts of other connections or seconds in the same way.
func (c *Counts) Add(o Counts) {
	c.Ticks += o.Ticks
	c.Missed += o.Missed
	c.Doubled += o.Doubled
	c.Disorder += o.Disorder
	c.Early += o.Early
	c.LateP50 = max(c.LateP50, o.LateP50)
	c.LateP99 = max(c.LateP99, o.LateP99)
	c.LateMax = max(c.LateMax, o.LateMax)
	c.ClientCPU += o.ClientCPU
}
