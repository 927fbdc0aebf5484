//go:build linux

package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// peer is a clock server that can be started.
type peer struct {
	name  string
	about string // what it is made of, with versions
	ports int    // that a server needs; also the descriptors that a connection takes
	ca    string // file of the certificate of a server that speaks TLS
	// commands are the processes of one server, for clients on the first port; dir is theirs alone.
	commands func(dir string, ports []int) ([]*exec.Cmd, error)
}

// makers get peers ready. An error says why one is skipped.
var makers = map[string]func(*bench) (*peer, error){
	"c":           (*bench).cPeer,
	"gws":         (*bench).gwsPeer,
	"ws":          (*bench).wsPeer,
	"python":      (*bench).pythonPeer,
	ours:          func(b *bench) (*peer, error) { return b.clockPeer(site{}) },
	ours + "+log": func(b *bench) (*peer, error) { return b.clockPeer(site{log: true}) },
}

func names() []string { return slices.Sorted(maps.Keys(makers)) }

// cPeer is the yardstick: one epoll, and one write(2) for each connection and second.
func (b *bench) cPeer() (*peer, error) {
	program := filepath.Join(b.dir, "c")
	if _, err := b.output("gcc", "-O2", "-o", program, filepath.Join(b.source, "peers/c/clock.c")); err != nil {
		return nil, err
	}
	version, err := b.output("gcc", "--version")
	return simplePeer("c", version, program), err
}

// gwsPeer is lxzan/gws, a Go library that writes little.
func (b *bench) gwsPeer() (*peer, error) {
	source, program := filepath.Join(b.source, "peers/gws"), filepath.Join(b.dir, "gws")
	if _, err := b.output("go", "build", "-C", source, "-o", program, "."); err != nil {
		return nil, err
	}
	version, err := b.output("go", "list", "-C", source, "-m", "github.com/lxzan/gws")
	return simplePeer("gws", version, program), err
}

// wsPeer is ws, the WebSocket library of Node.js.
func (b *bench) wsPeer() (*peer, error) {
	dir := filepath.Join(b.dir, "ws")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(b.source, "peers/ws"))); err != nil {
		return nil, err
	}
	if _, err := b.output("npm", "ci", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return nil, err
	}
	script := "process.version + ', ws ' + require(process.argv[1]).version"
	version, err := b.output("node", "-p", script, filepath.Join(dir, "node_modules/ws/package.json"))
	return simplePeer("ws", "node "+version, "node", filepath.Join(dir, "clock.js")), err
}

// pythonPeer has the shape of the Python program: a task for each connection.
func (b *bench) pythonPeer() (*peer, error) {
	const python = "/usr/bin/python3" // the one that Debian's python3-websockets belongs to
	version, err := b.output(python, "-c", "import sys, websockets.version as w; print(sys.version.split()[0] + ', websockets', w.version)")
	return simplePeer("python", "Python "+version, python, filepath.Join(b.source, "peers/python/clock.py")), err
}

// simplePeer is a peer of one process that takes the port as its last argument.
func simplePeer(name, about string, command ...string) *peer {
	return &peer{name: name, about: about, ports: 1, commands: func(_ string, ports []int) ([]*exec.Cmd, error) {
		return []*exec.Cmd{exec.Command(command[0], append(slices.Clone(command[1:]), strconv.Itoa(ports[0]))...)}, nil
	}}
}

// output runs a command to its end and returns the first line that it prints. Of a
// command that fails, the error has the last line.
func (b *bench) output(name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(b.ctx, name, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w %s", name, err, lastLine(stderr.Bytes()))
	}
	line, _, _ := strings.Cut(stdout.String(), "\n")
	return line, nil
}
