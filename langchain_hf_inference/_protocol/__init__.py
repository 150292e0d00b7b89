"""What goes over the wire: types and pure functions. Nothing here waits, sleeps or connects."""
