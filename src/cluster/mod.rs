//! Everything that talks to a destination cluster: discovery, watch cache, server-side apply and dry-run.
