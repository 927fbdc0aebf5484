//go:build linux && !portable

package link

import (
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring instance (io_uring(7)): messages for many sockets go to
// the kernel in one system call. All of them are sent before that returns, as
// none may wait; so the ring needs neither threads nor a poller.
type ring struct {
	fd      int
	rings   []byte // shared with the kernel: heads, tails, and completions
	entries []byte // shared with the kernel: submissions

	tail, mask   *uint32 // of submissions
	head, filled *uint32 // of completions
	completions  unsafe.Pointer
	mask2        uint32

	broken bool // the kernel refused what it took before

	links [BatchSize]*tcp
	bytes [BatchSize][]byte
	n     int
}

// params is struct io_uring_params of linux/io_uring.h.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		_                                                           uint64
	}
	cq struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		_                                                           uint64
	}
}

// submission is struct io_uring_sqe.
type submission struct {
	opcode, flags uint8
	_             uint16
	fd            int32
	_             uint64
	addr          uint64
	length        uint32
	msgFlags      uint32
	userData      uint64
	_             [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	userData uint64
	result   int32
	_        uint32
}

const (
	opSend            = 26 // IORING_OP_SEND, Linux 5.6
	featureSingleMap  = 1  // IORING_FEAT_SINGLE_MMAP, Linux 5.4
	enterGetEvents    = 1  // IORING_ENTER_GETEVENTS
	offsetSubmissions = 0x10000000
)

// newRing returns nil where the kernel has no io_uring, or does not let us.
func newRing() *ring {
	var p params
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, BatchSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil
	}
	r := &ring{fd: int(fd)}
	if p.features&featureSingleMap == 0 || r.share(&p) != nil || !r.works() {
		r.close()
		return nil
	}
	return r
}

// share maps what the kernel and this process have in common.
func (r *ring) share(p *params) (err error) {
	unix.CloseOnExec(r.fd)
	size := max(p.sq.array+p.sqEntries*4, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(completion{})))
	if r.rings, err = unix.Mmap(r.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	size = p.sqEntries * uint32(unsafe.Sizeof(submission{}))
	if r.entries, err = unix.Mmap(r.fd, offsetSubmissions, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }
	r.tail, r.mask = word(p.sq.tail), word(p.sq.ringMask)
	r.head, r.filled = word(p.cq.head), word(p.cq.tail)
	r.completions = unsafe.Pointer(&r.rings[p.cq.cqes])
	r.mask2 = *word(p.cq.ringMask)
	// Submission n is always in entry n: the array of indices never changes.
	indices := unsafe.Slice(word(p.sq.array), p.sqEntries)
	for i := range indices {
		indices[i] = uint32(i)
	}
	return nil
}

// works tries the ring: it may be there and not know how to send.
func (r *ring) works() bool {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	l, ok := &tcp{fd: pair[0]}, false
	r.add(l, []byte{'?'})
	r.flush(func(_, n int, err error) { ok = n == 1 && err == nil })
	return ok
}

func (r *ring) add(l Link, p []byte) bool {
	socket, ok := l.(*tcp)
	if !ok || r.broken || r.n == BatchSize || len(p) == 0 || !socket.acquire() {
		return false
	}
	entry := (*submission)(unsafe.Pointer(&r.entries[uintptr((*r.tail+uint32(r.n))&*r.mask)*unsafe.Sizeof(submission{})]))
	*entry = submission{
		opcode:   opSend,
		fd:       int32(socket.fd),
		addr:     uint64(uintptr(unsafe.Pointer(&p[0]))),
		length:   uint32(len(p)),
		msgFlags: unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL,
		userData: uint64(r.n),
	}
	r.links[r.n], r.bytes[r.n] = socket, p
	r.n++
	return true
}

func (r *ring) flush(sent func(i, n int, err error)) {
	if r.n == 0 {
		return
	}
	var results [BatchSize]int32
	for i := range results {
		results[i] = -int32(unix.ECANCELED) // until the kernel has told
	}
	r.submit(&results)
	for i := range r.n {
		n, err := r.links[i].sent(r.bytes[i], unix.Errno(-min(0, results[i])), int(max(0, results[i])))
		r.links[i].release()
		r.links[i], r.bytes[i] = nil, nil
		sent(i, n, err)
	}
	r.n = 0
}

// sent is what Send returns, from what the ring told of it.
func (l *tcp) sent(p []byte, errno unix.Errno, n int) (int, error) {
	switch {
	case errno == unix.ECANCELED:
		return l.Send(p)
	case errno != 0 && errno != unix.EAGAIN:
		return 0, os.NewSyscallError("send", errno)
	}
	if n < len(p) {
		l.awaitRoom()
	}
	return n, nil
}

// submit has the kernel send all entries, and takes the results. Where the
// kernel refuses, those that it did not send have none.
func (r *ring) submit(results *[BatchSize]int32) {
	atomic.StoreUint32(r.tail, *r.tail+uint32(r.n))
	for submitted, done := 0, 0; done < r.n; {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.n-submitted), uintptr(r.n-done), enterGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			// What is still in the ring would go out with the next batch, to
			// whoever has the descriptors by then.
			r.broken = true
			return
		}
		if errno == 0 {
			submitted += int(n)
		}
		head := *r.head
		for ; head != atomic.LoadUint32(r.filled); head++ {
			c := (*completion)(unsafe.Add(r.completions, uintptr(head&r.mask2)*unsafe.Sizeof(completion{})))
			results[c.userData] = c.result
			done++
		}
		atomic.StoreUint32(r.head, head)
	}
	runtime.KeepAlive(r)
}

func (r *ring) close() {
	if r.rings != nil {
		_ = unix.Munmap(r.rings)
	}
	if r.entries != nil {
		_ = unix.Munmap(r.entries)
	}
	_ = unix.Close(r.fd)
}
