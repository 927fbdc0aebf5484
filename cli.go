package pywsclock

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/spf13/cobra"

	"github.com/pyws-clock/pyws_clock/wire"
)

// defaultListen is the port of the Python program.
const defaultListen = ":8901"

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "pyws-clock",
		Usage: "commands|serve|connect",
		Short: "Runs a WebSocket clock, connects to one, or lists its commands",
		CobraFunc: func(cmd *cobra.Command) {
			serve := &cobra.Command{
				Use:   "serve [--listen <addr>] [--timezone <zone>]",
				Short: "Runs a clock without a Caddyfile",
				Long: `
Runs a clock at every path of a local address over plain HTTP. Sessions are
kept in Caddy's data directory. For TLS and all else, write a Caddyfile.`,
				Args: cobra.NoArgs,
				RunE: caddycmd.WrapCommandFuncForCobra(cmdServe),
			}
			serve.Flags().StringP("listen", "l", defaultListen, "The address to which to bind the listener")
			serve.Flags().StringP("timezone", "t", "UTC", "The IANA time zone of new sessions")
			cmd.AddCommand(serve,
				&cobra.Command{
					Use:   "commands",
					Short: "Prints the commands that clients may send",
					Args:  cobra.NoArgs,
					RunE:  func(cmd *cobra.Command, _ []string) error { return printCommands(cmd.OutOrStdout()) },
				},
				&cobra.Command{
					Use:   "connect [<url>]",
					Short: "Connects to a clock: lines typed are messages, messages are printed",
					Long: `
Connects to a clock, by default the one at ws://127.0.0.1:8901. Each line that is
typed is sent as a message, the first one as the session ID; an empty line, or
the end of standard input, asks for a new session. Each message of the clock is
printed, also after the end of standard input.

A connection that is lost is made again with the same session, after waits that
grow up to a minute. Ctrl-C ends.`,
					Args: cobra.MaximumNArgs(1),
					RunE: func(cmd *cobra.Command, args []string) error {
						url := "ws://127.0.0.1" + defaultListen
						if len(args) > 0 {
							url = args[0]
						}
						return connect(cmd.Context(), url, os.Stdin, cmd.OutOrStdout(), cmd.ErrOrStderr())
					},
				})
		},
	})
}

func printCommands(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range wire.Commands() {
		fmt.Fprintf(table, "%s\t%s\n", c.Usage, c.Summary)
	}
	return table.Flush()
}

func cmdServe(flags caddycmd.Flags) (int, error) {
	caddy.TrapSignals()
	handler := Handler{Timezone: flags.String("timezone")}
	server := &caddyhttp.Server{
		Listen:    []string{flags.String("listen")},
		Protocols: []string{"h1"},
		Routes: caddyhttp.RouteList{{
			HandlersRaw: []json.RawMessage{caddyconfig.JSONModuleObject(handler, "handler", "pyws_clock", nil)},
		}},
		AutoHTTPS: &caddyhttp.AutoHTTPSConfig{Disabled: true},
	}
	app := caddyhttp.App{Servers: map[string]*caddyhttp.Server{"clock": server}}
	off := false
	err := caddy.Run(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		AppsRaw: caddy.ModuleMap{"http": caddyconfig.JSON(app, nil)},
	})
	if err != nil {
		return caddy.ExitCodeFailedStartup, err
	}
	select {}
}
