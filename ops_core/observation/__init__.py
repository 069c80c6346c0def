"""One run of a suite: probes run concurrently under the deadline, what they saw is journaled, recorded and replayed."""
