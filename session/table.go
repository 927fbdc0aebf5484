package session

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/pyws-clock/pyws_clock/clock"
)

// ErrClosed is returned by the methods of a [Table] that was closed.
var ErrClosed = errors.New("the session table is closed")

// Config is what a [Table] needs. What is zero or nil is the default.
type Config struct {
	Zones        *clock.Zones         // of [clock.LoadZones]
	Now          func() time.Time     // time.Now
	Observer     Observer             // nobody
	StoreTimeout time.Duration        // how long a visitor waits for the store: 3 seconds
	Linger       time.Duration        // how long a session stays in memory after its last listener left: a minute
	MaxLinger    int                  // how many sessions may do so: 10,000
	SweepPass    func() time.Duration // time in which to look at all records for expired ones: a day
}

func (c *Config) setDefaults() {
	if c.Zones == nil {
		c.Zones = clock.LoadZones()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.StoreTimeout == 0 {
		c.StoreTimeout = 3 * time.Second
	}
	if c.Linger == 0 {
		c.Linger = time.Minute
	}
	if c.MaxLinger == 0 {
		c.MaxLinger = 10_000
	}
	if c.SweepPass == nil {
		c.SweepPass = func() time.Duration { return 24 * time.Hour }
	}
}

// Table holds the live sessions of one storage: those that somebody listens to, and for a while those that somebody
// did. There is one session for each ID, whoever opens it. Its methods may be called by many goroutines at once.
type Table struct {
	config Config
	zones  atomic.Pointer[clock.Zones]

	backends backends
	health   health
	secret   atomic.Pointer[Secret]
	loads    singleflight.Group
	slots    chan struct{} // one for each operation of the store under way

	shards   [64]shard
	live     atomic.Int64
	pristine sync.Map // *clock.Zone to the *State of all sessions in it that nobody changed

	advancing sync.Mutex // held by Advance
	advanced  time.Time  // up to when
	due       due

	lingering lingering
	queue     queue

	stopped context.Context // ended by Close
	stop    context.CancelFunc
	running sync.WaitGroup // the goroutines that end with it
}

// maxOperations is how many operations of the store may be under way, those included that hang.
const maxOperations = 64

// shard is a part of the live sessions, so that those who look for one rarely meet.
type shard struct {
	mu       sync.RWMutex
	sessions map[Key]*Session
}

// NewTable returns a table without a store: see [Table.Push]. [Table.Close] ends the goroutines that it starts.
func NewTable(c Config) *Table {
	c.setDefaults()
	t := &Table{config: c, slots: make(chan struct{}, maxOperations)}
	t.zones.Store(c.Zones)
	t.stopped, t.stop = context.WithCancel(context.Background())
	for i := range t.shards {
		t.shards[i].sessions = make(map[Key]*Session)
	}
	t.lingering.look = make(chan struct{}, 1)
	t.queue.table = t
	t.running.Go(t.keepForgetting)
	t.running.Go(t.keepSweeping)
	return t
}

// Open returns the session with this ID, and subscribes l to it until [Session.Leave]. An ID that this storage's secret
// did not make gets a new session with a new ID, as does one whose record is damaged: the record is left as it is.
// A valid ID that nothing is stored for opens an empty session with that ID; so does one whose session has expired.
//
// A session that nobody changed costs no storage, and one that is live none to open.
//
// Where the store is out of reach the error wraps [ErrUnavailable]: the ID may be good, so its holder must not get
// another. It comes within the store timeout, or with the end of ctx. Policy is called whenever it is needed, from
// then on; it must not block, nor call the table.
func (t *Table) Open(ctx context.Context, id string, l Listener, policy func() Policy) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, t.config.StoreTimeout)
	defer cancel()
	if t.stopped.Err() != nil {
		return nil, ErrClosed
	}
	t.startWatch()
	secret, err := t.loadSecret(ctx)
	if err != nil {
		return nil, err
	}
	for i, ok := parseID(secret, id); ok; {
		s, err := t.find(ctx, i, policy)
		if errors.Is(err, ErrDamaged) {
			break
		}
		if err != nil {
			return nil, err
		}
		if s.join(l, policy) {
			return s, nil
		}
	}
	i := newID(secret)
	s := t.newSession(i, i.key(), policy)
	t.add(s)
	s.join(l, policy)
	return s, nil
}

