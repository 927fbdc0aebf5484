//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// state is how far a connection has come.
type state byte

const (
	upgrading state = iota // the HTTP answer is awaited
	greeting               // SESSION, TZN and the first time are awaited
	listing                // the answer to TZ LIST is awaited
	zoning                 // the answer to TZ SET is awaited
	open
	stopped // reads no more
	closed
)

type conn struct {
	*socket
	tls   *tls.Conn // nil: plain
	index int
	state state
	last  int64     // the newest second received
	sent  time.Time // when the command went out that is not answered yet; zero: none
	rest  []byte    // of a message that is not complete
}

// key and accept are the example of RFC 6455, section 1.3.
const (
	key    = "dGhlIHNhbXBsZSBub25jZQ=="
	accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

var (
	helloFrame = frame(opText, nil)
	timeFrame  = frame(opText, []byte("TIME"))
	listFrame  = frame(opText, []byte("TZ LIST"))
)

// openMore keeps inFlight connections on their way.
func (l *load) openMore() error {
	if l.firstOpen.IsZero() {
		l.firstOpen = time.Now()
	}
	for l.begun < l.connections && l.opening < l.inFlight {
		if l.zones > 0 && l.begun == 1 && l.zoneNames == nil {
			break // the first one is asking for the names
		}
		c := &conn{index: l.begun}
		l.begun++
		l.opening++
		if l.tls != nil {
			go l.dialTLS(c)
			continue
		}
		if err := l.dial(c); err != nil {
			return err
		}
		if err := l.upgrade(c); err != nil {
			return err
		}
	}
	for {
		select {
		case c := <-l.ready:
			if err := l.upgrade(c); err != nil {
				return err
			}
		case err := <-l.failed:
			return err
		default:
			return nil
		}
	}
}

func (l *load) dial(c *conn) (err error) {
	receiveBuffer := 0
	if c.index < l.stop {
		receiveBuffer = 4096 // full soon
	}
	c.socket, err = connect(c.index, l.addr, receiveBuffer)
	return err
}

func (l *load) dialTLS(c *conn) {
	if err := l.dial(c); err != nil {
		l.failed <- err
		return
	}
	limit := syscall.Timeval{Sec: 20}
	syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit)
	c.tls = tls.Client(c.socket, l.options.tls)
	if err := c.tls.Handshake(); err != nil {
		l.failed <- fmt.Errorf("TLS handshake: %w", err)
		return
	}
	l.ready <- c
}

// upgrade asks a new connection for WebSocket, and has it polled.
func (l *load) upgrade(c *conn) error {
	l.conns[c.index] = c
	if err := syscall.SetNonblock(c.fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	path := l.paths[c.index%len(l.paths)]
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Version: 13\r\n\r\n"
	if err := c.write([]byte(request)); err != nil {
		return err
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.index)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_ADD, c.fd, &event))
}

func (c *conn) write(b []byte) error {
	if c.tls != nil {
		_, err := c.tls.Write(b)
		return err
	}
	_, err := c.socket.Write(b)
	return err
}

func (c *conn) read(b []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(b)
	}
	return c.socket.Read(b)
}

// handle takes what the poll reports of a connection. An error ends the run.
func (l *load) handle(c *conn) error {
	if c.state == stopped { // and now its connection has ended
		c.state = closed
		return c.Close()
	}
	for c.state != closed {
		n, err := c.read(l.buffer)
		if again, ok := errors.AsType[net.Error](err); ok && again.Timeout() {
			return nil
		}
		if err == nil {
			err = l.take(c, l.buffer[:n], c.at)
		}
		if err != nil {
			return l.end(c, err)
		}
		if c.tls == nil && n < len(l.buffer) {
			return nil // TLS may hold more
		}
	}
	return nil
}

// end closes a connection. Before it is open, that ends the run.
func (l *load) end(c *conn, err error) error {
	if c.state != open {
		return fmt.Errorf("connection %d of %d, while opening: %w", c.index+1, l.connections, err)
	}
	if l.firstClosed == nil {
		l.firstClosed = err
	}
	l.closed++
	c.state = closed
	return c.Close()
}

// take handles bytes that were read. They are l.buffer's.
func (l *load) take(c *conn, data []byte, at time.Time) error {
	if c.rest != nil {
		data = append(c.rest, data...)
		c.rest = nil
	}
	for len(data) > 0 {
		if c.state == upgrading {
			end := bytes.Index(data, []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			if err := l.upgraded(c, string(data[:end])); err != nil {
				return err
			}
			data = data[end+4:]
			continue
		}
		opcode, payload, size, err := nextFrame(data)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := l.message(c, opcode, payload, at); err != nil {
			return err
		}
		data = data[size:]
	}
	if len(data) > 0 {
		c.rest = bytes.Clone(data)
	}
	return nil
}

func (l *load) upgraded(c *conn, head string) error {
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, accept) {
		return fmt.Errorf("handshake answered with %q", head)
	}
	c.state = greeting
	return c.write(helloFrame)
}

func (l *load) message(c *conn, opcode byte, payload []byte, at time.Time) error {
	switch opcode {
	case opText:
		return l.text(c, payload, at)
	case opPing:
		return c.write(frame(opPong, payload))
	case opPong:
		return nil
	case opClose:
		return fmt.Errorf("close frame % x: %w", payload, io.EOF)
	default:
		return fmt.Errorf("frame of opcode %d", opcode)
	}
}

func (l *load) text(c *conn, text []byte, at time.Time) error {
	if second, ok := parseTime(text); ok {
		l.received(c, second, at)
		if c.state == greeting {
			return l.greeted(c)
		}
		return nil
	}
	kind, details, ok := bytes.Cut(text, []byte(":"))
	if ok && string(kind) == "OK" {
		return l.answer(c, details, at)
	}
	if ok && (string(kind) == "SESSION" && c.state == greeting || string(kind) == "TZN") {
		return nil
	}
	return fmt.Errorf("unexpected message %.80q", text)
}

// greeted goes on once the first time message is there.
func (l *load) greeted(c *conn) error {
	switch {
	case l.zones == 0:
		l.isOpen(c)
		return nil
	case l.zoneNames == nil:
		c.state = listing
		return c.write(listFrame)
	default:
		return l.setZone(c)
	}
}

func (l *load) isOpen(c *conn) {
	c.state = open
	l.opening--
	l.opened++
	l.lastOpen = time.Now()
}

func (l *load) setZone(c *conn) error {
	c.state = zoning
	name := l.zoneNames[c.index%len(l.zoneNames)]
	return c.write(frame(opText, []byte("TZ SET "+name)))
}

// answer takes the result of a command that succeeded.
func (l *load) answer(c *conn, details []byte, at time.Time) error {
	switch {
	case c.state == listing:
		var all []string
		if err := json.Unmarshal(details, &all); err != nil {
			return fmt.Errorf("answer to TZ LIST: %w", err)
		}
		if len(all) < l.zones {
			return fmt.Errorf("TZ LIST has %d zones: want at least %d", len(all), l.zones)
		}
		for i := range l.zones {
			l.zoneNames = append(l.zoneNames, all[i*len(all)/l.zones])
		}
		return l.setZone(c)
	case c.state == zoning:
		l.isOpen(c)
		return nil
	case c.sent.IsZero():
		return errors.New("an answer to no command")
	}
	l.commands.roundTrips = append(l.commands.roundTrips, at.Sub(c.sent))
	c.sent = time.Time{}
	return nil
}
