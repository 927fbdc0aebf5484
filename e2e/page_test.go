package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestPage runs the clock page in a real browser: testdata/page has the cases.
// With PYWS_CLOCK_SCREENSHOTS set to a directory, pictures of the page's main
// states are written there.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	browser := findBrowser(t)
	dir := t.TempDir()
	npm := exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--silent",
		"playwright-core@1.65.1", "axe-core@4.14.1", "acorn@8.19.0")
	if out, err := npm.CombinedOutput(); err != nil {
		t.Skipf("needs npm, and its packages playwright-core, axe-core and acorn: %v\n%s", err, out)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	srv := start(t, site{
		options: "page\nring 10m", // so that no slow machine lets one end
		around: fmt.Sprintf(`
			handle /narrow {
				pyws_clock {
					page
					command_rate 1
				}
			}
			handle /short {
				pyws_clock {
					page
					ring 1s
				}
			}
			handle_path /deep/down/* {
				pyws_clock {
					page
				}
			}
			handle_path /example/* {
				root %s
				file_server
			}`, filepath.Join(root, "page", "example")),
	})

	secure := startTLS(t, site{options: "page"})
	_, port, err := net.SplitHostPort(secure.address)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", filepath.Join("testdata", "page", "page.mjs"))
	node.Env = append(os.Environ(), "PACKAGES="+dir+"/", "BROWSER="+browser, "CLOCK=http://"+srv.address,
		"SECURE_CLOCK=https://localhost:"+port, "SCRIPTS="+filepath.Join(root, "page"),
		"README="+filepath.Join(root, "README.md"))
	report, err := os.Create(filepath.Join(dir, "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	defer func() {
		text, _ := os.ReadFile(report.Name())
		t.Logf("%s", text)
	}()
	node.Stdout = report
	orders, answers := pipes(t, node)
	if err := node.Start(); err != nil {
		t.Skip("needs node: ", err)
	}
	node.ExtraFiles[0].Close() // else the orders would never end
	for orders.Scan() {
		srv.obey(orders.Text())
		fmt.Fprintln(answers, "done")
	}
	if err := node.Wait(); err != nil {
		t.Error(err)
	}
}

func findBrowser(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("needs Chromium, such as Debian's package chromium")
	return ""
}

// pipes are what the cases order of the server, and where they hear that it is
// done: file descriptors 3 and 4 of their process.
func pipes(t *testing.T, command *exec.Cmd) (orders *bufio.Scanner, answers *os.File) {
	t.Helper()
	ordersOut, ordersIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answersOut, answersIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.ExtraFiles = []*os.File{ordersIn, answersOut}
	t.Cleanup(func() {
		for _, f := range []*os.File{ordersOut, answersOut, answersIn} {
			f.Close()
		}
	})
	return bufio.NewScanner(ordersOut), answersIn
}

func (s *server) obey(order string) {
	s.t.Helper()
	switch order {
	case "stop":
		s.terminate()
		s.awaitExit()
	case "start":
		s.run()
	case "alone":
		until(s.t, "the last connection has ended", func() bool { return s.metrics().of("connections") == 0 })
	case "reload":
		if err := s.reload(); err != nil {
			s.t.Fatal(err)
		}
	default:
		s.t.Fatalf("unknown order %q", order)
	}
}
