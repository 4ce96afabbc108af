//! Keys and certificates of the site.
