package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
)

// MaxRecord is the size of the largest record, in bytes.
const MaxRecord = 512 << 10

// recordVersion is the version of the record's format. A record of another version is refused, and kept: a program
// that does not know all of a record must not write it.
const recordVersion = 1

// record is a session as it is stored: one line of JSON. The checksum covers all that follows it, since a flipped bit
// can leave JSON that is valid and says something else.
type record struct {
	Checksum string       `json:"checksum"` // CRC-32C, 8 hexadecimal digits
	Version  int          `json:"version"`
	Zone     string       `json:"zone"`
	Alarms   clock.Alarms `json:"alarms,omitempty"`
	Expires  time.Time    `json:"expires"` // RFC 3339 in UTC, to the millisecond
}

// recordHead is how a record begins, the digits of the checksum aside, and recordBody where the part begins that the
// checksum covers.
const (
	recordHead = `{"checksum":"00000000",`
	recordSum  = len(`{"checksum":"`)
	recordBody = len(recordHead)
)

// encodeRecord returns the record of a session.
func encodeRecord(s *State, expires time.Time) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(record{
		Checksum: recordHead[recordSum : recordSum+8],
		Version:  recordVersion,
		Zone:     s.zoneName(),
		Alarms:   s.Alarms,
		Expires:  expires.UTC().Truncate(time.Millisecond),
	})
	if err != nil {
		return nil, err
	}
	p := b.Bytes()
	copy(p[recordSum:], fmt.Sprintf("%08x", checksum(p[recordBody:])))
	return p, nil
}

// decodeRecord reads what encodeRecord wrote. Anything else is an error that wraps ErrDamaged and says what is wrong.
func decodeRecord(p []byte) (*record, error) {
	r, err := readRecord(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

func readRecord(p []byte) (*record, error) {
	if len(p) > MaxRecord {
		return nil, fmt.Errorf("it has %d bytes, want at most %d", len(p), MaxRecord)
	}
	if len(p) < recordBody || string(p[:recordSum]) != recordHead[:recordSum] || string(p[recordSum+8:recordBody]) != recordHead[recordSum+8:] {
		return nil, errors.New("it does not begin with a checksum")
	}
	if sum := fmt.Sprintf("%08x", checksum(p[recordBody:])); sum != string(p[recordSum:recordSum+8]) {
		return nil, fmt.Errorf("its checksum is %q, want %q", p[recordSum:recordSum+8], sum)
	}
	var format struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(p, &format); err != nil {
		return nil, err
	}
	if format.Version != recordVersion {
		return nil, fmt.Errorf("its format is version %d, want %d", format.Version, recordVersion)
	}
	var r record
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows it")
	}
	if r.Zone == "" || r.Expires.IsZero() {
		return nil, errors.New("it has no zone or no expiry")
	}
	return &r, nil
}
