package wire

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyws-clock/pyws_clock/wire/link"
)

// heldFor is how long a tick waits for the result of a command.
const heldFor = 500 * time.Millisecond

// maxStepBack is how far the clock may be set back so that the seconds which
// clients saw already are waited out. Beyond it the time was wrong before, and
// clients are told the new one at once.
const maxStepBack = 10 * time.Second

// ticker is the state of the one loop that tells all connections the time. It
// belongs to that loop, but for held.
type ticker struct {
	tick  tick
	batch []*conn // the connections of this second

	mu       sync.Mutex
	couriers []*courier // one for each processor
	held     []*conn    // wait for the result of a command
}

// tick is one second, as it goes out to all connections.
type tick struct {
	now     time.Time     // when its messages were rendered
	second  int64         // Unix time
	elapsed time.Duration // since the hub began
	cfg     *Config
}

// run ticks at the start of each second of the wall clock, which it reads
// anew each time: timers see neither clock steps nor time spent suspended.
func (h *Hub) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer h.ticker.close()
	last := h.now().Unix()
	for {
		wait := untilNextSecond(h.now())
		if !sleep(ctx, timer, wait) {
			return
		}
		now := h.now()
		if !due(now.Unix(), last) {
			continue
		}
		if missed := now.Unix() - last - 1; missed > 0 {
			h.config.Load().Observer.SecondsMissed(int(missed))
		}
		last = now.Unix()
		h.tickAt(now)
		if !h.anyHeld() {
			continue
		}
		if !sleep(ctx, timer, min(heldFor, now.Truncate(time.Second).Add(heldFor).Sub(h.now()))) {
			return
		}
		h.releaseHeld()
	}
}

// due reports whether a second is to be told after the last one that was: no
// second twice, and none that lies before it, unless the clock was set back
// too far to wait.
func due(second, last int64) bool {
	return second > last || last-second > int64(maxStepBack/time.Second)
}

func untilNextSecond(now time.Time) time.Duration {
	return now.Truncate(time.Second).Add(time.Second).Sub(now)
}

// sleep waits for d, and reports false where ctx ended before.
func sleep(ctx context.Context, timer *time.Timer, d time.Duration) bool {
	timer.Reset(d)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tickAt tells all connections the second that now lies in.
func (h *Hub) tickAt(now time.Time) {
	t := &h.ticker
	cfg := h.config.Load()
	cfg.Sessions.Advance(now)

	h.mu.Lock()
	clear(t.batch)
	t.batch = append(t.batch[:0], h.conns...)
	h.mu.Unlock()

	t.tick = tick{now: now, second: now.Unix(), elapsed: h.elapsed(), cfg: cfg}
	h.feeds.render(now, cfg.Precision)
	h.fanOut(t.batch)
}

// courier takes the tick to a part of the connections.
type courier struct {
	tick    *tick
	batch   *link.Batch
	waiting []*conn // for the batch; they are locked
	scratch []byte  // where messages are made that are not the same for all
	sent    int
	skipped int // connections that do not keep up
}

// fanOut gives the tick to all connections.
func (h *Hub) fanOut(conns []*conn) {
	t := &h.ticker.tick
	inParallel(len(conns), func(worker int) func(from, to int) {
		k := h.ticker.courier(worker)
		k.tick = t
		return func(from, to int) {
			k.sent, k.skipped = 0, 0
			for _, c := range conns[from:to] {
				c.deliver(k)
			}
			k.flush()
			t.cfg.Observer.Ticked(k.sent, k.skipped, h.now().Sub(time.Unix(t.second, 0)))
		}
	})
}

// courier is the one of a worker. It is kept for the next tick.
func (t *ticker) courier(worker int) *courier {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.couriers) <= worker {
		t.couriers = append(t.couriers, &courier{batch: link.NewBatch()})
	}
	return t.couriers[worker]
}

func (t *ticker) close() {
	for _, k := range t.couriers {
		k.batch.Close()
	}
}

// flush sends the batch.
func (k *courier) flush() {
	k.batch.Flush(func(i, n int, err error) {
		c := k.waiting[i]
		k.count(c.tookTick(k.tick.second, c.feed.time, n, err))
		c.mu.Unlock()
	})
	clear(k.waiting)
	k.waiting = k.waiting[:0]
}

func (k *courier) count(sent bool) {
	if sent {
		k.sent++
	} else {
		k.skipped++
	}
}

// hold remembers a connection whose tick waits for the result of a command.
func (h *Hub) hold(c *conn) {
	h.ticker.mu.Lock()
	defer h.ticker.mu.Unlock()
	h.ticker.held = append(h.ticker.held, c)
}

func (h *Hub) anyHeld() bool {
	h.ticker.mu.Lock()
	defer h.ticker.mu.Unlock()
	return len(h.ticker.held) > 0
}

// releaseHeld sends the ticks that have waited long enough.
func (h *Hub) releaseHeld() {
	h.ticker.mu.Lock()
	held := h.ticker.held
	h.ticker.held = nil
	h.ticker.mu.Unlock()
	for _, c := range held {
		c.sendHeld()
	}
}

// inParallel deals with n things on as many goroutines as there are
// processors, each with a function of its own for the things from one to
// another.
func inParallel(n int, worker func(i int) func(from, to int)) {
	const chunk = link.BatchSize
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range min(runtime.GOMAXPROCS(0), (n+chunk-1)/chunk) {
		wg.Go(func() {
			do := worker(i)
			for {
				from := int(next.Add(chunk)) - chunk
				if from >= n {
					return
				}
				do(from, min(from+chunk, n))
			}
		})
	}
	wg.Wait()
}
