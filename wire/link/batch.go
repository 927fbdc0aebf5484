package link

// Batch sends to many links with fewer system calls than there are links,
// where the operating system has a way. It is used by one goroutine at a time.
//
//	for each link
//		if !b.Add(l, p) {
//			n, err := l.Send(p)
//			…
//		}
//	b.Flush(func(i, n int, err error) { … })
type Batch struct {
	ring *ring // nil: there is no way here
}

// BatchSize is how many links a batch takes at most before it is flushed.
const BatchSize = 128

// NewBatch returns an empty batch.
func NewBatch() *Batch { return &Batch{ring: newRing()} }

// Add plans to send p on l. It reports whether that can be: where it cannot,
// the caller uses l.Send. Until Flush has told the result, neither p nor l
// may be used otherwise.
func (b *Batch) Add(l Link, p []byte) bool {
	return b.ring != nil && b.ring.add(l, p)
}

// Flush sends all that was added, and tells of each, in the order of adding,
// what l.Send would have returned. The batch is empty after that.
func (b *Batch) Flush(sent func(i, n int, err error)) {
	if b.ring != nil {
		b.ring.flush(sent)
	}
}

// Close gives back what the batch has of the operating system.
func (b *Batch) Close() {
	if b.ring != nil {
		b.ring.close()
	}
}
