//go:build linux && !portable

package link

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for all sockets with one epoll instance, whose own descriptor
// waits in the runtime's poller: so no thread blocks in it.
type poller struct {
	epoll *os.File
	raw   syscall.RawConn

	mu    sync.Mutex
	links []*tcp // by descriptor
}

// thePoller is the one of the process. It lives as long as the process, and
// costs one goroutine.
var thePoller = sync.OnceValues(func() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for os.NewFile
		return nil, err
	}
	p := &poller{epoll: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.epoll.SyscallConn(); err != nil {
		return nil, err
	}
	go p.run()
	return p, nil
})

// add begins to tell l of what happens on its socket, at each change.
func (p *poller) add(l *tcp) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if grow := l.fd + 1 - len(p.links); grow > 0 {
		p.links = append(p.links, make([]*tcp, grow)...)
	}
	p.links[l.fd] = l
	return p.control(unix.EPOLL_CTL_ADD, l.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(l.fd),
	})
}

// remove ends that, before the descriptor is closed.
func (p *poller) remove(l *tcp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.fd < len(p.links) && p.links[l.fd] == l {
		p.links[l.fd] = nil
		_ = p.control(unix.EPOLL_CTL_DEL, l.fd, nil)
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
	l := p.links[e.Fd]
	p.mu.Unlock()
	if l == nil {
		return
	}
	if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.readable()
	}
	if e.Events&unix.EPOLLOUT != 0 {
		l.writable()
	}
}