// find returns the live session with this ID, after having loaded it if it was not.
func (t *Table) find(ctx context.Context, i id, policy func() Policy) (*Session, error) {
	key := i.key()
	if s := t.lookup(key); s != nil {
		return s, nil
	}
	// The load goes on when ctx ends, and those who come meanwhile wait for the same.
	loaded := t.loads.DoChan(string(key[:]), func() (any, error) {
		if s := t.lookup(key); s != nil {
			return s, nil
		}
		return t.load(context.WithoutCancel(ctx), i, key, policy)
	})
	select {
	case r := <-loaded:
		s, _ := r.Val.(*Session)
		return s, r.Err
	case <-ctx.Done():
		return nil, refusal(errLate)
	}
}

// load makes the session with this ID live, though nobody listens yet.
func (t *Table) load(ctx context.Context, i id, key Key, policy func() Policy) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, t.config.StoreTimeout)
	defer cancel()
	s := t.newSession(i, key, policy)
	r, revision, err := t.read(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrDamaged):
		return nil, err
	case err != nil:
		return nil, refusal(err)
	case !t.now().Before(r.Expires):
		// The session is empty, and has nothing to do with this record but that its first change takes its place.
		s.revision = revision
		if _, err := call(ctx, t, "delete", deleting(key, revision)); err == nil {
			s.revision = 0
		}
	default:
		s.stored, s.revision, s.expires = true, revision, r.Expires.UnixMilli()
		s.state.Store(t.stateOf(r, policy().Zone))
	}
	t.addIdle(s)
	return s, nil
}

// read loads a record. One that is damaged is logged.
func (t *Table) read(ctx context.Context, key Key) (*record, Revision, error) {
	found, err := call(ctx, t, "load", loading(key))
	if errors.Is(err, ErrDamaged) {
		t.logDamaged(key, err)
	}
	return found.record, found.revision, err
}

// loadSecret returns the storage's secret, which is asked for once.
func (t *Table) loadSecret(ctx context.Context) (*Secret, error) {
	if secret := t.secret.Load(); secret != nil {
		return secret, nil
	}
	loaded := t.loads.DoChan("secret", func() (any, error) {
		if secret := t.secret.Load(); secret != nil {
			return secret, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.config.StoreTimeout)
		defer cancel()
		secret, err := call(ctx, t, "secret", func(ctx context.Context, store Store) (Secret, error) {
			return store.Secret(ctx)
		})
		if err != nil {
			return nil, refusal(err)
		}
		t.secret.Store(&secret)
		return &secret, nil
	})
	select {
	case r := <-loaded:
		secret, _ := r.Val.(*Secret)
		return secret, r.Err
	case <-ctx.Done():
		return nil, refusal(errLate)
	}
}

// newSession returns a session that nobody has changed, and that is not in the table yet.
func (t *Table) newSession(i id, key Key, policy func() Policy) *Session {
	s := &Session{table: t, id: i, key: key, policy: policy}
	s.state.Store(t.pristineState(policy().Zone))
	return s
}

// pristineState returns the state that all sessions share which nobody has changed.
func (t *Table) pristineState(zone *clock.Zone) *State {
	zone = t.currentZone(zone)
	if s, ok := t.pristine.Load(zone); ok {
		return s.(*State)
	}
	s, _ := t.pristine.LoadOrStore(zone, &State{Zone: zone})
	return s.(*State)
}

// stateOf returns the state that a record stands for. Where the zone data does not have its zone, the session runs in
// the zone of new sessions, and the record keeps its own.
func (t *Table) stateOf(r *record, fallback *clock.Zone) *State {
	zone, err := t.Zones().Zone(r.Zone)
	if err != nil {
		return &State{Zone: t.currentZone(fallback), Alarms: r.Alarms, lost: r.Zone}
	}
	return &State{Zone: zone, Alarms: r.Alarms}
}

// lookup returns the live session under a key, or nil.
func (t *Table) lookup(key Key) *Session {
	shard := t.shard(key)
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	return shard.sessions[key]
}

