//! gohttp
