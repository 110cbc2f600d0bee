//! What runs: sources and sinks, and the runner that carries records through a pipeline and keeps its position.
