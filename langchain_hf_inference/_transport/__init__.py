"""How it goes over the wire: all the waiting there is. Nothing here decides what is said."""