func (t *Table) add(s *Session) {
	shard := t.shard(s.key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.sessions[s.key] = s
	t.live.Add(1)
}

// addIdle adds a session that nobody listens to yet.
func (t *Table) addIdle(s *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.add(s)
	s.linger()
}

func (t *Table) remove(s *Session) {
	shard := t.shard(s.key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.sessions, s.key)
	t.live.Add(-1)
}

func (t *Table) shard(key Key) *shard { return &t.shards[int(key.Shard())%len(t.shards)] }

// sessions returns all live sessions.
func (t *Table) sessions() []*Session {
	all := make([]*Session, 0, t.Len())
	for i := range t.shards {
		shard := &t.shards[i]
		shard.mu.RLock()
		all = slices.AppendSeq(all, maps.Values(shard.sessions))
		shard.mu.RUnlock()
	}
	return all
}

// Len returns how many sessions are live.
func (t *Table) Len() int { return int(t.live.Load()) }

// Zones returns the zone data in use.
func (t *Table) Zones() *clock.Zones { return t.zones.Load() }

// SetZones makes an update of the zone data the one in use. Listeners of live sessions are told of the new
// [State.Zone]. A zone that the update no longer has stays what it was in the sessions that are in it.
func (t *Table) SetZones(zones *clock.Zones) {
	t.zones.Store(zones)
	t.pristine.Clear()
	t.Refresh()
}

// Refresh looks at all live sessions anew, as after a change of what their policies say. It takes a second or so for
// ten thousand sessions that have alarms.
func (t *Table) Refresh() {
	for _, s := range t.sessions() {
		s.refresh(t.now())
	}
}

// Advance deals with all that happened in live sessions up to now: alarms that begin to ring or cease to. It does not
// wait for the store; what follows is stored in the background. It is to be called each second; its cost is that of the
// sessions in which something happens. When it returns they are up to date, also if several call it at once. Where the
// clock was set back, all sessions are looked at anew in the background.
func (t *Table) Advance(now time.Time) {
	now = now.Round(0) // without the monotonic clock, which does not see steps
	t.advancing.Lock()
	defer t.advancing.Unlock()
	if now.Before(t.advanced.Add(-maxBack)) {
		go t.Refresh()
	}
	t.advanced = now
	tickAll(t.due.take(now), now)
}

// maxBack is how far the clock may go back without having been set, as callers of Advance read it a moment apart.
const maxBack = time.Second

// tickAll does the sessions' tick on all processors.
func tickAll(sessions []*Session, now time.Time) {
	const share = 16 // sessions that are worth a goroutine
	if len(sessions) == 0 {
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(sessions)+share-1)/share) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(len(sessions)); i = next.Add(1) {
				sessions[i-1].tick(now)
			}
		})
	}
	wg.Wait()
}

// now is the wall clock.
func (t *Table) now() time.Time { return t.config.Now().Round(0) }

// currentZone returns the zone as the zone data in use has it.
func (t *Table) currentZone(zone *clock.Zone) *clock.Zone {
	if current, err := t.Zones().Zone(zone.Name()); err == nil {
		return current
	}
	return zone
}

// updateZone makes the zone of a state what the zone data in use has.
func (t *Table) updateZone(s *State) {
	if s.lost == "" {
		s.Zone = t.currentZone(s.Zone)
	} else if zone, err := t.Zones().Zone(s.lost); err == nil {
		s.Zone, s.lost = zone, ""
	}
}

// count tells the observer which alarms a change of state made ring, or be missed.
func (t *Table) count(before, after *State) {
	o := t.config.Observer
	if o == nil {
		return
	}
	rang := 0
	for _, name := range after.Ringing {
		if !slices.Contains(before.Ringing, name) {
			rang++
		}
	}
	if rang > 0 {
		o.AlarmsRang(rang)
	}
	if sameAlarms(before.Alarms, after.Alarms) {
		return
	}
	if n := missed(after.Alarms) - missed(before.Alarms); n > 0 {
		o.AlarmsMissed(n)
	}
}

func (t *Table) logDamaged(key Key, err error) {
	t.backends.current().log.Error("stored session is damaged, and left as it is", zap.Stringer("key", key), zap.Error(err))
}

// Close stores what is still to be stored, with one more try for what fails, and ends what the table does in the
// background. It returns the error of ctx if that ends first. Sessions should have no listeners any more.
func (t *Table) Close(ctx context.Context) error {
	err := t.queue.drain(ctx)
	t.stop()
	ended := make(chan struct{})
	go func() {
		t.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
