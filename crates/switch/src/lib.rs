//! Lanes and ports: what moves frames between instances and the world.
