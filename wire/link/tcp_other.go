//go:build !unix

package link

import (
	"crypto/tls"
	"net"
)

// tcp has no form of its own where sockets cannot be written without waiting,
// and neither has TLS.
type tcp = stream

func newTCP(*net.TCPConn, Owner) *tcp { return nil }

func newTLS(*tls.Conn, Owner) Link { return nil }
