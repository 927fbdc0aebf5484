//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	ipBindAddressNoPort = 24    // IP_BIND_ADDRESS_NO_PORT, not in package syscall
	perSource           = 20000 // connections from one loopback address; it has 28,232 ports
)

// wouldBlock is what a socket returns when nothing is there. It is temporary in
// the sense of net.Error, so that crypto/tls goes on after it.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing to read yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// socket is a connected TCP socket. As a net.Conn it is what crypto/tls needs of one.
type socket struct {
	net.Conn // nil: no other method is called
	fd       int
	at       time.Time // when what the last Read returned had come, by the kernel's clock
}

// connect opens the i-th connection. The call blocks, on loopback only where the backlog is full.
func connect(i int, to netip.AddrPort, receiveBuffer int) (*socket, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd}
	if err := s.connect(i, to, receiveBuffer); err != nil {
		s.Close()
		return nil, fmt.Errorf("connecting to %v: %w", to, err)
	}
	return s, nil
}

func (s *socket) connect(i int, to netip.AddrPort, receiveBuffer int) error {
	syscall.SetsockoptInt(s.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	syscall.SetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	// reset at close: no port stays in TIME_WAIT
	syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	if receiveBuffer > 0 {
		syscall.SetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
	}
	if i >= perSource {
		syscall.SetsockoptInt(s.fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
		from := syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + i/perSource)}}
		if err := syscall.Bind(s.fd, &from); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	return os.NewSyscallError("connect", syscall.Connect(s.fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}))
}

func (s *socket) Read(b []byte) (int, error) {
	n, err := s.receive(b)
	for err == syscall.EINTR { // a blocking read with SO_RCVTIMEO is not restarted, signal(7)
		n, err = s.receive(b)
	}
	switch {
	case err == syscall.EAGAIN:
		return 0, wouldBlock{}
	case err != nil:
		return 0, os.NewSyscallError("recvmsg", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// receive also takes the time stamp of SO_TIMESTAMPNS.
func (s *socket) receive(b []byte) (int, error) {
	var control struct {
		syscall.Cmsghdr
		syscall.Timespec
	}
	oob := unsafe.Slice((*byte)(unsafe.Pointer(&control)), unsafe.Sizeof(control))
	n, _, _, _, err := syscall.Recvmsg(s.fd, b, oob, 0)
	if control.Type == syscall.SO_TIMESTAMPNS {
		s.at = time.Unix(control.Timespec.Unix())
	} else {
		s.at = time.Now() // the kernel takes a moment to begin with the stamps
	}
	return n, err
}

func (s *socket) Write(b []byte) (int, error) {
	n, err := syscall.Write(s.fd, b)
	if err != nil {
		return 0, os.NewSyscallError("write", err)
	}
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func (s *socket) Close() error { return syscall.Close(s.fd) }
