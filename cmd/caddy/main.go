// Command caddy is Caddy with its standard modules, pyws_clock, and its store
// for several nodes.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/pyws-clock/pyws_clock"
	_ "github.com/pyws-clock/pyws_clock/session/natsstore"
)

func main() {
	caddycmd.Main()
}
