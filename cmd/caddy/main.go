// Command caddy is Caddy with its standard modules and pyws_clock.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/pyws-clock/pyws_clock"
)

func main() {
	caddycmd.Main()
}
