package wire

import "github.com/pyws-clock/pyws_clock/wire/frame"

// ending is how a connection ends.
type ending struct {
	outcome string // as metrics count it, one of [Outcomes]
	status  int    // of the close frame; 0: there is none
	reason  string // as the client and the log are told
}

var (
	endHello     = ending{"hello_timeout", frame.StatusPolicyViolation, "no first message in time: send a session ID or an empty message"}
	endNoRequest = ending{"violation", frame.StatusPolicyViolation, `no request for the time: want {"c": <number>}`}
	endTooFast   = ending{"violation", frame.StatusPolicyViolation, "too many requests for the time: send fewer at once"}
	endControls  = ending{"violation", frame.StatusPolicyViolation, "too many pings and pongs: send at most 100 a second"}
	endStore     = ending{"store", frame.StatusTryAgainLater, "the session store is out of reach, come back later"}
	endDeleted   = ending{"deleted", frame.StatusNormal, "the session was deleted"}
	endNoPong    = ending{"no_pong", 0, "no pong for two ping intervals"}
	endStuck     = ending{"slow", 0, "the client does not read"}
	endStopped   = ending{"stopped", frame.StatusServiceRestart, "the server stops"}
	endRemoved   = ending{"removed", frame.StatusGoingAway, "the clock has gone from here"}
	endMoved     = ending{"moved", frame.StatusServiceRestart, "sessions are in another store now"}
	endAdmin     = ending{"admin", frame.StatusNormal, "closed by the administrator"}
	endAbandoned = ending{"abandoned", 0, "the connection did not end in time"}
)

func endViolation(err *frame.Error) ending {
	if err.Status == frame.StatusTooBig {
		return ending{"too_big", err.Status, err.Reason}
	}
	return ending{"violation", err.Status, err.Reason}
}

// endClient answers the client's own close frame with its status.
func endClient(status int) ending { return ending{"client", status, ""} }

func endLost(err error) ending { return ending{"lost", 0, err.Error()} }

// Outcomes are all outcomes of connections that an [Observer] is told of.
func Outcomes() []string {
	return []string{
		"client", "lost", "violation", "too_big", endHello.outcome, endStore.outcome, endDeleted.outcome, endNoPong.outcome,
		endStuck.outcome, endStopped.outcome, endRemoved.outcome, endMoved.outcome, endAdmin.outcome, endAbandoned.outcome,
	}
}
