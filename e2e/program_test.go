//go:build unix

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// program is a client that runs beside the server.
type program struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	lines   chan string // closed at the end of its output
	errors  string      // the file with its standard error
}

// startProgram starts a client. It and what it started end with the test.
func startProgram(t *testing.T, command *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, command: command, lines: make(chan string, 1000), errors: filepath.Join(t.TempDir(), "errors")}
	errors, err := os.Create(p.errors)
	if err != nil {
		t.Fatal(err)
	}
	defer errors.Close()
	command.Stderr = errors
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.in, err = command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	})
	return p
}

func (p *program) say(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

// expect is the next line of the output for which something holds.
func (p *program) expect(what string, holds func(line string) bool) string {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended before this: %s\n%s", what, p.complaints())
			}
			if holds(line) {
				return line
			}
		case <-late:
			p.t.Fatalf("in vain waited for this: %s\n%s", what, p.complaints())
		}
	}
}

// tickAfter is the next time message of a second that begins after an instant.
func (p *program) tickAfter(t time.Time) string {
	p.t.Helper()
	return p.expect("a time message after "+t.String(), func(line string) bool {
		return timeMessage.MatchString(line) && parseTime(p.t, line).After(t)
	})
}

func (p *program) complaints() string {
	b, _ := os.ReadFile(p.errors)
	return string(b)
}

// interrupt is Ctrl-C.
func (p *program) interrupt() {
	p.t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end, and returns its error, nil for exit status 0.
func (p *program) exit() error {
	p.t.Helper()
	p.drain()
	return p.command.Wait()
}

// drain reads the output to its end.
func (p *program) drain() {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, ok := <-p.lines:
			if !ok {
				return
			}
		case <-late:
			p.t.Fatal("the program did not end")
		}
	}
}
