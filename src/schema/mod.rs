//! Keys and values of the internal topics, and what clients embed in group messages.
