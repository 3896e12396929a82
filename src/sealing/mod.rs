//! Envelope bytes, scopes, and the way from a Secret to a SealedSecret and back. Pure: keys and random bytes are arguments.
