//go:build unix

package link

import (
	"sync"

	"golang.org/x/sys/unix"
)

// bufferSize is what one read takes: the largest message and its header.
const bufferSize = 4096 + 14

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// writable asks a socket whether it has room.
func writable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := retry(func() (int, error) { return unix.Poll(fds, 0) })
	return n > 0 || err != nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
