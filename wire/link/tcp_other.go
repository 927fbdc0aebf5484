//go:build !unix

package link

import "net"

// tcp has no form of its own where sockets cannot be written without waiting.
type tcp = stream

func newTCP(*net.TCPConn, Owner) *tcp { return nil }
