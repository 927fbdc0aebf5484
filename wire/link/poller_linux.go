//go:build linux && !portable

package link

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for all sockets with one epoll instance, whose own descriptor
// waits in the runtime's poller: so no thread blocks in it.
type poller struct {
	epoll *os.File
	raw   syscall.RawConn

	mu      sync.Mutex
	waiters []waiter // by descriptor
}

// waiter is told what happens on its socket.
type waiter interface {
	readable() // or at its end
	writable()
}

// one is the poller of the process. It lives as long as the process, and costs
// one goroutine.
var one struct {
	sync.Mutex
	poller *poller
}

// thePoller returns the one of the process. Where it could not be made, for
// want of a descriptor, the next call tries again.
func thePoller() (*poller, error) {
	one.Lock()
	defer one.Unlock()
	if one.poller != nil {
		return one.poller, nil
	}
	var err error
	one.poller, err = newPoller()
	return one.poller, err
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for os.NewFile
		_ = unix.Close(fd)
		return nil, err
	}
	p := &poller{epoll: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.epoll.SyscallConn(); err != nil {
		_ = p.epoll.Close()
		return nil, err
	}
	go p.run()
	return p, nil
}

// add begins to tell w of each change on the socket fd.
func (p *poller) add(fd int, w waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if grow := fd + 1 - len(p.waiters); grow > 0 {
		p.waiters = append(p.waiters, make([]waiter, grow)...)
	}
	p.waiters[fd] = w
	return p.control(unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(fd),
	})
}

// remove ends that, before the descriptor is closed.
func (p *poller) remove(fd int, w waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd < len(p.waiters) && p.waiters[fd] == w {
		p.waiters[fd] = nil
		_ = p.control(unix.EPOLL_CTL_DEL, fd, nil)
	}
}

func (p *poller) control(op, fd int, event *unix.EpollEvent) error {
	var err error
	if err2 := p.raw.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, fd, event) }); err2 != nil {
		return err2
	}
	return os.NewSyscallError("epoll_ctl", err)
}

func (p *poller) run() {
	events := make([]unix.EpollEvent, 256)
	for {
		n := 0
		err := p.raw.Read(func(epoll uintptr) bool {
			n, _ = retry(func() (int, error) { return unix.EpollWait(int(epoll), events, 0) })
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			p.tell(e)
		}
	}
}

func (p *poller) tell(e unix.EpollEvent) {
	p.mu.Lock()
	w := p.waiters[e.Fd]
	p.mu.Unlock()
	if w == nil {
		return
	}
	if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		w.readable()
	}
	if e.Events&unix.EPOLLOUT != 0 {
		w.writable()
	}
}

// turn is whose turn it is to read a socket: nobody's, until the poller tells
// that there is something, or a goroutine's.
type turn struct{ state atomic.Int32 }

const (
	idle  int32 = iota
	busy        // a goroutine reads
	again       // it does, and the poller told of more
)

// begin makes it the caller's turn.
func (t *turn) begin() { t.state.Store(busy) }

// told notes that there is something to read. It reports whether nobody reads
// yet, and it is the caller's turn now.
func (t *turn) told() bool {
	for {
		if t.state.CompareAndSwap(idle, busy) {
			return true
		}
		if t.state.Load() == again || t.state.CompareAndSwap(busy, again) {
			return false
		}
	}
}

// end ends the caller's turn, unless there is something to read again.
func (t *turn) end() bool {
	if t.state.CompareAndSwap(busy, idle) {
		return true
	}
	t.state.Store(busy)
	return false
}
