package pywsclock

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coder/websocket"
)

const (
	// silentFor is how long a clock that was sent the first message may say
	// nothing. It speaks each second, but for ten where its time was set back.
	silentFor = 30 * time.Second

	// stoodFor is how long a connection must have stood for the wait before
	// the next one to be a short one again.
	stoodFor = 10 * time.Second

	// sendFor is how long a message may take to go out.
	sendFor = 10 * time.Second
)

// terminal is a client: it sends lines as messages and prints messages.
type terminal struct {
	url   string
	lines <-chan string // nil once they have ended
	out   io.Writer     // for messages
	notes io.Writer     // for what happens to the connection
	first *string       // message of each connection: the session's ID, once it is known
	waits *backoff.ExponentialBackOff
}

// connect talks to the clock at a URL until the user interrupts, or the clock
// ends the connection for good. A connection that is lost is made again, with
// the session that it had.
func connect(ctx context.Context, url string, in io.Reader, out, notes io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval = 2 * time.Second
	t := &terminal{url: url, lines: readLines(in, notes), out: out, notes: notes, waits: waits}

	conn, err := t.dial(ctx)
	for err == nil {
		began := time.Now()
		err = t.talk(ctx, conn)
		if ctx.Err() != nil || isFinal(err) {
			break
		}
		if time.Since(began) >= stoodFor {
			waits.Reset()
		}
		conn, err = t.redial(ctx, err)
	}
	if ctx.Err() != nil || websocket.CloseStatus(err) == websocket.StatusNormalClosure {
		return nil
	}
	return err
}

// isFinal reports whether the clock would not have the client back: its
// session was deleted, or it did not say which one it wants.
func isFinal(err error) bool {
	status := websocket.CloseStatus(err)
	return status == websocket.StatusNormalClosure || status == websocket.StatusPolicyViolation
}

// readLines returns the lines of in as they come.
func readLines(in io.Reader, notes io.Writer) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		if err := scanner.Err(); err != nil {
			fmt.Fprintf(notes, "reading standard input: %v\n", err)
		}
	}()
	return lines
}

func (t *terminal) dial(ctx context.Context) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, t.url, nil)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", t.url, err)
	}
	conn.SetReadLimit(1 << 20)
	return conn, nil
}

// redial connects again after an error. It tries until it succeeds or ctx
// ends. The waits grow, and differ from client to client: after a restart of
// the server not all come at once.
func (t *terminal) redial(ctx context.Context, err error) (*websocket.Conn, error) {
	for {
		wait := t.waits.NextBackOff()
		fmt.Fprintf(t.notes, "%v; trying again in %s\n", err, wait.Round(100*time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		var conn *websocket.Conn
		if conn, err = t.dial(ctx); err == nil {
			return conn, nil
		}
	}
}

// talk sends and prints until the connection ends, and returns why. At the end
// of ctx it closes the connection in good order.
func (t *terminal) talk(ctx context.Context, conn *websocket.Conn) error {
	defer conn.CloseNow()
	receiving, end := context.WithCancel(ctx)
	defer end()
	messages := receive(receiving, conn)
	var silence <-chan time.Time
	if t.first != nil {
		if err := send(conn, *t.first); err != nil {
			return err
		}
		silence = time.After(silentFor)
	}
	for {
		select {
		case line, more := <-t.lines:
			if !more {
				t.lines = nil
			}
			if t.first == nil {
				t.first = &line // empty where there is none
				silence = time.After(silentFor)
			} else if !more {
				continue
			}
			if err := send(conn, line); err != nil {
				return err
			}
		case m := <-messages:
			if m.err != nil {
				return fmt.Errorf("the connection ended: %w", m.err)
			}
			if id, ok := strings.CutPrefix(m.message, "SESSION:"); ok {
				t.first = &id
			}
			fmt.Fprintln(t.out, m.message)
			silence = time.After(silentFor)
		case <-silence:
			return fmt.Errorf("no message for %s", silentFor)
		case <-ctx.Done():
			return conn.Close(websocket.StatusNormalClosure, "")
		}
	}
}

func send(conn *websocket.Conn, message string) error {
	ctx, cancel := context.WithTimeout(context.Background(), sendFor)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, []byte(message))
}

// received is a message, or why there are no more.
type received struct {
	message string
	err     error
}

// receive returns what comes on a connection, until its end or that of ctx.
func receive(ctx context.Context, conn *websocket.Conn) <-chan received {
	all := make(chan received)
	go func() {
		for {
			_, message, err := conn.Read(context.Background())
			select {
			case all <- received{string(message), err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return all
}
