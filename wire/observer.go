package wire

import "time"

// Observer is told what a [Hub] does, for metrics. Its methods are called by
// many goroutines at once, and must neither block nor call the hub.
type Observer interface {
	// ConnectionOpened tells of a handshake that became a connection, and
	// ConnectionClosed of its end, with one of [Outcomes].
	ConnectionOpened()
	ConnectionClosed(outcome string, lasted time.Duration)

	// Ticked tells, for a part of the connections, how many were told a
	// second, how many missed it since they do not keep up, and how long
	// after the start of the second the last of them was told.
	Ticked(sent, skipped int, late time.Duration)

	// SecondsMissed tells how many seconds passed of which no connection was
	// told: the process did not run, or the clock was set forward.
	SecondsMissed(n int)

	// CommandDone tells of a command, by its [Command.Name] or
	// [UnknownCommand], and of its error or nil.
	CommandDone(name string, err error)
}

// UnknownCommand is the name of what is no command.
const UnknownCommand = "unknown"

// nobody is an Observer that is not interested.
type nobody struct{}

func (nobody) ConnectionOpened()                      {}
func (nobody) ConnectionClosed(string, time.Duration) {}
func (nobody) Ticked(int, int, time.Duration)         {}
func (nobody) SecondsMissed(int)                      {}
func (nobody) CommandDone(string, error)              {}
