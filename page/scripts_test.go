package page

import (
	"os/exec"
	"testing"
)

// The page's reckoning, without a browser and in virtual time: see the script.
func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: ", err)
	}
	if out, err := exec.CommandContext(t.Context(), node, "testdata/scripts.mjs").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
