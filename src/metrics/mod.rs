//! Counters, gauges and histograms as plain values.
