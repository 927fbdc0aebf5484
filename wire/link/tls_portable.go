//go:build unix && (!linux || portable)

package link

import "crypto/tls"

func newTLS(conn *tls.Conn, owner Owner) Link {
	if l := newSecured(conn, owner); l != nil {
		return l
	}
	return nil
}
