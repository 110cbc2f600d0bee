//! Counters, gauges and histograms as plain values; knows neither who counts nor who reads.
