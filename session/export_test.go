package session

// Rezoned returns the record with another zone.
func Rezoned(p []byte, zone string) []byte {
	r, err := decodeRecord(p)
	if err != nil {
		panic(err)
	}
	p, err = encodeRecord(&State{lost: zone, Alarms: r.Alarms}, r.Expires)
	if err != nil {
		panic(err)
	}
	return p
}

// ZoneOf returns the zone of a record.
func ZoneOf(p []byte) string {
	r, err := decodeRecord(p)
	if err != nil {
		panic(err)
	}
	return r.Zone
}
