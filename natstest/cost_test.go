package natstest

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// tap hears what all clients ask JetStream.
type tap struct {
	mu    sync.Mutex
	asked map[string]int // by subject, and by the key that is asked for
}

func listenIn(t *testing.T, n *node) *tap {
	t.Helper()
	p := &tap{asked: make(map[string]int)}
	nc := n.js().Conn()
	sub, err := nc.Subscribe("$JS.API.>", p.hear)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *tap) hear(m *nats.Msg) {
	var request struct {
		Key string `json:"last_by_subj"`
	}
	_ = json.Unmarshal(m.Data, &request)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[strings.TrimSpace(m.Subject+" "+request.Key)]++
}

func (p *tap) heard() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.asked)
}

// Opening a session that is stored costs one read, and one that is live none. A site has one watch, however many sessions
// live there.
func TestCostOfOpening(t *testing.T) {
	e := launch(t, setup{})
	sites := twoSites(e)
	for _, s := range sites {
		s.watch()
	}
	ids := make([]string, 50)
	for i := range ids {
		l := sites[0].open("")
		if err := l.setZone("Asia/Tokyo"); err != nil {
			t.Fatal(err)
		}
		ids[i] = l.session.ID()
	}
	sites[1].open("") // the first one has the secret read
	look := "$JS.API.STREAM.INFO." + statusOf(t, sites[0].store).Bucket.Stream
	p := listenIn(t, e.nodes[0])
	for _, id := range ids {
		sites[1].open(id)
		sites[1].open(id)
		sites[1].open("")
	}
	var asked map[string]int
	until(t, "all that was asked is heard", func() bool {
		asked = p.heard()
		delete(asked, look) // as each watch does now and then
		return len(asked) >= len(ids)
	})
	if len(asked) != len(ids) {
		t.Errorf("%d sessions were opened, and this was asked: %v", len(ids), asked)
	}
	for what, times := range asked {
		if !strings.HasPrefix(what, "$JS.API.STREAM.MSG.GET.") || times != 1 {
			t.Errorf("%s was asked %d times: want one read of each session", what, times)
		}
	}
	var js server.JSInfo
	if err := e.nodes[0].get("/jsz", &js); err != nil || js.Consumers != len(sites) {
		t.Errorf("%d consumers, %v: want one for each of %d sites", js.Consumers, err, len(sites))
	}
}
