//! Life of the sealing keys: load, create, rotate, back up, prove.
