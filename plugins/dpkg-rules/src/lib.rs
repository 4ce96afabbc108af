//! The rule encoding of the dpkg plugin and Debian's version order.
