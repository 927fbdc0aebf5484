// Command gws is the clock on lxzan/gws, as its README shows it: net/http, Upgrade, a
// goroutine for each connection's ReadLoop, and a Broadcaster for each tick. Usage: gws <port>
package main

import (
	"crypto/rand"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"
)

const (
	seconds = "2006-01-02T15:04:05-07:00"
	micros  = "2006-01-02T15:04:05.000000-07:00"
)

type clock struct {
	gws.BuiltinEventHandler
	mu   sync.Mutex
	open map[*gws.Conn]bool
	last int64 // the second that went out, Unix time
}

func (c *clock) OnClose(conn *gws.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *clock) OnPing(conn *gws.Conn, payload []byte) {
	conn.WritePong(payload)
}

func (c *clock) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	c.mu.Lock()
	opened := c.open[conn]
	c.mu.Unlock()
	switch {
	case !opened:
		c.hello(conn)
	case strings.EqualFold(message.Data.String(), "TIME"):
		conn.WriteString("OK:" + time.Now().UTC().Format(micros))
	default:
		conn.WriteString("ERR:unknown command")
	}
}

func (c *clock) hello(conn *gws.Conn) {
	conn.WriteString("SESSION:" + rand.Text())
	conn.WriteString("TZN:UTC")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick() // the others' new second before this one's, so that it does not come twice
	conn.WriteString(time.Now().UTC().Format(seconds))
	c.open[conn] = true
}

func (c *clock) run() {
	for {
		now := time.Now()
		time.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now))
		c.mu.Lock()
		c.tick()
		c.mu.Unlock()
	}
}

// tick sends the second, unless it went out already.
func (c *clock) tick() {
	now := time.Now().UTC()
	if now.Unix() == c.last {
		return
	}
	c.last = now.Unix()
	b := gws.NewBroadcaster(gws.OpcodeText, []byte(now.Format(seconds)))
	defer b.Close()
	for conn := range c.open {
		b.Broadcast(conn)
	}
}

func main() {
	c := &clock{open: make(map[*gws.Conn]bool)}
	upgrader := gws.NewUpgrader(c, &gws.ServerOption{ReadMaxPayloadSize: 4096})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		go conn.ReadLoop()
	})
	go c.run()
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
