"""Which way to a derivative costs least, in time and in memory."""
