//! What people see: pages, components, the channel and the server functions.
